/** Two instances with the same kinds of things in them, so that ids of the one can be tried in the other. */
import { randomBytes, randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { EventInput } from '../../schema/event.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { event } from '../trail/events.ts';
import type { Name, TestApi } from '../api/openApi.ts';
import type { IdKind } from './crossings.ts';

export type Ids = Readonly<Record<IdKind, string>>;

/** Appears in nothing but what the victim recorded. */
export const marker = 'canary-of-globex';

/** A run, an action in it, and what else has an id. */
export const populate = async (api: TestApi, name: Name): Promise<Ids> => {
  const run = uuidv7();
  const action = uuidv7();
  const correlation = randomBytes(16).toString('hex');
  const emitter = `emitter/${randomUUID()}`;
  const session = `session-${randomUUID()}`;
  // The caller's own is one that is registered.
  const principal = name === 'acme' ? 'sales-agent' : `agent-${randomUUID()}`;
  const external = `003${randomUUID().replaceAll('-', '').slice(0, 15)}`;
  const chain = { correlationId: correlation, runId: run, sessionId: session };
  const events: EventInput[] = [
    event({
      ...chain,
      id: run,
      emitter: { id: `platform/run/${run}`, sequence: 1 },
      action: 'run.open',
      system: 'trailkeeper',
      actor: { principal: 'sales-agent', kind: 'agent' },
      purpose: 'isolation',
      parts: [{ name: 'run', content: { agent: 'sales-agent', actionsMax: 10 } }],
    }),
    event({
      ...chain,
      id: action,
      causedBy: run,
      emitter: { id: `platform/action/${action}`, sequence: 1 },
      action: 'message.send',
      phase: 'intent',
      outcome: undefined,
      system: 'slack',
      actor: { principal: 'sales-agent', kind: 'agent' },
      parametersDigest: '1'.repeat(64),
      parts: [{ name: 'parameters', content: { tool: 'slack.postMessage', params: { text: `canary-of-${name}` } } }],
    }),
    event({
      ...chain,
      id: uuidv7(),
      causedBy: action,
      emitter: { id: emitter, sequence: 2 },
      actor: { principal, kind: 'agent' },
      resource: { kind: 'Contact', id: external, subject: 0 },
      subjects: [{ system: 'salesforce', kind: 'Contact', id: external }],
      parts: [{ name: 'after', content: { note: `canary-of-${name}` }, subject: 0 }],
    }),
    // A pack that was asked for: its id is that of an event.
    event({ ...chain, id: uuidv7(), causedBy: run, emitter: { id: emitter, sequence: 3 } }),
  ];
  const { reader, writer } = api.trails[name];
  const results = await writer.append(events, 'platform');
  for (const result of results) if (result.status === 'refused') throw new Error(result.refusal.message);
  await reader.fresh(60_000);
  const { entry } = (await reader.byId(events[2]!.id))!;
  return {
    run,
    action,
    correlation,
    emitter,
    session,
    principal,
    external,
    event: events[2]!.id,
    pack: events[3]!.id,
    subject: entry.subjects![0]!,
    urn: entry.resource!.urn,
    instance: api.ids[name],
  };
};

/** Of the same form, and nobody's. */
export const nobodys = (): Ids => ({
  run: uuidv7(),
  action: uuidv7(),
  event: uuidv7(),
  pack: uuidv7(),
  correlation: randomBytes(16).toString('hex'),
  emitter: `emitter/${randomUUID()}`,
  session: `session-${randomUUID()}`,
  principal: `agent-${randomUUID()}`,
  external: `003${randomUUID().replaceAll('-', '').slice(0, 15)}`,
  subject: `sub_${randomBytes(16).toString('hex')}`,
  urn: `urn:trailkeeper:salesforce:Contact:${randomBytes(16).toString('hex')}`,
  instance: `globex-${randomBytes(4).toString('hex')}`,
});

export const sizeOf = async (api: TestApi, name: Name): Promise<number> =>
  (await api.trails[name].reader.checkpoint())!.size;

/** An answer but for ids, times and places in the log, which differ from call to call. */
export const shapeOf = (text: string): string =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '<sha256>')
    .replaceAll(/\b[0-9a-f]{32}\b/g, '<hex32>')
    .replaceAll(/\b[0-9a-f]{16}\b/g, '<hex16>')
    .replaceAll(/"checkpoint":"[^"]*"/g, '"checkpoint":"<note>"')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/"(index|size|behind|entries|to|from)":\d+/g, '"$1":"<n>"');

export const databaseOf = (api: TestApi, name: Name): string => instanceDatabase(api.ids[name]);
