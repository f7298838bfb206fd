/**
 * The sandbox as a process of its own: `node stack/sandbox/main.ts`. Writes one line of JSON with its addresses when
 * it serves, and ends on SIGINT or SIGTERM. Settings: SANDBOX_DIR (state folder), SANDBOX_PORT (control server; the
 * vendors take the four ports after it; free ones where absent).
 */
import { startSandbox } from './sandbox.ts';
import { vendors } from './standIn.ts';

const first = Number(process.env['SANDBOX_PORT'] ?? 0);
const dir = process.env['SANDBOX_DIR'];
const ports =
  first === 0 ? {} : { control: first, ...Object.fromEntries(vendors.map((vendor, i) => [vendor, first + 1 + i])) };
const sandbox = await startSandbox({ ports, ...(dir === undefined ? {} : { dir }) });
console.log(JSON.stringify({ control: sandbox.controlUrl, ...sandbox.urls, restored: sandbox.restored }));

const end = (): void => {
  sandbox.stop().then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.once('SIGINT', end);
process.once('SIGTERM', end);
