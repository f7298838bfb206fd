import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createTemporalClient } from '../../stack/temporal/client.ts';

describe('a Temporal client', () => {
  it('can be closed while a call waits to be tried again: the call fails, and nothing else', async () => {
    // Somebody who takes connections and ends them, so that every try fails and another one follows.
    const tries: number[] = [];
    const server = createServer((socket) => {
      tries.push(Date.now());
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const outside: unknown[] = [];
    const onOutside = (error: unknown) => outside.push(error);
    process.on('uncaughtException', onOutside);
    try {
      const client = createTemporalClient({ address: `127.0.0.1:${port}`, namespace: 'default' }, {
        keyOf: () => Promise.reject(new Error('no workflow is encoded here')),
      } as never);
      const call = client.connection.workflowService.getSystemInfo({}).then(
        () => 'answered',
        (error: { code?: number }) => error.code,
      );
      await once(server, 'connection');
      // The first try has failed at the latest when the second one is made.
      await client.connection.close();
      expect(await call).not.toBe('answered');
      expect(outside).toEqual([]);
    } finally {
      process.off('uncaughtException', onOutside);
      server.close();
    }
  });
});
