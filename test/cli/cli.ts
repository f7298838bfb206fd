/** Runs the command line in this process, and keeps what it says. */
import { runCli } from '../../cli/main.ts';
import type { Role } from '../../schema/control.ts';
import type { TestApi } from '../api/openApi.ts';

export interface Ran {
  readonly exit: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

export const cliOf =
  (api: Pick<TestApi, 'url' | 'tokens'>, cwd = '/') =>
  async (as: Role | 'nobody', ...argv: readonly string[]): Promise<Ran> => {
    const out: string[] = [];
    const err: string[] = [];
    const exit = await runCli(argv, {
      env: {
        ...(as !== 'nobody' && {
          TRAILKEEPER_ENDPOINT: `${api.url}/graphql`,
          TRAILKEEPER_TOKEN: api.tokens.acme[as]!,
        }),
      },
      cwd,
      out: (line) => out.push(line),
      note: (line) => err.push(line),
    });
    return { exit, out, err };
  };
