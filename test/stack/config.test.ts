import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, dutyUris, loadConfig, processDuties, requireServers } from '../../stack/config.ts';
import { ensureDutyPasswords } from '../../stack/servers/dutyPasswords.ts';
import { dutyPasswordSettings, settings } from '../../stack/settings.ts';
import { duties } from '../../store/provisioning/duties.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'trailkeeper-config-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const load = (env: NodeJS.ProcessEnv = {}) => loadConfig({ TRAILKEEPER_DATA_DIR: data, ...env });

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  it('is complete by default', () => {
    expect(load()).toEqual({
      publicUrl: 'http://127.0.0.1:4580',
      sandboxPort: 4590,
      api: { host: '127.0.0.1', port: 4580 },
      worker: { host: '127.0.0.1', port: 4581 },
      mongodb: { embeddedPort: 27_117, passwords: {} },
      temporal: { namespace: 'trailkeeper', embeddedPort: 7833 },
      provisioning: { adminUser: 'root' },
      maintenance: {
        host: '127.0.0.1',
        port: 4582,
        probeUrl: 'http://127.0.0.1:4580',
        probeEveryMs: 3_600_000,
        platformAdmin: 'operator',
      },
      folders: { data, keys: join(data, 'keys'), secrets: join(data, 'secrets') },
      keys: { provider: 'file', kms: { prefix: 'trailkeeper', pendingDays: 30 } },
      introspection: false,
      selfCheck: {
        intervalsMs: { sample: 86_400_000, full: 7 * 86_400_000 },
        rates: { sampledEntries: 1000, entriesPerSecond: 5000 },
      },
      witnesses: { intervalMs: 5000, loopback: false },
      archive: {
        place: { kind: 'folder', folder: join(data, 'archive') },
        region: 'us-east-1',
        lockMs: 30 * 86_400_000,
        gatherMs: 10_000,
        lagMsMax: 60_000,
      },
      horizonMs: 30 * 86_400_000,
    });
  });

  it('keeps its data in a git-ignored folder of the repository', async () => {
    const root = join(import.meta.dirname, '..', '..');
    expect(loadConfig({}).folders.data).toBe(join(root, '.trailkeeper'));
    expect(await readFile(join(root, '.gitignore'), 'utf8')).toContain('.trailkeeper/');
  });

  it('takes a folder or a bucket for the archives, and only where instances are apart', () => {
    const place = (text: string) => load({ TRAILKEEPER_ARCHIVE: text }).archive.place;
    expect(place('/srv/archive')).toEqual({ kind: 'folder', folder: '/srv/archive' });
    expect(place('s3://trail-{instance}')).toEqual({ kind: 's3', bucket: 'trail-{instance}', prefix: '' });
    expect(place('s3://trail/logs/{instance}/')).toEqual({ kind: 's3', bucket: 'trail', prefix: 'logs/{instance}/' });
    for (const text of [
      's3://trail',
      's3://trail/logs',
      's3:///x',
      's3://Trail-{instance}',
      's3://trail/../{instance}',
    ])
      expect(() => place(text)).toThrow('TRAILKEEPER_ARCHIVE must be a folder, or s3://');
  });

  it('takes an empty variable as not set', () => {
    expect(load({ MONGODB_URI: '', TRAILKEEPER_API_PORT: '' })).toEqual(load());
  });

  it.each([
    ['0.0.0.0', 'http://127.0.0.1:9000'],
    ['::1', 'http://[::1]:9000'],
    ['api.internal', 'http://api.internal:9000'],
  ])('derives the public URL from the host %s and the port', (host, url) => {
    expect(load({ TRAILKEEPER_API_HOST: host, TRAILKEEPER_API_PORT: '9000' }).publicUrl).toBe(url);
  });

  it('takes a public URL with a path, without the slash at its end', () => {
    expect(load({ TRAILKEEPER_PUBLIC_URL: 'https://trail.example/audit/' }).publicUrl).toBe(
      'https://trail.example/audit',
    );
  });

  it.each([
    ['TRAILKEEPER_PUBLIC_URL', 'ftp://trail.example', 'must be a URL'],
    ['TRAILKEEPER_PUBLIC_URL', 'https://trail.example/?a=b', 'must have no query, fragment or user'],
    ['TRAILKEEPER_API_PORT', 'web', 'must be a port'],
    ['TRAILKEEPER_API_PORT', '70000', ''],
    ['TRAILKEEPER_API_HOST', 'a b', 'must be a host name or an address'],
    ['TEMPORAL_ADDRESS', 'http://temporal:7233', 'must be host:port'],
    ['TRAILKEEPER_REPLICA_SET_MEMBERS', 'a:1,b', '"b" is none'],
    ['TRAILKEEPER_PLATFORM_TOKEN_SHA256', 'secret', 'must be a SHA-256'],
    ['TRAILKEEPER_INTROSPECTION', 'perhaps', 'must be true or false'],
    ['TRAILKEEPER_HORIZON_DAYS', '0', ''],
  ])('refuses %s=%s, naming the setting', (name, value, reason) => {
    const [problem = ''] = problemsOf(() => load({ [name]: value }));
    expect(problem).toMatch(new RegExp(`^${name} .*${reason}`));
  });

  it('tells every problem at once, and never shows a secret', () => {
    const problems = problemsOf(() =>
      load({ TRAILKEEPER_API_PORT: 'x', MONGODB_URI: 'hunter2@host', TRAILKEEPER_MONGODB_PASSWORD_READER: 'short' }),
    );
    expect(problems).toEqual([
      expect.stringContaining('TRAILKEEPER_API_PORT'),
      'MONGODB_URI must be a connection string (mongodb://host:port/...)',
      'TRAILKEEPER_MONGODB_PASSWORD_READER must have at least 8 characters',
    ]);
    expect(problems.join()).not.toMatch(/hunter2|short/);
  });
});

describe("the passwords of a process's duties", () => {
  const base = 'mongodb://a:1/?replicaSet=rs0';

  it('come from the environment first, then from the folder of secrets', () => {
    const made = ensureDutyPasswords(join(data, 'secrets'));
    const config = load({ TRAILKEEPER_MONGODB_PASSWORD_READER: 'from the environment' });
    expect(config.mongodb.passwords).toEqual({ ...made, reader: 'from the environment' });
    const uris = dutyUris(config, base, processDuties.api);
    expect(Object.keys(uris)).toEqual(['appender', 'anchor', 'reader']);
    expect(uris.reader).toBe('mongodb://tk-reader:from%20the%20environment@a:1/?replicaSet=rs0&authSource=admin');
  });

  it('are made once, unlike each other, in files that nobody else may read', async () => {
    const secrets = join(data, 'secrets');
    const made = ensureDutyPasswords(secrets);
    expect(ensureDutyPasswords(secrets)).toEqual(made);
    expect(new Set(Object.values(made)).size).toBe(duties.length);
    for (const file of await readdir(secrets)) expect((await stat(join(secrets, file))).mode & 0o777).toBe(0o600);
  });

  it('are refused from a file that others may read', async () => {
    ensureDutyPasswords(join(data, 'secrets'));
    await chmod(join(data, 'secrets', 'mongodb-anchor'), 0o644);
    expect(problemsOf(load)).toEqual([expect.stringContaining('mongodb-anchor can be read by others: chmod 600 it')]);
  });

  it('are named when they are missing, and so are the addresses', async () => {
    await writeFile(join(data, 'secrets'), 'a file where the folder should be');
    const config = load({ TRAILKEEPER_MONGODB_PASSWORD_READER: 'long enough' });
    expect(problemsOf(() => dutyUris(config, base, processDuties.api))).toEqual([
      expect.stringMatching(
        /^TRAILKEEPER_MONGODB_PASSWORD_APPENDER is not set, and .*secrets has no mongodb-appender$/,
      ),
      expect.stringMatching(/^TRAILKEEPER_MONGODB_PASSWORD_ANCHOR is not set/),
    ]);
    expect(problemsOf(() => requireServers(config))).toEqual(['MONGODB_URI is not set', 'TEMPORAL_ADDRESS is not set']);
  });
});

describe('the code', () => {
  it('names no variable of ours that is not a setting, and each setting has a meaning', async () => {
    const root = join(import.meta.dirname, '..', '..');
    const known = { ...settings, ...dutyPasswordSettings };
    const unknown: string[] = [];
    const floors = ['schema', 'domain', 'trail', 'store', 'workflows', 'activities', 'api', 'stack'];
    for (const floor of floors.filter((name) => existsSync(join(root, name)))) {
      for (const file of await readdir(join(root, floor), { recursive: true })) {
        if (!file.endsWith('.ts')) continue;
        const source = await readFile(join(root, floor, file), 'utf8');
        const names = source.match(/\bTRAILKEEPER_[A-Z_]*[A-Z]\b|(?<=\benv\.)[A-Z_]{3,}/g) ?? [];
        unknown.push(...names.filter((name) => !Object.hasOwn(known, name)).map((name) => `${floor}/${file}: ${name}`));
      }
    }
    expect(unknown).toEqual([]);
    for (const { meaning } of Object.values(known)) expect(meaning).toMatch(/\.$/);
  });
});
