/**
 * Which parts of a batch go into which document of boxes. A document holds parts of one class and month, of a run of
 * consecutive entries, so that the segment can say by positions where the parts of an entry are. It is closed at 256 KiB:
 * reading one event's parts then costs one such document, and many subjects still share one insert.
 */
import type { BoxDocument, SealedPart } from './boxes.ts';
import { framedBytes } from './boxes.ts';
import { classMonthOf, dataKeyId, type DataKeyName } from './keys/derive.ts';
import type { SealedEvent } from './seal.ts';

export const documentBytesTarget = 256 * 1024;

/** The parts under one data key. */
export interface PackedBox {
  readonly name: DataKeyName;
  /** `dataKeyId(name)` */
  readonly key: string;
  readonly parts: SealedPart[];
}

export interface PackedDocument {
  /** `<class>/<yyyy-mm>` */
  readonly of: string;
  /** Positions in the batch of the first and the last entry that have a part inside. */
  readonly from: number;
  to: number;
  readonly boxes: Map<string, PackedBox>;
  sizeBytes: number;
}

export const packParts = (events: readonly Pick<SealedEvent, 'parts'>[]): PackedDocument[] => {
  const packed: PackedDocument[] = [];
  const open = new Map<string, PackedDocument>();
  for (const [position, { parts }] of events.entries()) {
    for (const { key: name, part } of parts) {
      const of = classMonthOf(name);
      const size = framedBytes(part);
      let document = open.get(of);
      if (!document || (document.sizeBytes > 0 && document.sizeBytes + size > documentBytesTarget)) {
        document = { of, from: position, to: position, boxes: new Map(), sizeBytes: 0 };
        open.set(of, document);
        packed.push(document);
      }
      document.to = position;
      document.sizeBytes += size;
      const key = dataKeyId(name);
      const box = document.boxes.get(key);
      if (box) box.parts.push(part);
      else document.boxes.set(key, { name, key, parts: [part] });
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
