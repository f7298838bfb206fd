/**
 * Makes an evidence pack (docs/evidence.md), piece by piece, for as long as somebody takes the pieces. It only reads. What
 * it takes of memory depends on its largest member, not on the size of the pack.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from 'node:crypto';
import {
  absenceReasons,
  member,
  packVersion,
  type CitedPolicySet,
  type PackDescription,
  type PackSummary,
} from '../../domain/evidence/format.ts';
import { ProofBuilder, type ReadHashes } from '../../domain/evidence/proofBuilder.ts';
import { readmeText } from '../../domain/evidence/readme.ts';
import type { EvidenceScope } from '../../domain/evidence/scope.ts';
import { encodeVkey, type NoteSigner } from '../../domain/tree/note.ts';
import { consistencyProof } from '../../domain/tree/proof.ts';
import { platformPolicies } from '../../schema/cedar/texts.ts';
import type { IndexedEvent, MaySee, TrailReader } from '../reader.ts';
import { PackArchive } from './archive.ts';
import { Citations, platformSetName, type CitedSet } from './citations.ts';
import { fromRecord, scopeEvents } from './scopeEvents.ts';
import { SectionWriter } from './section.ts';

export interface PackRequest {
  readonly kind: PackDescription['kind'];
  /** Id of the entry by which it was asked for. */
  readonly id: string;
  readonly scope: EvidenceScope;
  readonly askedBy: PackDescription['askedBy'];
  readonly askedAt: Date;
  readonly madeAt: Date;
  /** The log as it is to be proven: it must cover the scope and `custody`. */
  readonly checkpoint: { readonly size: number; readonly root: Buffer; readonly note: string };
  /** The newest checkpoint that witnesses have cosigned, where it is an earlier one. */
  readonly cosigned?: { readonly size: number; readonly note: string };
  readonly origin: string;
  readonly vkeys: readonly string[];
  readonly signer: NoteSigner;
  /** Index of the entry that names the signer's key. */
  readonly announcedAt: number;
  /** Indexes of entries that record the export. */
  readonly custody: readonly number[];
  /** What of the payload whoever asked may see. */
  readonly maySee: MaySee;
}

export interface PackMade {
  /** SHA-256 of the manifest, hex: it names the whole pack. */
  readonly manifestSha256: string;
  readonly summary: PackSummary;
  readonly members: number;
  /** Before compression. */
  readonly sizeBytes: number;
}

export interface PackHooks {
  /** The manifest leaves only after this: whoever has a whole pack finds it in the log. A throw ends the export. */
  readonly beforeManifest: (made: PackMade) => Promise<void>;
  /** Told of each entry of the scope. */
  readonly progress?: (entries: number) => void;
}

const verifierPath = join(import.meta.dirname, '../../domain/evidence/verifier.mjs');

/** Pieces of a tar archive. Rejects with TrailError LOG_INCONSISTENT where an entry is not what was logged. */
export async function* exportPack(
  reader: TrailReader,
  request: PackRequest,
  hooks: PackHooks,
): AsyncGenerator<Buffer, void, undefined> {
  const { id, origin, checkpoint, scope, maySee, signer } = request;
  const archive = new PackArchive(id, request.madeAt);
  const description = describe(reader, request);
  yield* archive.member(member.readme, readmeText(description));
  yield* archive.member(member.verifier, await readFile(verifierPath));
  yield* archive.member(member.description, prettyJson(description));
  yield* archive.member(member.checkpoint, checkpoint.note);

  const { size, root } = checkpoint;
  const readHashes: ReadHashes = (level, index, width) => reader.tiles.hashes(level, index, width);
  const proofs = new ProofBuilder({ size, root, readHashes });
  const { cosigned } = request;
  if (cosigned) {
    const hashes = await consistencyProof(cosigned.size, size, proofs.subtrees);
    yield* archive.member(member.cosigned, cosigned.note);
    const proof = { from: cosigned.size, to: size, hashes: hashes.map((one) => one.toString('base64')) };
    yield* archive.member(member.cosignedConsistency, prettyJson(proof));
  }
  const sources = { reader, archive, maySee, proofs };
  const entries = new SectionWriter('scope', sources);
  const citations = new Citations();
  for await (const event of scopeEvents(reader, scope, size)) {
    yield* entries.add(event);
    citations.see(event.entry);
    hooks.progress?.(entries.entries);
  }
  yield* entries.end();

  const found = await citations.resolve(reader, size);
  const rest = new SectionWriter('cited', sources);
  const publications = [...found.policySets, ...found.versions].flatMap(({ publication }) => publication ?? []);
  for await (const event of citedEvents(reader, [request.announcedAt, ...request.custody], publications))
    yield* rest.add(event);
  yield* rest.end();

  const policySets: CitedPolicySet[] = [];
  for (const set of withPlatform(found.policySets)) {
    const { text, ...cited } = await citedSet(reader, set, maySee);
    policySets.push(cited);
    if (text !== undefined && cited.member !== null) yield* archive.member(cited.member, text);
  }
  const versions = found.versions.map(({ what, value, publishedAt }) => ({ what, value, publishedAt }));
  yield* archive.member(member.citations, prettyJson({ policySets, versions, truncated: found.truncated }));
  const { firstIndex, lastIndex, parts } = entries;
  const summary = { entries: entries.entries, firstIndex, lastIndex, parts, citedEntries: rest.entries };
  yield* archive.member(member.summary, prettyJson(summary));

  const manifest = archive.manifest({ origin, id }, signer);
  const { members, sizeBytes } = archive;
  await hooks.beforeManifest({ manifestSha256: hash('sha256', manifest), summary, members, sizeBytes });
  yield* archive.end(manifest);
}

const prettyJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const describe = ({ instance }: TrailReader, request: PackRequest): PackDescription => ({
  format: 'trailkeeper-evidence',
  version: packVersion,
  kind: request.kind,
  id: request.id,
  instance,
  origin: request.origin,
  vkeys: request.vkeys,
  evidenceKey: { vkey: encodeVkey(request.signer), announcedAt: request.announcedAt },
  scope: request.scope,
  askedBy: request.askedBy,
  askedAt: request.askedAt.toISOString(),
  madeAt: request.madeAt.toISOString(),
  treeSize: request.checkpoint.size,
  custody: request.custody,
});

/** Each once, in log order. */
async function* citedEvents(
  reader: TrailReader,
  indexes: readonly number[],
  publications: readonly IndexedEvent[],
): AsyncGenerator<IndexedEvent> {
  const known = new Map(publications.map((event) => [event.index, event]));
  for (const index of [...new Set([...indexes, ...known.keys()])].toSorted((a, b) => a - b))
    yield known.get(index) ?? (await fromRecord(reader, index));
}

/** The platform's own policies bear on every decision, and before an instance publishes a set they are all there is. */
const withPlatform = (sets: readonly CitedSet[]): CitedSet[] => [
  ...sets.filter(({ policySet }) => policySet !== platformSetName),
  { policySet: platformSetName, version: 1, publication: undefined },
];

const sha256 = (text: string): string => hash('sha256', text);

const citedSet = async (
  reader: TrailReader,
  { policySet, version, publication }: CitedSet,
  maySee: MaySee,
): Promise<CitedPolicySet & { readonly text?: string }> => {
  if (policySet === platformSetName)
    return {
      policySet,
      version,
      digest: sha256(platformPolicies),
      publishedAt: null,
      member: `policies/${policySet}.cedar`,
      text: platformPolicies,
    };
  const control = publication?.entry.control;
  const digest = control?.change === 'policy.publish' ? control.digest : null;
  const cited = { policySet, version, digest, publishedAt: publication?.index ?? null };
  const absent = (reason: string): CitedPolicySet => ({ ...cited, member: null, reason });
  if (!publication) return absent('the log has no publication of it that took effect');
  const [opened] = await reader.withParts([publication], maySee);
  const part = opened?.parts?.['policies'];
  if (part?.state !== 'present') return absent(absenceReasons[part?.state ?? 'erased']);
  const { text } = part.content as { readonly text: string };
  return { ...cited, member: `policies/${policySet}@${version}.cedar`, text };
};
