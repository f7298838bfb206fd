/** Another real witness, of another house: github.com/transparency-dev/witness, on a free port. */
import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { keyIdText, noteKey } from '../../domain/tree/note.ts';
import { goProgram, pathOf } from '../setup/programs.ts';
import { freePort, type Witness } from './litewitness.ts';

export const omniwitness = await goProgram(
  'github.com/transparency-dev/witness/cmd/omniwitness@v0.0.0-20260720115447-2e1c6971d19e',
  'omniwitness',
);

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** It learns of its logs when it starts. It asks nobody: it has no address of a log list, distributor or bastion. */
export const startOmniwitness = async (
  name: string,
  logs: readonly { readonly origin: string; readonly vkey: string }[],
): Promise<Pick<Witness, 'name' | 'vkey' | 'url' | 'close'>> => {
  const folder = await mkdtemp(join(tmpdir(), 'tk-omniwitness-'));
  const seed = randomBytes(32);
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32);
  const secret = Buffer.concat([Uint8Array.of(1), seed]).toString('base64');
  const files = { key: join(folder, 'key'), logs: join(folder, 'logs.yaml'), db: join(folder, 'witness.db') };
  await writeFile(files.key, `PRIVATE+KEY+${name}+${keyIdText(noteKey(name, publicKey).keyId)}+${secret}`, {
    mode: 0o600,
  });
  const listed = logs.map(
    ({ origin, vkey }) => `  - Origin: ${origin}\n    PublicKey: ${vkey}\n    URL: http://127.0.0.1:9/`,
  );
  await writeFile(files.logs, `Logs:\n${listed.join('\n')}\n`);
  const [port, metricsPort] = [await freePort(), await freePort()];
  const flags = Object.entries({
    listen: `127.0.0.1:${port}`,
    metrics_listen: `127.0.0.1:${metricsPort}`,
    db_file: files.db,
    private_key_path: files.key,
    additional_logs: files.logs,
  }).map(([flag, value]) => `-${flag}=${value}`);
  const child = spawn(pathOf(omniwitness), flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  while (child.exitCode === null) {
    const answers = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (answers) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (child.exitCode !== null) throw new Error(`omniwitness ended: ${said}`);
  return {
    name,
    vkey: encodeCosignerVkey(cosignerKey(name, publicKey)),
    url: `http://127.0.0.1:${port}`,
    async close() {
      child.kill('SIGKILL');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
};
