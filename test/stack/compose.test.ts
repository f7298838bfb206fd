/**
 * docker-compose.yml against the published schema of the Compose Specification and against the code that reads its
 * variables. compose-spec.json is the file schema/compose-spec.json of the Go module
 * github.com/compose-spec/compose-go/v2 at v2.16.2 (Apache-2.0), reformatted and otherwise unchanged.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dutyUris, loadConfig, processDuties, requireServers } from '../../stack/config.ts';
import { dutyPasswordSettings, passwordSetting, settings, type SettingScope } from '../../stack/settings.ts';
import { duties } from '../../store/provisioning/duties.ts';
import schema from './compose-spec.json' with { type: 'json' };

interface Service {
  image: string;
  user?: string;
  read_only?: boolean;
  privileged?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  networks?: string[];
  network_mode?: string;
  healthcheck?: { test: string[] };
  deploy?: { replicas: number };
  depends_on?: Record<string, { condition: string }>;
}

const root = join(import.meta.dirname, '..', '..');
const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; networks: object };
const { services } = compose;
const service = (name: string): Service => services[name] ?? expect.fail(`there is no service ${name}`);
const environmentOf = (name: string): Record<string, string> => service(name).environment ?? {};
const names = Object.keys(services);
/** Jobs end when their work is done; the others serve. */
const serving = names.filter((name) => service(name).restart === 'unless-stopped');
const jobs = names.filter((name) => service(name).restart?.startsWith('on-failure'));

/** What compose does with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`. */
const interpolated = (value: string, valueOf: (name: string) => string): string =>
  value.replaceAll(/\$\$|\$\{([A-Z0-9_]+)(?::-([^}]*)|:\?[^}]*)?\}/g, (whole, name?: string, fallback?: string) =>
    name === undefined ? whole.slice(1) : (fallback ?? valueOf(name)),
  );
const valueFor = (variable: string): string => {
  if (variable.endsWith('_URL')) return 'https://trail.example';
  return variable.endsWith('_SHA256') ? '0'.repeat(64) : `value of ${variable}`;
};
const filled = (name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(environmentOf(name)).map(([key, value]) => [key, interpolated(value, valueFor)]));

describe('docker-compose.yml', () => {
  it('is what the Compose Specification allows', () => {
    const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema);
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ ...compose, services: { ...services, api: { ...services['api'], replicas: 2 } } })).toBe(false);
  });

  it('explains every variable that it takes from the environment', () => {
    const header = text.slice(0, text.indexOf('\nname:'));
    const taken = new Set(Array.from(text.matchAll(/\$\{([A-Z0-9_]+)/g), ([, name = '']) => name));
    expect(taken.size).toBeGreaterThan(duties.length);
    for (const name of taken) expect(header).toContain(name);
  });

  it('holds no secret itself', () => {
    const secrets = names.flatMap((name) =>
      Object.entries(environmentOf(name)).filter(([key]) => /PASSWORD|PWD|KEYFILE/.test(key)),
    );
    expect(secrets.length).toBeGreaterThan(duties.length);
    for (const [, value] of secrets) expect(value).toMatch(/^\$\{TRAILKEEPER_[A-Z0-9_]+:\?\}$/);
  });
});

describe("the processes' variables", () => {
  const known: Record<string, { scope: SettingScope }> = { ...settings, ...dutyPasswordSettings };
  const namesWithScope = (scope: SettingScope) =>
    Object.keys(known).filter((name) => known[name]?.scope === scope && !Object.hasOwn(dutyPasswordSettings, name));

  it.each([
    ['api', ['production']],
    ['worker', ['production']],
    ['provision', ['production', 'administration', 'provisioning']],
    ['maintenance', ['production', 'administration', 'maintenance']],
  ])('are all read by the code: %s', (name, scopes) => {
    const wrong = Object.keys(environmentOf(name)).filter((variable) => !scopes.includes(known[variable]?.scope ?? ''));
    expect(wrong).toEqual([]);
  });

  it('are all there that the code reads', () => {
    const given = new Set([...Object.keys(environmentOf('api')), ...Object.keys(environmentOf('worker'))]);
    for (const variable of namesWithScope('production')) expect(given).toContain(variable);
    const scopes = {
      provision: ['administration', 'provisioning'],
      maintenance: ['administration', 'maintenance'],
    } as const;
    for (const name of ['provision', 'maintenance'] as const)
      for (const variable of scopes[name].flatMap(namesWithScope)) expect(environmentOf(name)).toHaveProperty(variable);
  });

  it.each([
    ['api', processDuties.api],
    ['worker', processDuties.worker],
    ['maintenance', processDuties.maintenance],
    ['provision', duties],
  ] as const)('give %s the passwords of its duties and no others', (name, held) => {
    const passwords = Object.keys(environmentOf(name)).filter((key) => Object.hasOwn(dutyPasswordSettings, key));
    expect(passwords.toSorted()).toEqual(held.map(passwordSetting).toSorted());
  });

  it("give the administrator's password to the maintenance process and the job, and to nothing that serves requests", () => {
    const holders = names.filter((name) => 'TRAILKEEPER_MONGODB_ADMIN_PASSWORD' in environmentOf(name));
    expect(holders.toSorted()).toEqual(['maintenance', 'provision']);
    expect(service('maintenance').ports).toBeUndefined();
  });

  it.each(['api', 'worker', 'maintenance'] as const)('make a configuration that %s can start with', (name) => {
    const config = loadConfig(filled(name));
    expect(requireServers(config)).toEqual({
      mongodbUri: 'mongodb://mongodb-1:27017,mongodb-2:27017,mongodb-3:27017/?replicaSet=rs0',
      temporalAddress: 'temporal:7233',
    });
    expect(Object.keys(dutyUris(config, 'mongodb://a', processDuties[name]))).toEqual([...processDuties[name]]);
    expect(service(name).volumes).toContainEqual(`keys:${config.folders.keys}`);
    const { port } = config[name];
    expect(service(name).healthcheck?.test.at(-1)).toContain(
      `http://127.0.0.1:${port}/${name === 'api' ? 'readyz' : 'healthz'}`,
    );
  });

  it('make a configuration that provisioning can work with', () => {
    const { provisioning } = loadConfig(filled('provision'));
    const members = names.filter((name) => name.startsWith('mongodb-')).map((name) => `${name}:27017`);
    expect(members).toHaveLength(3);
    expect(provisioning).toEqual({
      adminUser: 'root',
      adminPassword: 'value of TRAILKEEPER_MONGODB_ADMIN_PASSWORD',
      replicaSetMembers: members,
    });
    expect(service('provision').network_mode).toBe('service:mongodb-1');
  });
});

describe('the services', () => {
  it('either serve, with a health check, or are jobs', () => {
    expect([...serving, ...jobs].toSorted()).toEqual(names.toSorted());
    expect(serving.filter((name) => service(name).healthcheck === undefined)).toEqual([]);
  });

  it.each(names)('%s runs as a user of its own, cannot write its image, and is pinned', (name) => {
    const { user, read_only: readOnly, privileged, cap_drop: dropped, security_opt: options, image } = service(name);
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(readOnly).toBe(true);
    expect(privileged).toBeUndefined();
    expect(dropped).toEqual(['ALL']);
    expect(options).toEqual(['no-new-privileges:true']);
    expect(image).toMatch(/^[a-z/-]+:(\d+\.\d+(\.\d+)?[a-z0-9.-]*|\$\{TRAILKEEPER_VERSION:-\d+\.\d+\.\d+\})$/);
  });

  it('start with the entry points of the stack', () => {
    expect(service('api').command).toEqual(['node', 'stack/api.ts']);
    expect(service('worker').command).toEqual(['node', 'stack/worker.ts']);
    expect(service('maintenance').command).toEqual(['node', 'stack/maintenance.ts']);
    expect(service('provision').command).toEqual(['node', 'stack/provision.ts']);
  });

  it('are reached from outside through the API alone', () => {
    expect(names.filter((name) => service(name).ports !== undefined)).toEqual(['api']);
    const outside = names.filter((name) => service(name).networks?.includes('outside'));
    expect(outside).toEqual(['api', 'worker', 'maintenance']);
    expect(compose.networks).toMatchObject({ data: { internal: true } });
  });

  it('scale out: API and worker have replicas, and as many host ports as there are of the API', () => {
    const [first = 0, last = 0] = (/:-(\d+)-(\d+)\}:4580$/.exec(service('api').ports?.[0] ?? '') ?? [])
      .slice(1)
      .map(Number);
    expect(last - first + 1).toBe(service('api').deploy?.replicas);
    expect(service('worker').deploy?.replicas).toBeGreaterThan(1);
  });

  it('run Temporal and its tools at one version, and find the files that they mount', () => {
    const versionOf = (name: string) => service(name).image.split(':')[1];
    expect(versionOf('temporal-schema')).toBe(versionOf('temporal'));
    expect(versionOf('temporal-namespace')).toBe(versionOf('temporal'));
    const mentioned = new Set(Array.from(text.matchAll(/\/deploy\/([a-z.-]+)/g), ([, file = '']) => file));
    expect(mentioned.size).toBe(3);
    expect([...mentioned].filter((file) => !existsSync(join(root, 'deploy', file)))).toEqual([]);
  });

  it('wait for what they need: no process starts before MongoDB is provisioned and Temporal has its namespace', () => {
    for (const name of ['api', 'worker', 'maintenance']) {
      expect(service(name).depends_on).toEqual({
        provision: { condition: 'service_completed_successfully' },
        'temporal-namespace': { condition: 'service_completed_successfully' },
      });
    }
    const conditions = names.flatMap((name) => Object.entries(service(name).depends_on ?? {}));
    expect(conditions.length).toBeGreaterThan(4);
    for (const [needed, { condition }] of conditions) {
      expect(condition).toBe(jobs.includes(needed) ? 'service_completed_successfully' : 'service_healthy');
    }
  });
});
