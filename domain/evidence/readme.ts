/** The text for whoever opens an evidence pack and has never seen one. */
import type { PackDescription } from './format.ts';
import type { EvidenceScope } from './scope.ts';

export const scopeText = (scope: EvidenceScope): string => {
  switch (scope.kind) {
    case 'run':
      return `the run ${scope.runId} (correlation id ${scope.correlationId})`;
    case 'correlation':
      return `everything under the correlation id ${scope.correlationId}`;
    case 'range':
      return `the entries ${scope.from} to ${scope.to} of the log`;
  }
  return scope satisfies never;
};

export const readmeText = ({ instance, origin, scope, askedBy, askedAt, id, treeSize }: PackDescription): string =>
  `# Evidence pack ${id}

From the audit trail of the instance "${instance}": ${scopeText(scope)}.
Asked for by ${askedBy.principal} at ${askedAt}. All proofs lead to the log ${origin} of ${treeSize} entries.

## Check it

\`\`\`sh
node verify.mjs <this archive> --key '<verifier key of the log>'
\`\`\`

\`verify.mjs\` is one file and needs Node 20 or later, nothing else, and no network. Take it, and the key, from somebody else than whoever
gave you the pack: a forged pack would bring a forged verifier and a forged key. Whoever runs the log hands out the key
(\`name+id+base64\`); an auditor gets it once and keeps it. Without \`--key\` the verifier only says that the pack agrees with itself.

## What is in it

| member | content |
| --- | --- |
| \`pack.json\` | what this is: format, instance, who asked, when, for what |
| \`checkpoint\` | the log's signed checkpoint (c2sp.org/tlog-checkpoint), with the cosignatures of witnesses if there are any |
| \`entries/*.ndjson\` | the entries, one a line: the bytes that were logged, and that are hashed |
| \`proofs/*.ndjson\` | line for line, the proof that the entry stands in the log at its index |
| \`payloads/*.ndjson\` | the content, part by part, with the salt of each commitment; or why it is not here |
| \`cited/\` | the same of entries that those rest on: published policies and versions, the key of the manifest, the export itself |
| \`policies/*.cedar\` | texts of the policies that decided |
| \`citations.json\` | which policy sets and versions the entries name, and where those were published |
| \`summary.json\` | counts |
| \`manifest\` | name, size and SHA-256 of every other member, signed |

An entry holds no content, only commitments: SHA-256(salt || plaintext) of each part. A leaf of the log is SHA-256(0x00 || entry).
`;
