/** The embedded Temporal: the official dev server with its state in a file, on loopback, without the web interface. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { endOrphan, startChild, type ServerChild } from './child.ts';
import { ServersError } from './errors.ts';
import { claimPort, portTaken, type PortChoice } from './ports.ts';
import type { Program } from './program.ts';
import { telling } from './progress.ts';
import type { Say } from './registries.ts';
import { awaitNamespace } from './temporalAddress.ts';

export interface TemporalOptions {
  readonly program: Program;
  /** Absolute. */
  readonly folder: string;
  readonly port: PortChoice;
  readonly namespace: string;
  readonly say: Say;
}

export interface RunningTemporal {
  readonly address: string;
  readonly namespace: string;
  readonly child: ServerChild;
}

const readyTimeoutMs = 180_000;

export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  const { folder, namespace, say } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await endOrphan(folder, 'temporal')) === 'ended') {
    say('Temporal: ended the server that a crashed start left behind');
  }
  const port = await claimPort(options.port, 'Temporal');
  const child = startChild({
    name: 'temporal',
    program: options.program.path,
    folder,
    env: withoutTemporalSettings(process.env),
    args: [
      'server',
      'start-dev',
      '--headless',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--db-filename',
      join(folder, 'temporal.db'),
      '--namespace',
      namespace,
      '--log-level',
      'error',
      // One shard loads transfer tasks at most 20 times a second by default: after a burst every hop costs 50 ms.
      '--dynamic-config-value',
      'history.transferProcessorMaxPollRPS=2000',
    ],
  });
  const address = `127.0.0.1:${port}`;
  try {
    const failure = child.ended.then(() => {
      throw endedEarly(child, options.port, port);
    });
    failure.catch(() => undefined);
    const ready = awaitNamespace(address, namespace, readyTimeoutMs);
    await telling('starting Temporal', say, Promise.race([ready, failure]));
  } catch (error) {
    await child.stop();
    throw error instanceof ServersError ? error : notReady(error, child);
  }
  return { address, namespace, child };
}

/** The CLI reads TEMPORAL_* and the user's configuration file as if they were its flags. */
function withoutTemporalSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_'));
  return { ...Object.fromEntries(kept), TEMPORAL_CONFIG_FILE: '/dev/null' };
}

const endedEarly = (child: ServerChild, choice: PortChoice, port: number): ServersError =>
  /address already in use|can't set frontend port/i.test(child.logTail())
    ? portTaken(port, choice.kind === 'fixed' ? choice.setting : 'the port', 'Temporal')
    : notReady(undefined, child);

const notReady = (cause: unknown, child: ServerChild): ServersError =>
  new ServersError(
    'SERVER_FAILED',
    `Temporal did not become ready${cause instanceof Error ? ` (${cause.message})` : ''}. End of its log:\n${child.logTail()}`,
    { cause },
  );
