/** The verifier's own functions, for whoever runs it inside a process: the command line and the tests. */

/** Runs it as from a command line, without the program's own name. Returns the exit code. */
export declare const main: (
  argv: readonly string[],
  out?: (line: string) => void,
  err?: (line: string) => void,
) => Promise<number>;
