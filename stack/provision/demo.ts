/**
 * The two instances of a local start. Each has one person a role, one agent, and the user that it acts for. The agent's
 * field mapping was corrected once: version 4 moved the phone number to the field that the sales team reads, and whoever
 * still writes with version 3 writes it to the wrong one.
 */
import type { Role, ToolScope } from '../../schema/control.ts';
import type { Versions } from '../../schema/event.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import { contentDigest } from '../../store/versions.ts';
import type { CredentialContent } from '../../store/connector-credentials.ts';
import type { ConnectorSpec, IdentitySpec, InstanceSpec, PrincipalSpec, TokenSpec, VersionSpec } from './spec.ts';

export const demoInstances = ['acme', 'globex'] as const;
export type DemoInstance = (typeof demoInstances)[number];

/** Where the vendors' stand-ins are and what opens them (stack/sandbox/sandbox.ts). */
export interface DemoVendors {
  readonly urls: Readonly<Record<DemoVendor, string>>;
  readonly credentials: Readonly<Record<DemoVendor, object>>;
}
export type DemoVendor = 'salesforce' | 'slack' | 'gmail' | 'jira';

export const demoAgent = 'sales-agent';
/** The sales manager whom the agent acts for. She has no role: she signs in nowhere. */
export const demoUser = 'dana';
export const demoDelegation = 'dana-to-sales-agent';

const people: Readonly<Record<Exclude<Role, 'agent'>, string>> = {
  admin: 'ines',
  operator: 'omar',
  approver: 'priya',
  compliance: 'carla',
  auditor: 'akira',
  responder: 'rosa',
};

const declared: readonly ToolScope[] = [
  { system: 'salesforce', actions: ['record.read', 'record.search', 'record.update', 'record.create'] },
  { system: 'slack', actions: ['message.read', 'message.send', 'message.update'] },
  { system: 'gmail', actions: ['message.read', 'message.draft', 'message.send'] },
  { system: 'jira', actions: ['record.read', 'record.create', 'record.update', 'record.delete', 'comment.create'] },
];

/**
 * Less than the agent may do: Dana's agent changes contacts, but makes none. Deletions are in both, so that the policy that
 * asks for an approval has something to ask it for.
 */
const delegated: readonly ToolScope[] = [
  { system: 'salesforce', actions: ['record.read', 'record.search', 'record.update'] },
  { system: 'slack', actions: ['message.read', 'message.send'] },
  { system: 'gmail', actions: ['message.read', 'message.draft', 'message.send'] },
  { system: 'jira', actions: ['record.read', 'record.create', 'record.delete', 'comment.create'] },
];

const lifetimeDays = 365;

const principals: readonly PrincipalSpec[] = [
  ...Object.entries(people).map(([role, principal]): PrincipalSpec => ({
    principal,
    kind: 'human',
    roles: [role as Role],
  })),
  { principal: demoUser, kind: 'human', roles: [] },
  { principal: demoAgent, kind: 'agent', roles: ['agent'], owner: people.operator, declared },
];

/** What the two are called in the vendors' systems: the agent as in the stand-ins, Dana as an invented colleague. */
const identities: readonly IdentitySpec[] = [
  { principal: demoAgent, identity: { system: 'salesforce', kind: 'user', id: '005Tk0000000001AAA' } },
  { principal: demoAgent, identity: { system: 'slack', kind: 'user', id: 'U0SANDBOX' } },
  { principal: demoAgent, identity: { system: 'gmail', kind: 'user', id: 'agent@sandbox.example' } },
  { principal: demoAgent, identity: { system: 'jira', kind: 'user', id: '5b10agent' } },
  { principal: demoUser, identity: { system: 'salesforce', kind: 'user', id: '005Tk0000000003AAA' } },
  { principal: demoUser, identity: { system: 'slack', kind: 'user', id: 'U0DANA' } },
  { principal: demoUser, identity: { system: 'gmail', kind: 'user', id: 'dana@sandbox.example' } },
  { principal: demoUser, identity: { system: 'jira', kind: 'user', id: '5b10dana' } },
];

const tokens: readonly TokenSpec[] = [
  { token: 'agent', principal: demoAgent, role: 'agent', lifetimeDays },
  ...Object.entries(people).map(([role, principal]): TokenSpec => ({
    token: role,
    principal,
    role: role as Role,
    lifetimeDays,
  })),
];

/** `name@version`, as runs and writes name it. */
export const demoMapping = { name: 'contacts', stale: '3', current: '4' } as const;

const mapping = (version: string, phone: string): VersionSpec => ({
  kind: 'mapping',
  name: demoMapping.name,
  version,
  system: 'salesforce',
  content: {
    name: demoMapping.name,
    version,
    fields: {
      firstName: 'FirstName',
      lastName: 'LastName',
      title: 'Title',
      email: 'Email',
      phone,
      region: 'Region__c',
      territory: 'Territory__c',
    },
  },
});

const promptOf = (company: string): CredentialContent => ({
  system: [
    `You keep ${company}'s contact data correct for the sales team.`,
    'Change only the records and fields that you are asked to change.',
    'Tell the sales channel what you changed, and open an issue where a record needs a person.',
  ].join(' '),
});

const companies: Readonly<Record<DemoInstance, string>> = { acme: 'Acme', globex: 'Globex' };

const agentVersions = (instance: DemoInstance) => {
  const prompt = promptOf(companies[instance]);
  const model = { name: 'example-model-2', temperature: 0 };
  const build = { image: 'sales-agent', revision: '2.3.1', runtime: 'openai-agents/0.4' };
  const forAgent = { name: demoAgent, agent: demoAgent };
  return {
    prompt,
    model,
    build,
    published: [
      { kind: 'prompt', version: '7', content: prompt, ...forAgent },
      { kind: 'model', version: 'example-model-2', content: model, ...forAgent },
      { kind: 'agentBuild', version: '2.3.1', content: build, ...forAgent },
    ] satisfies readonly VersionSpec[],
  };
};

/** The prompt that is published for the agent. */
export const demoPrompt = (instance: DemoInstance): CredentialContent => agentVersions(instance).prompt;

/** What a run of the agent declares when it runs what was published. */
export const demoVersionsInPlay = (instance: DemoInstance): Versions => {
  const { prompt, model, build } = agentVersions(instance);
  return {
    agentBuild: `${build.image}@${build.revision}`,
    model: model.name,
    promptDigest: contentDigest(prompt),
  };
};

export const demoSpec = (instance: DemoInstance, { urls, credentials }: DemoVendors): InstanceSpec => ({
  principals,
  identities,
  policies: { name: 'default', version: 1, text: defaultPolicies },
  versions: [
    mapping(demoMapping.stale, 'Phone'),
    mapping(demoMapping.current, 'MobilePhone'),
    ...agentVersions(instance).published,
  ],
  delegations: [{ delegation: demoDelegation, from: demoUser, to: demoAgent, scope: delegated, lifetimeDays }],
  tokens,
  connectors: (['salesforce', 'slack', 'gmail', 'jira'] as const).map((system): ConnectorSpec => ({
    system,
    credential: `${system}-${demoAgent}`,
    content: credentials[system] as CredentialContent,
    principals: [demoAgent],
    baseUrl: urls[system].replace(/\/+$/, ''),
  })),
});
