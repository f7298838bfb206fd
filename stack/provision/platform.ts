/** The platform's own two instances: the one of its operators, and the canary that tries to break out. */
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { InstanceSpec, TokenSpec } from './spec.ts';

const lifetimeDays = 365;
const policies = { name: 'default', version: 1, text: defaultPolicies } as const;
const nothing = { identities: [], versions: [], delegations: [], connectors: [] } as const;

/** One operator, whose token they made themselves. */
export const platformSpec = (admin: string, tokenSha256: string): InstanceSpec => ({
  ...nothing,
  policies,
  principals: [{ principal: admin, kind: 'human', roles: ['admin', 'auditor'] }],
  tokens: [{ token: 'admin', principal: admin, role: 'admin', lifetimeDays, sha256: tokenSha256 }],
});

/** For a local start: one person a role, with tokens that are made here. */
export const localPlatformSpec: InstanceSpec = {
  ...nothing,
  policies,
  principals: [
    { principal: 'petra', kind: 'human', roles: ['admin'] },
    { principal: 'anton', kind: 'human', roles: ['auditor'] },
  ],
  tokens: [
    { token: 'admin', principal: 'petra', role: 'admin', lifetimeDays },
    { token: 'auditor', principal: 'anton', role: 'auditor', lifetimeDays },
  ] satisfies readonly TokenSpec[],
};

/** Who the probe comes as. Its tokens are issued for one probe each, and revoked after it. */
export const canaryProber = 'prober';

export const canarySpec: InstanceSpec = {
  ...nothing,
  policies,
  principals: [
    {
      principal: canaryProber,
      kind: 'service',
      roles: ['admin', 'agent', 'operator', 'compliance', 'auditor', 'responder'],
    },
  ],
  tokens: [],
};
