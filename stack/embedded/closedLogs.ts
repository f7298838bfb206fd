/** Logs that were restored from their archives and wait for two people: a start then plays nothing, and stays up for them. */
import { askAs } from '../sample/ask.ts';
import type { Credentials } from './credentials.ts';

export interface ClosedLogOfInstance {
  readonly instance: string;
  readonly size: number;
}

export const closedLogs = async (credentials: Credentials): Promise<ClosedLogOfInstance[]> => {
  const closed: ClosedLogOfInstance[] = [];
  for (const [instance, { tokens }] of Object.entries(credentials.instances)) {
    const token = tokens['admin'];
    if (token === undefined) continue;
    const ask = askAs(credentials, token);
    const { archive } = await ask<{ archive: { closed: { size: number } | null } }>('{ archive { closed { size } } }');
    if (archive.closed) closed.push({ instance, size: archive.closed.size });
  }
  return closed;
};

export const closedLines = (closed: readonly ClosedLogOfInstance[]): string[] => [
  '\nRestored from the archive, and closed until two people approve that they go on:',
  ...closed.flatMap(({ instance, size }) =>
    ['admin', 'compliance'].map(
      (role) => `  npx trailkeeper rebuild approve --size ${size} --reason "..." --as ${instance}/${role}`,
    ),
  ),
  'Nothing is played. Ctrl-C ends all of it; start again when they go on.',
];
