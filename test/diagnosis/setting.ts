/** The control entries that an incident stands on, and what else goes on in the same log. */
import type { ControlChange, ToolScope } from '../../schema/control.ts';
import type { System } from '../../schema/taxonomy.ts';
import type { Mapping } from '../../domain/mapping.ts';
import type { ActionPlan } from './guardedAction.ts';
import type { Fault } from './incidents.ts';
import type { Random } from './random.ts';
import type { RecordWriter } from './recordWriter.ts';

export interface Setting {
  readonly agent: string;
  readonly user: string;
  readonly starter: string;
  readonly delegation: string;
  readonly policySet: string;
  /** In force. */
  readonly promptDigest: string;
  /** What runs where the prompt is at fault. */
  readonly otherDigest: string;
  readonly plans: readonly ActionPlan[];
  readonly faulty: ActionPlan;
  readonly controlEmitters: readonly string[];
  readonly agentEmitter: string;
  readonly random: Random;
}

const never = '2099-01-01T00:00:00.000Z';

export const writeControl = (writer: RecordWriter, setting: Setting, fault: Fault, noisy: () => void): void => {
  const { random, agent, user, delegation, plans } = setting;
  const faulty = plans.find((plan) => plan.mapping?.name === setting.faulty.mapping?.name)!;
  const others = plans.filter((plan) => plan !== faulty);
  const write = (change: ControlChange, content: Record<string, object> = {}) => {
    writer.control(random.pick(setting.controlEmitters), change, content as Parameters<RecordWriter['control']>[2]);
    noisy();
  };
  // One entry of each emitter first, so that what is lost later leaves a gap.
  for (const emitter of setting.controlEmitters) writer.control(emitter, { change: 'instance.resume' });

  const scope = (of: readonly ActionPlan[]): ToolScope[] =>
    of.map(({ system, action }) => ({ system, actions: [action, 'record.read'] as const }) as unknown as ToolScope);
  const narrow = scope(others).filter(
    ({ system, actions }) => !(system === faulty.system && actions.includes(faulty.action)),
  );
  const declared = fault === 'beyond-declared' ? narrow : scope(plans);
  const register = (): ControlChange => ({
    change: 'principal.register',
    principal: agent,
    kind: 'agent',
    roles: ['agent'],
    owner: setting.user,
    ...(fault === 'scope-never-declared' ? {} : { declared }),
  });
  const groups: (() => void)[] = [
    () => write(register()),
    () => {
      write({
        change: 'delegation.grant',
        delegation,
        from: user,
        to: agent,
        scope: fault === 'beyond-delegated' ? narrow : scope(plans),
        expires: fault === 'delegation-expired' ? '2026-11-24T08:00:00.000Z' : never,
      });
      if (fault === 'delegation-revoked') write({ change: 'delegation.revoke', delegation });
    },
    () => {
      write({ change: 'policy.publish', policySet: setting.policySet, version: 1, digest: random.hex(64) });
    },
    () => {
      if (fault === 'prompt-never-published') return;
      const published = (version: string, digest: string): ControlChange => ({
        change: 'version.publish',
        kind: 'prompt',
        name: 'system',
        version,
        digest,
        agent,
      });
      if (fault === 'superseded-prompt') write(published('1', setting.otherDigest));
      else if (random.chance(0.5)) write(published('1', random.hex(64)));
      write(published('2', setting.promptDigest));
    },
    ...plans.map((plan) => () => {
      const own = plan === faulty;
      const configure = (credentialVersion: number, principals: readonly string[]): ControlChange => ({
        change: 'connector.configure',
        system: plan.system,
        credential: plan.credential.id,
        credentialVersion,
        principals: [...principals],
      });
      if (own && fault === 'credential-never-configured') return;
      const principals = own && fault === 'foreign-principal' ? ['somebody-else'] : [agent, 'somebody-else'];
      write(configure(1, [agent]));
      write(configure(2, principals));
      if (own && fault === 'disabled-credential') {
        write({ change: 'connector.disable', system: plan.system, credential: plan.credential.id });
      }
    }),
    ...plans.map((plan) => () => {
      if (plan.mapping === undefined || (plan === faulty && fault === 'mapping-never-published')) return;
      const { mapping, system } = plan;
      if (random.chance(0.5)) publishMapping(write, random, { ...mapping, version: '0' }, system);
      publishMapping(write, random, mapping, system);
      if (plan === faulty && fault === 'outdated-mapping') {
        const fields = Object.fromEntries(Object.keys(mapping.fields).map((field) => [field, `New_${field}__c`]));
        publishMapping(write, random, { ...mapping, version: '99', fields }, system);
      }
    }),
  ];
  for (const group of random.shuffled(groups)) group();
  if (fault === 'agent-disabled') write({ change: 'principal.disable', principal: agent });
  // And one of each last, for the same reason.
  for (const emitter of setting.controlEmitters) writer.control(emitter, { change: 'instance.resume' });
};

const publishMapping = (
  write: (change: ControlChange, content: Record<string, object>) => void,
  random: Random,
  mapping: Mapping,
  system: System,
): void =>
  write(
    {
      change: 'version.publish',
      kind: 'mapping',
      name: mapping.name,
      version: mapping.version,
      digest: random.hex(64),
      system,
    },
    { content: { fields: mapping.fields } },
  );

/** Things that have nothing to do with the incident: other runs, other agents, other publications. */
export const writeNoise = (writer: RecordWriter, noise: Random, setting: Setting): void => {
  const other = `agent-${noise.word()}`;
  const control = (change: ControlChange) => writer.control(noise.pick(setting.controlEmitters), change);
  const publish = { change: 'version.publish', version: '7', digest: noise.hex(64) } as const;
  const kinds: readonly (() => void)[] = [
    () => control({ ...publish, kind: 'prompt', name: 'system', agent: other }),
    () => control({ ...publish, kind: 'mapping', name: `map-${noise.word()}`, system: 'salesforce' }),
    () => control({ change: 'principal.register', principal: other, kind: 'agent', roles: ['agent'], declared: [] }),
    () => control({ change: 'principal.disable', principal: other }),
    () => control({ change: 'delegation.revoke', delegation: `dlg-${noise.word()}` }),
    () =>
      control({
        change: 'connector.configure',
        system: 'salesforce',
        credential: `cred-${noise.word()}`,
        credentialVersion: 3,
        principals: [other],
      }),
    () => {
      const run = { correlationId: writer.correlation() };
      const reported = {
        ...run,
        emitter: noise.chance(0.5) ? setting.agentEmitter : `agent/${other}`,
        actor: { principal: noise.chance(0.5) ? setting.agent : other, kind: 'agent' },
        provenance: 'reported',
        phase: 'observation',
      } as const;
      writer.write({
        ...reported,
        action: 'prompt.submit',
        system: 'agent',
        versions: { promptDigest: noise.hex(64) },
      });
      writer.write({
        ...reported,
        action: 'record.update',
        system: 'salesforce',
        phase: 'outcome',
        outcome: 'success',
      });
    },
  ];
  noise.pick(kinds)();
};
