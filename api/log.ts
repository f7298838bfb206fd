/** What the process says of itself: one JSON object a line. Never content: of an error its name, code and place only. */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly [field: string]: string | number | undefined;
}
export type Log = (line: LogLine) => void;

export const logToStderr: Log = (line) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
};

/** Where it was thrown, without the message: that may quote what it was thrown about. */
export const placeOf = (error: unknown): { errorName: string; errorCode?: string; stack?: string } => {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    errorName: error.name,
    ...('code' in error && { errorCode: String(error.code) }),
    ...(frames && { stack: frames.slice(0, 12).join('\n') }),
  };
};
