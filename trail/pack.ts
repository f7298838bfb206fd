/**
 * Which parts of a batch go into which document of boxes. A document holds parts of one class and month, of a run of
 * consecutive entries, so that the segment can say by positions where the parts of an entry are. It is closed at 256 KiB:
 * reading one event's parts then costs one such document, and many subjects still share one insert.
 */
import type { SubjectId } from '../schema/ids.ts';
import { framedBytes, type BoxDocument, type SealedPart } from './boxes.ts';
import type { ClassMonth } from './keys/derive.ts';
import type { SealedEvent } from './seal.ts';

export const documentBytesTarget = 256 * 1024;

export interface PackedDocument {
  readonly of: ClassMonth;
  /** Positions in the batch of the first and the last entry that have a part inside. */
  readonly from: number;
  to: number;
  /** Parts by the subject that they are about: those under one data key. */
  readonly boxes: Map<SubjectId | undefined, SealedPart[]>;
  sizeBytes: number;
}

export const packParts = (events: readonly Pick<SealedEvent, 'of' | 'parts'>[]): PackedDocument[] => {
  const packed: PackedDocument[] = [];
  const open = new Map<ClassMonth, PackedDocument>();
  for (let position = 0; position < events.length; position += 1) {
    const { of, parts } = events[position]!;
    for (const part of parts) {
      const size = framedBytes(part);
      let document = open.get(of);
      if (!document || (document.sizeBytes > 0 && document.sizeBytes + size > documentBytesTarget)) {
        document = { of, from: position, to: position, boxes: new Map(), sizeBytes: 0 };
        open.set(of, document);
        packed.push(document);
      }
      document.to = position;
      document.sizeBytes += size;
      const box = document.boxes.get(part.subject);
      if (box) box.push(part);
      else document.boxes.set(part.subject, [part]);
    }
  }
  return packed;
};

/** Bytes of a document in a command, a little more than less. */
export const documentBytes = ({ directory, boxes }: BoxDocument): number => directory.length() + boxes.length() + 256;

/** Lists of documents of which each has at most `bytesMax`, in order. A single document always fits. */
export const inChunks = (documents: readonly BoxDocument[], bytesMax: number): BoxDocument[][] => {
  const chunks: BoxDocument[][] = [];
  let bytes = bytesMax + 1;
  for (const document of documents) {
    const size = documentBytes(document);
    if (bytes + size > bytesMax) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)!.push(document);
    bytes += size;
  }
  return chunks;
};
