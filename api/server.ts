/**
 * The API's HTTP server. A request's way: route, authentication, body, context, door. Nothing is read of a request
 * before it is known who asks, and nothing leaves without the security headers.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MongoClient } from 'mongodb';
import { authenticate } from '../store/tokens.ts';
import { callerOf } from './authentication/bearer.ts';
import { Denials } from './authorization/denials.ts';
import type { Services } from './context.ts';
import { recordLines } from './doors/eventsDoor.ts';
import { parseEvidencePath, serveEvidence } from './doors/evidenceDoor.ts';
import { readiness } from './doors/health.ts';
import { isLogOf, notThere, parseLogPath, serveLog } from './doors/logDoor.ts';
import { EvidenceSlots } from './evidence/slots.ts';
import { toApiError } from './errorMapping.ts';
import { ApiError } from './errors.ts';
import { drain, readBody } from './http/body.ts';
import { createGraphQLDoor } from './http/graphqlDoor.ts';
import { newRequestId, openContext, type Shared } from './http/request.ts';
import { securityHeaders, send, sendError, sendJson } from './http/respond.ts';
import { apiLimits, type ApiLimits } from './limits/limits.ts';
import { logToStderr, placeOf, type Log } from './log.ts';
import type { ApiMetrics } from './metrics.ts';
import { ReadRecords } from './reads/readRecords.ts';
import { SubscriptionSlots } from './subscriptions/slots.ts';

export interface ApiOptions {
  readonly services: Services;
  /** Reader duty. */
  readonly reader: MongoClient;
  readonly metrics: ApiMetrics;
  /** URL of the API as clients see it. */
  readonly publicUrl: string;
  readonly introspection?: boolean;
  readonly limits?: Partial<ApiLimits>;
  readonly log?: Log;
}

export interface Api {
  /** Returns the port, which is chosen where 0 is given. */
  listen(host: string, port: number): Promise<number>;
  /** Lets running requests end, at most `graceMs`, ends subscriptions, records what is still to be recorded. */
  stop(graceMs?: number): Promise<void>;
  /** Records the sums of the minutes that are over, and what is left open; called by a timer, and by tests. */
  sweep(): Promise<void>;
}

const sweepMs = 5000;

export const createApi = (options: ApiOptions): Api => {
  const { services, reader, metrics, log = logToStderr } = options;
  const limits = { ...apiLimits, ...options.limits };
  const nowMs = () => services.nowMs();
  const shared: Shared = {
    services,
    limits,
    metrics,
    denials: new Denials(nowMs),
    readRecords: new ReadRecords(nowMs),
    subscriptions: new SubscriptionSlots(
      { all: limits.subscriptionsMax, perPrincipal: limits.subscriptionsPerPrincipalMax },
      metrics,
    ),
    publicUrl: options.publicUrl.replace(/\/+$/, ''),
  };
  const evidence = new EvidenceSlots({
    all: limits.evidencePacksMax,
    perPrincipal: limits.evidencePacksPerPrincipalMax,
  });
  const stopping = new AbortController();
  const graphql = createGraphQLDoor({
    limits,
    introspection: options.introspection ?? false,
    onError(code, error) {
      metrics.errors.inc({ code });
      if (code === 'INTERNAL') log({ level: 'error', message: 'a defect', ...placeOf(rootOf(error)) });
    },
  });

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    door: Door,
    { requestId, signal }: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<void> => {
    if (door.kind === 'health') return sendJson(response, 200, { status: 'ok' });
    if (door.kind === 'ready') {
      const state = await readiness(reader, services.temporal);
      return sendJson(response, state.ready && !stopping.signal.aborted ? 200 : 503, state);
    }
    if (door.kind === 'metrics')
      return send(response, 200, await metrics.registry.metrics(), { 'Content-Type': metrics.registry.contentType });
    const caller = await callerOf(
      request,
      (secret, now) => authenticate(reader, secret, now),
      new Date(services.nowMs()),
    );
    const open = () => openContext(shared, caller, { requestId, signal, stopping: stopping.signal });
    if (door.kind === 'events') {
      const context = await open();
      await context.permissions.require('recordEvents');
      return recordLines(request, response, context);
    }
    if (door.kind === 'log') {
      const context = await open();
      const { trail } = context.instance;
      if (!isLogOf(trail, door.logId)) {
        context.reads.missed('readLog');
        await context.reads.settle();
        return notThere(response);
      }
      await context.permissions.require('readLog');
      return serveLog(trail, door.path, response, context);
    }
    if (door.kind === 'evidence') {
      const context = await open();
      try {
        return await serveEvidence(door.id, response, context, evidence);
      } catch (error) {
        if (toApiError(error).code === 'NOT_FOUND') context.reads.missed('exportEvidence');
        await context.reads.settle();
        throw error;
      }
    }
    const body = await readBody(request, limits.bodyBytesMax);
    return graphql(request, body, await open(), response);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    const requestId = newRequestId();
    response.setHeader('X-Request-Id', requestId);
    const routed = route(request);
    const done = metrics.requests.startTimer({ door: 'kind' in routed ? routed.kind : 'none' });
    const over = new AbortController();
    const timer = setTimeout(() => {
      // A stream that has begun goes on for as long as the caller stays.
      if (response.headersSent) return;
      sendError(response, tooSlow(limits.requestMsMax));
      over.abort();
    }, limits.requestMsMax);
    response.on('close', () => {
      clearTimeout(timer);
      over.abort();
      done({ status: String(response.statusCode) });
    });
    try {
      if ('status' in routed) return sendError(response, routed);
      await answer(request, response, routed, { requestId, signal: over.signal });
    } catch (error) {
      const refused = toApiError(error);
      metrics.errors.inc({ code: refused.code });
      if (refused.code === 'INTERNAL') log({ level: 'error', message: 'a defect', requestId, ...placeOf(error) });
      sendError(response, refused);
      if (!request.complete) drain(request);
    }
  };

  const server = createServer((request, response) => void handle(request, response));
  server.requestTimeout = limits.requestMsMax;
  server.headersTimeout = 10_000;
  server.keepAliveTimeout = 10_000;
  const sweep = async () => {
    const instances = (await services.opened?.()) ?? [];
    await Promise.all([
      shared.readRecords.sweep(),
      shared.denials.sweep(),
      ...instances.flatMap(({ recorder, controlRecorder }) => [recorder.fill(), controlRecorder.fill()]),
    ]);
  };
  const sweeper = setInterval(() => void sweep().catch(() => undefined), sweepMs);
  sweeper.unref();

  return {
    sweep,
    async listen(host, port) {
      server.listen(port, host);
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    },
    async stop(graceMs = 10_000) {
      clearInterval(sweeper);
      const closed = server.listening ? once(server, 'close') : Promise.resolve();
      server.close();
      server.closeIdleConnections();
      stopping.abort();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(timer);
      await Promise.all([shared.subscriptions.idle(), evidence.idle()]);
      await Promise.all([shared.readRecords.close(), shared.denials.close()]);
    },
  };
};

type Door =
  | { readonly kind: 'graphql' | 'events' | 'health' | 'ready' | 'metrics' }
  | { readonly kind: 'log'; readonly logId: string; readonly path: string }
  | { readonly kind: 'evidence'; readonly id: string };

const plainDoors: Readonly<Record<string, Door>> = {
  '/healthz': { kind: 'health' },
  '/readyz': { kind: 'ready' },
  '/metrics': { kind: 'metrics' },
};

const route = ({ method = 'GET', url = '/' }: IncomingMessage): Door | ApiError => {
  const pathname = url.split('?', 1)[0]!;
  if (pathname === '/graphql') return { kind: 'graphql' };
  if (pathname === '/v1/events')
    return method === 'POST' ? { kind: 'events' } : new ApiError('BAD_INPUT', 'this path takes POST only');
  const log = parseLogPath(pathname);
  const evidence = parseEvidencePath(pathname);
  const door: Door | undefined = log ? { kind: 'log', ...log } : plainDoors[pathname];
  if (evidence !== undefined) {
    // A look ahead must not use the link up.
    if (method !== 'GET') return new ApiError('BAD_INPUT', 'an evidence pack is fetched with GET');
    return { kind: 'evidence', id: evidence };
  }
  if (!door) return new ApiError('NOT_FOUND', 'there is nothing at this path; GraphQL is at /graphql');
  if (method !== 'GET' && method !== 'HEAD') return new ApiError('BAD_INPUT', 'this path takes GET only');
  return door;
};

const tooSlow = (ms: number): ApiError =>
  new ApiError('TRAIL_UNAVAILABLE', `the request took longer than ${ms} ms; ask again with the same ids`);

/** What was thrown behind GraphQL's wrapping. */
const rootOf = (error: unknown): unknown =>
  error instanceof Error && 'originalError' in error && error.originalError ? error.originalError : error;
