/** Writes the entries of one guarded action in the order in which the platform appends them. */
import type { Entry, RecordedEvent, Versions } from '../../schema/event.ts';
import type { Action, ErrorCode, System } from '../../schema/taxonomy.ts';
import type { EventId, PrincipalId } from '../../schema/ids.ts';
import { applyMapping, type Mapping } from '../../domain/mapping.ts';
import type { Random } from './random.ts';
import type { RecordWriter } from './recordWriter.ts';

export interface RunFacts {
  readonly run: Pick<Entry, 'correlationId' | 'runId'>;
  readonly agent: string;
  readonly user: string;
  readonly delegation: string;
  readonly versions: Versions;
  readonly policySet: string;
}

export interface ActionPlan {
  readonly system: System;
  readonly action: Action;
  readonly objects: number;
  readonly credential: { readonly id: string; readonly version: number };
  readonly mapping?: Mapping;
  /** What the agent asks for, by logical field. */
  readonly logical: readonly string[];
  readonly approver?: string;
  readonly retries: number;
  /** Faults, off unless an incident is about them. */
  readonly sendsOtherValue?: boolean;
  readonly readBackDiffers?: boolean;
  readonly outcomeUnknown?: boolean;
}

export const writeAction = (
  writer: RecordWriter,
  random: Random,
  facts: RunFacts,
  plan: ActionPlan,
  causedBy: EventId,
) => {
  const intentId = writer.id();
  const emitter = `platform/action/${intentId}`;
  const agent = { principal: facts.agent, kind: 'agent' } as const;
  const shared = {
    ...facts.run,
    emitter,
    actor: agent,
    onBehalfOf: facts.user as PrincipalId,
    delegation: facts.delegation,
    system: plan.system,
    action: plan.action,
  };
  const bulk = plan.objects > 1;
  const count = bulk ? { count: plan.objects } : {};
  const intent = writer.write({
    ...shared,
    ...count,
    id: intentId,
    phase: 'intent',
    causedBy,
    versions: facts.versions,
    parametersDigest: random.hex(64),
    content: { parameters: { logical: [...plan.logical] } },
  });
  const decisions = (['agent', 'user'] as const).map((about) =>
    writer.write({
      ...shared,
      system: 'trailkeeper',
      action: 'authorization.decide',
      phase: 'decision',
      outcome: 'success',
      causedBy: intentId,
      authorization: {
        about,
        result: 'allow',
        policySet: facts.policySet,
        policyVersion: 1,
        policies: [`permit-${about}`],
        controlEpoch: intent.index - 1,
      },
    }),
  );
  let before: RecordedEvent = decisions.at(-1)!;
  let approval: RecordedEvent | undefined;
  if (plan.approver !== undefined) {
    const about = { ...shared, system: 'trailkeeper' as const, phase: 'decision' as const };
    const request = writer.write({
      ...about,
      action: 'approval.request',
      outcome: 'pending',
      causedBy: before.entry.id,
    });
    approval = writer.write({
      ...about,
      action: 'approval.decide',
      outcome: 'success',
      actor: { principal: plan.approver, kind: 'human' },
      causedBy: request.entry.id,
    });
    before = approval;
  }
  const call: CallFacts = { writer, random, plan, shared: { ...shared, ...count }, versions: facts.versions };
  const basis = {
    decisions: decisions.map(({ entry }) => entry.id),
    ...(approval ? { approval: approval.entry.id } : {}),
  };
  for (let number = 1; number <= plan.retries; number++) {
    before = writeRetry(call, number, basis, before);
  }
  writeCall(call, plan.retries + 1, basis, before);
  return intent;
};

interface CallFacts {
  readonly writer: RecordWriter;
  readonly random: Random;
  readonly plan: ActionPlan;
  readonly shared: Pick<Entry, 'action' | 'system' | 'correlationId' | 'runId'> & {
    readonly emitter: string;
    readonly actor: { readonly principal: string; readonly kind: 'agent' };
  };
  readonly versions: Versions;
}

const versionsOf = ({ plan, versions }: CallFacts): Versions => ({
  ...versions,
  connector: `${plan.system}/1.0.0`,
  ...(plan.mapping === undefined ? {} : { mapping: `${plan.mapping.name}@${plan.mapping.version}` }),
});

const objectsOf = ({ plan, random }: CallFacts) =>
  Array.from({ length: plan.objects }, (_, position) => {
    const requested = Object.fromEntries(plan.logical.map((field) => [field, random.word()]));
    const mapped = plan.mapping === undefined ? requested : applyMapping(plan.mapping, requested);
    const sent = { ...mapped, Trailkeeper_Correlation_Id__c: 'x' };
    const [first] = Object.keys(mapped);
    if (plan.sendsOtherValue === true && first !== undefined && position === 0)
      Object.assign(sent, { [first]: 'other' });
    const before = Object.fromEntries(Object.keys(mapped).map((field) => [field, random.word()]));
    const urn = `urn:trailkeeper:${plan.system}:object:${random.hex(32)}`;
    return { requested, sent, before, resource: { kind: 'object', urn }, fields: Object.keys(mapped) };
  });

const writeAttempt = (call: CallFacts, number: number, basis: NonNullable<Entry['basis']>, causedBy: EventId) => {
  const { writer, plan, shared } = call;
  const objects = objectsOf(call);
  const common = {
    ...shared,
    phase: 'attempt' as const,
    attempt: number,
    credential: plan.credential,
    versions: versionsOf(call),
    basis,
  };
  const content = ({ requested, sent, before }: (typeof objects)[number]) => ({ requested, sent, before });
  const single = plan.objects === 1 ? objects[0]! : undefined;
  const attempt = writer.write({
    ...common,
    causedBy,
    fields: objects[0]!.fields,
    ...(single === undefined ? {} : { resource: single.resource, content: content(single) }),
  });
  const size = plan.objects;
  const items =
    single === undefined
      ? objects.map((object, position) =>
          writer.write({
            ...common,
            causedBy: attempt.entry.id,
            fields: object.fields,
            resource: object.resource,
            batch: { parent: attempt.entry.id, position, size },
            content: content(object),
          }),
        )
      : [];
  return { attempt, items, objects };
};

const writeRetry = (call: CallFacts, number: number, basis: NonNullable<Entry['basis']>, before: RecordedEvent) => {
  const { attempt } = writeAttempt(call, number, basis, before.entry.id);
  return call.writer.write({
    ...call.shared,
    phase: 'outcome',
    outcome: 'retry',
    attempt: number,
    error: { code: 'RATE_LIMITED' as ErrorCode, httpStatus: 429 },
    causedBy: attempt.entry.id,
  });
};

const writeCall = (
  call: CallFacts,
  number: number,
  basis: NonNullable<Entry['basis']>,
  before: RecordedEvent,
): void => {
  const { writer, plan, shared } = call;
  const { attempt, items, objects } = writeAttempt(call, number, basis, before.entry.id);
  const outcome = plan.outcomeUnknown === true ? 'unknown' : 'success';
  const ended = { ...shared, phase: 'outcome' as const, outcome, attempt: number } as const;
  const single = items.length === 0;
  const after = single && outcome === 'success' ? { content: { after: objects[0]!.sent } } : {};
  const result = writer.write({ ...ended, causedBy: attempt.entry.id, ...after });
  if (outcome === 'unknown') return;
  for (const [position, item] of items.entries()) {
    writer.write({
      ...ended,
      causedBy: item.entry.id,
      batch: { parent: result.entry.id, position, size: items.length },
      content: { after: objects[position]!.sent },
    });
  }
  const differs = plan.readBackDiffers === true;
  writer.write({
    ...shared,
    phase: 'verified',
    outcome: differs ? 'failure' : 'success',
    ...(differs ? { error: { code: 'VERIFICATION_FAILED' as ErrorCode } } : {}),
    causedBy: result.entry.id,
    content: { readBack: differs ? {} : objects[0]!.sent },
  });
};
