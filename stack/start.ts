/**
 * `npm start`: the embedded stack and the opening incident. With `--once` it ends after the proofs, with 0 only if they all
 * hold; without, it stays until Ctrl-C.
 */
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig } from './config.ts';
import { closedLines, closedLogs } from './embedded/closedLogs.ts';
import { credentialsPath, type Credentials } from './embedded/credentials.ts';
import { startStack, type EmbeddedStack } from './embedded/stack.ts';
import { sampleProject } from './embedded/vendors.ts';
import { demoAgent, demoMapping, demoPrompt, demoUser, demoVersionsInPlay } from './provision/demo.ts';
import { askAs } from './sample/ask.ts';
import { playIncident, SampleError, type Played } from './sample/incident.ts';
import { outsideVerdict, type OutsideVerdict } from './sample/proof.ts';
import { diagnosisLines, proofLines, timelineLines, type OwnVerdict } from './sample/story.ts';
import { ServersError } from './servers/errors.ts';

const usage = `npm start [-- --once]

Starts MongoDB, Temporal, the sandbox of vendor stand-ins, the worker and the API on this machine,
and plays the opening incident.

  --once   end after the proofs; exit code 0 only if they all hold
  --help   this text

Settings come from the environment: docs/operations.md.`;

const say = (line: string): void => console.log(line);

const play = async (stack: EmbeddedStack): Promise<Played> => {
  const acme = stack.credentials.instances['acme']!;
  return playIncident({
    agent: askAs(stack.credentials, acme.tokens['agent']!),
    auditor: askAs(stack.credentials, acme.tokens['auditor']!),
    say: (line) => say(`  ${line}`),
    salesforceIds: stack.seeded.salesforce,
    slackChannel: stack.sandbox.slack.channelId('sales'),
    gmailThread: stack.seeded.gmail[0]!.threadId,
    jiraProject: sampleProject,
    versions: { ...demoVersionsInPlay('acme'), mapping: `${demoMapping.name}@${demoMapping.stale}` },
    prompt: demoPrompt('acme'),
    agentName: demoAgent,
    onBehalfOf: demoUser,
  });
};

const prove = async (credentials: Credentials): Promise<{ own: OwnVerdict; outside: OutsideVerdict }> => {
  const { log, vkey, tokens } = credentials.instances['acme']!;
  const ask = askAs(credentials, tokens['auditor']!);
  const { verifyLog: own } = await ask<{ verifyLog: OwnVerdict }>(
    '{ verifyLog { outcome size root problem { message } } }',
  );
  say('  asking the independent verifier (a program in Go) ...');
  return { own, outside: await outsideVerdict(log, vkey, tokens['auditor']!) };
};

interface Told {
  readonly played: Played;
  /** True where every proof holds, and the record alone led to the cause. */
  readonly proven: boolean;
}

const tell = async (stack: EmbeddedStack): Promise<Told> => {
  say('\nThe opening incident:');
  const played = await play(stack);
  for (const line of timelineLines(played)) say(line);
  const { own, outside } = await prove(stack.credentials);
  for (const line of proofLines(own, outside)) say(line);
  for (const line of diagnosisLines(played)) say(line);
  say('');
  const proven =
    own.outcome === 'verified' &&
    outside.state !== 'refuted' &&
    played.completeness === 'COMPLETE' &&
    played.diagnosis.verdict.state === 'established';
  return { played, proven };
};

const usageOf = ({ credentials, sandbox, seeded }: EmbeddedStack, played: Played, dataFolder: string): string[] => [
  `GraphQL    ${credentials.endpoint}`,
  `log        ${credentials.instances['acme']!.log}`,
  `tokens     ${credentialsPath(dataFolder)}`,
  `incident   npx trailkeeper timeline ${played.correlationId} --as acme/auditor`,
  `evidence   npx trailkeeper evidence export --correlation ${played.correlationId} --out pack.tar.gz --as acme/auditor`,
  `a contact  npx trailkeeper correlate salesforce ${seeded.salesforce[0]} --as acme/responder`,
  `Slack      #sales is channel ${sandbox.slack.channelId('sales')}`,
  'more       npx trailkeeper --help, npx trailkeeper tools --as acme/agent',
  'Ctrl-C ends all of it; what was recorded is kept.',
];

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { once: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) {
    say(usage);
    return 0;
  }
  const config = loadConfig(process.env);
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('interrupted'));
  });
  const starting = startStack(config, process.env, say);
  const started = await Promise.race([starting, interrupted]);
  if (started === 'interrupted') {
    say('\nStopping ...');
    await starting.then((stack) => stack.stop()).catch(() => undefined);
    return 130;
  }
  const stack = started;
  try {
    const closed = await closedLogs(stack.credentials);
    if (closed.length > 0) {
      for (const line of closedLines(closed)) say(line);
      const ended = values.once ? 'closed' : await Promise.race([interrupted, stack.failed]);
      if (ended instanceof ServersError) throw ended;
      return values.once ? 1 : 0;
    }
    const told = await Promise.race([tell(stack), interrupted, stack.failed]);
    if (told instanceof ServersError) throw told;
    if (values.once && told !== 'interrupted') return told.proven ? 0 : 1;
    if (told !== 'interrupted') {
      for (const line of usageOf(stack, told.played, config.folders.data)) say(line);
      const ended = await Promise.race([interrupted, stack.failed]);
      if (ended instanceof ServersError) throw ended;
    }
    return 0;
  } finally {
    say('Stopping ...');
    await stack.stop();
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  const known = error instanceof ServersError || error instanceof ConfigError || error instanceof SampleError;
  console.error(known ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
}
// Whatever a library still holds open must not keep the terminal.
process.exit();
