/** An instance that is ready for callers: an agent, the user it acts for, an auditor, policies, and the instant connector. */
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { InstanceSpec } from '../../stack/provision/spec.ts';
import { provisionInstance } from '../../stack/provision/provision-instance.ts';
import { openControlState } from '../../store/control-state.ts';
import type { Trail } from '../../trail/trail.ts';
import type { BenchInstance, Environment } from './environment.ts';
import { instantConnector } from './instantConnector.ts';
import { startTails, type RunningTails } from './tails.ts';

export const agent = 'sales-agent';
export const user = 'dana';

const scope = [{ system: instantConnector.system, actions: ['record.update' as const] }];
const lifetimeDays = 1;

const spec: InstanceSpec = {
  principals: [
    { principal: 'omar', kind: 'human', roles: ['operator'] },
    { principal: 'akira', kind: 'human', roles: ['auditor'] },
    { principal: user, kind: 'human', roles: [] },
    { principal: agent, kind: 'agent', roles: ['agent'], owner: 'omar', declared: scope },
  ],
  identities: [],
  policies: { name: 'default', version: 1, text: defaultPolicies },
  versions: [],
  delegations: [{ delegation: 'dana-to-agent', from: user, to: agent, scope, lifetimeDays }],
  tokens: [
    { token: 'agent', principal: agent, role: 'agent', lifetimeDays },
    { token: 'auditor', principal: 'akira', role: 'auditor', lifetimeDays },
  ],
  connectors: [
    {
      system: instantConnector.system,
      credential: 'instant',
      content: { secret: 'none' },
      principals: [agent],
      baseUrl: 'http://127.0.0.1:9',
    },
  ],
};

export interface Provisioned {
  readonly at: BenchInstance;
  readonly trail: Trail;
  readonly tokens: { readonly agent: string; readonly auditor: string };
  readonly tails: RunningTails;
}

/** Its tails run. */
export async function provisionedInstance(environment: Environment, name: string): Promise<Provisioned> {
  const at = await environment.instance(name);
  const trail = await at.open();
  const tails = await startTails(at);
  const { tokens } = await provisionInstance({
    clients: at.clients,
    keys: at.keys,
    trail,
    state: openControlState(at.clients.reader, at.instance),
    spec,
    knownTokens: {},
    keepTokens: async () => undefined,
    nowMs: Date.now,
  });
  return { at, trail, tokens: { agent: tokens['agent']!, auditor: tokens['auditor']! }, tails };
}
