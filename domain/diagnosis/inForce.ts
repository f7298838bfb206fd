/**
 * What was in force at a place in the log. A control entry takes effect by its index: the latest one below a place is in
 * force there. Entries that were voided, refused or did not come from the platform have no effect.
 */
import type { ControlChange } from '../../schema/control.ts';
import type { RecordedEvent } from '../../schema/event.ts';
import type { System } from '../../schema/taxonomy.ts';

export type ChangeKind = ControlChange['change'];

export interface ControlFact<K extends ChangeKind> {
  readonly event: RecordedEvent;
  readonly change: Extract<ControlChange, { readonly change: K }>;
}

/** By log index. */
export type ControlFacts = { readonly [K in ChangeKind]?: readonly ControlFact<K>[] };

export const controlFacts = (control: readonly RecordedEvent[]): ControlFacts => {
  const voided = new Set(
    control
      .filter(({ entry }) => entry.action === 'control.void' && entry.provenance === 'platform')
      .map(({ entry }) => entry.causedBy),
  );
  const facts: { [kind in ChangeKind]?: { event: RecordedEvent; change: ControlChange }[] } = {};
  for (const event of control.toSorted((a, b) => a.index - b.index)) {
    const { control: change, id, outcome, provenance } = event.entry;
    if (change === undefined || provenance !== 'platform' || voided.has(id)) continue;
    if (outcome !== undefined && outcome !== 'success') continue;
    (facts[change.change] ??= []).push({ event, change });
  }
  return facts as ControlFacts;
};

const before = <K extends ChangeKind>(facts: readonly ControlFact<K>[] | undefined, index: number) =>
  (facts ?? []).filter(({ event }) => event.index < index);

export type Publication = ControlFact<'version.publish'>;

/** Publications of prompts for one agent up to a place in the log, oldest first. */
export const promptPublications = (facts: ControlFacts, agent: string, index: number): Publication[] =>
  before(facts['version.publish'], index).filter(({ change }) => change.kind === 'prompt' && change.agent === agent);

export const mappingPublications = (facts: ControlFacts, name: string, system: System, index: number): Publication[] =>
  before(facts['version.publish'], index).filter(
    ({ change }) =>
      change.kind === 'mapping' && change.name === name && (change.system === undefined || change.system === system),
  );

export const registrationInForce = (facts: ControlFacts, principal: string, index: number) =>
  before(facts['principal.register'], index).findLast(({ change }) => change.principal === principal);

/** The entry that disabled a principal and was not followed by a new registration. */
export const disablingInForce = (facts: ControlFacts, principal: string, index: number) => {
  const disabled = before(facts['principal.disable'], index).findLast(({ change }) => change.principal === principal);
  const registered = registrationInForce(facts, principal, index);
  if (disabled === undefined || (registered !== undefined && registered.event.index > disabled.event.index))
    return null;
  return disabled;
};

export const grantInForce = (facts: ControlFacts, delegation: string, index: number) =>
  before(facts['delegation.grant'], index).findLast(({ change }) => change.delegation === delegation);

/** The revocation that followed a grant, if any did by that place. */
export const revocationOf = (facts: ControlFacts, grant: ControlFact<'delegation.grant'>, index: number) =>
  before(facts['delegation.revoke'], index).find(
    ({ event, change }) => change.delegation === grant.change.delegation && event.index > grant.event.index,
  );

/** Configurations of one credential up to a place in the log, oldest first. */
export const credentialConfigurations = (facts: ControlFacts, system: System, credential: string, index: number) =>
  before(facts['connector.configure'], index).filter(
    ({ change }) => change.system === system && change.credential === credential,
  );

export const disablingOfCredential = (
  facts: ControlFacts,
  configured: ControlFact<'connector.configure'>,
  index: number,
) =>
  before(facts['connector.disable'], index).find(
    ({ event, change }) =>
      change.system === configured.change.system &&
      change.credential === configured.change.credential &&
      event.index > configured.event.index,
  );
