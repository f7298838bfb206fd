/** Serves one stand-in over HTTP on loopback, with its faults in front of it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Fault, Faults } from './faults.ts';
import { Refusal, type IncomingCall, type OutgoingAnswer, type RoutedCall, type StandIn } from './standIn.ts';

/** The largest call that any of the four vendors takes (Gmail: 35 MB for an upload, less for a JSON body). */
const bodyBytesMax = 35 * 1_048_576;

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Listens on 127.0.0.1. Rejects with the system's error (EADDRINUSE, ...) where it can't. */
export async function listen(server: Server, port: number): Promise<RunningServer> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += (chunk as Buffer).byteLength;
    if (sizeBytes > bodyBytesMax) throw new Refusal({ status: 413 });
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function answerWith(response: ServerResponse, answer: OutgoingAnswer): void {
  const body = answer.body === undefined ? undefined : Buffer.from(JSON.stringify(answer.body));
  response.writeHead(answer.status, {
    ...(body === undefined ? {} : { 'content-type': 'application/json;charset=UTF-8', 'content-length': body.length }),
    ...answer.headers,
  });
  response.end(body);
}

async function carryOut(routed: RoutedCall): Promise<OutgoingAnswer> {
  try {
    return await routed.handle();
  } catch (error) {
    if (error instanceof Refusal) return error.answer;
    throw error;
  }
}

/** Plays the fault. Whatever comes `after` really happened in the stand-in's state. */
async function playFault(fault: Fault, standIn: StandIn, routed: RoutedCall, response: ServerResponse): Promise<void> {
  switch (fault.kind) {
    case 'status': {
      if (fault.when === 'after' && fault.status >= 500) await carryOut(routed);
      const answer = standIn.refuse(fault.status);
      const headers = fault.retryAfter === undefined ? {} : { headers: { 'retry-after': fault.retryAfter } };
      answerWith(response, { ...answer, ...headers });
      return;
    }
    case 'timeout':
      if (fault.when === 'after') await carryOut(routed);
      // Never answered: the socket ends when the caller gives up or the sandbox stops.
      return;
    case 'cut':
      if (fault.when === 'after') await carryOut(routed);
      response.destroy();
      return;
    case 'malformed':
      if (fault.when === 'after') await carryOut(routed);
      response.writeHead(200, { 'content-type': 'application/json;charset=UTF-8' });
      response.end('{"records": [{"id": "00');
      return;
    case 'slow': {
      const answer = await carryOut(routed);
      setTimeout(() => answerWith(response, answer), fault.delayMs).unref();
      return;
    }
  }
}

/** `onWrite` runs after every call that may have changed state, before it is answered. */
export async function serveStandIn(
  standIn: StandIn,
  options: { readonly port: number; readonly faults: Faults; readonly onWrite: () => void },
): Promise<RunningServer> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://sandbox.invalid');
    const call: IncomingCall = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: await readBody(request),
    };
    const recognised = standIn.route(call);
    const routed: RoutedCall = {
      effect: recognised.effect,
      handle: async () => {
        const answer = await recognised.handle();
        if (recognised.effect === 'write') options.onWrite();
        return answer;
      },
    };
    const fault = options.faults.take(routed.effect, call.path);
    if (fault === undefined) answerWith(response, await carryOut(routed));
    else await playFault(fault, standIn, routed, response);
  };
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else if (error instanceof Refusal) answerWith(response, error.answer);
      else {
        console.error(`sandbox ${standIn.vendor}: ${error instanceof Error ? error.stack : String(error)}`);
        answerWith(response, standIn.refuse(500));
      }
    });
  });
  return listen(server, options.port);
}
