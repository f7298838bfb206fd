/**
 * Random incidents: random systems, fields, numbers of objects, retries, approvals, skewed clocks, late arrivals, other
 * runs and unrelated control entries. Each has one cause, or can't be decided, and says what a diagnosis must find.
 */
import type { RecordedEvent, Versions } from '../../schema/event.ts';
import type { PrincipalId, RunId } from '../../schema/ids.ts';
import type { Action, System } from '../../schema/taxonomy.ts';
import type { DiagnosisInput, Integrity } from '../../domain/diagnosis/evidence.ts';
import type { Cause, Finding } from '../../domain/diagnosis/finding.ts';
import type { Mapping } from '../../domain/mapping.ts';
import { writeAction, type ActionPlan, type RunFacts } from './guardedAction.ts';
import { randomFrom, type Random } from './random.ts';
import { emitterStatesOf, RecordWriter } from './recordWriter.ts';
import { writeControl, writeNoise, type Setting } from './setting.ts';

export const faults = {
  prompt: ['superseded-prompt', 'unpublished-prompt', 'undeclared-prompt'],
  integration: ['outdated-mapping', 'sent-otherwise', 'read-back-differs'],
  policy: ['beyond-declared', 'beyond-delegated', 'delegation-expired', 'delegation-revoked', 'agent-disabled'],
  'service-account': ['foreign-principal', 'superseded-credential', 'disabled-credential', 'effect-without-intent'],
  undecidable: [
    'nothing-deviates',
    'prompt-never-published',
    'prompt-only-reported',
    'mapping-never-published',
    'scope-never-declared',
    'credential-never-configured',
    'content-erased',
    'content-withheld',
    'outcome-unknown',
    'unguarded-effect',
  ],
} as const satisfies Record<Cause | 'undecidable', readonly string[]>;

export type IncidentKind = keyof typeof faults;
export type Fault = (typeof faults)[IncidentKind][number];

export interface Incident {
  readonly kind: IncidentKind;
  readonly fault: Fault;
  readonly input: DiagnosisInput;
  /** The whole log, other runs included. */
  readonly log: readonly RecordedEvent[];
  readonly expected: Readonly<Record<Cause, Finding['state']>>;
  readonly agent: string;
}

const recordSystems = ['salesforce', 'jira', 'hubspot', 'zendesk'] as const satisfies readonly System[];
const messageSystems = ['slack', 'gmail', 'mail', 'webhook'] as const satisfies readonly System[];

/** `noise: false` builds the same incident alone in its log. */
export const buildIncident = (
  seed: number,
  fault: Fault,
  options: { readonly noise: boolean } = { noise: true },
): Incident => {
  const random = randomFrom(seed);
  const noise = randomFrom(seed ^ 0x5eed);
  const writer = new RecordWriter(random);
  const noisy = (share: number): void => {
    if (options.noise && noise.chance(share)) writeNoise(writer, noise, setting);
  };
  const setting = settingOf(random, fault);
  writeControl(writer, setting, fault, () => noisy(0.3));
  const { run, events } = writeRun(writer, random, setting, fault, () => noisy(0.4));
  // What happens afterwards must not matter.
  for (const emitter of new Set(setting.controlEmitters)) {
    writer.control(emitter, { change: 'token.revoke', token: 'later' });
  }
  noisy(0.8);

  const ours = ({ entry }: RecordedEvent) => entry.correlationId === run.correlationId;
  const log = events(writer.log);
  const integrity: Integrity = { state: 'intact', size: log.length };
  return {
    kind: (Object.keys(faults) as IncidentKind[]).find((kind) => (faults[kind] as readonly string[]).includes(fault))!,
    fault,
    log,
    input: {
      events: random.shuffled(log.filter(ours)),
      control: random.shuffled(log.filter(({ entry }) => entry.control !== undefined)),
      integrity,
      emitterStates: emitterStatesOf(log),
    },
    expected: expectedOf(fault),
    agent: setting.agent,
  };
};

const settingOf = (random: Random, fault: Fault): Setting => {
  const agent = `agent-${random.word()}`;
  const plans = Array.from({ length: 1 + random.below(3) }, () => planOf(random, random.chance(0.5)));
  // The faulty step: one that goes through a mapping, at a random place among the others.
  const faulty = planOf(random, true);
  plans.splice(random.below(plans.length + 1), 0, faulty);
  const exclusive = random.chance(0.5);
  return {
    agent,
    user: `user-${random.word()}`,
    starter: `user-${random.word()}`,
    delegation: `dlg-${random.word()}`,
    policySet: `acme-${random.word()}`,
    promptDigest: random.hex(64),
    otherDigest: random.hex(64),
    plans: plans.map((plan) => (plan === faulty ? withFault(plan, fault) : plan)),
    faulty: withFault(faulty, fault),
    controlEmitters: exclusive ? ['platform/control'] : ['platform/api/1', 'platform/api/2'],
    agentEmitter: `agent/${agent}`,
    random,
  };
};

const planOf = (random: Random, mapped: boolean): ActionPlan => {
  const system = mapped ? random.pick(recordSystems) : random.pick(messageSystems);
  const logical = Array.from({ length: 1 + random.below(4) }, (_, at) => `${random.word()}${at}`);
  const spare = `spare_${random.word()}`;
  const mapping: Mapping = {
    name: `map-${random.word()}`,
    version: `${1 + random.below(9)}`,
    fields: Object.fromEntries([...logical, spare].map((field) => [field, `${field}__c`])),
  };
  return {
    system,
    action: mapped ? random.pick(['record.update', 'record.create'] as const) : messageActionOf(system),
    objects: mapped ? random.pick([1, 2, 3, 5, 12]) : 1,
    credential: { id: `cred-${random.word()}`, version: 2 },
    logical,
    ...(mapped ? { mapping } : {}),
    ...(random.chance(0.3) ? { approver: `approver-${random.word()}` } : {}),
    retries: random.pick([0, 0, 0, 1, 2]),
  };
};

const messageActionOf = (system: System): Action => (system === 'webhook' ? 'webhook.send' : 'message.send');

const withFault = (plan: ActionPlan, fault: Fault): ActionPlan => {
  if (fault === 'sent-otherwise') return { ...plan, sendsOtherValue: true };
  if (fault === 'read-back-differs') return { ...plan, readBackDiffers: true };
  if (fault === 'outcome-unknown') return { ...plan, outcomeUnknown: true };
  if (fault === 'superseded-credential') return { ...plan, credential: { ...plan.credential, version: 1 } };
  return plan;
};

const writeRun = (writer: RecordWriter, random: Random, setting: Setting, fault: Fault, noisy: () => void) => {
  const runId = writer.id() as string as RunId;
  const run = { correlationId: writer.correlation(), runId };
  const { agent, agentEmitter, starter, user } = setting;
  const runEmitter = `platform/run/${runId}`;
  const deviating = fault === 'superseded-prompt' || fault === 'unpublished-prompt';
  const declared: Versions = {
    agentBuild: 'build-7',
    model: 'model-3',
    ...(fault === 'prompt-only-reported'
      ? {}
      : { promptDigest: deviating ? setting.otherDigest : setting.promptDigest }),
  };
  const ran = {
    ...declared,
    promptDigest: deviating || fault === 'undeclared-prompt' ? setting.otherDigest : setting.promptDigest,
  };
  writer.skew(agentEmitter, (random.below(1200) - 600) * 1000);
  const opened = writer.write({
    ...run,
    id: runId as string as RecordedEvent['entry']['id'],
    emitter: runEmitter,
    action: 'run.open',
    phase: 'outcome',
    outcome: 'success',
    actor: { principal: starter, kind: 'human' },
    onBehalfOf: user as PrincipalId,
    purpose: 'sales',
    versions: declared,
  });
  const reported = {
    ...run,
    emitter: agentEmitter,
    actor: { principal: agent, kind: 'agent' },
    system: 'agent',
    phase: 'observation',
    provenance: 'reported',
  } as const;
  const prompt = writer.writeLate({ ...reported, action: 'prompt.submit', causedBy: opened.entry.id, versions: ran });
  const answer = writer.writeLate({ ...reported, action: 'model.respond', causedBy: prompt });
  noisy();
  if (random.chance(0.5)) writer.arriveLate();
  const facts: RunFacts = {
    run,
    agent,
    user,
    delegation: setting.delegation,
    versions: declared,
    policySet: setting.policySet,
  };
  for (const plan of setting.plans) {
    const call = writer.writeLate({ ...reported, action: 'tool.call', causedBy: answer });
    writeAction(writer, random, facts, plan, call);
    noisy();
  }
  if (fault === 'effect-without-intent') {
    const { system, action, credential } = setting.faulty;
    const service = { principal: 'watcher', kind: 'service' } as const;
    const watch = { ...run, emitter: 'platform/watch', phase: 'observation', actor: service, system } as const;
    writer.write({ ...watch, action, credential });
    writer.write({ ...watch, action: 'record.read', credential });
  }
  if (fault === 'unguarded-effect') {
    const { system, action } = setting.faulty;
    writer.writeLate({ ...reported, action, system, phase: 'outcome', outcome: 'success', causedBy: answer });
  }
  // The last report of the run: losing an earlier one opens a gap.
  writer.writeLate({ ...reported, action: 'model.respond', causedBy: answer });
  writer.arriveLate();
  writer.write({
    ...run,
    emitter: runEmitter,
    action: 'run.close',
    phase: 'outcome',
    outcome: 'success',
    actor: { principal: starter, kind: 'human' },
    causedBy: opened.entry.id,
  });
  return {
    run,
    events: (log: readonly RecordedEvent[]) => log.map((event) => withReadability(event, run.correlationId, fault)),
  };
};

/** Content that was destroyed, or that this reader may not see. */
const withReadability = (event: RecordedEvent, correlationId: string, fault: Fault): RecordedEvent => {
  if (event.entry.correlationId !== correlationId || event.parts === undefined) return event;
  if (fault === 'content-withheld') return { index: event.index, entry: event.entry };
  if (fault !== 'content-erased') return event;
  return { ...event, parts: Object.fromEntries(Object.keys(event.parts).map((name) => [name, { state: 'erased' }])) };
};

const expectedOf = (fault: Fault): Incident['expected'] => {
  const excluded = {
    prompt: 'excluded',
    integration: 'excluded',
    policy: 'excluded',
    'service-account': 'excluded',
  } as const;
  for (const cause of ['prompt', 'integration', 'policy', 'service-account'] as const) {
    if ((faults[cause] as readonly string[]).includes(fault)) return { ...excluded, [cause]: 'established' };
  }
  if (fault.startsWith('prompt-')) return { ...excluded, prompt: 'unknown' };
  if (fault === 'scope-never-declared') return { ...excluded, policy: 'unknown' };
  if (fault === 'credential-never-configured') return { ...excluded, 'service-account': 'unknown' };
  if (fault === 'nothing-deviates') return excluded;
  if (fault === 'unguarded-effect') {
    return { ...excluded, integration: 'unknown', policy: 'unknown', 'service-account': 'unknown' };
  }
  return { ...excluded, integration: 'unknown' };
};
