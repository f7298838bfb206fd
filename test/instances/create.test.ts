import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FinalFailure } from '../../activities/failures.ts';
import { creationWorkflowId, type InstanceActivities } from '../../domain/instances/contract.ts';
import { platformInstance } from '../../domain/instances/names.ts';
import { openNote, parseVkey } from '../../domain/tree/note.ts';
import type { EventId, InstanceId } from '../../schema/ids.ts';
import { findCreation } from '../../store/instances.ts';
import { controlCollections, controlDatabase, instanceDatabase } from '../../store/provisioning/collections.ts';
import { newEventId } from '../../trail/recorder.ts';
import { seeAll } from '../../trail/reader.ts';
import { openTestPlatform, type TestPlatform } from './platform.ts';

let test: TestPlatform;
/** What stands in the way of a step, for the test that is running. */
let inTheWay: Partial<Record<keyof InstanceActivities, (usual: () => Promise<void>) => Promise<void>>> = {};

beforeAll(async () => {
  test = await openTestPlatform();
  await test.work(
    (usual) =>
      Object.fromEntries(
        Object.entries(usual).map(([name, step]) => [
          name,
          (input: never) => {
            const work = () => (step as (given: never) => Promise<void>)(input);
            return inTheWay[name as keyof InstanceActivities]?.(work) ?? work();
          },
        ]),
      ) as unknown as InstanceActivities,
  );
});
afterEach(() => {
  inTheWay = {};
});
afterAll(() => test.close());

const mutation = `mutation ($input: CreateInstanceInput!) {
  createInstance(input: $input) { id instance state error origin logUrl vkey checkpoint }
}`;

interface Wanted {
  readonly id: EventId;
  readonly instance: string;
  readonly secret: string;
  readonly input: object;
}

const wanted = (word: string, changes: object = {}): Wanted => {
  const instance = test.name(word);
  const secret = `tk_${instance}_admin_${randomBytes(32).toString('base64url')}`;
  const tokenSha256 = createHash('sha256').update(secret).digest('hex');
  const id = newEventId();
  const members = [{ principal: 'ines', kind: 'human', role: 'admin', tokenSha256 }];
  return { id, instance, secret, input: { id, instance, members, ...changes } };
};

const create = (input: object, role = 'admin') => test.ask(test.tokens[role]!, mutation, { input });
const listed = async (): Promise<string[]> =>
  (
    await test.ask(test.tokens['auditor']!, '{ instances(first: 500) { instances { instance } } }')
  ).data.instances.instances.map((one: { instance: string }) => one.instance);
const checkpointFor = (secret: string) => test.ask(secret, '{ checkpoint { size note vkey } }');

const ofCreation = async (id: EventId) => {
  await test.platform.reader.fresh(30_000);
  const found = await test.platform.reader.find({ emitter: `platform/instance/${id}` }, { limit: 10 });
  return test.platform.reader.withParts(found, seeAll);
};

const keysAndLeases: ReadonlySet<string> = new Set(['keys', 'keyrings', 'signingKeys', 'verifierKeys', 'leases']);

/** Everything that MongoDB holds of an instance, wherever it is. */
const traces = async (instance: string): Promise<string[]> => {
  const found: string[] = [];
  const { admin } = test.clients;
  const { databases } = await admin.db('admin').admin().listDatabases();
  const database = instanceDatabase(instance as InstanceId);
  if (databases.some(({ name }) => name === database)) found.push('database');
  const { roles } = await admin.db(database).command({ rolesInfo: 1 });
  if (roles.length > 0) found.push('roles');
  const { users } = await admin.db('admin').command({ usersInfo: 1 });
  if (JSON.stringify(users).includes(`"${database}"`)) found.push('users');
  for (const name of controlCollections) {
    // Wrapped keys open nothing that is left; a lease says only which process looked for a log.
    if (keysAndLeases.has(name)) continue;
    const text = JSON.stringify(await admin.db(controlDatabase).collection(name).find().toArray());
    if (text.includes(`"${instance}`)) found.push(name);
  }
  return found;
};

describe('an instance', () => {
  it('is created with database, keys, policies, log and its first token', async () => {
    const { id, instance, secret, input } = wanted('acme');
    const { data, status } = await create(input);
    expect(status).toBe(200);
    expect(data.createInstance).toMatchObject({ id, instance, state: 'ACTIVE', error: null });
    const { origin, logUrl, vkey, checkpoint } = data.createInstance;
    expect(logUrl).toBe(`http://${origin}`);
    expect(openNote(Buffer.from(checkpoint), [parseVkey(vkey)])).toBeDefined();
    expect(await listed()).toContain(instance);

    const own = await checkpointFor(secret);
    expect(own.data.checkpoint.vkey).toBe(vkey);
    const trail = await test.trailOf(instance as InstanceId);
    await trail.reader.fresh(30_000);
    const [first] = await trail.reader.withParts(await trail.reader.find({}, { limit: 1 }), seeAll);
    expect(first).toMatchObject({
      index: 0,
      entry: { action: 'instance.create', phase: 'outcome', outcome: 'success', actor: { kind: 'platform' } },
      parts: { instance: { content: { instance, origin, vkey } } },
    });
    const control = (await trail.reader.find({}, { limit: 50 })).flatMap(({ entry }) => entry.control?.change ?? []);
    expect(control).toEqual(['principal.register', 'policy.publish', 'token.issue']);
  });

  it('stands in the log of the platform: who asked for it, and what came of it', async () => {
    const { id, instance, secret, input } = wanted('recorded');
    await create(input);
    const [request, end] = await ofCreation(id);
    expect(request?.entry).toMatchObject({
      id,
      phase: 'intent',
      actor: { principal: 'petra' },
      action: 'instance.create',
    });
    expect(end?.entry).toMatchObject({ causedBy: id, phase: 'outcome', outcome: 'success' });
    expect(end?.parts?.['instance']).toMatchObject({ content: { instance, vkey: expect.any(String) } });
    // Neither the token nor a name that customers may take for a secret stands in a skeleton, and a token nowhere.
    expect(JSON.stringify([request, end].map((one) => one?.entry))).not.toContain(instance);
    expect(JSON.stringify([request, end])).not.toContain(secret);
  });

  it('has neither token nor name in the history of its workflow', async () => {
    const { id, instance, secret, input } = wanted('hidden');
    await create(input);
    const handle = test.temporal.workflow.getHandle(creationWorkflowId(platformInstance, id));
    const { events = [] } = await handle.fetchHistory();
    expect(events!.length).toBeGreaterThan(20);
    const text = Buffer.from(
      JSON.stringify(events, (_key, value) =>
        value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
      ),
    ).toString('latin1');
    for (const canary of [secret, createHash('sha256').update(secret).digest('hex'), instance, 'ines'])
      expect(text).not.toContain(canary);
  });

  it('is there once, however often the same is asked for, at once and later', async () => {
    const { id, instance, input } = wanted('once');
    const answers = await Promise.all([create(input), create(input), create(input)]);
    for (const { data } of answers) expect(data.createInstance).toMatchObject({ state: 'ACTIVE', instance });
    const { size } = (await (await test.trailOf(instance as InstanceId)).reader.checkpoint())!;
    expect((await create(input)).data.createInstance).toEqual(answers[0].data.createInstance);
    expect((await (await test.trailOf(instance as InstanceId)).reader.checkpoint())!.size).toBe(size);
    expect(await ofCreation(id)).toHaveLength(2);
  });

  it('has its name alone: of two that ask for it one gets it, and the other leaves it whole', async () => {
    const [one, other] = [wanted('taken'), wanted('taken')];
    const answers = await Promise.all([create(one.input), create(other.input)]);
    const states: string[] = answers.map(({ data }) => data.createInstance.state);
    expect(new Set(states)).toEqual(new Set(['ACTIVE', 'UNDONE']));
    const [winner, loser] = states[0] === 'ACTIVE' ? [one, other] : [other, one];
    expect(answers[states.indexOf('UNDONE')]!.data.createInstance.error).toBe('CONFLICT');
    expect((await checkpointFor(winner.secret)).status).toBe(200);
    expect((await checkpointFor(loser.secret)).code).toBe('UNAUTHENTICATED');
    expect((await ofCreation(loser.id))[1]?.entry).toMatchObject({ outcome: 'failure', error: { code: 'CONFLICT' } });
  });

  it.each([
    ['Acme', 'BAD_INPUT'],
    ['', 'BAD_INPUT'],
    ['../acme', 'BAD_INPUT'],
    ['acme/run', 'BAD_INPUT'],
    ['ácme', 'BAD_INPUT'],
    ['1acme', 'BAD_INPUT'],
    ['a'.repeat(41), 'BAD_INPUT'],
    ['control', 'INSTANCE_NAME_RESERVED'],
    ['platform', 'INSTANCE_NAME_RESERVED'],
    ['canary', 'INSTANCE_NAME_RESERVED'],
  ])('can not be called "%s": %s', async (instance, code) => {
    const { input } = wanted('never', { instance });
    expect((await create(input)).code).toBe(code);
  });

  it.each([
    ['without an admin', [{ principal: 'akira', kind: 'human', role: 'auditor', tokenSha256: '0'.repeat(64) }]],
    ['without anybody', []],
    [
      'with an admin that is no person',
      [{ principal: 'bot', kind: 'agent', role: 'admin', tokenSha256: '0'.repeat(64) }],
    ],
  ])('can not begin %s', async (_what, members) => {
    const { id, input } = wanted('empty', { members });
    expect((await create(input)).code).toBe('BAD_INPUT');
    expect(await ofCreation(id)).toEqual([]);
  });

  it('is not created by the platform’s auditor, nor twice under one id', async () => {
    const { id, input } = wanted('denied');
    expect((await create(input, 'auditor')).code).toBe('FORBIDDEN');
    expect(await ofCreation(id)).toEqual([]);
    await create(input);
    expect((await create({ ...input, instance: test.name('other') })).code).toBe('ID_CONFLICT');
  });
});

const steps = [
  'reserveInstance',
  'prepareInstanceDatabase',
  'prepareInstanceKeys',
  'prepareInstanceArchive',
  'beginInstanceLog',
  'activateInstance',
] as const;

describe('a crash', () => {
  it.each(['before', 'after'])(
    '%s the effect of each step changes nothing: it is created once, and whole',
    async (moment) => {
      const crashed = new Set<string>();
      for (const step of [...steps, 'recordCreation'] as const)
        inTheWay[step] = async (usual) => {
          const crash = !crashed.has(step);
          crashed.add(step);
          if (crash && moment === 'before') throw new Error('crash');
          await usual();
          if (crash) throw new Error('crash');
        };
      const { id, instance, secret, input } = wanted(`crash-${moment}`);
      expect((await create(input)).data.createInstance).toMatchObject({ state: 'ACTIVE' });
      expect(crashed.size).toBe(steps.length + 1);
      expect((await checkpointFor(secret)).status).toBe(200);
      const trail = await test.trailOf(instance as InstanceId);
      await trail.reader.fresh(30_000);
      expect((await trail.reader.find({}, { limit: 50 })).map(({ entry }) => entry.action)).toEqual([
        'instance.create',
        'principal.register',
        'policy.publish',
        'token.issue',
      ]);
      expect(await ofCreation(id)).toHaveLength(2);
    },
  );
});

describe.each(steps)('a failure for good at %s', (step) => {
  it('undoes everything, and says so', async () => {
    inTheWay[step] = async (usual) => {
      // The effect may have come about; but for the last one, after which there is nothing to undo.
      if (step !== 'activateInstance') await usual();
      throw new FinalFailure('PROVISION_FAILED');
    };
    const { id, instance, secret, input } = wanted(`undo${steps.indexOf(step)}`);
    expect((await create(input)).data.createInstance).toMatchObject({ state: 'UNDONE', error: 'INVALID_REQUEST' });
    expect(await traces(instance)).toEqual([]);
    expect((await checkpointFor(secret)).code).toBe('UNAUTHENTICATED');
    expect((await ofCreation(id))[1]?.entry).toMatchObject({ outcome: 'failure', error: { code: 'INVALID_REQUEST' } });
  });
});

describe('an instance whose place in the archive holds something', () => {
  it('is not created: another log stands there', async () => {
    const { instance, input } = wanted('occupied');
    await test.archiveOf(instance as InstanceId).put('checkpoints/1', Buffer.from('of another time'));
    expect((await create(input)).data.createInstance).toMatchObject({ state: 'UNDONE', error: 'CONFLICT' });
    expect(await traces(instance)).toEqual([]);
  });
});

describe('a creation that was undone', () => {
  it('says so again under its id, and leaves the name to another', async () => {
    inTheWay.beginInstanceLog = async (usual) => {
      await usual();
      throw new FinalFailure('PROVISION_FAILED');
    };
    const { secret, input } = wanted('reused');
    expect((await create(input)).data.createInstance.state).toBe('UNDONE');
    inTheWay = {};
    expect((await create(input)).data.createInstance.state).toBe('UNDONE');
    expect((await create({ ...input, id: newEventId() })).data.createInstance.state).toBe('ACTIVE');
    expect((await checkpointFor(secret)).status).toBe(200);
  });
});

describe('until its last step', () => {
  it('an instance is there for nobody', async () => {
    const reached = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    inTheWay.activateInstance = async (usual) => {
      reached.resolve();
      await go.promise;
      await usual();
    };
    const { instance, secret, input } = wanted('unseen');
    const asked = create(input);
    await reached.promise;
    expect((await findCreation(test.clients.reader, instance as InstanceId))?.state).toBe('provisioning');
    expect(await listed()).not.toContain(instance);
    const unknown = `tk_nobody_admin_${randomBytes(32).toString('base64url')}`;
    const [own, nobody] = [await checkpointFor(secret), await checkpointFor(unknown)];
    expect([own.status, own.text]).toEqual([nobody.status, nobody.text]);
    go.resolve();
    expect((await asked).data.createInstance.state).toBe('ACTIVE');
    expect((await checkpointFor(secret)).status).toBe(200);
  });

  it('a creation that is cancelled is undone', async () => {
    const reached = Promise.withResolvers<void>();
    inTheWay.prepareInstanceArchive = async (usual) => {
      await usual();
      reached.resolve();
      throw new Error('away');
    };
    const { id, instance, input } = wanted('cancelled');
    const asked = create(input);
    await reached.promise;
    await test.temporal.workflow.getHandle(creationWorkflowId(platformInstance, id)).cancel();
    expect((await asked).data.createInstance).toMatchObject({ state: 'UNDONE', error: 'TIMEOUT' });
    expect(await traces(instance)).toEqual([]);
  });

  it('a creation whose workflow was ended from outside goes on with the same call', async () => {
    const reached = Promise.withResolvers<void>();
    let away = true;
    inTheWay.beginInstanceLog = async (usual) => {
      await usual();
      reached.resolve();
      if (away) throw new Error('away');
    };
    const { id, input } = wanted('ended');
    const asked = create(input);
    await reached.promise;
    await test.temporal.workflow.getHandle(creationWorkflowId(platformInstance, id)).terminate();
    expect((await asked).data.createInstance.state).toBe('CREATING');
    away = false;
    expect((await create(input)).data.createInstance.state).toBe('ACTIVE');
  });
});
