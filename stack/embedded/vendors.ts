/** The sandbox of vendor stand-ins at fixed ports, seeded once with what the opening incident needs. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { startSandbox, type Sandbox } from '../sandbox/sandbox.ts';
import { vendors } from '../sandbox/standIn.ts';
import { portTaken } from '../servers/ports.ts';

const seededShape = z.object({
  salesforce: z.array(z.string()),
  gmail: z.array(z.object({ id: z.string(), threadId: z.string() })),
});

/** What the seeding made. */
export type SeededVendors = z.infer<typeof seededShape>;

export const sampleProject = 'SALES';
const contacts = 300;

/** `port` is that of the sandbox's control door; the vendors take the four after it. Throws PORT_TAKEN. */
export const startVendors = async (
  dataFolder: string,
  port: number,
): Promise<{ sandbox: Sandbox; seeded: SeededVendors }> => {
  const dir = join(dataFolder, 'sandbox');
  const ports = { control: port, ...Object.fromEntries(vendors.map((vendor, place) => [vendor, port + 1 + place])) };
  const sandbox = await startSandbox({ dir, ports }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
      throw portTaken(port, 'TRAILKEEPER_SANDBOX_PORT', 'the sandbox (it takes five ports from there on)', error);
    throw error;
  });
  try {
    return { sandbox, seeded: await seedOnce(sandbox, join(dir, 'seeded.json')) };
  } catch (error) {
    await sandbox.stop();
    throw error;
  }
};

const seedOnce = async (sandbox: Sandbox, path: string): Promise<SeededVendors> => {
  const kept = sandbox.restored ? await readFile(path, 'utf8').catch(() => undefined) : undefined;
  if (kept !== undefined) return seededShape.parse(JSON.parse(kept));
  const { salesforce, gmail } = sandbox.seed({
    salesforce: { contacts },
    gmail: {
      messages: [
        {
          from: 'procurement@example.com',
          to: sandbox.credentials.gmail.address,
          subject: 'Your contact data',
          text: 'Attached is the list of mobile numbers of our buyers.',
        },
      ],
    },
    jira: { projects: [{ key: sampleProject, name: 'Sales' }] },
  });
  const seeded: SeededVendors = { salesforce: [...salesforce], gmail: [...gmail] };
  await writeFile(path, JSON.stringify(seeded), { mode: 0o600 });
  return seeded;
};
