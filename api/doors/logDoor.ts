/**
 * The log for clients of c2sp.org/tlog-tiles: `GET /log/<opaque id>/checkpoint`, `/tile/...`, under a token of the same
 * instance. What is missing, and whatever is another instance's, is 404 and nothing else: clients depend on it.
 */
import type { ServerResponse } from 'node:http';
import { parseTilePath, tileWidth, widthInTree, type Tile } from '../../domain/tree/tiles.ts';
import { TrailError } from '../../trail/errors.ts';
import type { Trail } from '../../trail/trail.ts';
import type { ApiMetrics } from '../metrics.ts';
import { send } from '../http/respond.ts';
import type { RequestReads } from '../reads/requestReads.ts';

export interface LogRequest {
  readonly logId: string;
  /** Below the log's prefix, for example `tile/0/000`. */
  readonly path: string;
}

/** Undefined for a path that is not below a log. Not decoded: every tile has one spelling. */
export const parseLogPath = (pathname: string): LogRequest | undefined => {
  const match = /^\/log\/([^/]+)\/(.+)$/.exec(pathname);
  return match ? { logId: match[1]!, path: match[2]! } : undefined;
};

const tileType = { 'Content-Type': 'application/octet-stream' } as const;
/** Full tiles never change. Private: they were got with a token. */
const immutable = { 'Cache-Control': 'private, max-age=31536000, immutable' } as const;
const revalidated = { 'Cache-Control': 'private, no-cache' } as const;

/** Whether the log is this instance's: the opaque id is the last part of its origin. */
export const isLogOf = ({ origin }: Trail, logId: string): boolean => origin.endsWith(`/log/${logId}`);

export const notThere = (response: ServerResponse): void =>
  send(response, 404, 'not found\n', { 'Content-Type': 'text/plain; charset=utf-8' });

export const serveLog = async (
  trail: Trail,
  path: string,
  response: ServerResponse,
  { metrics, reads }: { readonly metrics: ApiMetrics; readonly reads: RequestReads },
): Promise<void> => {
  if (path === 'checkpoint') {
    metrics.countRead('checkpoint');
    const served = await trail.witnessed.served();
    if (!served) return notThere(response);
    return send(response, 200, served.note, { 'Content-Type': 'text/plain; charset=utf-8' });
  }
  const tile = parseTilePath(path);
  // Of every checkpoint that anybody has, receipts and proofs included: not only of the one that is served now.
  if (!tile || !isPublished(tile, await trail.reader.size())) return notThere(response);
  const caching = tile.width === tileWidth ? immutable : revalidated;
  if (tile.kind === 'hashes') {
    metrics.countRead('tile');
    const hashes = await held(trail.reader.tiles.hashes(tile.level, tile.index, tile.width));
    if (!hashes) return notThere(response);
    return send(response, 200, hashes, { ...tileType, ...caching });
  }
  // Entries are skeletons: who read them is recorded.
  metrics.countRead('bundle');
  const bundle = await held(trail.reader.tiles.bundle(tile.index, tile.width));
  if (!bundle) return notThere(response);
  reads.skeletons(tile.width);
  await reads.settle();
  return send(response, 200, bundle, { ...tileType, ...caching });
};

/**
 * What the record lacks, though it was published, is not there: a verifier must be able to say so, where a failure of the
 * server would only tell it to try again later.
 */
const held = async (reading: Promise<Buffer>): Promise<Buffer | undefined> => {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT') return undefined;
    throw error;
  }
};

/**
 * Every width up to that of the current tree: a checkpoint of each of these sizes may have been published, and a client
 * that holds an older one asks for its partial tiles.
 */
const isPublished = (tile: Tile, size: number): boolean =>
  tile.width <= widthInTree(tile.kind === 'entries' ? 0 : tile.level, tile.index, size);
