/** The lines of an evidence pack that hold payload parts: what is present, and why the rest is not. */
import { isUtf8 } from 'node:buffer';
import { absenceReasons, type PartState, type PayloadLine } from '../../domain/evidence/format.ts';
import type { Entry } from '../../schema/event.ts';
import { partKey, type OpenedPart } from '../boxes.ts';
import { TrailError } from '../errors.ts';
import type { IndexedEvent, MaySee, TrailReader } from '../reader.ts';

/** Plaintext that is opened at once; a single event may pass it, up to its own limit (8 MiB). */
const openedBytesMax = 4 * 1024 * 1024;
const openedEventsMax = 200;

type Opened = ReadonlyMap<string, OpenedPart>;

/** Lines in the order of events and parts. Never rejects for content that is gone or damaged: the line then says so. */
export async function* payloadLines(
  reader: TrailReader,
  events: readonly IndexedEvent[],
  maySee: MaySee,
): AsyncGenerator<PayloadLine> {
  for (const batch of batches(events)) {
    const visible = batch.filter(({ entry }) => entry.parts.some((part) => maySee(entry, part)));
    const { opened, damaged } = await open(reader, visible);
    for (const event of batch)
      for (const [position, part] of event.entry.parts.entries())
        yield lineOf(event, position, maySee(event.entry, part) ? opened : 'withheld', damaged.has(event.index));
  }
}

const bytesOf = ({ parts }: Entry): number => parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function* batches(events: readonly IndexedEvent[]): Generator<IndexedEvent[]> {
  let batch: IndexedEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const own = bytesOf(event.entry);
    if (batch.length > 0 && (bytes + own > openedBytesMax || batch.length === openedEventsMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(event);
    bytes += own;
  }
  if (batch.length > 0) yield batch;
}

/** One damaged box must not hide what the others hold: where it fails for all, it is tried for each. */
const open = async (
  reader: TrailReader,
  events: readonly IndexedEvent[],
): Promise<{ opened: Opened; damaged: ReadonlySet<number> }> => {
  try {
    return { opened: await reader.openParts(events), damaged: new Set() };
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const opened = new Map<string, OpenedPart>();
  const damaged = new Set<number>();
  for (const event of events)
    try {
      for (const [key, part] of await reader.openParts([event])) opened.set(key, part);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.add(event.index);
    }
  return { opened, damaged };
};

const isDamage = (error: unknown): boolean => error instanceof TrailError && error.code === 'LOG_INCONSISTENT';

const lineOf = (
  { index, entry }: IndexedEvent,
  position: number,
  opened: Opened | 'withheld',
  damaged: boolean,
): PayloadLine => {
  const place = { index, position, name: entry.parts[position]!.name };
  const absent = (state: Exclude<PartState, 'present'>): PayloadLine => ({
    ...place,
    state,
    reason: absenceReasons[state],
  });
  if (opened === 'withheld') return absent('withheld');
  const part = opened.get(partKey(entry.id, position));
  if (!part) return absent(damaged ? 'damaged' : 'erased');
  const salt = part.salt.toString('base64');
  // A chunk of a long part may end inside a character.
  return isUtf8(part.plaintext)
    ? { ...place, state: 'present', salt, text: part.plaintext.toString('utf8') }
    : { ...place, state: 'present', salt, base64: part.plaintext.toString('base64') };
};
