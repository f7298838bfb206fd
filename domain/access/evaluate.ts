/** One request against one policy set. Everything that goes wrong denies. */
import { statefulIsAuthorized, type EntityJson, type StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicySet } from './policy-set.ts';
import { preparedSchema, preparedSet, type PreparedSet } from './prepared-sets.ts';
import { scopeOf, scopesOf, type AccessPrincipal, type AccessRequest } from './request.ts';

export interface AccessDecision {
  readonly result: 'allow' | 'deny';
  /** Ids of the policies that determined the result, sorted; empty where no policy permits. */
  readonly policies: readonly string[];
  /** True where a policy that allows asks for a person's approval of the exact parameters. */
  readonly approvalRequired: boolean;
  /** True where what is allowed covers only the caller's own doings. */
  readonly ownOnly: boolean;
  /** What went wrong, by code and policy id; never values. Not empty only with `deny`. */
  readonly errors: readonly string[];
}

/** `policySet` undefined: the instance has published none, so nothing but the platform's own policies is in force. */
export const evaluate = (request: AccessRequest, policySet: Pick<PolicySet, 'text'> | undefined): AccessDecision => {
  const set = preparedSet(policySet?.text ?? '');
  if (set === undefined) return deny([], ['POLICY_SET_INVALID']);
  const answer = statefulIsAuthorized(toCall(request, set));
  if (answer.type === 'failure') return deny([], ['REQUEST_INVALID']);
  const { decision, diagnostics } = answer.response;
  const reason = diagnostics.reason.toSorted();
  // A forbid that errs was skipped: whatever Cedar says, it may have forbidden this.
  if (diagnostics.errors.length > 0) {
    const erring = diagnostics.errors.map(({ policyId }) => policyId).toSorted();
    return deny(
      erring,
      erring.map((id) => `EVALUATION_FAILED ${id}`),
    );
  }
  if (decision === 'deny') return deny(reason, []);
  const annotated = (name: string, value: string) => (id: string) => set.policies.get(id)?.annotations[name] === value;
  return {
    result: 'allow',
    policies: reason.slice(0, policiesCitedMax),
    approvalRequired: reason.some(annotated('approval', 'required')),
    ownOnly: reason.every(annotated('scope', 'own')),
    errors: [],
  };
};

/** As many as an entry holds. */
const policiesCitedMax = 64;

const deny = (policies: readonly string[], errors: readonly string[]): AccessDecision => ({
  result: 'deny',
  policies: policies.slice(0, policiesCitedMax),
  approvalRequired: false,
  ownOnly: false,
  errors,
});

const toCall = (request: AccessRequest, { slot }: PreparedSet): StatefulAuthorizationCall => {
  const { principal } = request;
  const { resource, context, entities } = request.ask === 'perform' ? performing(request) : operating(request);
  return {
    principal: { type: 'Principal', id: principal.principal },
    action: { type: 'Action', id: request.ask },
    resource,
    context,
    entities: [principalEntity(principal), ...entities],
    preparsedSchemaName: preparedSchema(),
    preparsedPolicySetId: slot,
    validateRequest: true,
  };
};

type Asked = Pick<StatefulAuthorizationCall, 'resource' | 'context' | 'entities'>;

const performing = ({ tool, context, delegated }: Extract<AccessRequest, { ask: 'perform' }>): Asked => {
  const scope = scopeOf(tool);
  const resource = { type: 'Tool', id: scope };
  const { effect, count, fields, purpose, recipientDomains, suspended, approvalGiven } = context;
  return {
    resource,
    context: {
      effect,
      count,
      fields: [...fields],
      ...(purpose !== undefined && { purpose }),
      ...(recipientDomains !== undefined && { recipientDomains: [...recipientDomains] }),
      suspended,
      approvalGiven,
      ...(delegated !== undefined && {
        delegated: { delegation: delegated.delegation, scope: scopesOf(delegated.scope) },
      }),
    },
    entities: [{ uid: resource, attrs: { system: tool.system, action: tool.action, scope }, parents: [] }],
  };
};

const operating = ({ operation, platform }: Extract<AccessRequest, { ask: 'operate' }>): Asked => ({
  resource: { type: 'Operation', id: operation },
  context: { platform },
  entities: [],
});

const principalEntity = ({ principal, kind, roles, declared, disabled }: AccessPrincipal): EntityJson => ({
  uid: { type: 'Principal', id: principal },
  attrs: { kind, roles: [...roles], declared: scopesOf(declared ?? []), disabled },
  parents: [],
});
