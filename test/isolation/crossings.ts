/**
 * How each operation could be used to reach into another instance. A root field without a row, an argument without a
 * word on it, or a row for what is not there any more, is an error: nothing is added to the API without being attacked.
 */
import { v7 as uuidv7 } from 'uuid';
import type { Role } from '../../schema/control.ts';

export type IdKind =
  | 'event'
  | 'run'
  | 'action'
  | 'pack'
  | 'correlation'
  | 'emitter'
  | 'session'
  | 'principal'
  | 'subject'
  | 'urn'
  | 'external'
  | 'instance';

export type Argument =
  /** Names something: is given another instance's, and one that nobody has. `own`: else, the caller's own is given. */
  | { readonly id: IdKind; readonly own?: true }
  /** A JSON value with an id in it. */
  | { readonly inside: readonly { readonly id: IdKind; readonly value: (id: unknown) => unknown }[] }
  | { readonly plain: unknown }
  /** Not given; says why nothing of another instance can be named by it. */
  | { readonly left: string };

export interface Crossing {
  readonly role: Role;
  readonly args: Readonly<Record<string, Argument>>;
  /** Why it is not called: it names nothing, and would start work that goes on. */
  readonly notCalled?: string;
  /** An argument that the schema does not ask for, but the operation does. */
  readonly needs?: string;
}

const id = (kind: IdKind): Argument => ({ id: kind });
const own = (kind: IdKind): Argument => ({ id: kind, own: true });
const plain = (value: unknown): Argument => ({ plain: value });
const left = (why: string): Argument => ({ left: why });

const position = left('a number that counts within one log');
const cursor = left('holds a number that counts within one log');
const narrowing = left('narrows what is found, and names nothing');

const filter = {
  'filter.correlationId': id('correlation'),
  'filter.runId': id('run'),
  'filter.sessionId': id('session'),
  'filter.causedBy': id('event'),
  'filter.principal': id('principal'),
  'filter.emitter': id('emitter'),
  'filter.action': narrowing,
  'filter.phase': narrowing,
  'filter.outcome': narrowing,
  'filter.system': narrowing,
  'filter.error': narrowing,
  'filter.resource': id('urn'),
  'filter.subject': id('subject'),
  'filter.eventTimeFrom': narrowing,
  'filter.eventTimeBefore': narrowing,
  'filter.receivedTimeFrom': narrowing,
  'filter.receivedTimeBefore': narrowing,
} as const;

let sequence = 0;
/** What an agent's runtime may report, with something of another instance's in it. */
const reported = (fields: object): unknown => [
  {
    id: uuidv7(),
    correlationId: 'ab'.repeat(16),
    spanId: 'cd'.repeat(8),
    emitter: { id: 'isolation', sequence: (sequence += 1) },
    eventTime: new Date().toISOString(),
    actor: { principal: 'sales-agent', kind: 'agent' },
    action: 'tool.call',
    phase: 'observation',
    system: 'agent',
    ...fields,
  },
];

export const crossings: Readonly<Record<string, Crossing>> = {
  'Query.action': { role: 'auditor', args: { id: id('action') } },
  'Query.diagnose': { role: 'auditor', args: { correlationId: id('correlation') } },
  'Query.timeline': { role: 'auditor', args: { correlationId: id('correlation'), folded: plain(false) } },
  'Query.events': {
    role: 'auditor',
    args: { ...filter, first: plain(20), after: cursor, last: position, before: cursor },
  },
  'Query.event': { role: 'auditor', args: { id: id('event') } },
  'Query.correlate': {
    role: 'auditor',
    args: { system: plain('salesforce'), externalId: id('external'), kind: plain('Contact') },
  },
  'Query.gaps': { role: 'auditor', args: { emitter: id('emitter'), first: plain(100), after: id('emitter') } },
  'Query.checkpoint': { role: 'auditor', args: {} },
  'Query.inclusionProof': {
    role: 'auditor',
    needs: 'event',
    args: { index: position, event: id('event'), size: position },
  },
  'Query.consistencyProof': { role: 'auditor', args: { from: plain(1), to: position } },
  'Query.verifyLog': { role: 'auditor', args: {} },
  'Query.selfVerification': { role: 'auditor', args: {} },
  'Query.witnesses': { role: 'auditor', args: {} },
  'Query.keys': { role: 'auditor', args: {} },
  'Query.archive': { role: 'auditor', args: {} },
  'Query.tools': { role: 'agent', args: {} },
  'Query.instances': { role: 'admin', args: { first: plain(100), after: id('instance') } },

  'Mutation.openRun': {
    role: 'agent',
    args: {
      'input.id': id('run'),
      'input.agent': id('principal'),
      'input.purpose': plain('crossing'),
      'input.onBehalfOf': id('principal'),
      'input.sessionId': id('session'),
      'input.versions.agentBuild': left('a label that is recorded as it is'),
      'input.versions.model': left('a label that is recorded as it is'),
      'input.versions.promptDigest': left('a digest that is recorded as it is'),
      'input.versions.connector': left('a label that is recorded as it is'),
      'input.versions.mapping': left('a label that is recorded as it is'),
      'input.budget.actionsMax': position,
    },
  },
  'Mutation.performAction': {
    role: 'agent',
    args: {
      'input.runId': id('run'),
      'input.id': left('the id of a new event of the caller'),
      'input.tool': plain('slack.postMessage'),
      'input.params': plain({ channel: 'C0123456789', text: 'crossing' }),
      'input.causedBy': left('recorded as it is, after the run was found'),
      'input.waitMs': plain(0),
    },
  },
  'Mutation.settleAction': {
    role: 'operator',
    args: { 'input.id': id('action'), 'input.outcome': plain('SUCCESS'), 'input.reason': plain('crossing') },
  },
  'Mutation.decideAction': {
    role: 'approver',
    args: {
      'input.id': id('action'),
      'input.decision': plain('APPROVE'),
      'input.parametersDigest': plain('0'.repeat(64)),
      'input.reason': plain('crossing'),
    },
  },
  'Mutation.recordEvents': {
    role: 'agent',
    args: {
      events: {
        inside: [
          { id: 'run', value: (runId) => reported({ runId }) },
          { id: 'event', value: (causedBy) => reported({ causedBy }) },
          { id: 'subject', value: (subject) => reported({ subjects: [{ subject }] }) },
          { id: 'principal', value: (principal) => reported({ actor: { principal, kind: 'agent' } }) },
        ],
      },
    },
  },
  'Mutation.handOff': {
    role: 'operator',
    args: {
      'input.runId': own('run'),
      'input.to': plain('omar'),
      'input.reason': plain('crossing'),
      'input.action': id('action'),
    },
  },
  'Mutation.closeRun': { role: 'operator', args: { 'input.runId': id('run') } },
  'Mutation.publishVersion': {
    role: 'admin',
    needs: 'input.agent',
    args: {
      'input.kind': plain('prompt'),
      'input.name': plain('crossing'),
      'input.version': plain('1'),
      'input.content': plain({ text: 'crossing' }),
      'input.agent': id('principal'),
      'input.system': left('the name of a target system'),
    },
  },
  'Mutation.configureWitnesses': {
    role: 'admin',
    args: {
      'input.witnesses.vkey': left('a key that is recorded as it is'),
      'input.witnesses.url': left('an address outside'),
      'input.quorum': plain(0),
      'input.withinMs': plain(1000),
    },
    notCalled: 'names nothing of an instance',
  },
  'Mutation.rotateKey': {
    role: 'admin',
    args: { 'input.key': plain('epoch'), 'input.overlapMinutes': position },
    notCalled: 'names nothing of an instance; its workflow’s id begins with the caller’s',
  },
  'Mutation.rotateMasterKey': {
    role: 'admin',
    args: {},
    notCalled: 'names nothing of an instance; only the platform’s own may ask for it',
  },
  'Mutation.destroyKey': {
    role: 'admin',
    args: { epoch: position },
    notCalled: 'a number that counts within one instance, and what it does can’t be undone',
  },
  'Mutation.configureArchive': {
    role: 'admin',
    args: { 'input.acknowledge': plain('LOG'), 'input.lagMsMax': plain(60_000) },
    notCalled: 'names nothing of an instance',
  },
  'Mutation.continueLog': {
    role: 'responder',
    args: { 'input.size': position, 'input.reason': plain('crossing') },
    notCalled: 'names nothing of an instance',
  },
  'Mutation.suspendInstance': { role: 'responder', args: { reason: plain('crossing') } },
  'Mutation.resumeInstance': { role: 'responder', args: { reason: plain('crossing') } },
  'Mutation.disclose': { role: 'auditor', args: { event: id('event'), part: plain('after') } },
  'Mutation.exportEvidence': {
    role: 'auditor',
    needs: 'input.run',
    args: {
      'input.id': left('the id of a new event of the caller'),
      'input.run': id('run'),
      'input.correlationId': id('correlation'),
      'input.range.from': position,
      'input.range.to': position,
    },
  },
  'Mutation.startSelfVerification': {
    role: 'auditor',
    args: { kind: plain('sample') },
    notCalled: 'names nothing of an instance; its workflow’s id begins with the caller’s',
  },
  'Mutation.repairProjections': {
    role: 'admin',
    args: {},
    notCalled: 'names nothing of an instance; its workflow’s id begins with the caller’s',
  },
  'Mutation.createInstance': {
    role: 'admin',
    args: {
      'input.id': left('the id of a new event of the caller'),
      'input.instance': id('instance'),
      'input.members.principal': plain('ines'),
      'input.members.kind': plain('human'),
      'input.members.role': plain('admin'),
      'input.members.tokenSha256': plain('0'.repeat(64)),
      'input.waitMs': plain(0),
    },
  },
  'Mutation.probeIsolation': {
    role: 'responder',
    args: { 'input.id': left('the id of a new event of the caller'), 'input.waitMs': plain(0) },
    notCalled: 'is the platform’s alone (test/access), and names nothing of an instance',
  },
  'Subscription.events': { role: 'auditor', args: { ...filter, after: cursor } },
};
