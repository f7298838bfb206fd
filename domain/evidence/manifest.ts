/**
 * The manifest of an evidence pack: name, size and SHA-256 of every other member, in the order in which they stand in the
 * archive. It is the text of a signed note (c2sp.org/signed-note), so that any tool for notes checks the signature, and
 * its lines are those of `sha256sum`, but for the size between the two.
 */
import { hash } from 'node:crypto';

const header = 'trailkeeper-evidence-manifest/v1';
/** A note has at most 1 MiB (domain/tree/note.ts), and a line of the manifest at most 160 bytes. */
export const membersMax = 6000;

export interface ManifestMember {
  /** Below the archive's folder, for example `entries/000000.ndjson`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface Manifest {
  /** Origin of the log that the pack is of. */
  readonly origin: string;
  /** Id of the pack. */
  readonly id: string;
  readonly members: readonly ManifestMember[];
}

export const memberOf = (name: string, bytes: Uint8Array): ManifestMember => ({
  name,
  sizeBytes: bytes.length,
  sha256: hash('sha256', bytes),
});

/** The text to be signed. Throws RangeError where the pack has more members than a manifest holds. */
export const formatManifest = ({ origin, id, members }: Manifest): string => {
  if (members.length > membersMax) throw new RangeError(`a manifest holds at most ${membersMax} members`);
  const lines = members.map(({ sha256, sizeBytes, name }) => `${sha256} ${sizeBytes} ${name}`);
  return `${[header, `origin ${origin}`, `pack ${id}`, `members ${members.length}`, ...lines].join('\n')}\n`;
};
