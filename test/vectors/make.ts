/**
 * Writes the test vectors: `node test/vectors/make.ts && npx oxfmt test/vectors`. All of it follows from
 * the seeds below, so a second run changes nothing; only the encrypted box has random bytes in it, and is made once. The keys sign nothing but this.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { cosignatureLine, cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { appendLeaves, emptyEdge } from '../../domain/tree/edge.ts';
import { leafHashes } from '../../domain/tree/hash.ts';
import { addSignatureLines, encodeVkey } from '../../domain/tree/note.ts';
import { consistencyProof, inclusionProof } from '../../domain/tree/proof.ts';
import { formatTlogProof } from '../../domain/tree/tlogProof.ts';
import type { EventId, InstanceId, SubjectId } from '../../schema/ids.ts';
import { sealDocument } from '../../trail/boxes.ts';
import { deriveDataKey } from '../../trail/keys/derive.ts';
import { writeLogFolder } from '../tree/logFolder.ts';
import { bytesOf, eventIdOf, sampleEntry } from '../tree/sampleEntries.ts';
import { StoredTree } from '../tree/storedTree.ts';
import { testSigner } from '../tree/testSigner.ts';
import { tamperedVectors } from './tampered.ts';

export const folder = import.meta.dirname;

const write = (path: string, content: Uint8Array | string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
};
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const derived = (what: string): Buffer => createHash('sha256').update(`trailkeeper test vectors\n${what}`).digest();

const origin = 'log.example/vectors';
const size = 300;
const olderSize = 260;
const signer = testSigner(origin, derived('log key'));
const thief = testSigner(origin, derived('another key'));
const witness = (name: string) => {
  const { publicKey, sign } = testSigner(name, derived(name));
  return { ...cosignerKey(name, publicKey), sign };
};
const witnesses = { first: witness('witness.example/first'), second: witness('witness.example/second') };
const cosignedAt = 1_780_000_000;

// A part of the entry at `disclosed`, and what is needed to open it.
const instance = 'acme' as InstanceId;
const disclosed = 7;
const subject = `sub_${derived('subject').toString('hex').slice(0, 32)}` as SubjectId;
const part = {
  salt: derived('part salt'),
  plaintext: Buffer.from('{"Email":"nia@example.com","Phone":"+1 555 010001"}'),
};
const commitment = createHash('sha256').update(part.salt).update(part.plaintext).digest('hex');
const entries = Array.from({ length: size }, (_, i) =>
  bytesOf(
    sampleEntry(
      i,
      i === disclosed ? { parts: [{ name: 'after', subject, sizeBytes: part.plaintext.length, commitment }] } : {},
    ),
  ),
);
const tree = new StoredTree(entries);
const rootOf = (of: number): Buffer => appendLeaves(emptyEdge, 0, leafHashes(entries.slice(0, of))).root;
const checkpointOf = async (of: number, by = signer): Promise<Buffer> =>
  signCheckpoint({ origin, size: of, root: rootOf(of) }, [by]);
const cosigned = (note: Buffer, by: readonly (keyof typeof witnesses)[]): Buffer => {
  const text = note.subarray(0, note.indexOf('\n\n') + 1).toString('utf8');
  return addSignatureLines(
    note,
    by.map((name, position) => cosignatureLine(text, witnesses[name], cosignedAt + position)),
  );
};

const make = async (): Promise<void> => {
  for (const made of ['log', 'checkpoints', 'proofs', 'consistency', 'tampered'])
    rmSync(join(folder, made), { recursive: true, force: true });
  write(
    'keys.json',
    json({
      origin,
      log: encodeVkey(signer),
      another: encodeVkey(thief),
      witnesses: Object.fromEntries(Object.entries(witnesses).map(([name, key]) => [name, encodeCosignerVkey(key)])),
    }),
  );
  writeLogFolder(join(folder, 'log'), entries, signer);
  const latest = await checkpointOf(size);
  write('log/checkpoint', cosigned(latest, ['first', 'second']));
  write('checkpoints/plain', latest);
  write('checkpoints/older', await checkpointOf(olderSize));
  write('checkpoints/cosigned-by-first', cosigned(latest, ['first']));
  write('checkpoints/cosigned-by-both', cosigned(latest, ['first', 'second']));

  for (const index of [0, disclosed, 255, 256, size - 1]) {
    const hashes = await inclusionProof(index, size, tree.subtree);
    const checkpoint = cosigned(latest, ['first', 'second']);
    write(`proofs/${index}.tlog-proof`, formatTlogProof({ index, hashes, checkpoint }));
    write(`proofs/${index}.entry`, entries[index]!);
  }
  const hashes = await inclusionProof(disclosed, size, tree.subtree);
  write(
    'proofs/with-extra-data.tlog-proof',
    formatTlogProof({ index: disclosed, hashes, checkpoint: latest, extra: Buffer.from('not authenticated') }),
  );

  for (const [from, to] of [
    [1, size],
    [255, 256],
    [256, size],
    [olderSize, size],
    [299, size],
  ] as const) {
    const proof = await consistencyProof(from, to, tree.subtree);
    write(
      `consistency/${from}-${to}.json`,
      json({
        from,
        to,
        fromRoot: rootOf(from).toString('base64'),
        toRoot: rootOf(to).toString('base64'),
        hashes: proof.map((hash) => hash.toString('base64')),
      }),
    );
  }

  write(
    'disclosure.json',
    json({
      entry: entries[disclosed]!.toString('base64'),
      part: 'after',
      chunks: [{ commitment, salt: part.salt.toString('base64'), plaintext: part.plaintext.toString('base64') }],
    }),
  );
  if (!existsSync(join(folder, 'box.json'))) write('box.json', json(box()));
  await tamperedVectors({ write, read: (path) => readFileSync(join(folder, path)), checkpointOf, cosigned, thief });
};

/** The encrypted part as it stands in the record, with the two secrets that it is under. */
const box = (): object => {
  const retentionClass = 'operational' as const;
  const month = '2025-10';
  const secrets = { classMonth: derived('class and month'), subjectClass: derived('subject and class') };
  const dataKey = deriveDataKey(instance, { retentionClass, month, subject }, secrets.classMonth, secrets.subjectClass);
  const sealedPart = { event: eventIdOf(disclosed) as EventId, subject, position: 0, ...part };
  const sealed = sealDocument(instance, `${retentionClass}/${month}`, [{ subject, dataKey, parts: [sealedPart] }]);
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    instance,
    format: sealed.v,
    of: sealed.of,
    subject,
    event: eventIdOf(disclosed),
    secrets: { classMonth: hex(secrets.classMonth), subjectClass: hex(secrets.subjectClass) },
    id: hex(sealed._id.buffer),
    salt: hex(sealed.salt.buffer),
    directory: hex(sealed.directory.buffer),
    boxes: hex(sealed.boxes.buffer),
    plaintext: part.plaintext.toString('utf8'),
    partSalt: hex(part.salt),
  };
};

await make();
