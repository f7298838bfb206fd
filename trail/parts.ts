/** Opens the encrypted parts of entries. Which of them a caller may see is decided before this is asked. */
import type { Binary, Collection, MongoClient } from 'mongodb';
import { commitment } from '../domain/entry.ts';
import type { Entry } from '../schema/event.ts';
import type { EventId, InstanceId } from '../schema/ids.ts';
import { boxesOf, openBox, packedId, partKey, readDirectory, type BoxDocument, type OpenedPart } from './boxes.ts';
import { TrailError } from './errors.ts';
import { classMonthOf, dataKeyId, monthOf, type DataKeyName } from './keys/derive.ts';
import type { Secrets } from './keys/secrets.ts';
import { requireFormat, segmentsOf, type ListedBoxes, type SegmentDocument } from './segments.ts';

/** An entry and where it stands. */
export interface PlacedEntry {
  readonly entry: Entry;
  /** Its index in the log. */
  readonly index: number;
  /** First index of its segment. */
  readonly segment: number;
}

/** What was found of the parts that were asked for. */
export interface OpenedParts {
  /** By `partKey(event id, position in the entry's parts)`; a part whose keys were destroyed is left out. */
  readonly parts: ReadonlyMap<string, OpenedPart>;
  /** Why an event's parts are not what its entry commits to, by event id. */
  readonly altered: ReadonlyMap<EventId, TrailError>;
}

/** Documents held at a time: each has 256 KiB, or one part of at most a mebibyte, and their directories. */
const documentsPerCall = 8;

const keyOf = (entry: Entry, part: Entry['parts'][number]): DataKeyName => ({
  retentionClass: entry.retentionClass,
  month: monthOf(entry.receivedTime),
  ...(part.subject && { subject: part.subject }),
});

const classMonth = ({ retentionClass, receivedTime }: Entry): string =>
  classMonthOf({ retentionClass, month: monthOf(receivedTime) });

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

  /** As `openEach`, but throws LOG_INCONSISTENT where any of them was altered. */
  async open(places: readonly PlacedEntry[]): Promise<ReadonlyMap<string, OpenedPart>> {
    const { parts, altered } = await this.openEach(places);
    for (const error of altered.values()) throw error;
    return parts;
  }

  /** Opens what can be opened: an entry whose box is missing or altered is told, and does not keep others from being read. */
  async openEach(places: readonly PlacedEntry[]): Promise<OpenedParts> {
    const wanted = places.filter(({ entry }) => entry.parts.length > 0);
    const parts = new Map<string, OpenedPart>();
    const altered = new Map<EventId, TrailError>();
    if (wanted.length === 0) return { parts, altered };
    const names = wanted.flatMap(({ entry }) => entry.parts.map((part) => keyOf(entry, part)));
    const keys = await this.#secrets.dataKeys(names, { create: false });
    const events = new Map(wanted.map(({ entry }) => [packedId(entry.id), entry.id]));
    let fault: unknown;
    for await (const document of this.#documents(wanted, keys)) {
      try {
        this.#openDocument(document, keys, events, parts, (error) => (fault ??= error));
      } catch (error) {
        if (!(error instanceof TrailError)) throw error;
        fault ??= error;
      }
    }
    for (const { entry } of wanted) {
      const part = firstUncommitted(entry, keys, parts);
      if (part === undefined) continue;
      const message = `the part ${part} of ${entry.id} is not what its entry commits to`;
      altered.set(entry.id, new TrailError('LOG_INCONSISTENT', message, { cause: fault }));
    }
    return { parts, altered };
  }

  #openDocument(
    document: BoxDocument,
    keys: ReadonlyMap<string, Buffer>,
    events: ReadonlyMap<string, EventId>,
    into: Map<string, OpenedPart>,
    onFault: (error: TrailError) => void,
  ): void {
    for (const box of readDirectory(document)) {
      const dataKey = keys.get(box.key);
      if (!dataKey) continue;
      try {
        for (const [key, part] of openBox(this.#instance, dataKey, document, box, events)) into.set(key, part);
      } catch (error) {
        if (!(error instanceof TrailError)) throw error;
        onFault(error);
      }
    }
  }

  /** The documents that the segments list for these entries, a few at a time. */
  async *#documents(places: readonly PlacedEntry[], keys: ReadonlyMap<string, Buffer>): AsyncGenerator<BoxDocument> {
    const bySegment = Map.groupBy(
      places.filter(({ entry }) => entry.parts.some((part) => keys.has(dataKeyId(keyOf(entry, part))))),
      ({ segment }) => segment,
    );
    const segments = this.#segments.find({ _id: { $in: [...bySegment.keys()] } }, { projection: { v: 1, boxes: 1 } });
    const ids: Binary[] = [];
    for await (const segment of segments) {
      requireFormat(segment);
      const here = bySegment.get(segment._id)!;
      for (const listed of segment.boxes) if (here.some((place) => holds(listed, place))) ids.push(listed.id);
    }
    for (let start = 0; start < ids.length; start += documentsPerCall)
      yield* await this.#boxes.find({ _id: { $in: ids.slice(start, start + documentsPerCall) } }).toArray();
  }
}

const holds = ({ of, from, to }: ListedBoxes, { entry, index, segment }: PlacedEntry): boolean =>
  index - segment >= from && index - segment <= to && classMonth(entry) === of;

/** Name of the first part that there is a key for, and that is not there as the entry commits to it. */
const firstUncommitted = (
  entry: Entry,
  keys: ReadonlyMap<string, Buffer>,
  opened: ReadonlyMap<string, OpenedPart>,
): string | undefined =>
  entry.parts.find((part, position) => {
    if (!keys.has(dataKeyId(keyOf(entry, part)))) return false;
    const found = opened.get(partKey(entry.id, position));
    return !found || commitment(found.salt, found.plaintext) !== part.commitment;
  })?.name;

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
