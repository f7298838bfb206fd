/**
 * Writes a section of an evidence pack: entries, their proofs and their payloads, part by part. An entry is checked
 * against the tree before it is written, so that a pack that leaves can be verified.
 */
import {
  entriesPerMemberMax,
  memberBytesMax,
  sectionMember,
  type PartState,
  type PayloadLine,
  type ProofLine,
  type Section,
} from '../../domain/evidence/format.ts';
import type { ProofBuilder } from '../../domain/evidence/proofBuilder.ts';
import { leafHash } from '../../domain/tree/hash.ts';
import { TrailError } from '../errors.ts';
import type { IndexedEvent, MaySee, TrailReader } from '../reader.ts';
import type { PackArchive } from './archive.ts';
import { payloadLines } from './payloads.ts';

export interface SectionSources {
  readonly reader: TrailReader;
  /** In the tree that all proofs of a pack lead to. */
  readonly proofs: ProofBuilder;
  readonly maySee: MaySee;
  readonly archive: PackArchive;
}

const newline = 0x0a;
const json = (line: ProofLine | PayloadLine): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);

export class SectionWriter {
  readonly parts: Record<PartState, number> = { present: 0, withheld: 0, erased: 0, damaged: 0 };
  entries = 0;
  firstIndex: number | null = null;
  lastIndex: number | null = null;
  readonly #section: Section;
  readonly #sources: SectionSources;
  #part = 0;
  #events: IndexedEvent[] = [];
  #proofs: Buffer[] = [];
  #bytes = 0;

  constructor(section: Section, sources: SectionSources) {
    this.#section = section;
    this.#sources = sources;
  }

  /** Events in log order. Throws LOG_INCONSISTENT where one is not what was logged. */
  async *add(event: IndexedEvent): AsyncGenerator<Buffer> {
    const { bytes, hashes } = await this.#prove(event);
    if (bytes.includes(newline))
      throw new TrailError('LOG_INCONSISTENT', `the entry ${event.index} has a line break, which none of ours has`);
    this.#events.push(bytes === event.bytes ? event : { ...event, bytes, entry: JSON.parse(bytes.toString()) });
    this.#proofs.push(json({ index: event.index, hashes }));
    this.#bytes += bytes.length;
    this.entries += 1;
    this.firstIndex ??= event.index;
    this.lastIndex = event.index;
    if (this.#bytes >= memberBytesMax || this.#events.length >= entriesPerMemberMax) yield* this.end();
  }

  /** Writes what is left. */
  async *end(): AsyncGenerator<Buffer> {
    if (this.#events.length === 0) return;
    const { archive } = this.#sources;
    const part = this.#part;
    const events = this.#events;
    const proofs = this.#proofs;
    this.#part += 1;
    this.#events = [];
    this.#proofs = [];
    this.#bytes = 0;
    const lines = Buffer.concat(events.flatMap(({ bytes }) => [bytes, Buffer.of(newline)]));
    yield* archive.member(sectionMember.entries(this.#section, part), lines);
    yield* archive.member(sectionMember.proofs(this.#section, part), Buffer.concat(proofs));
    yield* this.#payloads(part, events);
  }

  async *#payloads(part: number, events: readonly IndexedEvent[]): AsyncGenerator<Buffer> {
    const { reader, maySee, archive } = this.#sources;
    let lines: Buffer[] = [];
    let bytes = 0;
    let more = 0;
    const write = () => {
      const content = Buffer.concat(lines);
      lines = [];
      bytes = 0;
      return archive.member(sectionMember.payloads(this.#section, part, more++), content);
    };
    for await (const line of payloadLines(reader, events, maySee)) {
      this.parts[line.state] += 1;
      const encoded = json(line);
      lines.push(encoded);
      bytes += encoded.length;
      if (bytes >= memberBytesMax) yield* write();
    }
    if (lines.length > 0) yield* write();
  }

  /** The index is a projection: where its bytes are not those of the tree, the record's count. */
  async #prove({ index, bytes }: IndexedEvent): Promise<{ bytes: Buffer; hashes: readonly string[] }> {
    const { proofs, reader } = this.#sources;
    const proven = await proofs.prove(index);
    const holds = (entry: Buffer) => proven !== undefined && leafHash(entry).equals(proven.leafHash);
    if (holds(bytes)) return { bytes, hashes: proven!.hashes };
    const [recorded] = await reader.tiles.entries(index, 1);
    if (recorded && holds(recorded)) return { bytes: recorded, hashes: proven!.hashes };
    throw new TrailError('LOG_INCONSISTENT', `the entry ${index} is not what was logged, so no pack can hold it`);
  }
}
