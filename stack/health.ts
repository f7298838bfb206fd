/** `/healthz` of a process that serves no requests: 200 while it works, else 503. */
import { createServer } from 'node:http';

export const serveHealth = async (
  { host, port }: { readonly host: string; readonly port: number },
  isHealthy: () => boolean,
): Promise<{ readonly port: number; close(): Promise<void> }> => {
  const server = createServer((request, response) => {
    const found = request.method === 'GET' && request.url === '/healthz';
    const status = found ? (isHealthy() ? 200 : 503) : 404;
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify({ status: status === 200 ? 'ok' : status === 503 ? 'starting' : 'unknown' }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
};
