/** A connector whose vendor takes no time: what is measured is Trailkeeper's own part of a guarded action. */
import { z } from 'zod';
import type { Connector, Tool } from '../../activities/connectors/connector.ts';

const system = 'hubspot' as const;
const params = z.strictObject({ note: z.string().min(1).max(64), text: z.string().max(2000) });
type Params = z.infer<typeof params>;

const target = (note: string) => ({ kind: 'note', id: note });

const writeNote: Tool<Params> = {
  name: `${system}.writeNote`,
  system,
  action: 'record.update',
  effect: 'write',
  idempotency: 'key',
  endpoint: 'PUT /notes/{id}',
  input: params,
  takesMapping: false,
  plan: (given) => [
    {
      params: given,
      items: [{ target: target(given.note), requested: { text: given.text }, sent: { text: given.text } }],
      fields: ['text'],
    },
  ],
  before: async () => [{ text: 'as it was' }],
  call: async (_context, { params: { note, text } }) => ({
    items: [{ outcome: 'success', target: target(note), after: { text } }],
    response: { note },
  }),
  verify: async (_context, { params: { text } }) => ({
    matches: true,
    items: [{ matches: true, readBack: { text } }],
  }),
};

export const instantTool = writeNote.name;

export const instantConnector: Connector = {
  system,
  version: 'instant/1',
  credential: z.strictObject({ secret: z.string() }) as never,
  tools: [writeNote as unknown as Tool<never>],
};

export const instantRegistry = {
  connectorOf: (wanted: string) => (wanted === system ? instantConnector : undefined),
  toolNamed: (name: string) => instantConnector.tools.find((tool) => tool.name === name),
};
