/** The API in a process of its own, and a client that keeps its connections. */
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { startService } from '../../stack/embedded/service.ts';
import { processDuties } from '../../stack/config.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { passwordSetting } from '../../stack/settings.ts';
import { dutyUri } from '../../store/provisioning/duties.ts';
import { namespace, type Environment } from './environment.ts';

export interface RunningApi {
  /** One GraphQL request as the holder of the token. Throws where the answer has errors. */
  ask<T>(token: string, query: string, variables: object): Promise<T>;
  /** One request of `POST /v1/events`, its body given bit by bit. Throws where any event was not accepted. */
  stream(token: string, bodies: Iterable<readonly object[]>): Promise<void>;
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
    async stream(token, bodies) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
      const sent = request({ agent, host: '127.0.0.1', port, path: '/v1/events', method: 'POST', headers });
      const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
      const written = pipeline(Readable.from(ndjson(bodies), { objectMode: true }), sent);
      const [answer] = await answered;
      let last = '';
      for await (const line of createInterface({ input: answer })) {
        if (!line.includes('"status":"accepted"') && !line.startsWith('{"summary":'))
          throw new Error(`an event of the benchmark was not accepted: ${line}`);
        last = line;
      }
      await written;
      if (!last.endsWith('"error":null}'))
        throw new Error(`the API answered ${answer.statusCode}: ${last.slice(0, 200)}`);
    },
    async stop() {
      agent.destroy();
      await child.stop();
    },
  };
}

function* ndjson(bodies: Iterable<readonly object[]>): Generator<string> {
  for (const events of bodies) yield `${events.map((event) => JSON.stringify(event)).join('\n')}\n`;
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
