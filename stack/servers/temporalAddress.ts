/** Looks whether a Temporal server answers at an address and knows a namespace. */
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { ServersError } from './errors.ts';

const grpcNotFound = 5;

/** Waits for a server that is starting. Throws the last failure after `timeoutMs`. */
export async function awaitNamespace(address: string, namespace: string, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  const connection = Connection.lazy({ address, connectTimeout: 5000 });
  try {
    for (;;) {
      try {
        await describe(connection, namespace);
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await delay(100);
      }
    }
  } finally {
    await connection.close();
  }
}

/** For an address that was given to us. Throws `TEMPORAL_UNREACHABLE` or `TEMPORAL_UNFIT`. */
export async function checkTemporal(address: string, namespace: string): Promise<void> {
  const connection = Connection.lazy({ address, connectTimeout: 5000 });
  try {
    await describe(connection, namespace);
  } catch (error) {
    if ((error as { code?: number }).code === grpcNotFound) {
      throw new ServersError(
        'TEMPORAL_UNFIT',
        `Temporal at ${address} has no namespace "${namespace}". Create it (temporal operator namespace create --namespace ${namespace}), or set TEMPORAL_NAMESPACE.`,
        { cause: error },
      );
    }
    throw new ServersError(
      'TEMPORAL_UNREACHABLE',
      `Temporal does not answer at ${address} (${(error as Error).message}). Correct TEMPORAL_ADDRESS (host:port), start the server, or unset it to use the embedded one.`,
      { cause: error },
    );
  } finally {
    await connection.close();
  }
}

async function describe(connection: Connection, namespace: string): Promise<void> {
  await connection.withDeadline(Date.now() + 5000, () => connection.workflowService.describeNamespace({ namespace }));
}
