/** The entries of a small run as the platform appends them: three contacts are updated through a stale mapping. */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import type { Provenance } from '../../schema/taxonomy.ts';
import { demoVersionsInPlay } from '../../stack/provision/demo.ts';
import type { LogWriter } from '../../trail/writer.ts';

const agent = { principal: 'sales-agent', kind: 'agent' } as const;
const platform = { principal: 'trailkeeper', kind: 'platform' } as const;

export interface Incident {
  readonly correlationId: string;
  readonly runId: string;
  readonly intentId: string;
  readonly attemptId: string;
  readonly contact: string;
  /** In the order in which they were appended. */
  readonly events: readonly EventInput[];
}

export const appendIncident = async (writer: LogWriter, control: number): Promise<Incident> => {
  const correlationId = randomBytes(16).toString('hex');
  const contact = `003${randomBytes(6).toString('hex')}AAA`;
  const runId = uuidv7();
  const versions = demoVersionsInPlay('acme');
  const events: EventInput[] = [];
  const sequences = new Map<string, number>();
  const add = async (emitter: string, fields: Record<string, unknown>, provenance: Provenance = 'platform') => {
    const sequence = (sequences.get(emitter) ?? 0) + 1;
    sequences.set(emitter, sequence);
    const event = platformEvent.parse({
      id: uuidv7(),
      correlationId,
      runId,
      spanId: randomBytes(8).toString('hex'),
      eventTime: new Date().toISOString(),
      actor: agent,
      onBehalfOf: 'dana',
      delegation: 'dana-to-sales-agent',
      emitter: { id: emitter, sequence },
      ...fields,
    });
    await writer.append([event], provenance);
    events.push(event);
    return event.id;
  };

  await add(`platform/run/${runId}`, {
    id: runId,
    action: 'run.open',
    phase: 'outcome',
    outcome: 'success',
    system: 'trailkeeper',
    purpose: 'cleanup',
    versions,
  });
  const runtime = `sales-agent/${runId}`;
  const prompted = await add(
    runtime,
    { action: 'prompt.submit', phase: 'observation', system: 'agent', causedBy: runId, versions },
    'reported',
  );
  const intentId = uuidv7();
  const action = `platform/action/${intentId}`;
  const write = { action: 'record.update', system: 'salesforce', count: 3 };
  await add(action, {
    ...write,
    id: intentId,
    phase: 'intent',
    causedBy: prompted,
    versions,
    parametersDigest: 'a'.repeat(64),
    parts: [{ name: 'parameters', content: { tool: 'salesforce.updateRecords' } }],
  });
  const decisions: string[] = [];
  for (const about of ['agent', 'user'])
    decisions.push(
      await add(action, {
        action: 'authorization.decide',
        phase: 'decision',
        outcome: 'success',
        system: 'trailkeeper',
        actor: platform,
        causedBy: intentId,
        authorization: {
          about,
          result: 'allow',
          policySet: 'default',
          policyVersion: 1,
          policies: [`${about}.scope`],
          controlEpoch: control,
        },
      }),
    );
  const call = {
    ...write,
    attempt: 1,
    fields: ['Phone'],
    credential: { id: 'salesforce-sales-agent', version: 1 },
    versions: { ...versions, connector: 'salesforce/1.0.0', mapping: 'contacts@3' },
  };
  const attemptId = await add(action, { ...call, phase: 'attempt', causedBy: decisions[1], basis: { decisions } });
  const objects = [contact, `${contact}-2`, `${contact}-3`];
  const object = (id: string) => ({
    resource: { kind: 'Contact', id, subject: 0 },
    subjects: [{ system: 'salesforce', kind: 'Contact', id }],
  });
  const attempts: string[] = [];
  for (const [position, id] of objects.entries())
    attempts.push(
      await add(action, {
        ...call,
        ...object(id),
        count: undefined,
        phase: 'attempt',
        causedBy: attemptId,
        batch: { parent: attemptId, position, size: 3 },
        parts: [
          { name: 'before', content: { Phone: '+49 30 1' }, subject: 0 },
          { name: 'requested', content: { phone: '+49 151 2' }, subject: 0 },
          { name: 'sent', content: { Phone: '+49 151 2' }, subject: 0 },
        ],
      }),
    );
  const outcomeId = await add(action, { ...call, phase: 'outcome', outcome: 'success', causedBy: attemptId });
  for (const [position, id] of objects.entries())
    await add(action, {
      ...call,
      ...object(id),
      count: undefined,
      phase: 'outcome',
      outcome: 'success',
      causedBy: attempts[position],
      batch: { parent: outcomeId, position, size: 3 },
      parts: [{ name: 'after', content: { Phone: '+49 151 2' }, subject: 0 }],
    });
  await add(action, { ...call, phase: 'verified', outcome: 'success', causedBy: outcomeId });
  return { correlationId, runId, intentId, attemptId, contact, events };
};
