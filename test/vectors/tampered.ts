/** The list of cases: what holds, and what was tampered with, each with the verdict of our verifier and of the one in Go. */
import { addSignatureLines, signNote } from '../../domain/tree/note.ts';
import type { NoteSigner } from '../../domain/tree/note.ts';

/** `expected` absent: it holds. `ours`: kind of problem or code of error; `theirs`: a part of what the Go program says. */
export interface VectorCase {
  readonly name: string;
  readonly kind: 'log' | 'checkpoint' | 'proof' | 'consistency' | 'disclosure' | 'box';
  /** A file; of a log, the folder of files that stand in place of those of `log/`. */
  readonly file?: string;
  /** Of a log: files that are not there. */
  readonly missing?: readonly string[];
  /** Of a proof. */
  readonly entry?: string;
  /** A checkpoint that was kept from earlier. */
  readonly older?: string;
  readonly witnesses?: readonly string[];
  readonly quorum?: number;
  readonly expected?: { readonly ours: string; readonly theirs: string };
}

export interface VectorParts {
  readonly write: (path: string, content: Uint8Array | string) => void;
  readonly read: (path: string) => Buffer;
  readonly checkpointOf: (size: number, by?: NoteSigner) => Promise<Buffer>;
  readonly cosigned: (note: Buffer, by: readonly ('first' | 'second')[]) => Buffer;
  readonly thief: NoteSigner;
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const changed = Buffer.from(bytes);
  changed[at]! ^= 1;
  return changed;
};
const both = { witnesses: ['first', 'second'] };

export const tamperedVectors = async ({ write, read, checkpointOf, cosigned, thief }: VectorParts): Promise<void> => {
  const cases: VectorCase[] = [];
  const add = (one: VectorCase, content?: Uint8Array | string): void => {
    cases.push(one);
    if (one.file !== undefined && content !== undefined) write(one.file, content);
  };
  const holding = (kind: VectorCase['kind'], file: string, more: Partial<VectorCase> = {}): void =>
    add({ name: `${file} holds`, kind, file, ...more });

  // Whole logs. A folder holds only what differs from log/.
  add({ name: 'the log holds', kind: 'log', older: 'checkpoints/older' });
  add({ name: 'the log holds, cosigned by both witnesses', kind: 'log', ...both, quorum: 2 });
  const log = (name: string, path: string, content: Uint8Array, expected: VectorCase['expected'], more = {}): void => {
    const file = `tampered/${name.replaceAll(' ', '-')}`;
    write(`${file}/${path}`, content);
    cases.push({ name: `log: ${name}`, kind: 'log', file, ...(expected && { expected }), ...more });
  };
  const bundle = read('log/tile/entries/000');
  const tile = read('log/tile/0/000');
  log('an entry altered', 'tile/entries/000', flipped(bundle, 1000), {
    ours: 'entry-altered',
    theirs: 'entry altered',
  });
  log('a leaf hash altered', 'tile/0/000', flipped(tile, 100), { ours: 'tile-altered', theirs: 'tile altered' });
  log('a partial bundle cut short', 'tile/entries/001.p/44', read('log/tile/entries/001.p/44').subarray(0, -3), {
    ours: 'malformed-bundle',
    theirs: 'malformed bundle',
  });
  cases.push({
    name: 'log: a tile is missing',
    kind: 'log',
    missing: ['tile/0/000'],
    expected: { ours: 'tile-missing', theirs: 'is missing' },
  });
  log('signed by another key', 'checkpoint', await checkpointOf(300, thief), {
    ours: 'bad-signature',
    theirs: 'checkpoint: ',
  });
  log(
    'of a smaller size than was kept',
    'checkpoint',
    await checkpointOf(256),
    { ours: 'inconsistent-with-older', theirs: 'rolled back' },
    { older: 'checkpoints/older' },
  );

  // Checkpoints.
  for (const file of ['checkpoints/plain', 'checkpoints/older']) holding('checkpoint', file);
  holding('checkpoint', 'checkpoints/cosigned-by-first', { ...both, quorum: 1 });
  holding('checkpoint', 'checkpoints/cosigned-by-both', { ...both, quorum: 2 });
  const plain = await checkpointOf(300);
  const cosignedNote = cosigned(plain, ['first', 'second']);
  const checkpoint = (name: string, content: Uint8Array, ours: string, theirs: string, more = {}): void =>
    add(
      {
        name: `checkpoint: ${name}`,
        kind: 'checkpoint',
        file: `tampered/checkpoints/${name.replaceAll(' ', '-')}`,
        expected: { ours, theirs },
        ...more,
      },
      content,
    );
  const edited = (from: string, to: string): Buffer => Buffer.from(plain.toString('utf8').replace(from, to));
  checkpoint('size changed', edited('\n300\n', '\n301\n'), 'NOTE_SIGNATURE', 'invalid signature');
  checkpoint('by another key', await checkpointOf(300, thief), 'NOTE_UNSIGNED', 'no verifiable signatures');
  checkpoint('unsigned', Buffer.from(plain.subarray(0, plain.indexOf('\n\n') + 2)), 'NOTE_MALFORMED', 'malformed note');
  const lines = plain.toString('utf8').split('\n');
  checkpoint(
    'size with a leading zero',
    signNote(`${lines[0]}\n0300\n${lines[2]}\n`, [thief]),
    'NOTE_UNSIGNED',
    'no verifiable signatures',
  );
  checkpoint('cosigned by one where two must', cosigned(plain, ['second']), 'NOT_WITNESSED', 'not witnessed: 1 of 2', {
    ...both,
    quorum: 2,
  });
  const cosignature = cosignedNote.toString('utf8').trimEnd().split('\n').at(-2)!;
  const [dash, name, base64] = cosignature.split(' ') as [string, string, string];
  const altered = (at: number): string =>
    `${dash} ${name} ${flipped(Buffer.from(base64, 'base64'), at).toString('base64')}\n`;
  checkpoint(
    'time of a cosignature changed',
    addSignatureLines(plain, [altered(11)]),
    'NOTE_SIGNATURE',
    'invalid signature',
    both,
  );
  checkpoint(
    'cosignature altered',
    addSignatureLines(plain, [altered(40)]),
    'NOTE_SIGNATURE',
    'invalid signature',
    both,
  );
  checkpoint(
    'cosignature of another checkpoint',
    addSignatureLines(plain, [
      `${cosigned(await checkpointOf(260), ['first'])
        .toString('utf8')
        .trimEnd()
        .split('\n')
        .at(-1)!}\n`,
    ]),
    'NOTE_SIGNATURE',
    'invalid signature',
    both,
  );

  // Proofs of single entries.
  for (const index of [0, 7, 255, 256, 299])
    holding('proof', `proofs/${index}.tlog-proof`, { entry: `proofs/${index}.entry`, ...both, quorum: 2 });
  holding('proof', 'proofs/with-extra-data.tlog-proof', { entry: 'proofs/7.entry' });
  const proof = read('proofs/7.tlog-proof').toString('utf8');
  const bad = (
    what: string,
    content: string,
    ours: string,
    theirs: string,
    entry = 'proofs/7.entry',
    more = {},
  ): void =>
    add(
      {
        name: `proof: ${what}`,
        kind: 'proof',
        file: `tampered/proofs/${what.replaceAll(' ', '-')}.tlog-proof`,
        entry,
        expected: { ours, theirs },
        ...more,
      },
      content,
    );
  const hash = proof.split('\n')[2]!;
  bad('of another entry', proof, 'NOT_INCLUDED', 'the entry is not in the log', 'proofs/255.entry');
  bad('index changed', proof.replace('index 7', 'index 6'), 'NOT_INCLUDED', 'the entry is not in the log');
  bad('index beyond the log', proof.replace('index 7', 'index 300'), 'NOT_INCLUDED', 'is not in a log of');
  bad('a hash is missing', proof.replace(`${hash}\n`, ''), 'NOT_INCLUDED', 'the entry is not in the log');
  bad('a hash too many', proof.replace(hash, `${hash}\n${hash}`), 'NOT_INCLUDED', 'the entry is not in the log');
  bad('index with a leading zero', proof.replace('index 7', 'index 07'), 'PROOF_MALFORMED', 'the index is no number');
  bad('of an unknown version', proof.replace('@v1', '@v2'), 'PROOF_MALFORMED', 'it is no c2sp.org/tlog-proof@v1');
  bad('a hash not in canonical base64', proof.replace(hash, `${hash} `), 'PROOF_MALFORMED', 'a hash is not 32 bytes');
  bad('size of the checkpoint changed', proof.replace('\n300\n', '\n301\n'), 'NOTE_SIGNATURE', 'invalid signature');
  bad(
    'without cosignatures',
    `${proof.slice(0, proof.indexOf('\n\n') + 2)}${plain.toString('utf8')}`,
    'NOT_WITNESSED',
    'not witnessed: 0 of 2',
    'proofs/7.entry',
    { ...both, quorum: 1 },
  );

  // Two sizes of one log.
  for (const sizes of ['1-300', '255-256', '256-300', '260-300', '299-300'])
    holding('consistency', `consistency/${sizes}.json`);
  const consistent = JSON.parse(read('consistency/260-300.json').toString('utf8')) as Record<string, unknown>;
  const inconsistent = (what: string, changed: Record<string, unknown>): void =>
    add(
      {
        name: `consistency: ${what}`,
        kind: 'consistency',
        file: `tampered/consistency/${what.replaceAll(' ', '-')}.json`,
        expected: { ours: 'INCONSISTENT', theirs: 'does not extend' },
      },
      `${JSON.stringify({ ...consistent, ...changed }, null, 2)}\n`,
    );
  inconsistent('another old root', { fromRoot: consistent['toRoot'] });
  inconsistent('another new root', { toRoot: consistent['fromRoot'] });
  inconsistent('another old size', { from: 259 });
  inconsistent('a hash is missing', { hashes: (consistent['hashes'] as string[]).slice(1) });

  // One plaintext, and the box that it came from.
  holding('disclosure', 'disclosure.json');
  const disclosure = JSON.parse(read('disclosure.json').toString('utf8')) as {
    chunks: { commitment: string; salt: string; plaintext: string }[];
  };
  const [chunk] = disclosure.chunks as [(typeof disclosure.chunks)[0]];
  const undisclosed = (what: string, changed: Partial<typeof chunk>): void =>
    add(
      {
        name: `disclosure: ${what}`,
        kind: 'disclosure',
        file: `tampered/disclosures/${what.replaceAll(' ', '-')}.json`,
        expected: { ours: 'NOT_COMMITTED', theirs: 'is not what the entry commits to' },
      },
      `${JSON.stringify({ ...disclosure, chunks: [{ ...chunk, ...changed }] }, null, 2)}\n`,
    );
  undisclosed('another plaintext', { plaintext: Buffer.from('{"Email":"leo@example.com"}').toString('base64') });
  undisclosed('another salt', { salt: Buffer.alloc(32, 7).toString('base64') });
  holding('box', 'box.json');

  write('cases.json', `${JSON.stringify(cases, null, 2)}\n`);
};
