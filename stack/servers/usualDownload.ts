/**
 * A program of its own (`node usualDownload.ts <program> <folder>`): fetches the server the way its own project does,
 * mongodb-memory-server's MongoBinary or the Temporal SDK's downloader, and prints the path as its last line. It is a
 * process because neither downloader can be cancelled: its caller ends it when nothing arrives any more.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProgramName } from './program.ts';

const [name, folder] = process.argv.slice(2) as [ProgramName, string];

try {
  await mkdir(folder, { recursive: true });
  console.log(`\n${name === 'mongod' ? await downloadMongod() : await downloadTemporal()}`);
} catch (error) {
  console.error(oneLine(error));
  process.exit(1);
}

async function downloadMongod(): Promise<string> {
  // One try: a network that refuses does so at once, and the package registries are next.
  process.env['MONGOMS_MAX_RETRIES'] ??= '1';
  const { MongoBinary } = await import('mongodb-memory-server-core/lib/util/MongoBinary.js');
  return MongoBinary.getPath({ downloadDir: folder });
}

/** The SDK downloads as a part of starting: the server that it starts is ended at once, and the file is what counts. */
async function downloadTemporal(): Promise<string> {
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir: folder } },
  });
  await environment.teardown();
  const file = (await readdir(folder)).find((entry) => entry.startsWith('temporal'));
  if (file === undefined) throw new Error('the SDK started a server but left no executable');
  return join(folder, file);
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // The SDK's message repeats the URL at each level of causes; the last one says why.
  const [first = '', ...causes] = message.replaceAll(/\s+/g, ' ').split(/: (?=error sending request|client error)/);
  return [first, causes.at(-1)].filter(Boolean).join(': ');
}
