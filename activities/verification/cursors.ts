/** Where a walk along the record stands, as a workflow carries it: a right edge is at most 53 hashes. */
import { decodeEdge, encodeEdge } from '../../domain/tree/edge.ts';
import type { StageCursor } from '../../domain/verification/contract.ts';
import type { Standing } from '../../domain/verification/segment.ts';

export const cursorOf = ({ size, edge, control, suspect }: Standing): StageCursor => ({
  size,
  edge: edge ? encodeEdge(edge).toString('base64') : null,
  control: control ?? null,
  suspect: suspect ?? null,
});

export const standingOf = ({ size, edge, control, suspect }: StageCursor): Standing => ({
  size: Number(size),
  edge: typeof edge === 'string' ? decodeEdge(Buffer.from(edge, 'base64'), Number(size)) : undefined,
  control: typeof control === 'number' ? control : undefined,
  ...(typeof suspect === 'number' && { suspect }),
});
