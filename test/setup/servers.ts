/**
 * Starts MongoDB and Temporal once for a run of the tests, in a throw-away folder on free ports, and ends them with it.
 * Tests get their addresses by `inject('mongodbAdminUri')` and `inject('temporalAddress')`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ServersError, startServers, type Servers } from '../../stack/servers/servers.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the root user; nothing is provisioned. */
    mongodbAdminUri: string;
    /** host:port; the namespace is `testNamespace`. */
    temporalAddress: string;
  }
}

export const testNamespace = 'trailkeeper';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-test-'));
  let servers: Servers | undefined;
  const teardown = async () => {
    await servers?.stop('discard');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    servers = await startOnFreePorts(folder);
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide('mongodbAdminUri', servers.mongodb.adminUri);
  project.provide('temporalAddress', servers.temporal.address);
  return teardown;
}

/** Another process may take a port between our choosing it and the server's binding it. */
async function startOnFreePorts(folder: string): Promise<Servers> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startServers({
        // The tests' servers are their own, whatever the environment names: they write and drop at will.
        env: { ...process.env, MONGODB_URI: '', TEMPORAL_ADDRESS: '' },
        dataFolder: join(folder, String(attempt)),
        ports: { mongodb: { kind: 'free' }, temporal: { kind: 'free' } },
        namespace: testNamespace,
        say: (line) => console.log(`[servers] ${line}`),
        testCommands: true,
      });
    } catch (error) {
      if (attempt === 3 || !(error instanceof ServersError) || error.code !== 'PORT_TAKEN') throw error;
    }
  }
}
