/** The guides are tested like code: their entries are entries, and their commands exist. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { entrySchema } from '../../schema/event.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const folders = readdirSync(join(root, 'runbooks'), { withFileTypes: true }).filter((item) => item.isDirectory());
const recorded = z.strictObject({ index: z.int().nonnegative(), entry: entrySchema });

const commandsIn = (text: string): string[] => [
  ...new Set([...text.matchAll(/npx trailkeeper ([a-z][a-z-]*)/g)].map((match) => match[1]!)),
];

describe.each(folders.map(({ name }) => name))('the guide %s', (name) => {
  const guide = readFileSync(join(root, 'runbooks', name, 'README.md'), 'utf8');
  const entries = readFileSync(join(root, 'runbooks', name, 'entries.jsonl'), 'utf8')
    .trim()
    .split('\n');

  it('shows real entries, and cites only those', () => {
    const indices = entries.map((line) => recorded.parse(JSON.parse(line)).index);
    const cited = [...guide.matchAll(/\[#(\d+)\]/g)].map((match) => Number(match[1]));
    expect(cited.length).toBeGreaterThan(0);
    for (const index of cited) expect(indices).toContain(index);
  });

  it.each(commandsIn(guide))('names a command that there is: %s', async (command) => {
    const { stdout } = await run(process.execPath, [join(root, 'cli/trailkeeper.js'), command, '--help']);
    expect(stdout).toContain(`Usage: trailkeeper ${command} `);
  });

  it('names only options that the commands have', async () => {
    for (const [, command, rest] of guide.matchAll(/npx trailkeeper ([a-z][a-z-]*)([^\n#`]*)/g)) {
      const { stdout } = await run(process.execPath, [join(root, 'cli/trailkeeper.js'), command!, '--help']);
      for (const [option] of rest!.matchAll(/--[a-z][a-z-]*/g)) expect(stdout).toContain(option);
    }
  });
});
