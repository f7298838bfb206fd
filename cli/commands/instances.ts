/** Instances, for operators of the platform. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { collect } from '../collect.ts';
import { roles, type Role } from '../../schema/control.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const instancesDocument = `query Instances($after: String) {
  instances(first: 100, after: $after) { instances { instance origin logUrl created } next }
}`;

interface InstanceRow {
  readonly instance: string;
  readonly logUrl: string;
  readonly created: string;
}

export const instances: CliCommand<Flags> = {
  usage: 'instances',
  summary: 'list the instances of the platform',
  help: `For operators of the platform only.

  npx trailkeeper instances --as platform/auditor`,
  documents: [instancesDocument],
  async run(_args, { json }, context) {
    const client = context.client();
    const found: InstanceRow[] = [];
    for (let after: string | null = null; ;) {
      const { instances: page }: { instances: { instances: readonly InstanceRow[]; next: string | null } } =
        await client.ask(instancesDocument, { after });
      found.push(...page.instances);
      after = page.next;
      if (after === null) break;
    }
    if (json) printJson(context, found);
    else for (const { instance, logUrl, created } of found) context.out(`${instance}  ${created}  ${logUrl}`);
    return exitCodes.ok;
  },
};

const createDocument = `mutation CreateInstance($input: CreateInstanceInput!) {
  createInstance(input: $input) { id instance state error origin logUrl vkey checkpoint }
}`;

interface Creation {
  readonly state: 'CREATING' | 'ACTIVE' | 'UNDONE';
  readonly error: string | null;
  readonly logUrl: string | null;
  readonly vkey: string | null;
}

interface CreateFlags extends Flags {
  readonly admin: string;
  readonly member?: readonly string[];
  readonly out: string;
}

/** A credentials file (`--credentials`), with the id of the creation that it belongs to. */
const fileShape = z.object({
  endpoint: z.string(),
  creation: z.string(),
  instances: z.record(
    z.string(),
    z.object({
      log: z.string().optional(),
      vkey: z.string().optional(),
      tokens: z.record(z.string(), z.string()),
      principals: z.record(z.string(), z.string()),
      kinds: z.record(z.string(), z.string()),
    }),
  ),
});
type CredentialsFile = z.infer<typeof fileShape>;

export const createInstance: CliCommand<CreateFlags> = {
  usage: 'create-instance <name>',
  summary: 'create an instance, and the tokens of its first members',
  help: `For operators of the platform only. Tokens are made here and kept in the file alone, which is written before
anything is asked for; the platform gets their SHA-256. The same command with the same file goes on with the same
creation. Exit code 1 where it was undone.

  npx trailkeeper create-instance initech --admin ines --member bot=agent:agent --out initech.json --as platform/admin
  npx trailkeeper checkpoint --credentials initech.json --as initech/admin`,
  documents: [createDocument],
  options: (command: Command) =>
    command
      .requiredOption('--admin <principal>', 'its first admin')
      .option(
        '--member <principal=role[:kind]>',
        'another who is there from the beginning; kind: human, agent, service; may be repeated, once a role',
        collect,
      )
      .requiredOption('--out <file>', 'credentials file that gets their tokens; mode 600'),
  async run([name = ''], flags, context) {
    const client = context.client();
    const path = resolve(context.cwd, flags.out);
    const file = kept(path, name) ?? made(name, flags, client.connection.endpoint);
    write(path, file);
    const own = file.instances[name]!;
    const input = {
      id: file.creation,
      instance: name,
      members: Object.entries(own.tokens).map(([role, token]) => ({
        principal: own.principals[role],
        kind: own.kinds[role],
        role,
        tokenSha256: createHash('sha256').update(token).digest('hex'),
      })),
    };
    let created: Creation;
    do {
      ({ createInstance: created } = await client.ask<{ createInstance: Creation }>(createDocument, { input }));
      if (created.state === 'CREATING') context.note(`${name}: being created`);
    } while (created.state === 'CREATING' && !context.signal.aborted);
    if (created.state === 'UNDONE') {
      // Its tokens open nothing.
      rmSync(path);
      context.note(`${name} was not created, and nothing of it is left: ${created.error ?? 'INTERNAL'}`);
      return exitCodes.negative;
    }
    if (created.state === 'CREATING') return exitCodes.unavailable;
    const { logUrl, vkey } = created;
    write(path, {
      ...file,
      instances: { [name]: { ...own, ...(logUrl && { log: logUrl }), ...(vkey && { vkey }) } },
    });
    if (flags.json) printJson(context, created);
    else context.out(`${name} is there; its log is ${logUrl}, its tokens are in ${flags.out}`);
    return exitCodes.ok;
  },
};

/** What an earlier call left. */
const kept = (path: string, name: string): CredentialsFile | undefined => {
  if (!existsSync(path)) return undefined;
  const parsed = fileShape.safeParse(jsonOf(path));
  if (parsed.success && parsed.data.instances[name]) return parsed.data;
  throw new CliError(exitCodes.usage, `${path} is there, and not of a creation of ${name}; name another file`);
};

const jsonOf = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
};

const made = (name: string, { admin, member = [] }: CreateFlags, endpoint: string): CredentialsFile => {
  const members = [{ principal: admin, role: 'admin' as Role, kind: 'human' }, ...member.map(memberOf)];
  const doubled = members.find(({ role }, at) => members.findIndex((other) => other.role === role) !== at);
  if (doubled)
    throw new CliError(exitCodes.usage, `there can be one first member a role; two were given for ${doubled.role}`);
  const byRole = (value: (member: (typeof members)[number]) => string) =>
    Object.fromEntries(members.map((one) => [one.role, value(one)]));
  return {
    endpoint,
    creation: uuidv7(),
    instances: {
      [name]: {
        tokens: byRole(({ role }) => `tk_${name}_${role}_${randomBytes(32).toString('base64url')}`),
        principals: byRole(({ principal }) => principal),
        kinds: byRole(({ kind }) => kind),
      },
    },
  };
};

const memberOf = (text: string) => {
  const [, principal, role, kind = 'human'] = /^([^=]+)=([a-z]+)(?::([a-z]+))?$/.exec(text) ?? [];
  if (principal === undefined || !roles.includes(role as Role))
    throw new CliError(
      exitCodes.usage,
      `--member ${text}: is not <principal>=<role>, with a role of ${roles.join(', ')}`,
    );
  return { principal, role: role as Role, kind };
};

/** Renamed into place, so that a crash leaves the old file or the new one. */
const write = (path: string, file: CredentialsFile): void => {
  writeFileSync(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
};

const probeDocument = `mutation Probe($input: ProbeIsolationInput!) {
  probeIsolation(input: $input) { id state attempts breaches unable event index reportDigest }
}`;

interface Probe {
  readonly state: 'PROBING' | 'HELD' | 'BREACHED' | 'INCOMPLETE';
  readonly attempts: number;
  readonly breaches: readonly string[];
  readonly unable: readonly string[];
  readonly event: string | null;
  readonly index: number | null;
}

export const probe: CliCommand<Flags> = {
  usage: 'probe',
  summary: 'try to cross the boundaries between instances, and record what came of it',
  help: `For operators of the platform only. Exit code 0 where every attempt was refused, 1 where a boundary gave way or could
not be tried. The result is an entry of the platform's log: prove --event shows that it stands there.

  npx trailkeeper probe --as platform/auditor`,
  documents: [probeDocument],
  async run(_args, { json }, context) {
    const client = context.client();
    const input = { id: uuidv7() };
    let found: Probe;
    do {
      ({ probeIsolation: found } = await client.ask<{ probeIsolation: Probe }>(probeDocument, { input }));
      if (found.state === 'PROBING') context.note('probing');
    } while (found.state === 'PROBING' && !context.signal.aborted);
    if (json) printJson(context, found);
    else {
      context.out(
        `${found.state.toLowerCase()}: ${found.attempts} attempts, recorded as #${found.index} (${found.event})`,
      );
      if (found.breaches.length > 0) context.out(`gave way: ${found.breaches.join(', ')}`);
      if (found.unable.length > 0) context.out(`not tried: ${found.unable.join(', ')}`);
    }
    return found.state === 'HELD' ? exitCodes.ok : exitCodes.negative;
  },
};
