/**
 * Judges one stored segment: whether its entries, leaf hashes, root, right edge and control epoch agree with each other
 * and with what was signed. Whatever is wrong with one segment, the next one can still be judged.
 */
import { isControlEntry } from '../entry.ts';
import { readBundle } from '../tree/bundle.ts';
import { appendLeaves, decodeEdge, encodeEdge, rootOfEdge, type Edge } from '../tree/edge.ts';
import { hashBytes, leafHashes } from '../tree/hash.ts';
import type { Entry } from '../../schema/event.ts';
import { EntryCheck } from '../verify/entryCheck.ts';
import { ProblemFound } from '../verify/report.ts';
import type { Difference, DifferenceKind } from './difference.ts';

export interface StoredSegment {
  /** Index of the first entry. */
  readonly first: number;
  /** Number of entries. */
  readonly count: number;
  readonly entries: Uint8Array;
  readonly leaves: Uint8Array;
  readonly root: Uint8Array;
  readonly edge: Uint8Array;
  readonly control: number;
}

/** What is known of the log before a segment. */
export interface Standing {
  readonly size: number;
  /** Undefined after a segment that could not be followed: the next one is then judged by itself. */
  readonly edge: Edge | undefined;
  /** Undefined where the entries before were not looked at. */
  readonly control: number | undefined;
  /** First index of segments whose root is not that of their entries, and that no checkpoint was signed over yet. */
  readonly suspect?: number;
}

export const emptyStanding: Standing = { size: 0, edge: [], control: -1 };

/** A root that was signed. */
export interface SignedRoot {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface JudgedEntry {
  readonly index: number;
  readonly bytes: Buffer;
  readonly leaf: Buffer;
  readonly entry: Entry;
}

export interface Judgement {
  readonly after: Standing;
  readonly differences: readonly Difference[];
  /** Those entries that are what was logged, as far as that can be told. */
  readonly entries: readonly JudgedEntry[];
  /** Leaf hashes of what was logged here, 32 bytes each; undefined where nothing at hand gives what was signed. */
  readonly leaves: Uint8Array | undefined;
  /** Whether a signed root ends here, and the entries give it. */
  readonly signed: boolean;
}

/**
 * `signed`: every signed root of a size from just above `before.size` up to the segment's end. `otherLeaves`: leaf hashes
 * of the same entries from other copies (tiles, index): those that give the signed root tell which entry was altered.
 * `instance`: whose entries they must be.
 */
export const judgeSegment = (
  before: Standing,
  segment: StoredSegment,
  {
    signed,
    otherLeaves,
    instance,
  }: { signed: readonly SignedRoot[]; otherLeaves: readonly Uint8Array[]; instance: string },
): Judgement => {
  const { first, count } = segment;
  const end = first + count;
  const place = `segments/${first}`;
  const differences: Difference[] = [];
  const differs = (kind: DifferenceKind, index: number, more: Partial<Difference> = {}) =>
    void differences.push({ kind, store: 'record', index, place, ...more });
  const { entries: bundled, fault } = readBundle(segment.entries);
  const signedAtEnd = signed.find(({ size }) => size === end);

  if (fault || bundled.length !== count) {
    const index = first + Math.min(bundled.length, count);
    if (fault) differs('malformed-bundle', index, { lastIndex: end - 1 });
    else if (bundled.length < count) differs('missing-entries', index, { lastIndex: end - 1 });
    else differs('surplus-entries', index);
    return { after: unfollowed(segment, signedAtEnd), differences, entries: [], leaves: undefined, signed: false };
  }

  const leaves = leafHashes(bundled);
  const grown = before.edge && appendLeaves(before.edge, first, leaves);
  const holds = grown && signedAtEnd && grown.root.equals(signedAtEnd.root);
  const firstUnlike = firstDifference(leaves, segment.leaves);

  // Which entries were altered, where the signed root says that some were.
  let altered: number | undefined;
  // The right edge that the signed leaves give, where they are to be had.
  let mended: Edge | undefined;
  let authentic: Uint8Array | undefined = leaves;
  if (holds === false) {
    authentic = [segment.leaves, ...otherLeaves].find(
      (candidate) =>
        candidate.length === leaves.length &&
        appendLeaves(before.edge!, first, candidate).root.equals(signedAtEnd!.root),
    );
    const unlike = authentic && firstDifference(leaves, authentic);
    const position = authentic === undefined ? firstUnlike : unlike;
    const from = before.suspect ?? first;
    mended = authentic && appendLeaves(before.edge!, first, authentic).edge;
    altered = position === undefined ? from : first + position;
    const belongs = authentic && position !== undefined ? positionOf(authentic, leafAt(leaves, position)) : undefined;
    if (belongs !== undefined) differs('wrong-order', altered, { belongsAt: first + belongs });
    else differs('entry-altered', altered, position === undefined || !authentic ? { lastIndex: end - 1 } : {});
  } else if (firstUnlike !== undefined) {
    // Unsigned so far: the segment's own root says whether the entry or the hash beside it was altered.
    const byEntries = holds === true || grown === undefined || grown.root.equals(segment.root);
    if (!byEntries) altered = first + firstUnlike;
    differs(byEntries ? 'leaf-hash-altered' : 'entry-altered', first + firstUnlike);
  }

  for (const { size, root } of signed) {
    if (size === end || before.edge === undefined || size <= first) continue;
    const there = appendLeaves(before.edge, first, leaves.subarray(0, (size - first) * hashBytes)).root;
    if (!there.equals(root) && altered === undefined)
      differs('inconsistent-with-older', size - 1, { store: 'anchors', place: `anchors/${size}` });
  }

  const entries = soundEntries(bundled, leaves, { first, altered, instance }, differences, place);
  const lastControl = entries.findLast(({ entry }) => isControlEntry(entry))?.index;
  const control = lastControl ?? before.control;
  if (altered === undefined && control !== undefined && segment.control !== control)
    differs('control-epoch-altered', first, { lastIndex: end - 1 });

  const suspect = suspectAfter(before, segment, { grownRoot: grown?.root, holds, altered });
  if (holds === true) {
    if (before.suspect !== undefined) differs('root-altered', before.suspect, { place: `segments/${before.suspect}` });
    if (!grown.root.equals(segment.root)) differs('root-altered', first, { lastIndex: end - 1 });
  }
  if (grown && altered === undefined && (holds === true || grown.root.equals(segment.root)))
    if (!encodeEdge(grown.edge).equals(segment.edge)) differs('edge-altered', first, { lastIndex: end - 1 });

  if (grown && altered === undefined) {
    const after = { size: end, edge: grown.edge, control, ...(suspect !== undefined && { suspect }) };
    return { after, differences, entries, leaves, signed: holds === true };
  }
  const resumed = unfollowed(segment, signedAtEnd);
  if (mended) return { after: { ...resumed, edge: mended }, differences, entries, leaves: authentic, signed: false };
  if (grown === undefined && signedAtEnd && resumed.edge === undefined)
    differs('root-mismatch', first, { lastIndex: end - 1 });
  const after = { ...resumed, control: resumed.control ?? control };
  return { after, differences, entries, leaves: undefined, signed: false };
};

/** The standing after a segment whose entries can't be relied on: its own right edge, if that is one that was signed. */
const unfollowed = (segment: StoredSegment, signedAtEnd: SignedRoot | undefined): Standing => {
  const size = segment.first + segment.count;
  return { size, edge: storedEdge(segment, signedAtEnd), control: segment.control };
};

const storedEdge = ({ first, count, edge, root }: StoredSegment, signed: SignedRoot | undefined): Edge | undefined => {
  try {
    const decoded = decodeEdge(edge, first + count);
    return rootOfEdge(decoded, first + count).equals(signed?.root ?? root) ? decoded : undefined;
  } catch {
    return undefined;
  }
};

const suspectAfter = (
  before: Standing,
  { first, root }: StoredSegment,
  found: { grownRoot: Buffer | undefined; holds: boolean | undefined; altered: number | undefined },
): number | undefined => {
  if (found.holds !== undefined || found.altered !== undefined || found.grownRoot === undefined) return undefined;
  return before.suspect ?? (found.grownRoot.equals(root) ? undefined : first);
};

const leafAt = (leaves: Uint8Array, position: number): Uint8Array =>
  leaves.subarray(position * hashBytes, (position + 1) * hashBytes);

const firstDifference = (leaves: Buffer, others: Uint8Array): number | undefined => {
  if (leaves.equals(others)) return undefined;
  for (let position = 0; position * hashBytes < leaves.length; position += 1)
    if (Buffer.compare(leafAt(leaves, position), leafAt(others, position)) !== 0) return position;
  // There are more hashes than entries.
  return leaves.length / hashBytes - 1;
};

const positionOf = (leaves: Uint8Array, leaf: Uint8Array): number | undefined => {
  for (let position = 0; position * hashBytes < leaves.length; position += 1)
    if (Buffer.compare(leafAt(leaves, position), leaf) === 0) return position;
  return undefined;
};

const soundEntries = (
  bundled: readonly Buffer[],
  leaves: Buffer,
  about: { first: number; altered: number | undefined; instance: string },
  differences: Difference[],
  place: string,
): JudgedEntry[] => {
  const check = new EntryCheck({ instance: about.instance, schema: true, duplicateIds: false });
  const sound: JudgedEntry[] = [];
  for (const [position, bytes] of bundled.entries()) {
    const index = about.first + position;
    // From an altered entry on, nothing of this segment is known to be what was logged.
    if (about.altered !== undefined && index >= about.altered) break;
    try {
      check.check(bytes, index);
      const entry = JSON.parse(bytes.toString('utf8')) as Entry;
      sound.push({ index, bytes, leaf: leaves.subarray(position * hashBytes, (position + 1) * hashBytes), entry });
    } catch (error) {
      if (!(error instanceof ProblemFound)) throw error;
      differences.push({ kind: error.problem.kind, store: 'record', index, place });
    }
  }
  return sound;
};
