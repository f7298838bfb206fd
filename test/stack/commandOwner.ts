/** A process that runs a long command, for tests of what becomes of the command when the process ends. */
import { runCommand } from '../../stack/servers/command.ts';

const [pidFile = ''] = process.argv.slice(2);
await runCommand('/bin/sh', ['-c', `echo $$ >'${pidFile}'; exec sleep 600`], {
  doing: 'waiting',
  say: (line) => console.log(line),
  env: process.env,
  tickMs: 200,
  timeoutMs: 600_000,
});
