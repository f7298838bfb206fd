/** Ids of a log that is being verified, in a file without a name: it is gone with the process, however that ends. */
import { randomBytes, randomInt } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockStore } from '../../domain/verify/spilledIds.ts';
import { CliError, exitCodes } from '../exit.ts';

export interface IdFile extends BlockStore {
  close(): void;
}

/** Nothing is created before a block is written: small logs never write one. */
export const openIdFile = (): IdFile => {
  let file: number | undefined;
  let sizeBytes = 0;
  const full = (cause: unknown) =>
    new CliError(exitCodes.unavailable, `there is no room for the ids of the log in ${tmpdir()}`, undefined, { cause });
  return {
    seed: randomInt(2 ** 32),
    write(block) {
      try {
        file ??= openNameless();
        const position = sizeBytes;
        for (let done = 0; done < block.length;)
          done += writeSync(file, block, done, block.length - done, position + done);
        sizeBytes += block.length;
        return position;
      } catch (error) {
        throw full(error);
      }
    },
    read(position, length) {
      const block = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const read = readSync(file!, block, done, length - done, position + done);
        if (read === 0) throw full(new Error('the file is shorter than what was written'));
        done += read;
      }
      return block;
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
};

const openNameless = (): number => {
  const path = join(tmpdir(), `trailkeeper-ids-${randomBytes(8).toString('hex')}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
};
