import { createServer } from 'node:net';
import { ServersError } from './errors.ts';

const host = '127.0.0.1';

/** Where a server shall listen: a port that a setting names, or any free one. */
export type PortChoice =
  | { readonly kind: 'fixed'; readonly port: number; readonly setting: string }
  | { readonly kind: 'free' };

/** A port that can be listened on now. Throws `PORT_TAKEN`, naming the setting, for a fixed one that can't. */
export async function claimPort(choice: PortChoice, server: string): Promise<number> {
  if (choice.kind === 'free') return listenOnce(0);
  try {
    return await listenOnce(choice.port);
  } catch (error) {
    throw portTaken(choice.port, choice.setting, server, error);
  }
}

export function portTaken(port: number, setting: string, server: string, cause?: unknown): ServersError {
  return new ServersError(
    'PORT_TAKEN',
    `Port ${port} for ${server} can't be used (${reasonOf(cause)}). Set ${setting} to a free port, or end the process that listens there.`,
    { cause },
  );
}

const reasonOf = (cause: unknown): string => {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined || code === 'EADDRINUSE' ? 'another process listens on it' : code;
};

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      probe.close(() => resolve(bound));
    });
  });
}
