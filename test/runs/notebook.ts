/** A connector to the tests' own vendor (vendor.ts), with one tool for each way in which a call can be made safe, or not. */
import { z } from 'zod';
import { send, readJson } from '../../activities/connectors/transport/request.ts';
import {
  ConnectorError,
  type CallContext,
  type Connector,
  type Json,
  type Step,
  type Tool,
} from '../../activities/connectors/connector.ts';

const system = 'hubspot' as const;
const params = z.strictObject({ note: z.string().min(1).max(64), text: z.string().max(2000) });
type Params = z.infer<typeof params>;
const bulkParams = z.strictObject({ notes: z.array(params).min(1).max(1000) });
const noteShape = z.looseObject({ text: z.string(), revision: z.int(), action: z.string() });

const target = (note: string) => ({
  kind: 'note',
  id: note,
  subject: { system, kind: 'person', id: `writer of ${note}` },
});

const headers = (ctx: CallContext, more: Record<string, string> = {}) => ({
  authorization: `Bearer ${ctx.credential['secret'] as string}`,
  'x-correlation': ctx.correlationId,
  'x-action': ctx.actionId,
  ...more,
});

const path = (note: string) => `/notes/${encodeURIComponent(note)}`;

const read = async (ctx: CallContext, note: string): Promise<z.infer<typeof noteShape> | null> => {
  try {
    const answer = await send(ctx, { method: 'GET', path: path(note), effect: 'read', headers: headers(ctx) });
    return readJson(answer, noteShape, 'read');
  } catch (error) {
    if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
};

const write = (ctx: CallContext, { note, text }: Params, more: Record<string, string> = {}) =>
  send(ctx, {
    method: 'PUT',
    path: path(note),
    effect: 'write',
    headers: { 'content-type': 'application/json', ...headers(ctx, more) },
    body: JSON.stringify({ text }),
  });

const plan = (given: Params): Step<Params>[] => [
  {
    params: given,
    items: [{ target: target(given.note), requested: { text: given.text }, sent: { text: given.text } }],
    fields: ['text'],
  },
];

const shared = {
  system,
  endpoint: 'PUT /notes/{id}',
  input: params,
  takesMapping: false,
  plan,
  before: async (ctx: CallContext, { params: { note } }: Step<Params>) => [await read(ctx, note)] as (Json | null)[],
  async verify(ctx: CallContext, { params: { note, text } }: Step<Params>) {
    const found = await read(ctx, note);
    const matches = found?.text === text;
    return { matches, items: [{ matches, readBack: (found ?? null) as Json }] };
  },
} as const;

const settle: NonNullable<Tool<Params>['settle']> = async (ctx, { params: { note, text } }) => {
  const found = await read(ctx, note);
  if (found?.action !== ctx.actionId) return { state: 'not-applied' };
  return { state: 'applied', result: { items: [{ outcome: 'success', target: target(note), after: { text } }] } };
};

const tool = (
  name: string,
  own: Pick<Tool<Params>, 'action' | 'effect' | 'idempotency' | 'call'> & Partial<Tool<Params>>,
): Tool<never> => ({ ...shared, name: `${system}.${name}`, ...own }) as unknown as Tool<never>;

const written = ({ params: { note, text } }: Step<Params>) => ({
  items: [{ outcome: 'success' as const, target: target(note), after: { text } }],
  response: { note },
});

/** One attempt only; reading tells whether it took effect. */
const writeNote = tool('writeNote', {
  action: 'record.update',
  effect: 'write',
  idempotency: 'none',
  settle,
  async call(ctx, step) {
    await write(ctx, step.params);
    return written(step);
  },
});

/** One attempt only, and nothing but a person can tell whether it took effect. */
const sendNote = tool('sendNote', {
  action: 'message.send',
  effect: 'irreversible',
  idempotency: 'none',
  async call(ctx, step) {
    await write(ctx, step.params);
    return written(step);
  },
});

/** May be called again with the same key. */
const putNote = tool('putNote', {
  action: 'record.create',
  effect: 'write',
  idempotency: 'key',
  settle,
  async call(ctx, step) {
    await write(ctx, step.params, { 'x-key': ctx.actionId });
    return written(step);
  },
});

/** A second call fails where the first one took effect. */
const swapNote = tool('swapNote', {
  action: 'record.update',
  effect: 'write',
  idempotency: 'conditional',
  settle,
  async call(ctx, step, before) {
    const revision = (before[0] as { revision?: number } | null)?.revision ?? 0;
    await write(ctx, step.params, { 'if-match': String(revision) });
    return written(step);
  },
});

/** Asks for approval, by the policies that an instance begins with. */
const eraseNote = tool('eraseNote', {
  action: 'record.delete',
  effect: 'irreversible',
  idempotency: 'none',
  settle,
  async call(ctx, step) {
    await write(ctx, step.params);
    return written(step);
  },
});

const readNote = tool('readNote', {
  action: 'record.read',
  effect: 'read',
  idempotency: 'none',
  async call(ctx, { params: { note } }) {
    const found = await read(ctx, note);
    if (found === null) throw new ConnectorError('NOT_FOUND', { tookEffect: 'no' });
    return { items: [{ outcome: 'success', target: target(note), after: found as Json }], response: found as Json };
  },
});
delete (readNote as { verify?: unknown }).verify;
delete (readNote as { before?: unknown }).before;

const bulkSize = 3;

/** Several notes in one action, three a call; each call writes them one after the other. */
const writeNotes: Tool<z.infer<typeof bulkParams>> = {
  name: `${system}.writeNotes`,
  system,
  action: 'record.update',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'PUT /notes',
  input: bulkParams,
  takesMapping: false,
  plan: ({ notes }) =>
    Array.from({ length: Math.ceil(notes.length / bulkSize) }, (_, step) => {
      const own = notes.slice(step * bulkSize, (step + 1) * bulkSize);
      return {
        params: { notes: own },
        items: own.map(({ note, text }) => ({ target: target(note), requested: { text }, sent: { text } })),
        fields: ['text'],
      };
    }),
  before: (ctx, { params: { notes } }) => Promise.all(notes.map(({ note }) => read(ctx, note))) as never,
  async call(ctx, { params: { notes } }) {
    const items = [];
    for (const { note, text } of notes) {
      await write(ctx, { note, text });
      items.push({ outcome: 'success' as const, target: target(note), after: { text } });
    }
    return { items };
  },
  async verify(ctx, { params: { notes } }) {
    const items = [];
    for (const { note, text } of notes) {
      const found = await read(ctx, note);
      items.push({ matches: found?.text === text, readBack: (found ?? null) as Json });
    }
    return { matches: items.every(({ matches }) => matches), items };
  },
};

export const notebook: Connector = {
  system,
  version: 'notebook/1',
  credential: z.strictObject({ secret: z.string() }) as never,
  tools: [writeNote, sendNote, putNote, swapNote, eraseNote, readNote, writeNotes as unknown as Tool<never>],
};

export const notebookRegistry = {
  connectorOf: (wanted: string) => (wanted === system ? notebook : undefined),
  toolNamed: (name: string) => notebook.tools.find((one) => one.name === name),
};
