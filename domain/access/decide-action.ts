/**
 * Whether a guarded action may go on. The agent's own permissions and those of the user it acts for are asked apart, and
 * each must allow: a user can't lend an agent what the agent may not do, nor an agent take what its user did not delegate.
 */
import type { Authorization } from '../../schema/event.ts';
import { evaluate, type AccessDecision } from './evaluate.ts';
import type { PolicySet } from './policy-set.ts';
import type { AccessDelegation, AccessPrincipal, AccessTool, PerformContext } from './request.ts';

export interface ActionQuestion {
  readonly agent: AccessPrincipal;
  /** Present where the agent acts for somebody. */
  readonly user?: AccessPrincipal;
  /** Of `user` to `agent`, in force now; without it, `user` allows nothing. */
  readonly delegation?: AccessDelegation;
  readonly tool: AccessTool;
  readonly context: PerformContext;
  readonly policySet: PolicySet | undefined;
  /** Log index of the last control entry that all of the above knows; -1: none. */
  readonly controlEpoch: number;
}

export interface Decision {
  /** As it stands in the `authorization.decide` entry. */
  readonly authorization: Authorization;
  /** What went wrong in the evaluation, by code and policy id. */
  readonly errors: readonly string[];
}

/** One decision about the agent and, where it acts for a user, one about the user. All must allow. */
export const decideAction = (question: ActionQuestion): readonly Decision[] => {
  const { agent, user, delegation, tool, context, policySet, controlEpoch } = question;
  const decisions = [
    toDecision(
      'agent',
      evaluate({ ask: 'perform', principal: agent, tool, context }, policySet),
      policySet,
      controlEpoch,
    ),
  ];
  if (user !== undefined) {
    const request = {
      ask: 'perform' as const,
      principal: user,
      tool,
      context,
      ...(delegation !== undefined && { delegated: delegation }),
    };
    decisions.push(toDecision('user', evaluate(request, policySet), policySet, controlEpoch));
  }
  return decisions;
};

/** What the decisions come to together. */
export const combine = (
  decisions: readonly Decision[],
): { readonly result: 'allow' | 'deny'; readonly approvalRequired: boolean } => {
  const allowed = decisions.length > 0 && decisions.every(({ authorization }) => authorization.result === 'allow');
  return {
    result: allowed ? 'allow' : 'deny',
    approvalRequired: allowed && decisions.some(({ authorization }) => authorization.approvalRequired === true),
  };
};

/** Before an instance publishes a set, only the platform's own policies are in force; decisions say so. */
const platformOnly = { name: 'platform', version: 1 } as const;

export const toDecision = (
  about: Authorization['about'],
  decision: AccessDecision,
  policySet: PolicySet | undefined,
  controlEpoch: number,
): Decision => {
  const { name, version } = policySet ?? platformOnly;
  return {
    authorization: {
      about,
      result: decision.result,
      policySet: name,
      policyVersion: version,
      policies: [...decision.policies],
      controlEpoch,
      ...(decision.approvalRequired && { approvalRequired: true }),
    },
    errors: decision.errors,
  };
};
