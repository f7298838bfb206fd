/** How our transport meets servers that no stand-in is: each is a small server of its own. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { send } from '../../activities/connectors/transport/request.ts';
import type { CallContext } from '../../activities/connectors/connector.ts';
import type { CorrelationId, EventId } from '../../schema/ids.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const context = (baseUrl: string, more: Partial<CallContext> = {}): CallContext => ({
  baseUrl,
  credential: {},
  correlationId: 'a'.repeat(32) as CorrelationId,
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  actionId: '01985c4e-1234-7abc-8def-0123456789ab' as EventId,
  step: 0,
  timeoutMs: 20_000,
  signal: new AbortController().signal,
  ...more,
});

const write = (baseUrl: string, more: Partial<CallContext> = {}) =>
  send(context(baseUrl, more), {
    method: 'POST',
    path: '/x',
    effect: 'write',
    body: '{}',
    headers: { authorization: 'Bearer secret' },
  });
const read = (baseUrl: string) => send(context(baseUrl), { method: 'GET', path: '/x', effect: 'read' });

describe('the transport', () => {
  it('knows that a refused connection reached nobody', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve());
    });
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => {
      server.close(resolve);
    });
    await expect(write(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'UNAVAILABLE', tookEffect: 'no' });
    await expect(write('http://vendor.invalid')).rejects.toMatchObject({ code: 'UNAVAILABLE', tookEffect: 'no' });
  });

  it('follows no redirect, and shows the credential to nobody else', async () => {
    const visitors: (string | undefined)[] = [];
    const elsewhere = await serve((request, response) => {
      visitors.push(request.headers.authorization);
      response.end('{}');
    });
    const url = await serve((_request, response) => {
      response.writeHead(307, { location: `${elsewhere}/y` }).end();
    });
    await expect(write(url)).rejects.toMatchObject({
      code: 'MALFORMED_RESPONSE',
      tookEffect: 'unknown',
      httpStatus: 307,
    });
    expect(visitors).toEqual([]);
  });

  it('reads no endless answer', async () => {
    const url = await serve((_request, response) => {
      let writable = true;
      response.on('close', () => {
        writable = false;
      });
      const chunk = 'x'.repeat(1_048_576);
      const more = (): void => {
        if (writable) response.write(chunk, () => more());
      };
      more();
    });
    await expect(write(url)).rejects.toMatchObject({ code: 'MALFORMED_RESPONSE', tookEffect: 'unknown' });
    await expect(read(url)).rejects.toMatchObject({ code: 'MALFORMED_RESPONSE', tookEffect: 'no' });
  });

  it('takes no answer that is not UTF-8', async () => {
    const url = await serve((_request, response) => {
      response.end(Buffer.from([0x7b, 0xff, 0x7d]));
    });
    await expect(write(url)).rejects.toMatchObject({ code: 'MALFORMED_RESPONSE', tookEffect: 'unknown' });
  });

  it('does not take an answer that breaks off for the vendor’s word', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"id":', () => response.destroy());
    });
    await expect(write(url)).rejects.toMatchObject({ code: 'MALFORMED_RESPONSE', tookEffect: 'unknown' });
    await expect(read(url)).rejects.toMatchObject({ tookEffect: 'no' });
  });

  it('ends a call in mid-flight when it is cancelled, without knowing what became of it', async () => {
    const controller = new AbortController();
    const url = await serve(() => controller.abort());
    await expect(write(url, { signal: controller.signal })).rejects.toMatchObject({
      code: 'TIMEOUT',
      tookEffect: 'unknown',
    });
  });

  it.each([
    [400, 'INVALID_REQUEST', 'no'],
    [408, 'TIMEOUT', 'unknown'],
    [410, 'NOT_FOUND', 'no'],
    [412, 'CONFLICT', 'no'],
    [413, 'INVALID_REQUEST', 'no'],
    [422, 'INVALID_REQUEST', 'no'],
    [502, 'UNAVAILABLE', 'unknown'],
    [504, 'UNAVAILABLE', 'unknown'],
  ])('takes %i for %s, effect %s', async (status, code, tookEffect) => {
    const url = await serve((_request, response) => {
      response.writeHead(status).end('why');
    });
    await expect(write(url)).rejects.toMatchObject({ code, tookEffect, httpStatus: status, detail: 'why' });
    await expect(read(url)).rejects.toMatchObject({ code, tookEffect: 'no' });
  });

  it.each([
    ['7', 7000],
    ['999999999', 86_400_000],
    ['Wed, 21 Oct 2026 07:28:30 GMT', 30_000],
    ['Wed, 21 Oct 2026 07:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
  ])('reads Retry-After %s against the answer’s own date', async (retryAfter, retryAfterMs) => {
    const url = await serve((_request, response) => {
      response.writeHead(429, { 'retry-after': retryAfter, date: 'Wed, 21 Oct 2026 07:28:00 GMT' }).end();
    });
    await expect(read(url)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs });
  });

  it('sends the trace context', async () => {
    const seen: unknown[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers['traceparent']);
      response.end('{}');
    });
    await read(url);
    expect(seen).toEqual([context(url).traceparent]);
  });
});
