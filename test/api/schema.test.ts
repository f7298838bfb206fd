import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isEnumType, isScalarType, isSpecifiedScalarType, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { errorKinds } from '../../api/errors.ts';
import { apiLimits } from '../../api/limits/limits.ts';
import { createApiSchema } from '../../api/schema.ts';
import { commands } from '../../cli/commands/commands.ts';
import { causes } from '../../domain/diagnosis/finding.ts';
import { versionKinds } from '../../schema/control.ts';
import { generateTypes, generatedTypesPath } from '../../schema/generate.ts';
import { operations } from '../../schema/operations.ts';
import * as taxonomy from '../../schema/taxonomy.ts';
import * as workflows from '../../workflows/index.ts';

const schema = createApiSchema();
const rootFields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
  Object.keys(type!.getFields()),
);
const docs = (name: string) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');

describe('the GraphQL schema', () => {
  it('has types that were generated from what it is now', async () => {
    expect(readFileSync(generatedTypesPath, 'utf8')).toBe(await generateTypes());
  });

  it('has the vocabularies of the record', () => {
    const values = (name: string) => {
      const type = schema.getType(name);
      return isEnumType(type) ? type.getValues().map((value) => value.name) : undefined;
    };
    const named = (list: readonly string[]) => list.map((value) => value.replaceAll('-', '_'));
    expect(values('Phase')).toEqual(taxonomy.phases);
    expect(values('Outcome')).toEqual(taxonomy.outcomes);
    expect(values('System')).toEqual(taxonomy.systems);
    expect(values('ActorKind')).toEqual(taxonomy.actorKinds);
    expect(values('Provenance')).toEqual(taxonomy.provenances);
    expect(values('RetentionClass')).toEqual(taxonomy.retentionClasses);
    expect(values('ChannelKind')).toEqual(taxonomy.channelKinds);
    expect(values('ErrorCode')).toEqual(taxonomy.errorCodes);
    expect(values('EntryFlag')).toEqual(named(taxonomy.entryFlags));
    expect(values('VersionKind')).toEqual(versionKinds);
    expect(values('Cause')).toEqual(named(causes));
  });

  it('describes every scalar and every root field', () => {
    const types = Object.values(schema.getTypeMap());
    const scalars = types.filter((type) => isScalarType(type) && !isSpecifiedScalarType(type));
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
    const fields = roots.flatMap((root) => Object.values(root!.getFields()));
    const silent = [...scalars, ...fields].filter(({ description }) => !description).map(({ name }) => name);
    expect(silent).toEqual([]);
  });
});

describe('every operation', () => {
  it('has a permission of its own, and every permission has an operation', () => {
    const noField = new Set(['readLog', 'readPayloads']);
    expect(new Set(rootFields)).toEqual(new Set(operations.filter((operation) => !noField.has(operation))));
  });

  it('is exposed in GraphQL: a workflow that can be started has an operation that starts it', () => {
    const startedBy: Record<keyof typeof workflows, string> = {
      run: 'openRun',
      action: 'performAction',
      selfVerification: 'startSelfVerification',
      repairProjections: 'repairProjections',
      createInstance: 'createInstance',
      rotateKey: 'rotateKey',
      destroyEpochKey: 'destroyKey',
      rotateMasterKey: 'rotateMasterKey',
      isolationProbe: 'probeIsolation',
    };
    const operation = (workflow: string) => (startedBy as Record<string, string | undefined>)[workflow] ?? '';
    expect(Object.keys(workflows).filter((workflow) => !rootFields.includes(operation(workflow)))).toEqual([]);
  });

  it('is exposed in GraphQL: a command of the command line sends documents that the schema takes', () => {
    // What a third party does with files alone.
    const offline = ['check-proof <proof> <entry>'];
    expect(commands.filter(({ documents }) => documents.length === 0).map(({ usage }) => usage)).toEqual(offline);
    for (const { usage, documents } of commands)
      expect([usage, documents.flatMap((document) => validate(schema, parse(document)))]).toEqual([usage, []]);
  });
});

describe('the documentation', () => {
  it('has every error code, with whether it may be tried again', () => {
    const rows = [...docs('errors.md').matchAll(/^\| `([A-Z_]+)`\s*\| (\d+)\s*\| (yes|no)\s*\|/gm)].map(
      ([, code, status, retryable]) => [code, { status: Number(status), retryable: retryable === 'yes' }],
    );
    expect(Object.fromEntries(rows)).toEqual(errorKinds);
  });

  it('has every limit', () => {
    const rows = [...docs('graphql.md').matchAll(/^\| `(\w+)`\s*\| ([\d,]+)\s*\|/gm)].map(([, name, value]) => [
      name,
      Number(value!.replaceAll(',', '')),
    ]);
    expect(Object.fromEntries(rows)).toEqual(apiLimits);
  });

  it('has every command', () => {
    const text = docs('cli.md');
    for (const { usage } of commands) expect(text).toContain(`trailkeeper ${usage.split(' ')[0]}`);
  });
});
