/**
 * What a range of the archive consists of: each object with its digest. A manifest names the digest of the one before
 * it, so that the newest speaks for all. It is written before the checkpoint of its size, and counts only with that.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { instanceIdPattern, type InstanceId } from '../../schema/ids.ts';
import { altered } from './errors.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().nonnegative();
/** MongoDB's cluster time: seconds and a count within the second. */
const clusterTime = z.strictObject({ t: z.int().nonnegative(), i: z.int().nonnegative() });
export type ClusterTime = z.infer<typeof clusterTime>;

const manifestObject = z.strictObject({
  name: z.string(),
  sha256,
  sizeBytes: size,
  /** Of the storage, where it keeps versions. */
  version: z.string().optional(),
});
export type ManifestObject = z.infer<typeof manifestObject>;

const manifest = z.strictObject({
  v: z.literal(1),
  instance: z
    .string()
    .regex(instanceIdPattern)
    .transform((s) => s as InstanceId),
  /** Of the log that the checkpoint of this size is of, and the key that it is signed with. */
  origin: z.string(),
  vkey: z.string(),
  /** Entries `first` to `size - 1`. */
  first: size,
  size,
  /** Control epoch at the end. */
  control: z.int().min(-1),
  /** Size and digest of the manifest before; absent in the first. */
  previous: z.strictObject({ size, sha256 }).optional(),
  /** Rows written up to this time are in this range or an earlier one. */
  rowsThrough: clusterTime,
  objects: z.array(manifestObject),
});
export type Manifest = z.infer<typeof manifest>;

/** JSON and, as a last line, its own SHA-256: so that a manifest that was changed is told from one that is bad. */
export const encodeManifest = (content: Manifest): Buffer => {
  const body = Buffer.from(`${JSON.stringify(content, null, 1)}\n`);
  return Buffer.concat([body, Buffer.from(`${sha256Of(body)}\n`)]);
};

const digestLine = 65;

/** Throws ARCHIVE_ALTERED, naming the object. */
export const decodeManifest = (object: string, bytes: Buffer): Manifest => {
  const body = bytes.subarray(0, -digestLine);
  if (bytes.subarray(-digestLine).toString('latin1') !== `${sha256Of(body)}\n`)
    throw altered(object, 'its bytes are not those that were written');
  try {
    return manifest.parse(JSON.parse(body.toString('utf8')));
  } catch (cause) {
    throw altered(object, 'it is not the list of a range', cause);
  }
};

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
