/**
 * As much of an ssh-agent as litewitness needs: it names one Ed25519 key and signs with it (draft-ietf-sshm-ssh-agent). So
 * the test needs no OpenSSH, and the witness's key is never on disk.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

const failure = 5;
const identitiesRequest = 11;
const identitiesAnswer = 12;
const signRequest = 13;
const signAnswer = 14;

export interface SshAgent {
  /** As litewitness wants it: `SHA256:...`. */
  readonly fingerprint: string;
  close(): Promise<void>;
}

const text = (bytes: Uint8Array | string): Buffer => {
  const content = Buffer.from(bytes as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
};

const read = (message: Buffer, offset: number): { value: Buffer; next: number } => {
  const next = offset + 4 + message.readUInt32BE(offset);
  return { value: message.subarray(offset + 4, next), next };
};

/** Serves at the path of a socket. `publicKey`: 32 bytes. */
export const startSshAgent = async (path: string, privateKey: KeyObject, publicKey: Buffer): Promise<SshAgent> => {
  const blob = Buffer.concat([text('ssh-ed25519'), text(publicKey)]);
  const answer = (message: Buffer): Buffer => {
    if (message[0] === identitiesRequest)
      return Buffer.concat([Buffer.from([identitiesAnswer, 0, 0, 0, 1]), text(blob), text('witness')]);
    if (message[0] !== signRequest) return Buffer.from([failure]);
    const key = read(message, 1);
    if (!key.value.equals(blob)) return Buffer.from([failure]);
    const signature = sign(null, read(message, key.next).value, privateKey);
    return Buffer.concat([Buffer.from([signAnswer]), text(Buffer.concat([text('ssh-ed25519'), text(signature)]))]);
  };
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE(0)) {
        const { value, next } = read(pending, 0);
        pending = pending.subarray(next);
        socket.write(text(answer(value)));
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return {
    fingerprint: `SHA256:${digest}`,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
};
