import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { createCodec, type TemporalKeys } from './codec.ts';

export const failureConverterPath = fileURLToPath(new URL('failureConverter.ts', import.meta.url));

/** The same for clients and workers. */
export const dataConverter = (keys: TemporalKeys): DataConverter => ({
  failureConverterPath,
  payloadCodecs: [createCodec(keys)],
});
