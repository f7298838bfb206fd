/**
 * The sandbox's own door, apart from the vendors' APIs: change logs, faults and seeds over HTTP, for another process.
 *
 *     GET    /changes/{vendor}?after={sequence}   {changes: Change[]}
 *     GET    /faults/{vendor}                     {rules: FaultRule[]}
 *     POST   /faults/{vendor}                     a FaultRule (faults.ts)
 *     DELETE /faults/{vendor}
 *     POST   /seed                                a SandboxSeed (sandbox.ts); answers with what was made
 */
import { createServer, type IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Change } from './changeLog.ts';
import type { Faults } from './faults.ts';
import type { SandboxSeed, Seeded } from './sandbox.ts';
import { answerWith, listen, readBody, type RunningServer } from './server.ts';
import { Refusal, vendors, type JsonValue, type OutgoingAnswer, type Vendor } from './standIn.ts';

const jsonObject = z.record(z.string(), z.json());
const seedSchema = z.strictObject({
  salesforce: z
    .strictObject({
      contacts: z.int().nonnegative().max(100_000).optional(),
      records: z.array(z.strictObject({ object: z.string(), fields: jsonObject })).optional(),
    })
    .optional(),
  gmail: z
    .strictObject({
      messages: z
        .array(
          z.strictObject({
            from: z.string(),
            to: z.string(),
            subject: z.string(),
            text: z.string(),
            threadId: z.string().optional(),
          }),
        )
        .optional(),
    })
    .optional(),
  jira: z
    .strictObject({
      projects: z.array(z.strictObject({ key: z.string(), name: z.string() })).optional(),
      issues: z
        .array(z.strictObject({ project: z.string(), summary: z.string(), labels: z.array(z.string()).optional() }))
        .optional(),
    })
    .optional(),
});

interface Controls {
  readonly faults: Readonly<Record<Vendor, Faults>>;
  changes(vendor: Vendor, after?: number): readonly Change[];
  seed(seed: SandboxSeed): Seeded;
}

async function handle(request: IncomingMessage, controls: Controls): Promise<OutgoingAnswer> {
  // No page in a browser has business here.
  if (request.headers.origin !== undefined) return { status: 403, body: { error: 'not for browsers' } };
  const url = new URL(request.url ?? '/', 'http://sandbox.invalid');
  const [, resource, name] = url.pathname.split('/');
  const vendor = vendors.find((v) => v === name);
  const json = async (): Promise<unknown> => JSON.parse(await readBody(request));
  switch (`${request.method} ${resource} ${vendor === undefined ? '' : '*'}`.trim()) {
    case 'GET changes *': {
      const changes = controls.changes(vendor!, Number(url.searchParams.get('after') ?? 0));
      return { status: 200, body: { changes } as unknown as JsonValue };
    }
    case 'GET faults *':
      return { status: 200, body: { rules: controls.faults[vendor!].pending() } as unknown as JsonValue };
    case 'POST faults *':
      controls.faults[vendor!].set((await json()) as never);
      return { status: 204 };
    case 'DELETE faults *':
      controls.faults[vendor!].clear();
      return { status: 204 };
    case 'POST seed':
      return {
        status: 200,
        body: controls.seed(seedSchema.parse(await json())) as unknown as JsonValue,
      };
    default:
      return { status: 404, body: { error: 'no such control' } };
  }
}

export function serveControl(options: Controls & { readonly port: number }): Promise<RunningServer> {
  const server = createServer((request, response) => {
    handle(request, options)
      .catch((error: unknown): OutgoingAnswer => {
        if (error instanceof Refusal) return error.answer;
        const message = error instanceof Error ? error.message : String(error);
        return {
          status: error instanceof z.ZodError || error instanceof SyntaxError ? 400 : 500,
          body: { error: message },
        };
      })
      .then((answer) => answerWith(response, answer))
      .catch(() => response.destroy());
  });
  return listen(server, options.port);
}
