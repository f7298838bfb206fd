/**
 * The opening incident, played through the API like any agent would: a sales agent brings 300 contacts up to date
 * through a field mapping that is stale, tells Slack, mails a customer thread and opens a Jira issue, before anyone
 * notices. Nothing here knows the diagnosis: it is asked for at the end, from the record.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Versions } from '../../schema/event.ts';

/** Runs one GraphQL document under one role's token. */
export type Ask = <T>(document: string, variables?: Record<string, unknown>) => Promise<T>;

export interface Scene {
  readonly agent: Ask;
  readonly auditor: Ask;
  /** Told what happens, a line at a time. */
  readonly say: (line: string) => void;
  readonly salesforceIds: readonly string[];
  readonly slackChannel: string;
  readonly gmailThread: string;
  readonly jiraProject: string;
  /** What the agent declares to run with; `mapping` is `name@version`, the one that its build is pinned to. */
  readonly versions: Versions & { readonly mapping: string };
  /** Content of the prompt. */
  readonly prompt: unknown;
  readonly agentName: string;
  readonly onBehalfOf: string;
}

export interface Played {
  readonly runId: string;
  readonly correlationId: string;
  /** Ids of the agent's actions, by tool. */
  readonly actions: Readonly<Record<string, string>>;
  readonly completeness: string;
  readonly timeline: TimelineRow[];
  readonly diagnosis: Diagnosis;
}

export interface Diagnosis {
  readonly verdict: { readonly state: string; readonly causes: readonly string[] };
  /** Verdict, findings and statements, a sentence a line, with the entries that each rests on. */
  readonly lines: readonly string[];
  /** In the order of the last lines. */
  readonly statements: readonly { readonly kind: string }[];
}

export interface TimelineRow {
  readonly depth: number;
  readonly event: {
    readonly index: number;
    readonly action: string;
    readonly phase: string;
    readonly outcome: string | null;
    readonly system: string;
    readonly actor: { readonly principal: string };
  };
  readonly bulk: { readonly size: number } | null;
}

interface ActionAnswer {
  readonly performAction: {
    readonly id: string;
    readonly state: string;
    readonly outcome: string | null;
    readonly error: string | null;
    readonly attempts: number;
    readonly results: readonly unknown[];
  };
}

const performAction = `mutation ($input: PerformActionInput!) {
  performAction(input: $input) { id state outcome error attempts results }
}`;
/** States after which an action does nothing more by itself. */
const settled: ReadonlySet<string> = new Set(['SUCCEEDED', 'DENIED', 'FAILED', 'UNKNOWN', 'AWAITING_APPROVAL']);
const waitMs = 30_000;
const patienceMs = 600_000;

export const playIncident = async (scene: Scene): Promise<Played> => {
  const { agent, say, versions } = scene;
  const { openRun } = await agent<{ openRun: { runId: string; correlationId: string } }>(
    `mutation ($input: OpenRunInput!) { openRun(input: $input) { runId correlationId } }`,
    {
      input: {
        purpose: 'quarterly-contact-update',
        onBehalfOf: scene.onBehalfOf,
        versions,
      },
    },
  );
  const { runId, correlationId } = openRun;
  say(`${scene.agentName} opens a run for ${scene.onBehalfOf}: correlation id ${correlationId}`);

  const responded = await reportThinking(scene, runId, correlationId);
  say('its runtime reports the prompt and the answer of the model');

  const actions: Record<string, string> = {};
  const perform = async (tool: string, params: unknown, line: string): Promise<ActionAnswer['performAction']> => {
    const input = { runId, id: uuidv7(), tool, params, causedBy: responded, waitMs };
    const ended = await untilSettled(agent, input);
    if (ended.state !== 'SUCCEEDED') throw new SampleError(`${tool} ended as ${ended.state} (${ended.error ?? '-'})`);
    actions[tool] = ended.id;
    say(`${line} (${ended.attempts} call${ended.attempts === 1 ? '' : 's'})`);
    return ended;
  };

  await perform(
    'salesforce.readRecords',
    { object: 'Contact', ids: scene.salesforceIds, fields: ['Id', 'Phone', 'MobilePhone'] },
    `Salesforce: reads ${scene.salesforceIds.length} contacts`,
  );
  // New numbers each time, so that each run of the sample changes something.
  const firstNumber = randomInt(5_000_000, 9_000_000);
  const records = scene.salesforceIds.map((id, position) => ({
    id,
    set: { phone: `+49 151 ${firstNumber + position}` },
  }));
  await perform(
    'salesforce.updateRecords',
    { object: 'Contact', mapping: versions.mapping, records },
    `Salesforce: updates ${records.length} contacts through the mapping ${versions.mapping}`,
  );
  await perform(
    'slack.postMessage',
    { channel: scene.slackChannel, text: `Mobile numbers of ${records.length} contacts are up to date.` },
    'Slack: posts to #sales',
  );
  await perform('gmail.readThread', { threadId: scene.gmailThread }, 'Gmail: reads the thread with the customer');
  await perform(
    'gmail.sendMessage',
    {
      to: ['procurement@example.com'],
      subject: 'Your contact data',
      text: 'We have brought the mobile numbers that you sent us up to date. Please tell us if anything is missing.',
    },
    'Gmail: mails the customer',
  );
  await perform(
    'jira.createIssue',
    { project: scene.jiraProject, fields: { summary: `Spot-check ${records.length} updated contacts` } },
    'Jira: opens an issue',
  );

  const { closeRun } = await agent<{ closeRun: { state: string; missing: { text: string }[] } }>(
    `mutation ($input: CloseRunInput!) { closeRun(input: $input) { state missing { text } } }`,
    { input: { runId } },
  );
  say(`the run is closed: ${[closeRun.state, ...closeRun.missing.map(({ text }) => text)].join('; ')}`);

  const { timeline } = await scene.auditor<{ timeline: { rows: TimelineRow[] } }>(
    `query ($id: CorrelationId!) {
      timeline(correlationId: $id, folded: true) {
        rows { depth bulk { size } event { index action phase outcome system actor { principal } } }
      }
    }`,
    { id: correlationId },
  );
  const { diagnose: diagnosis } = await scene.auditor<{ diagnose: Diagnosis }>(
    `query ($id: CorrelationId!) { diagnose(correlationId: $id) { verdict { state causes } lines statements { kind } } }`,
    { id: correlationId },
  );
  return {
    runId,
    correlationId,
    actions,
    completeness: closeRun.state,
    timeline: timeline.rows,
    diagnosis,
  };
};

/** Prompt and answer, as the agent's own runtime reports them. Returns the id of the answer's event. */
const reportThinking = async (scene: Scene, runId: string, correlationId: string): Promise<string> => {
  const { versions } = scene;
  const common = (sequence: number) => ({
    id: uuidv7(),
    correlationId,
    runId,
    spanId: randomBytes(8).toString('hex'),
    emitter: { id: `${scene.agentName}/${runId}`, sequence },
    eventTime: new Date().toISOString(),
    actor: { principal: scene.agentName, kind: 'agent', runtime: 'sample-runtime/1.0' },
    onBehalfOf: scene.onBehalfOf,
    system: 'agent',
    phase: 'observation',
    versions,
  });
  const prompt = {
    ...common(1),
    causedBy: runId,
    action: 'prompt.submit',
    parts: [{ name: 'prompt', content: scene.prompt }],
  };
  const answer = {
    ...common(2),
    causedBy: prompt.id,
    action: 'model.respond',
    parts: [{ name: 'response', content: 'I will set the mobile number of each contact from the list.' }],
  };
  const { recordEvents } = await scene.agent<{
    recordEvents: { status: string; refusal: { code: string; message: string } | null }[];
  }>(`mutation ($events: [JSONObject!]!) { recordEvents(events: $events) { status refusal { code message } } }`, {
    events: [prompt, answer],
  });
  for (const { refusal } of recordEvents)
    if (refusal) throw new SampleError(`an event was refused: ${refusal.code} ${refusal.message}`);
  return answer.id;
};

/** The same call again is the same action: it only waits on. */
const untilSettled = async (ask: Ask, input: Record<string, unknown>): Promise<ActionAnswer['performAction']> => {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { performAction: action } = await ask<ActionAnswer>(performAction, { input });
    if (settled.has(action.state)) return action;
    if (performance.now() > deadline) throw new SampleError(`an action is still ${action.state}`);
  }
};

/** The sample did not go as it should. */
export class SampleError extends Error {
  override readonly name = 'SampleError';
  readonly code = 'SAMPLE_FAILED';
}
