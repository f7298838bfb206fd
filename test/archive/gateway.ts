/** versitygw: S3 with Object Lock and versions, on a free port, with a bucket and a user of its own for each instance. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startChild } from '../../stack/servers/child.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { goProgram } from '../setup/programs.ts';

export const gatewayProgram = () => goProgram('github.com/versity/versitygw/cmd/versitygw@v1.8.0', 'versitygw');

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Gateway {
  readonly endpoint: string;
  readonly root: Credentials;
  /** A bucket with Object Lock that belongs to a new user. */
  bucket(name: string): Promise<Credentials>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const region = 'us-east-1';

export const startGateway = async (program: string): Promise<Gateway> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-s3-'));
  const [data, versions, metadata, iam] = await Promise.all(
    ['data', 'versions', 'metadata', 'iam'].map(async (name) => {
      await mkdir(join(folder, name));
      return join(folder, name);
    }),
  );
  const root = { accessKeyId: 'root', secretAccessKey: randomBytes(16).toString('hex') };
  const port = await claimPort({ kind: 'free' }, 'versitygw');
  const endpoint = `http://127.0.0.1:${port}`;
  const child = startChild({
    name: 'versitygw',
    program,
    args: `--port 127.0.0.1:${port} --quiet --iam-dir ${iam} posix --sidecar ${metadata} --versioning-dir ${versions} ${data}`.split(
      ' ',
    ),
    folder,
    env: { ...process.env, ROOT_ACCESS_KEY: root.accessKeyId, ROOT_SECRET_KEY: root.secretAccessKey },
  });
  const client = new S3Client({ region, endpoint, forcePathStyle: true, credentials: root });
  let ended = false;
  void child.ended.then(() => (ended = true));
  for (;;) {
    const answer = await fetch(endpoint).catch(() => undefined);
    if (answer) break;
    if (ended) throw new Error(`versitygw ended: ${child.logTail()}`);
    await delay(50);
  }
  const { accessKeyId, secretAccessKey } = root;
  const asAdmin = ['admin', '--endpoint-url', endpoint, '--access', accessKeyId, '--secret', secretAccessKey];
  const admin = (...args: string[]) => run(program, [...asAdmin, ...args]);
  return {
    endpoint,
    root,
    async bucket(name) {
      const own = { accessKeyId: `user-${name}`, secretAccessKey: randomBytes(16).toString('hex') };
      await admin('create-user', '--access', own.accessKeyId, '--secret', own.secretAccessKey, '--role', 'user');
      await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: true }));
      await admin('change-bucket-owner', '--bucket', name, '--owner', own.accessKeyId);
      return own;
    },
    pause: () => void process.kill(child.pid, 'SIGSTOP'),
    resume: () => void process.kill(child.pid, 'SIGCONT'),
    async stop() {
      client.destroy();
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
