import { resolve } from 'node:path';
import type { CliCommand, Flags } from '../command.ts';
import { exitCodes } from '../exit.ts';
import { download as copyLog } from '../log/download.ts';
import { httpFiles } from '../log/source.ts';
import { counted, printJson } from '../print.ts';
import { logUrl, logUrlDocument } from './logUrl.ts';

interface DownloadFlags extends Flags {
  readonly log?: string;
}

export const download: CliCommand<DownloadFlags> = {
  usage: 'download <folder>',
  summary: 'copy the log into a folder, in the layout of c2sp.org/tlog-tiles',
  help: `A second download into the same folder fetches only what is new. Check the result with "verify --dir".

  npx trailkeeper download ./log --as acme/auditor`,
  documents: [logUrlDocument],
  options: (command) => command.option('--log <url>', "the log's URL prefix; by default asked of the API"),
  async run([folder], flags, context) {
    const client = context.client();
    const target = resolve(context.cwd, folder!);
    const files = httpFiles(flags.log ?? (await logUrl(client)), client.connection.token);
    const downloaded = await copyLog(files, target, (done, of) => context.note(`${done} of ${of} files`));
    if (flags.json) printJson(context, { folder: target, ...downloaded });
    else
      context.out(
        `${counted(downloaded.size, 'entry', 'entries')} in ${target} (${counted(downloaded.files, 'file')} written)`,
      );
    return exitCodes.ok;
  },
};
