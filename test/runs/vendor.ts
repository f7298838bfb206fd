/**
 * A vendor of the tests' own: notes over HTTP. It lives in the test's process, so that it survives a worker that is
 * killed, counts every effect, and fails as it is told to. Not one of the sandbox's stand-ins: it stands for no product.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Effect {
  readonly note: string;
  readonly text: string;
  /** Id of the action that the call carried. */
  readonly action: string;
}

/** How one of the next calls with an effect goes. `lost`: the effect happens, the answer does not come. */
export type Fault =
  /** This call goes well; a later fault is for a later one. */
  | { readonly kind: 'none' }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterS?: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'cut' }
  /** Neither effect nor answer. */
  | { readonly kind: 'silent' }
  /** Waits for `resume` before it does anything. */
  | { readonly kind: 'held' };

interface Note {
  text: string;
  revision: number;
  action: string;
}

export interface TestVendor {
  readonly url: string;
  readonly notes: Map<string, Note>;
  /** In order; an idempotency key that was seen before makes no effect. */
  readonly effects: Effect[];
  /** Headers of every call that would have an effect. */
  readonly calls: { readonly correlation: string; readonly traceparent: string; readonly note: string }[];
  readonly faults: Fault[];
  /** Where set, what reading a note shows instead of what it holds. */
  shows: string | undefined;
  /** Resolves when a call is being held. */
  held(): Promise<void>;
  resume(): void;
  close(): Promise<void>;
}

export const startVendor = async (): Promise<TestVendor> => {
  const notes = new Map<string, Note>();
  const effects: Effect[] = [];
  const calls: TestVendor['calls'] = [];
  const faults: Fault[] = [];
  const keys = new Set<string>();
  let arrived = Promise.withResolvers<void>();
  let gate = Promise.withResolvers<void>();

  const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

  const write = (request: IncomingMessage, id: string, text: string): { status: number; body: unknown } => {
    const header = (name: string) => String(request.headers[name] ?? '');
    const key = header('x-key');
    const expected = request.headers['if-match'];
    const present = notes.get(id);
    if (key !== '' && keys.has(key)) return { status: 200, body: { revision: present?.revision ?? 0 } };
    if (expected !== undefined && Number(expected) !== (present?.revision ?? 0))
      return { status: 412, body: { error: 'revision' } };
    if (key !== '') keys.add(key);
    const action = header('x-action');
    effects.push({ note: id, text, action });
    notes.set(id, { text, revision: (present?.revision ?? 0) + 1, action });
    return { status: 200, body: { revision: notes.get(id)!.revision } };
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const id = decodeURIComponent((request.url ?? '').slice('/notes/'.length));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method === 'GET') {
      const note = notes.get(id);
      if (!note) return answer(response, 404, {});
      return answer(response, 200, vendor.shows === undefined ? note : { ...note, text: vendor.shows });
    }
    calls.push({
      correlation: String(request.headers['x-correlation']),
      traceparent: String(request.headers['traceparent']),
      note: id,
    });
    const { text } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { text: string };
    const fault = faults.shift();
    switch (fault?.kind) {
      case 'status': {
        const { status, retryAfterS } = fault;
        const after: Record<string, string> = retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
        return answer(response, status, { error: 'refused' }, after);
      }
      case 'silent':
        return;
      case 'lost':
        write(request, id, text);
        return;
      case 'cut':
        write(request, id, text);
        return void response.destroy();
      case 'held':
        arrived.resolve();
        await gate.promise;
        break;
      case 'none':
      case undefined:
        break;
    }
    const { status, body } = write(request, id, text);
    answer(response, status, body);
  };

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const vendor: TestVendor = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    notes,
    effects,
    calls,
    faults,
    shows: undefined,
    async held() {
      await arrived.promise;
      arrived = Promise.withResolvers<void>();
    },
    resume() {
      gate.resolve();
      gate = Promise.withResolvers<void>();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return vendor;
};
