/**
 * Offline proofs, c2sp.org/tlog-proof: index, inclusion proof and signed checkpoint in one text, file extension
 * `.tlog-proof`. Whoever has the entry and the log's key needs nothing else.
 */
import { decodeBase64 } from './base64.ts';
import { openCheckpoint, type OpenedCheckpoint } from './checkpoint.ts';
import { TreeError, requireSize } from './errors.ts';
import { hashBytes, leafHash } from './hash.ts';
import type { NoteKey } from './note.ts';
import { verifyInclusion } from './proof.ts';

const header = 'c2sp.org/tlog-proof@v1';
/** A tree of fewer than 2^53 leaves has no longer paths. */
const hashesMax = 53;

export interface TlogProof {
  readonly index: number;
  /** From the leaf's sibling up; 32 bytes each. */
  readonly hashes: readonly Buffer[];
  /** The signed checkpoint, verbatim, cosignatures included. */
  readonly checkpoint: Buffer;
  /** Opaque, and not authenticated by anything here. */
  readonly extra?: Buffer;
}

/** The proof as it is handed out. */
export function formatTlogProof({ index, hashes, checkpoint, extra }: TlogProof): Buffer {
  requireSize(index, 'entry index');
  const lines = [
    header,
    ...(extra ? [`extra ${extra.toString('base64')}`] : []),
    `index ${index}`,
    ...hashes.map((hash) => hash.toString('base64')),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`), checkpoint]);
}

const malformed = (why: string): TreeError => new TreeError('PROOF_MALFORMED', why);

/** Reads a proof strictly. The checkpoint in it is not looked at. */
export function parseTlogProof(bytes: Uint8Array): TlogProof {
  const whole = Buffer.from(bytes);
  const end = whole.indexOf('\n\n');
  if (end < 0) throw malformed('an empty line between proof and checkpoint is missing');
  const lines = whole.subarray(0, end).toString('latin1').split('\n');
  if (lines.shift() !== header) throw malformed(`the first line is not "${header}"`);

  let extra: Buffer | undefined;
  if (lines[0]?.startsWith('extra ')) {
    extra = decodeBase64(lines.shift()!.slice('extra '.length));
    if (!extra) throw malformed('the extra data is not base64');
  }
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined || !Number.isSafeInteger(Number(index))) {
    throw malformed('the index line is not "index" and a decimal number without leading zeroes below 2^53');
  }
  if (lines.length > hashesMax) throw malformed(`a proof has at most ${hashesMax} hashes, got ${lines.length}`);
  const hashes = lines.map((line, i) => {
    const hash = decodeBase64(line);
    if (hash?.length !== hashBytes) throw malformed(`hash ${i + 1} is not 32 bytes in base64`);
    return hash;
  });
  return { index: Number(index), hashes, checkpoint: whole.subarray(end + 2), ...(extra && { extra }) };
}

/**
 * Checks a proof against the entry's bytes and the log's key. Returns the checkpoint that covers the entry; undefined if
 * the hashes do not lead from the entry to its root. Throws a TreeError if the checkpoint can't be relied on.
 */
export function verifyTlogProof(
  proof: TlogProof,
  entry: Uint8Array,
  log: { readonly keys: readonly NoteKey[]; readonly origin: string },
): OpenedCheckpoint | undefined {
  const checkpoint = openCheckpoint(proof.checkpoint, log.keys, log.origin);
  const { size, root } = checkpoint;
  const claim = { leafHash: leafHash(entry), index: proof.index, size, root, proof: proof.hashes };
  return verifyInclusion(claim) ? checkpoint : undefined;
}
