import type { Client } from '../client.ts';

export const logUrlDocument = 'query LogUrl { checkpoint { logUrl } }';

/** Where the log is served: what was written down when the instance was set up, else what the API says. */
export const logUrl = async (client: Client): Promise<string> => {
  if (client.connection.log !== undefined) return client.connection.log;
  const { checkpoint } = await client.ask<{ checkpoint: { logUrl: string } }>(logUrlDocument);
  return checkpoint.logUrl;
};
