/**
 * Reads one range of an archive again, from its manifest, and checks all of it on the way: digests, boxes, entries, tiles,
 * the root that the checkpoint signs, and that each part that an entry commits to has a box. What holds is handed over in
 * the order in which it was written. Verifying an archive and rebuilding from it are the same reading.
 */
import { isControlEntry } from '../../domain/entry.ts';
import { decodeBundle, parseTilePath, tilePath, tileWidth } from '../../domain/tree/tiles.ts';
import type { Entry } from '../../schema/event.ts';
import { boxFaults, packedId, readDirectory, type BoxDocument } from '../boxes.ts';
import { monthOf } from '../keys/derive.ts';
import {
  buildSegment,
  hashLeaves,
  parseEntry,
  segmentFormat,
  type LogHead,
  type SegmentDocument,
} from '../segments.ts';
import { TrailError } from '../errors.ts';
import { decodeDocuments } from './documents.ts';
import { altered } from './errors.ts';
import { readCheckpoint, readObject, type ArchivedCheckpoint, type ArchivedHead, type KeyTrust } from './head.ts';
import type { Manifest, ManifestObject } from './manifest.ts';
import { checkpointName, manifestName } from './names.ts';
import type { ArchivedRowDocument } from './seen-rows.ts';
import type { ArchiveStore } from './store.ts';
import type { WrittenTile } from './tile-rows.ts';

/** What is told of a range, in this order of kinds; each call is awaited. */
export interface RangeVisitor {
  payload?(document: BoxDocument, object: string): Promise<void>;
  row?(row: ArchivedRowDocument, object: string): Promise<void>;
  segment?(segment: SegmentDocument, entries: readonly Entry[], next: LogHead): Promise<void>;
}

export interface Range {
  readonly manifest: Manifest;
  readonly sha256: string;
}

/** Objects that are read ahead of the one being looked at. */
const aheadMax = 4;

/** The head after the range, and its checkpoint. Throws ArchiveError ARCHIVE_ALTERED, naming the first bad object. */
export const replayRange = async (
  store: ArchiveStore,
  head: ArchivedHead,
  { manifest, sha256 }: Range,
  trust: KeyTrust,
  visitor: RangeVisitor = {},
): Promise<{ head: ArchivedHead; checkpoint: ArchivedCheckpoint }> => {
  const name = manifestName(manifest.size);
  if (manifest.first !== head.log.size || manifest.previous?.sha256 !== head.last?.sha256)
    throw altered(name, `it does not follow the range that ends at ${head.log.size}`);
  const checkpoint = await readCheckpoint(store, manifest, trust);
  if (!checkpoint) throw altered(checkpointName(manifest.size), 'it is missing');

  const held = new Set<string>();
  for await (const { object, bytes } of read(store, objectsOf(manifest, 'payload/')))
    for (const document of decodeDocuments<BoxDocument>(object, bytes)) {
      checkBoxes(object, document, held);
      await visitor.payload?.(document, object);
    }
  for await (const { object, bytes } of read(store, objectsOf(manifest, 'rows/')))
    for (const row of decodeDocuments<ArchivedRowDocument>(object, bytes)) await visitor.row?.(row, object);

  const tiles = new ExpectedTiles(store, manifest);
  const rows = head.rows.copy();
  const entries = new EntryStream(store, manifest, head);
  let log = head.log;
  for await (const { object, bytes } of read(store, objectsOf(manifest, 'segments/')))
    for (const listed of decodeDocuments<Omit<SegmentDocument, 'entries' | 'leaves' | 'root' | 'edge'>>(
      object,
      bytes,
    )) {
      if (listed._id !== log.size || listed.v !== segmentFormat || !(listed.n > 0))
        throw altered(object, `it lists no segment that follows at ${log.size}`);
      const taken = await entries.take(listed.n);
      const leaves = hashLeaves(taken);
      for (let at = 0; at < leaves.length; at += 32)
        for (const tile of rows.append(leaves.subarray(at, at + 32))) await tiles.require(tile);
      const parsed = taken.map((entry, position) => parse(entries.nameAt(listed._id + position), entry));
      for (const entry of parsed) requireBoxes(object, entry, held);
      const lastControl = parsed.findLastIndex(isControlEntry);
      const { segment, next } = buildSegment(log, { entries: taken, leaves, lastControl, boxes: listed.boxes });
      if (segment.control !== listed.control) throw altered(object, `it lists another control epoch at ${listed._id}`);
      await visitor.segment?.(segment, parsed, next);
      log = next;
    }
  if (log.size !== manifest.size) throw altered(name, `its segments end at ${log.size}`);
  for (const tile of rows.unfinished()) await tiles.require(tile);
  if (!log.root.equals(checkpoint.root))
    throw altered(checkpointName(manifest.size), 'the entries do not give the root that it signs');
  if (manifest.control !== log.controlEpoch)
    throw altered(name, 'it names another control epoch than its entries give');
  return { head: { log, rows, bundle: entries.unfinished(), last: { manifest, sha256 } }, checkpoint };
};

const objectsOf = (manifest: Manifest, prefix: string): ManifestObject[] =>
  manifest.objects.filter(({ name }) => name.startsWith(prefix)).toSorted(byNumber);

/** `.../10.bson` after `.../9.bson`. */
const byNumber = (a: ManifestObject, b: ManifestObject): number => {
  const folder = (name: string): string => name.slice(0, name.lastIndexOf('/'));
  if (folder(a.name) !== folder(b.name)) return folder(a.name) < folder(b.name) ? -1 : 1;
  const number = (name: string): number => Number.parseInt(name.slice(name.lastIndexOf('/') + 1), 10);
  return number(a.name) - number(b.name);
};

async function* read(
  store: ArchiveStore,
  objects: readonly ManifestObject[],
): AsyncGenerator<{ readonly object: string; readonly bytes: Buffer }> {
  const waiting: Promise<Buffer>[] = [];
  let next = 0;
  for (const { name } of objects) {
    while (next < objects.length && waiting.length < aheadMax) {
      const reading = readObject(store, objects[next]!);
      // Awaited in its turn; until then a failure must not end the process.
      reading.catch(() => undefined);
      waiting.push(reading);
      next += 1;
    }
    yield { object: name, bytes: await waiting.shift()! };
  }
}

const parse = (object: string, bytes: Buffer): Entry => {
  try {
    return parseEntry(bytes);
  } catch (cause) {
    throw altered(object, 'an entry in it is not JSON', cause);
  }
};

const heldKey = (of: string, subject: string | undefined, id: string): string => `${of}/${subject ?? '-'}/${id}`;

/** A box that was taken out is there by its digest; its event stays listed. */
const checkBoxes = (object: string, document: BoxDocument, held: Set<string>): void => {
  try {
    if (boxFaults(document).some(({ removed }) => !removed))
      throw altered(object, 'a box in it is not what was written');
    for (const { subject, events } of readDirectory(document))
      for (let at = 0; at < events.length; at += 16)
        held.add(heldKey(document.of, subject, events.toString('latin1', at, at + 16)));
  } catch (cause) {
    if (cause instanceof TrailError) throw altered(object, cause.message, cause);
    throw cause;
  }
};

const requireBoxes = (object: string, entry: Entry, held: ReadonlySet<string>): void => {
  if (entry.parts.length === 0) return;
  const of = `${entry.retentionClass}/${monthOf(entry.receivedTime)}`;
  const id = packedId(entry.id);
  for (const { subject } of entry.parts)
    if (!held.has(heldKey(of, subject, id)))
      throw altered(object, `the payload of the event ${entry.id} is in no object of its range`);
};

/** The entries of a range in order, from its bundles; those before it in the first bundle must be the ones known. */
class EntryStream {
  readonly #bundles: AsyncGenerator<{ readonly object: string; readonly bytes: Buffer }>;
  readonly #widths: Map<string, number>;
  readonly #names: { readonly from: number; readonly object: string }[] = [];
  #pending: Buffer[];
  /** Entries of the bundle that the range before left unfinished. */
  #known: readonly Buffer[];
  #at: number;
  #last: readonly Buffer[];
  readonly #manifest: Manifest;

  constructor(store: ArchiveStore, manifest: Manifest, head: ArchivedHead) {
    this.#manifest = manifest;
    this.#pending = [];
    this.#known = head.bundle;
    this.#last = head.bundle;
    this.#at = head.log.size - head.bundle.length;
    const bundles = manifest.objects.flatMap((object) => {
      const tile = parseTilePath(object.name);
      return tile?.kind === 'entries' ? [{ object, tile }] : [];
    });
    bundles.sort((a, b) => a.tile.index - b.tile.index);
    this.#widths = new Map(bundles.map(({ object, tile }) => [object.name, tile.width]));
    this.#bundles = read(
      store,
      bundles.map(({ object }) => object),
    );
  }

  async take(count: number): Promise<Buffer[]> {
    while (this.#pending.length < count) {
      const { value, done } = await this.#bundles.next();
      if (done)
        throw altered(manifestName(this.#manifest.size), `its bundles end at ${this.#at}, before its segments do`);
      const { object, bytes } = value;
      let entries: Buffer[];
      try {
        entries = decodeBundle(bytes, this.#widths.get(object));
      } catch (cause) {
        throw altered(object, 'it is no whole bundle of entries', cause);
      }
      if (this.#known.some((entry, position) => !entries[position]?.equals(entry)))
        throw altered(object, 'it begins with other entries than the bundle before it');
      const from = this.#at + this.#known.length;
      this.#names.push({ from, object });
      this.#pending.push(...entries.slice(this.#known.length));
      this.#at += entries.length;
      this.#known = [];
      this.#last = entries.length < tileWidth ? entries : [];
    }
    return this.#pending.splice(0, count);
  }

  /** Which object an entry came from. */
  nameAt(index: number): string {
    return this.#names.findLast(({ from }) => from <= index)?.object ?? manifestName(this.#manifest.size);
  }

  unfinished(): readonly Buffer[] {
    return this.#last;
  }
}

/** The tiles of a range as they must be. */
class ExpectedTiles {
  readonly #store: ArchiveStore;
  readonly #objects: Map<string, ManifestObject>;
  readonly #manifest: Manifest;

  constructor(store: ArchiveStore, manifest: Manifest) {
    this.#store = store;
    this.#manifest = manifest;
    this.#objects = new Map(manifest.objects.map((object) => [object.name, object]));
  }

  async require({ tile, hashes }: WrittenTile): Promise<void> {
    const name = tilePath(tile);
    const object = this.#objects.get(name);
    if (!object) throw altered(manifestName(this.#manifest.size), `it lacks ${name}`);
    if (!(await readObject(this.#store, object)).equals(hashes)) throw altered(name, 'it is not what the entries give');
  }
}
