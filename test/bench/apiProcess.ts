/** The API in a process of its own, and a client that keeps its connections. */
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { startService } from '../../stack/embedded/service.ts';
import { processDuties } from '../../stack/config.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { passwordSetting } from '../../stack/settings.ts';
import { dutyUri } from '../../store/provisioning/duties.ts';
import { namespace, type Environment } from './environment.ts';

export interface RunningApi {
  /** One GraphQL request as the holder of the token. Throws where the answer has errors. */
  ask<T>(token: string, query: string, variables: object): Promise<T>;
  stop(): Promise<void>;
}

/** `keysFolder`: that of the instances which it is to serve. */
export async function startApiProcess(environment: Environment, keysFolder: string): Promise<RunningApi> {
  const { mongodbUri, passwords, temporal, folder, say } = environment;
  const port = await claimPort({ kind: 'free' }, 'the API');
  const child = await startService({
    name: 'api',
    entry: 'stack/api.ts',
    env: {
      ...process.env,
      MONGODB_URI: dutyUri(mongodbUri, 'reader', '-').replace(/\/\/[^@]*@/, '//'),
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: namespace,
      TRAILKEEPER_API_PORT: String(port),
      TRAILKEEPER_DATA_DIR: join(folder, 'data'),
      TRAILKEEPER_SECRETS_DIR: join(folder, 'no-secrets'),
      TRAILKEEPER_KEYS_DIR: keysFolder,
      ...Object.fromEntries(processDuties.api.map((duty) => [passwordSetting(duty), passwords[duty]])),
    },
    port,
    portSetting: 'TRAILKEEPER_API_PORT',
    healthUrl: `http://127.0.0.1:${port}/readyz`,
    dataFolder: join(folder, 'data'),
    say,
  });
  const agent = new Agent({ keepAlive: true });
  return {
    async ask<T>(token: string, query: string, variables: object) {
      const body = JSON.stringify({ query, variables });
      const { status, text } = await post({ agent, port, token, body });
      const answer = JSON.parse(text) as { data?: T; errors?: readonly { message: string }[] };
      if (status !== 200 || answer.errors || !answer.data)
        throw new Error(`the API answered ${status}: ${answer.errors?.[0]?.message ?? text.slice(0, 200)}`);
      return answer.data;
    },
    async stop() {
      agent.destroy();
      await child.stop();
    },
  };
}

const post = ({ agent, port, token, body }: { agent: Agent; port: number; token: string; body: string }) =>
  new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request({ agent, host: '127.0.0.1', port, path: '/graphql', method: 'POST', headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
