/**
 * Tar archives in the ustar interchange format (POSIX.1-2001 pax, "ustar Interchange Format"): a header of 512 bytes, the
 * bytes, zeroes up to the next 512. Made here rather than by a stream library, so that whoever writes an archive hands on
 * one piece at a time, when the reader has room for it. Plain files with short ASCII names, which is all that a pack has.
 */

export const tarBlockBytes = 512;
const nameBytesMax = 100;
/** The size field has 11 octal digits. */
const sizeBytesMax = 8 ** 11 - 1;

/** Two empty blocks end an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * tarBlockBytes);

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;

export interface TarFile {
  /** At most 100 bytes of ASCII. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Seconds since 1970. */
  readonly modifiedSeconds: number;
}

export const tarHeader = ({ name, sizeBytes, modifiedSeconds }: TarFile): Buffer => {
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > nameBytesMax)
    throw new RangeError(`a file in the archive has a name of 1 to ${nameBytesMax} printable ASCII characters`);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > sizeBytesMax)
    throw new RangeError(`a file in the archive has at most ${sizeBytesMax} bytes`);
  const header = Buffer.alloc(tarBlockBytes);
  header.write(name, 0, 'latin1');
  header.write(octal(0o644, 7), 100, 'latin1');
  header.write(octal(0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  header.write(octal(sizeBytes, 11), 124, 'latin1');
  header.write(octal(modifiedSeconds, 11), 136, 'latin1');
  // The checksum is taken with spaces where it will stand.
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\0', 257, 'latin1');
  header.write('00', 263, 'latin1');
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
};

/** Zeroes that fill the last block of a file. */
export const tarPadding = (sizeBytes: number): Buffer =>
  Buffer.alloc((tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes);
