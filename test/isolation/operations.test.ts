import { MongoClient, type CommandStartedEvent } from 'mongodb';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiSchema } from '../../api/schema.ts';
import { seeAll } from '../../trail/reader.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { crossings, type Argument, type IdKind } from './crossings.ts';
import { argumentPaths, documentOf, requiredPaths, rootFields, variablesOf, type RootField } from './document.ts';
import { databaseOf, marker, nobodys, populate, shapeOf, sizeOf, type Ids } from './victim.ts';

const roots = rootFields(createApiSchema());
const called = roots
  .filter(({ kind, name }) => kind !== 'subscription' && crossings[name] && !crossings[name].notCalled)
  // A run may be opened under any id, so also under one that another instance has: from then on it is the caller's own.
  .toSorted((one, other) => Number(one.name === 'Mutation.openRun') - Number(other.name === 'Mutation.openRun'));

let api: TestApi;
let own: Ids;
let theirs: Ids;
let sizeBefore: number;
interface Command {
  readonly name: string;
  readonly text: string;
}
const commands: Command[] = [];

beforeAll(async () => {
  api = await openTestApi({
    connect(uri) {
      const watched = new MongoClient(uri, { monitorCommands: true });
      watched.on('commandStarted', ({ commandName, databaseName, command }: CommandStartedEvent) => {
        const collection: unknown = command[commandName];
        if (typeof collection !== 'string' || commandName === 'getMore') return;
        commands.push({ name: `${commandName} ${databaseName}.${collection}`, text: JSON.stringify(command) });
      });
      return watched;
    },
  });
  own = await populate(api, 'acme');
  theirs = await populate(api, 'globex');
  // Both are open in the API, and what is theirs is there for them.
  await api.ask('{ checkpoint { size } }');
  const { text } = await api.ask(
    'query ($id: EventId!) { event(id: $id) { parts { content } } }',
    { id: theirs.event },
    { instance: 'globex', role: 'auditor' },
  );
  if (!text.includes(marker)) throw new Error('the victim does not see its own');
  sizeBefore = await sizeOf(api, 'globex');
});
afterAll(() => api.close());

describe('the table of crossings', () => {
  it('has a row for every operation of the schema, and none for what is not there', () => {
    expect(Object.keys(crossings).toSorted()).toEqual(roots.map(({ name }) => name).toSorted());
  });

  it.each(roots.map((root) => [root.name, root] as const))('says what each argument of %s can name', (name, root) => {
    expect(Object.keys(crossings[name]?.args ?? {}).toSorted()).toEqual(argumentPaths(root).toSorted());
  });

  it('calls whatever takes an id', () => {
    const left = Object.values(crossings).filter(({ notCalled }) => notCalled !== undefined);
    const naming = left.flatMap(({ args }) => Object.values(args)).filter((one) => 'id' in one || 'inside' in one);
    expect(naming).toEqual([]);
  });
});

interface Attempt {
  readonly path: string;
  readonly kind: IdKind;
  readonly value: (id: unknown) => unknown;
}

const attemptsOf = (root: RootField): Attempt[] =>
  Object.entries(crossings[root.name]!.args).flatMap(([path, argument]): Attempt[] => {
    if ('id' in argument) return argument.own ? [] : [{ path, kind: argument.id, value: (id) => id }];
    if ('inside' in argument) return argument.inside.map(({ id, value }) => ({ path, kind: id, value }));
    return [];
  });

/** What is given besides the id that is tried. */
const others = (args: Readonly<Record<string, Argument>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(args).flatMap(([path, argument]) => {
      if ('plain' in argument) return [[path, argument.plain]];
      return 'id' in argument && argument.own ? [[path, own[argument.id]]] : [];
    }),
  );

/** Ids of the caller's own that this operation can't be called without. */
const required = (root: RootField): Record<string, unknown> => {
  const needed = new Set([...requiredPaths(root), crossings[root.name]!.needs]);
  return Object.fromEntries(
    attemptsOf(root)
      .filter(({ path }) => needed.has(path))
      .map(({ path, kind, value }) => [path, value(own[kind])]),
  );
};

const call = async (root: RootField, given: Record<string, unknown>) => {
  const { role, args } = crossings[root.name]!;
  const needed = new Set(requiredPaths(root));
  const values = {
    ...Object.fromEntries(Object.entries(required(root)).filter(([path]) => needed.has(path))),
    ...given,
  };
  await api.trails.acme.reader.fresh(60_000);
  commands.length = 0;
  const variables = variablesOf(root, { ...others(args), ...values });
  const { status, text, errors } = await api.ask(documentOf(root), withIds(root, variables), role);
  return { status, text, code: errors?.[0]?.extensions.code, commands: commands.splice(0) };
};

/** Mutations that ask for an id of the caller's own get one. */
const withIds = (root: RootField, variables: Record<string, unknown>): Record<string, unknown> =>
  root.name === 'Mutation.createInstance'
    ? { input: { id: nobodys().event, ...(variables['input'] as object) } }
    : variables;

const triesMax = 8;
/** Nobody's, and in a list of names at the same place: a page that begins after it is the same page. */
const besides = (emitter: string): string => `${emitter}${randomUUID().slice(0, 8)}`;
/** Those that found nothing, by what their permission is called. */
const missed = new Set<string>();

describe.each(called.map((root) => [root.name, root] as const))('%s', (_name, root) => {
  it('reads and writes nothing of another instance', async () => {
    const answer = await call(root, required(root));
    // Whatever it says, it got as far as looking.
    expect(['INTERNAL', 'BAD_INPUT']).not.toContain(answer.code);
    expect(answer.commands.filter((command) => command.name.includes(databaseOf(api, 'globex')))).toEqual([]);
    expect(answer.commands.filter(({ text }) => text.includes(api.ids.globex))).toEqual([]);
    expect(answer.text).not.toContain(marker);
  });

  const attempts = attemptsOf(root);
  if (attempts.length === 0) return;
  it.each(attempts.map((attempt) => [`${attempt.path} (${attempt.kind})`, attempt] as const))(
    'answers to what another instance has in %s as to what nobody has, for the same work',
    async (_what, { path, kind, value }) => {
      // The first in a minute is recorded, whatever it is.
      await call(root, { [path]: value(nobodys()[kind]) });
      for (let time = 1; ; time += 1) {
        const absentId = kind === 'emitter' ? besides(theirs.emitter) : nobodys()[kind];
        const foreign = await call(root, { [path]: value(theirs[kind]) });
        const absent = await call(root, { [path]: value(absentId) });
        if (foreign.code === 'NOT_FOUND') missed.add(root.field.name);
        // What waits for the index or the applier looks as often as these make it, whosever the id is.
        const workOf = ({ commands: made }: typeof foreign) => {
          const names = made.map((command) => command.name).toSorted();
          const isWaiting = (name: string) => root.kind === 'mutation' || /\.(tails|anchors)$/.test(name);
          return names.filter((name, at) => !isWaiting(name) || names.indexOf(name) === at);
        };
        const same = () => {
          expect(shapeOf(foreign.text.replaceAll(theirs[kind], '<id>'))).toBe(
            shapeOf(absent.text.replaceAll(absentId, '<id>')),
          );
          expect(foreign.status).toBe(absent.status);
          expect(workOf(foreign)).toEqual(workOf(absent));
        };
        expect(foreign.text).not.toContain(marker);
        expect(foreign.code).not.toBe('INTERNAL');
        expect(foreign.commands.filter((command) => command.name.includes(databaseOf(api, 'globex')))).toEqual([]);
        try {
          same();
          return;
        } catch (error) {
          // Batches that happened to meet, a minute that ended: what depends on whose id it is would differ each time.
          if (time === triesMax) throw error;
        }
      }
    },
  );

  it.each(attempts.map((attempt) => [`${attempt.path} (${attempt.kind})`, attempt] as const))(
    'is not led astray by spellings of a foreign id in %s',
    async (_what, { path, kind, value }) => {
      for (const spelling of spellingsOf(theirs[kind], api.ids.globex)) {
        const answer = await call(root, { [path]: value(spelling) });
        expect([spelling, answer.code]).not.toEqual([spelling, 'INTERNAL']);
        expect(answer.text).not.toContain(marker);
        expect(answer.commands.filter((command) => command.name.includes(databaseOf(api, 'globex')))).toEqual([]);
      }
    },
  );
});

const spellingsOf = (id: string, instance: string): unknown[] => [
  id.toUpperCase(),
  `${instance}/${id}`,
  `../${instance}/${id}`,
  `%2e%2e%2f${instance}%2f${id}`,
  `${id}\u0000`,
  id.replaceAll('0', '\uff10'),
  `\u202e${id}`,
  { $gt: '' },
  { $in: [id] },
];

describe('afterwards', () => {
  it('the victim’s log is as it was: nothing was written there, not even that somebody tried', async () => {
    expect(await sizeOf(api, 'globex')).toBe(sizeBefore);
  });

  it('each operation that found nothing is recorded in the caller’s own log', async () => {
    await api.api.sweep();
    const { reader } = api.trails.acme;
    await reader.fresh(60_000);
    const found = await reader.find({ action: 'trail.read', outcome: 'failure' }, { limit: 10_000 });
    const recorded = (await reader.withParts(found, seeAll)).map(({ parts }) => {
      const part = parts?.['query'];
      return part?.state === 'present' ? (part.content as { operation: string }).operation : undefined;
    });
    expect(missed.size).toBeGreaterThan(8);
    for (const operation of missed) expect(recorded).toContain(operation);
  });
});
