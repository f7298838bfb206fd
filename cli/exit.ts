/** How a command ends. docs/cli.md says the same. */
export const exitCodes = {
  ok: 0,
  /** The log was refuted, the diagnosis established nothing, the run is incomplete, or the action failed. */
  negative: 1,
  usage: 2,
  /** The API refused it: not permitted, not found, bad input, denied by a policy or a person. */
  refused: 3,
  /** Nobody answers, or the API says that the same may succeed later. */
  unavailable: 4,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command with a message on standard error. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit: ExitCode;
  /** Of the API, where it was the API that refused. */
  readonly code: string | undefined;

  constructor(exit: ExitCode, message: string, code?: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
    this.code = code;
  }
}
