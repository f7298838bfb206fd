/**
 * `GET /evidence/<id>`: an evidence pack that was asked for, made while it is fetched. Only whoever asked gets it, with a
 * token of the same instance, and once. What leaves is an archive that ends early, or a whole one: nothing in between can
 * be taken for a pack, since its signed manifest is its last member.
 */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { eventIdPattern, type EventId } from '../../schema/ids.ts';
import { beginFetch, isCancelled } from '../evidence/fetching.ts';
import type { EvidenceSlots } from '../evidence/slots.ts';
import { notFound } from '../errors.ts';
import type { RequestContext } from '../requestContext.ts';

/** A caller that takes nothing for this long has gone away: its slot is somebody else's. */
const idleMsMax = 60_000;

/** Undefined for a path that is not below this door. */
export const parseEvidencePath = (pathname: string): string | undefined => /^\/evidence\/([^/]+)$/.exec(pathname)?.[1];

/** Throws where nothing has left yet; after that it ends the connection. */
export const serveEvidence = async (
  pathId: string,
  response: ServerResponse,
  context: RequestContext,
  slots: EvidenceSlots,
): Promise<void> => {
  const { ownOnly } = await context.permissions.require('exportEvidence');
  if (!eventIdPattern.test(pathId)) throw notFound('evidence pack');
  const giveBack = slots.take(context.caller);
  try {
    const fetch = await beginFetch(context, pathId as EventId, ownOnly);
    const idle = new AbortController();
    response.setTimeout(idleMsMax, () => idle.abort());
    const signal = AbortSignal.any([context.signal, context.stopping, idle.signal]);
    try {
      response.writeHead(200, {
        'Content-Type': 'application/gzip',
        'Content-Disposition': `attachment; filename="evidence-${fetch.id}.tar.gz"`,
        'X-Trailkeeper-Entries': String(fetch.entries),
      });
      response.flushHeaders();
      await pipeline(Readable.from(fetch.pieces), createGzip(), response, { signal });
      await fetch.ended(undefined);
    } catch (error) {
      response.destroy();
      // What it was about to record is recorded first.
      await fetch.pieces.return();
      await fetch.ended(error);
      if (!isCancelled(error)) throw error;
    }
  } finally {
    giveBack();
  }
};
