/**
 * Asks the policies whether the action may go on, about the agent and about the user it acts for, and records both
 * answers. They are appended only where no control entry stands after the one that they knew; else decided again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { decideAction, type Decision } from '../../domain/access/decide-action.ts';
import type { AccessPrincipal } from '../../domain/access/request.ts';
import type { DecideInput, DecideResult } from '../../domain/action/contract.ts';
import type { Authorization, Entry, EventInput } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import { ActionLog, type Placed } from './actionLog.ts';
import type { ActionDeps, ActionInstance } from './deps.ts';
import { entryOf, platformActor, recordedFields, spanOf } from './entries.ts';
import { prepare, type Prepared } from './prepare.ts';

/** Waits for the control applier before a decision is made again; then the activity starts over. */
const roundsMax = 20;
const roundMs = 50;

export const createDecide =
  (deps: ActionDeps) =>
  async (input: DecideInput): Promise<DecideResult> => {
    const instance = await deps.open(input.instance);
    const prepared = await prepare(deps, instance, input);
    if ('refusal' in prepared) return { kind: 'refused', ...prepared.refusal, sequence: input.agentSlot.sequence };
    const signal = Context.current().cancellationSignal;
    const log = new ActionLog(instance.trail, signal);
    if (input.approval && !(await mayApprove(instance, input.approval.by)))
      return { kind: 'refused', outcome: 'denied', code: 'APPROVAL_DENIED', sequence: input.agentSlot.sequence };
    for (let round = 1; ; round += 1) {
      const decisions = await ask(deps, instance, prepared, input);
      const events = decisions.map((decision) => decisionEntry(deps, prepared.intent.entry, decision, input));
      const placed = await log.append(events, { ifControlEpoch: epochOf(decisions) });
      if (placed.every(({ placing }) => placing !== 'stale'))
        return summary(await taken(log, events, placed), prepared, input);
      if (round === roundsMax) throw new StaleDecision();
      await delay(roundMs, undefined, { signal });
    }
  };

/** The control applier is far behind: Temporal tries again later. */
class StaleDecision extends Error {
  readonly code = 'STALE_CONTROL_EPOCH';
}

const epochOf = (decisions: readonly Decision[]): number =>
  Math.min(...decisions.map(({ authorization }) => authorization.controlEpoch));

const ask = async (
  deps: ActionDeps,
  { control }: ActionInstance,
  { intent, tool, steps }: Prepared,
  { approval }: DecideInput,
): Promise<readonly Decision[]> => {
  // The epoch first: what is read after it may be newer, and then the append finds out.
  const { epoch } = await control.applied();
  const { actor, onBehalfOf, purpose } = intent.entry;
  const now = new Date(deps.nowMs());
  const [suspended, policySet, agent, user, delegation] = await Promise.all([
    control.suspended(),
    control.policySet(),
    principalOf(control, actor.principal, actor.kind),
    onBehalfOf && principalOf(control, onBehalfOf, 'human'),
    onBehalfOf && control.delegation(onBehalfOf, actor.principal, now),
  ]);
  return decideAction({
    agent,
    ...(user && { user }),
    ...(delegation && { delegation }),
    tool: { system: tool.system, action: tool.action },
    context: {
      effect: tool.effect,
      count: steps.reduce((sum, { items }) => sum + Math.max(1, items.length), 0),
      fields: recordedFields(steps.flatMap(({ fields }) => fields)),
      ...(purpose && { purpose }),
      suspended,
      approvalGiven: approval !== undefined,
    },
    policySet,
    controlEpoch: epoch,
  });
};

/** An approval does not outlast its approver's right to give it. */
const mayApprove = async ({ control }: ActionInstance, approver: string): Promise<boolean> => {
  const found = await control.principal(approver);
  return found !== undefined && !found.disabled && found.roles.includes('approver');
};

/** Whoever is not registered is treated like somebody who was disabled. */
const principalOf = async (
  control: ActionInstance['control'],
  principal: string,
  kind: AccessPrincipal['kind'],
): Promise<AccessPrincipal> => {
  const found = await control.principal(principal);
  if (!found) return { principal, kind, roles: [], disabled: true };
  const { roles, declared, disabled } = found;
  return { principal, kind: found.kind, roles, ...(declared && { declared }), disabled };
};

const slotOf = (about: Authorization['about'], { agentSlot, userSlot }: DecideInput) =>
  about === 'user' ? userSlot : agentSlot;

const decisionEntry = (
  deps: ActionDeps,
  intent: Entry,
  { authorization, errors }: Decision,
  input: DecideInput,
): EventInput => {
  const slot = slotOf(authorization.about, input);
  return entryOf(intent, new Date(deps.nowMs()).toISOString(), {
    ...slot,
    spanId: spanOf(slot.id),
    causedBy: intent.id,
    action: 'authorization.decide',
    phase: 'decision',
    outcome: authorization.result === 'allow' ? 'success' : 'denied',
    system: intent.system,
    actor: platformActor,
    authorization,
    parametersDigest: input.parametersDigest,
    ...(authorization.result === 'deny' && { error: { code: 'POLICY_DENIED' as const } }),
    ...(errors.length > 0 && { parts: [{ name: 'errors', content: [...errors] }] }),
  });
};

interface Taken {
  readonly id: EventId;
  readonly authorization: Authorization;
}

/** What stands in the log under the slots: our decisions, or those of an execution that was first. */
const taken = (log: ActionLog, events: readonly EventInput[], placed: readonly Placed[]): Promise<Taken[]> =>
  Promise.all(
    events.map(async ({ id, authorization }, position) => ({
      id,
      authorization:
        placed[position]?.placing === 'ours' ? authorization! : (await log.standing(id)).entry.authorization!,
    })),
  );

const summary = (
  decisions: readonly Taken[],
  { steps, config, intent }: Prepared,
  input: DecideInput,
): DecideResult => {
  const sequence = input.agentSlot.sequence + decisions.length;
  const allowed = decisions.every(({ authorization }) => authorization.result === 'allow');
  // The policies are asked about the tool; who may act under the credential is said where it is configured.
  if (!allowed || !config.principals.includes(intent.entry.actor.principal)) {
    const suspended = decisions.some(({ authorization }) => authorization.policies.includes('platform.suspended'));
    return { kind: 'refused', outcome: 'denied', code: suspended ? 'SUSPENDED' : 'POLICY_DENIED', sequence };
  }
  return {
    kind: 'allowed',
    decisions: decisions.map(({ id }) => id),
    controlEpoch: Math.min(...decisions.map(({ authorization }) => authorization.controlEpoch)),
    approvalRequired: decisions.some(({ authorization }) => authorization.approvalRequired === true),
    steps: steps.length,
    sequence,
  };
};
