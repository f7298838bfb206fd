import { readdirSync, readFileSync } from 'node:fs';
import { buildASTSchema, concatAST, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { decideOperation } from '../../domain/access/decide-operation.ts';
import { cedarSchema } from '../../schema/cedar/texts.ts';
import { platformInstance } from '../../domain/instances/names.ts';
import { roles, type Role } from '../../schema/control.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { operations, type Operation } from '../../schema/operations.ts';
import { defaultSet, setOf } from './sets.ts';

const acme = 'acme' as InstanceId;

const decide = (
  role: Role,
  operation: Operation,
  policySet: typeof defaultSet | undefined = defaultSet,
  instance = acme,
) =>
  decideOperation(
    { instance, principal: 'x', kind: role === 'agent' ? 'agent' : 'human', role },
    operation,
    policySet,
    3,
  );

/** Only in the platform's own instance. */
const platformOnly: Operation[] = ['instances', 'createInstance', 'rotateMasterKey', 'probeIsolation'];

const checking: Operation[] = ['startSelfVerification'];
const mending: Operation[] = ['repairProjections'];
const seeingKeys: Operation[] = ['keys'];

/** What each role may do beyond reading skeletons and proofs. */
const beyondReading: Record<Role, Operation[]> = {
  admin: [
    ...seeingKeys,
    'rotateKey',
    'destroyKey',
    'publishVersion',
    'configureWitnesses',
    'configureArchive',
    'continueLog',
  ],
  agent: ['openRun', 'performAction', 'recordEvents', 'handOff', 'closeRun'],
  operator: [...seeingKeys, 'openRun', 'settleAction', 'recordEvents', 'handOff', 'closeRun', ...checking, ...mending],
  approver: ['decideAction', 'readPayloads'],
  compliance: [...seeingKeys, ...checking, 'continueLog', 'disclose', 'exportEvidence', 'readPayloads'],
  auditor: [...seeingKeys, ...checking, 'disclose', 'exportEvidence', 'readPayloads'],
  responder: [...seeingKeys, ...checking, ...mending, 'suspendInstance', 'resumeInstance', 'readPayloads'],
};
const proofs: Operation[] = ['checkpoint', 'inclusionProof', 'consistencyProof'];
const toAll: Operation[] = ['tools'];
const ownSkeletons: Operation[] = ['action', 'events', 'event', 'timeline'];
const allSkeletons: Operation[] = [
  ...ownSkeletons,
  'diagnose',
  'correlate',
  'gaps',
  'verifyLog',
  'selfVerification',
  'archive',
  'witnesses',
  'readLog',
];

describe('operations of the API', () => {
  it.each(roles)('%s may do what the role is for, and nothing else', (role) => {
    const expected = [...beyondReading[role], ...toAll, ...proofs, ...(role === 'agent' ? ownSkeletons : allSkeletons)];
    const allowed = operations.filter((operation) => decide(role, operation).authorization.result === 'allow');
    expect(allowed.toSorted()).toEqual(expected.toSorted());
  });

  it('an agent sees its own skeletons only, everybody else all', () => {
    for (const operation of ownSkeletons)
      expect(roles.filter((role) => decide(role, operation).ownOnly)).toEqual(['agent']);
    expect(decide('agent', 'performAction').ownOnly).toBe(false);
  });

  it.each(operations)('%s is permitted to some role', (operation) => {
    const instance = platformOnly.includes(operation) ? platformInstance : acme;
    const allowed = roles.filter(
      (role) => decide(role, operation, defaultSet, instance).authorization.result === 'allow',
    );
    expect(allowed).not.toEqual([]);
  });

  it.each(platformOnly)('%s is forbidden in every instance but the platform, whatever it publishes', (operation) => {
    const greedy = setOf('@id("everything") permit (principal, action, resource);');
    for (const role of roles) {
      expect(decide(role, operation, greedy).authorization).toMatchObject({
        result: 'deny',
        policies: ['platform.instances'],
      });
      expect(decide(role, operation, greedy, platformInstance).authorization.result).toBe('allow');
    }
  });

  it('an agent approves nothing, even with an approver role', () => {
    const caller = { instance: acme, principal: 'bot', kind: 'agent', role: 'approver' } as const;
    expect(decideOperation(caller, 'decideAction', defaultSet, 3).authorization.result).toBe('deny');
  });

  it('nothing is permitted before a policy set is published, and the decision says so', () => {
    // A default parameter would stand in for `undefined`.
    const caller = { instance: acme, principal: 'x', kind: 'human', role: 'admin' } as const;
    expect(decideOperation(caller, 'publishVersion', undefined, -1)).toEqual({
      authorization: {
        about: 'caller',
        result: 'deny',
        policySet: 'platform',
        policyVersion: 1,
        policies: [],
        controlEpoch: -1,
      },
      errors: [],
      ownOnly: false,
    });
    expect(decide('admin', 'publishVersion', setOf('')).authorization.result).toBe('deny');
  });

  it('are the root fields of the GraphQL schema, and two more', () => {
    const folder = new URL('../../schema/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.graphql'));
    const schema = buildASTSchema(concatAST(files.map((name) => parse(readFileSync(new URL(name, folder), 'utf8')))), {
      assumeValidSDL: true,
    });
    const fields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
      Object.keys(type?.getFields() ?? {}),
    );
    expect([...new Set([...fields, 'readLog', 'readPayloads'])].toSorted()).toEqual(operations.toSorted());
  });

  it('are the same in the Cedar schema', () => {
    const listed = /entity Operation enum \[([^\]]*)\]/.exec(cedarSchema)![1]!;
    expect([...listed.matchAll(/"(\w+)"/g)].map(([, name]) => name)).toEqual([...operations]);
  });
});
