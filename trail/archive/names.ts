/**
 * Names of the archive's objects. `tile/` and `checkpoint` are those of c2sp.org/tlog-tiles; the others are ours. Sizes are
 * spelled in sixteen digits, so that names sort as sizes do, and cut into folders of at most ten thousand.
 */
const digits = (size: number): string => String(size).padStart(16, '0');
const grouped = (size: number): string => digits(size).match(/.{4}/g)!.join('/');

export const checkpointFolder = 'checkpoints/';
export const latestCheckpointName = 'checkpoint';

/** The signed checkpoint over `size` entries: with it a range counts. */
export const checkpointName = (size: number): string => `${checkpointFolder}${grouped(size)}`;
/** What the range that ends at `size` consists of. */
export const manifestName = (size: number): string => `ranges/${grouped(size)}.json`;
export const segmentListName = (size: number, number: number): string => `segments/${grouped(size)}/${number}.bson`;
/** `of`: class and month. */
export const payloadName = (of: string, size: number, number: number): string =>
  `payload/${of}/${grouped(size)}/${number}.bson`;
export const rowsName = (size: number, number: number, sha256: string): string =>
  `rows/${grouped(size)}/${number}-${sha256.slice(0, 16)}.bson`;

/** The size in the name of a checkpoint; undefined for what is none. */
export const sizeOfCheckpointName = (name: string): number | undefined => {
  const match = /^checkpoints\/(\d{4})\/(\d{4})\/(\d{4})\/(\d{4})$/.exec(name);
  const size = match ? Number(match.slice(1).join('')) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
};
