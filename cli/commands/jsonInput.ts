import { readText } from '../connection.ts';
import { CliError, exitCodes } from '../exit.ts';

/** JSON that is given on the command line, or in a file by `@file`. `name`: the flag, for the message. */
export const json = (text: string, name: string): unknown => {
  try {
    return JSON.parse(text.startsWith('@') ? readText(text.slice(1)) : text);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(exitCodes.usage, `${name} is not JSON`);
  }
};
