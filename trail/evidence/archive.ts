/**
 * The archive of an evidence pack, piece by piece. Everything but the manifest's list is handed on at once: a pack of any
 * size takes the memory of its largest member.
 */
import { formatManifest, memberOf, membersMax, type ManifestMember } from '../../domain/evidence/manifest.ts';
import { member } from '../../domain/evidence/format.ts';
import { tarEnd, tarHeader, tarPadding } from '../../domain/evidence/tar.ts';
import { signNote, type NoteSigner } from '../../domain/tree/note.ts';

export class PackArchive {
  readonly #folder: string;
  readonly #modifiedSeconds: number;
  readonly #members: ManifestMember[] = [];
  #sizeBytes = 0;

  /** All members stand in one folder, which is named after the pack. */
  constructor(id: string, madeAt: Date) {
    this.#folder = `evidence-${id.replaceAll('-', '').slice(0, 12)}`;
    this.#modifiedSeconds = Math.floor(madeAt.getTime() / 1000);
  }

  /** Of the members so far, before compression. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get members(): number {
    return this.#members.length;
  }

  /** Throws RangeError where the pack would have more members than a manifest can list. */
  *member(name: string, content: Uint8Array | string): Generator<Buffer> {
    if (this.#members.length >= membersMax) throw new RangeError(`an evidence pack has at most ${membersMax} members`);
    const bytes =
      typeof content === 'string'
        ? Buffer.from(content)
        : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    this.#members.push(memberOf(name, bytes));
    yield* this.#file(name, bytes);
  }

  /** The signed manifest of all members so far. */
  manifest(pack: { readonly origin: string; readonly id: string }, signer: NoteSigner): Buffer {
    return signNote(formatManifest({ ...pack, members: this.#members }), [signer]);
  }

  /** Ends the archive; nothing comes after it. */
  *end(manifest: Buffer): Generator<Buffer> {
    yield* this.#file(member.manifest, manifest);
    yield tarEnd;
  }

  *#file(name: string, bytes: Buffer): Generator<Buffer> {
    this.#sizeBytes += bytes.length;
    const { length: sizeBytes } = bytes;
    yield tarHeader({ name: `${this.#folder}/${name}`, sizeBytes, modifiedSeconds: this.#modifiedSeconds });
    if (sizeBytes === 0) return;
    yield bytes;
    const padding = tarPadding(sizeBytes);
    if (padding.length > 0) yield padding;
  }
}
