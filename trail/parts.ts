/** Opens the encrypted parts of entries. Which of them a caller may see is decided before this is asked. */
import type { Binary, Collection, MongoClient } from 'mongodb';
import { commitment } from '../domain/entry.ts';
import type { Entry } from '../schema/event.ts';
import type { InstanceId } from '../schema/ids.ts';
import { openBox, partKey, type BoxDocument, type OpenedPart } from './boxes.ts';
import { instanceDatabase, majority } from './database.ts';
import { TrailError } from './errors.ts';
import { dataKeyId, monthOf, type DataKeyName } from './keys/derive.ts';
import type { Secrets } from './keys/secrets.ts';
import { segmentsOf, type SegmentDocument } from './segments.ts';

/** An entry and the segment that it stands in. */
export interface PlacedEntry {
  readonly entry: Entry;
  /** First index of the segment. */
  readonly segment: number;
}

const boxesPerCall = 200;

export const boxesOf = (client: MongoClient, instance: InstanceId): Collection<BoxDocument> =>
  client.db(instanceDatabase(instance)).collection<BoxDocument>('boxes', majority);

const keyOf = (entry: Entry, part: Entry['parts'][number]): DataKeyName => ({
  retentionClass: entry.retentionClass,
  month: monthOf(entry.receivedTime),
  ...(part.subject && { subject: part.subject }),
});

export class PartReader {
  readonly #instance: InstanceId;
  readonly #secrets: Secrets;
  readonly #segments: Collection<SegmentDocument>;
  readonly #boxes: Collection<BoxDocument>;

  constructor(instance: InstanceId, secrets: Secrets, client: MongoClient) {
    this.#instance = instance;
    this.#secrets = secrets;
    this.#segments = segmentsOf(client, instance);
    this.#boxes = boxesOf(client, instance);
  }

  /**
   * Parts by `partKey(event id, position in the entry's parts)`; a part whose keys were destroyed is left out.
   * Throws LOG_INCONSISTENT where a box is missing or altered, or a part is not what the entry commits to.
   */
  async open(places: readonly PlacedEntry[]): Promise<Map<string, OpenedPart>> {
    const wanted = places.filter(({ entry }) => entry.parts.length > 0);
    const opened = new Map<string, OpenedPart>();
    if (wanted.length === 0) return opened;
    const names = wanted.flatMap(({ entry }) => entry.parts.map((part) => keyOf(entry, part)));
    const keys = await this.#secrets.dataKeys(names, { create: false });
    const boxIds = await this.#boxIds(wanted, keys);
    for (let start = 0; start < boxIds.length; start += boxesPerCall) {
      const ids = boxIds.slice(start, start + boxesPerCall);
      const boxes = await this.#boxes.find({ _id: { $in: ids } }).toArray();
      if (boxes.length < ids.length)
        throw new TrailError('LOG_INCONSISTENT', `${ids.length - boxes.length} boxes that segments list are missing`);
      for (const box of boxes) {
        const parts = openBox(this.#instance, keys.get(box.key)!, box);
        for (const [key, part] of parts) opened.set(key, part);
      }
    }
    for (const { entry } of wanted) requireCommitted(entry, keys, opened);
    return opened;
  }

  async #boxIds(places: readonly PlacedEntry[], keys: ReadonlyMap<string, Buffer>): Promise<Binary[]> {
    const keysOfSegment = new Map<number, Set<string>>();
    for (const { entry, segment } of places) {
      const wanted = keysOfSegment.get(segment) ?? new Set<string>();
      keysOfSegment.set(segment, wanted);
      for (const part of entry.parts) wanted.add(dataKeyId(keyOf(entry, part)));
    }
    const segments = this.#segments.find({ _id: { $in: [...keysOfSegment.keys()] } }, { projection: { boxes: 1 } });
    const ids: Binary[] = [];
    for await (const segment of segments) {
      const wanted = keysOfSegment.get(segment._id)!;
      for (const box of segment.boxes) if (wanted.has(box.key) && keys.has(box.key)) ids.push(box.id);
    }
    return ids;
  }
}

const requireCommitted = (
  entry: Entry,
  keys: ReadonlyMap<string, Buffer>,
  opened: ReadonlyMap<string, OpenedPart>,
): void => {
  for (const [position, part] of entry.parts.entries()) {
    if (!keys.has(dataKeyId(keyOf(entry, part)))) continue;
    const found = opened.get(partKey(entry.id, position));
    if (!found || commitment(found.salt, found.plaintext) !== part.commitment)
      throw new TrailError('LOG_INCONSISTENT', `the part ${part.name} of ${entry.id} is not what its entry commits to`);
  }
};

/** The plaintext of each named part, chunks joined; undefined where any of it is gone. */
export const joinParts = (entry: Entry, opened: ReadonlyMap<string, OpenedPart>): Map<string, Buffer | undefined> => {
  const pieces = new Map<string, (Buffer | undefined)[]>();
  for (const [position, part] of entry.parts.entries()) {
    const list = pieces.get(part.name) ?? [];
    list[part.chunk?.position ?? 0] = opened.get(partKey(entry.id, position))?.plaintext;
    pieces.set(part.name, list);
  }
  const joined = new Map<string, Buffer | undefined>();
  for (const [name, list] of pieces)
    joined.set(name, list.includes(undefined) ? undefined : Buffer.concat(list as Buffer[]));
  return joined;
};
