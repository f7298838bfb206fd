import { MongoClient, type CommandStartedEvent } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventInput } from '../../schema/event.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
const commands: string[] = [];
let theirs: EventInput;

beforeAll(async () => {
  api = await openTestApi({
    connect(uri) {
      const watched = new MongoClient(uri, { monitorCommands: true });
      watched.on('commandStarted', ({ commandName, databaseName, command }: CommandStartedEvent) => {
        const collection = command[commandName];
        if (typeof collection === 'string' && commandName !== 'getMore')
          commands.push(`${commandName} ${databaseName}.${collection}`);
      });
      return watched;
    },
  });
  theirs = emitterOf('theirs')({ runId: '01890a5d-ac96-774b-bcce-b302099a8057' });
  await api.trails.globex.writer.append([theirs], 'platform');
  // Both are open, and it is there for its own.
  await api.ask('{ gaps { behind } }');
  const { data } = await api.ask(
    `query ($id: EventId!) { event(id: $id) { id } }`,
    { id: theirs.id },
    {
      instance: 'globex',
      role: 'auditor',
    },
  );
  if (data.event.id !== theirs.id) throw new Error('the event is not there');
});
afterAll(() => api.close());

const absentId = '01890a5d-ac96-774b-bcce-000000000000';
const absentCorrelation = 'f'.repeat(32);

/**
 * What one question brings back, and which collections are read for it. What was not found is recorded once a minute,
 * whoever's it is, and how often the index's cursor is looked at depends on the index: test/isolation holds these apart.
 */
const look = async (query: string, variables: object, role: 'auditor' | 'operator' = 'auditor') => {
  commands.length = 0;
  const { status, text } = await api.ask(query, variables, role);
  const reads = commands.filter((command) => command.startsWith('find') && !/\.(tokens|anchors)$/.test(command));
  return { status, text, reads: reads.filter((command, at) => command !== reads[at - 1]) };
};

describe("another instance's ids", () => {
  it.each([
    ['event', `query ($id: EventId!) { event(id: $id) { id } }`],
    ['inclusionProof', `query ($id: EventId!) { inclusionProof(event: $id) { size } }`],
    ['disclose', `mutation ($id: EventId!) { disclose(event: $id, part: "after") { state } }`],
  ])('%s answers as for an id that nobody has', async (_field, query) => {
    const role = 'auditor';
    // What is opened at a first use is open then.
    await look(query, { id: absentId }, role);
    const foreign = await look(query, { id: theirs.id }, role);
    const absent = await look(query, { id: absentId }, role);
    expect(foreign).toEqual(absent);
    expect(foreign.status).toBe(404);
    expect(JSON.parse(foreign.text).errors[0].extensions.code).toBe('NOT_FOUND');
  });

  it.each([
    ['timeline', `query ($id: CorrelationId!) { timeline(correlationId: $id) { behind } }`],
    ['diagnose', `query ($id: CorrelationId!) { diagnose(correlationId: $id) { behind } }`],
  ])('%s answers as for an unknown correlation id', async (_field, query) => {
    await look(query, { id: absentCorrelation });
    const foreign = await look(query, { id: theirs.correlationId });
    const absent = await look(query, { id: absentCorrelation });
    expect(foreign).toEqual(absent);
    expect(foreign.status).toBe(404);
  });

  it('lists show nothing of it', async () => {
    const query = `query ($filter: EventFilter) { events(filter: $filter) { edges { node { id } } behind } }`;
    for (const filter of [{ correlationId: theirs.correlationId }, { runId: theirs.runId }, { emitter: 'theirs' }]) {
      const { data } = await api.ask(query, { filter });
      expect(data.events.edges).toEqual([]);
    }
  });

  it('reads nothing of any database but its own and the control data', async () => {
    commands.length = 0;
    await api.ask(`query ($id: EventId!) { event(id: $id) { id } }`, { id: theirs.id });
    expect(commands.length).toBeGreaterThan(0);
    expect(commands.filter((command) => command.includes(instanceDatabase(api.ids.globex)))).toEqual([]);
  });

  it('the log of another instance is not there', async () => {
    const logId = api.trails.globex.origin.split('/').at(-1)!;
    const answers = await Promise.all(
      [logId, '0'.repeat(32)].map(async (id) => {
        const response = await api.fetch(`/log/${id}/checkpoint`);
        return { status: response.status, text: await response.text() };
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]!.status).toBe(404);
  });
});
