/** Our test vectors against our verifier, and against the one in Go that shares no code with it. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Binary } from 'mongodb';
import { afterAll, describe, expect, it } from 'vitest';
import { folderFiles, type LogFiles } from '../../cli/log/source.ts';
import { verifyFiles } from '../../cli/log/verifyFiles.ts';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { cosignaturesOn, parseCosignerVkey } from '../../domain/tree/cosignature.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { verifyConsistency } from '../../domain/tree/proof.ts';
import { parseTlogProof, verifyTlogProof } from '../../domain/tree/tlogProof.ts';
import { hasQuorum } from '../../domain/tree/witnessPolicy.ts';
import type { EventId, InstanceId, SubjectId } from '../../schema/ids.ts';
import { boxFaults, openBox, packedId, partKey, readDirectory, type BoxDocument } from '../../trail/boxes.ts';
import { deriveDataKey } from '../../trail/keys/derive.ts';
import { goBuild, isThere, pathOf } from '../setup/programs.ts';
import type { VectorCase } from './tampered.ts';

const run = promisify(execFile);
const folder = import.meta.dirname;
const work = mkdtempSync(join(tmpdir(), 'trailkeeper-vectors-'));
const program = await goBuild(join(folder, '../go'), 'verify-log', work);
afterAll(() => rmSync(work, { recursive: true, force: true }));

const file = (path: string): Buffer => readFileSync(join(folder, path));
const json = (path: string): unknown => JSON.parse(file(path).toString('utf8'));
const keys = json('keys.json') as { log: string; origin: string; witnesses: Record<string, string> };
const cases = json('cases.json') as readonly VectorCase[];
const key = parseVkey(keys.log);
const log = { keys: [key], origin: keys.origin };
const base64 = (text: string): Buffer => Buffer.from(text, 'base64');

/** What our verifier says: undefined where it holds. */
const verdictOn = async (one: VectorCase): Promise<string | undefined> => {
  try {
    return await judge(one);
  } catch (error) {
    if (error instanceof TreeError) return error.code;
    throw error;
  }
};

const witnessed = (checkpoint: Uint8Array, { witnesses = [], quorum = 0 }: VectorCase): string | undefined => {
  const named = witnesses.map((name) => parseCosignerVkey(keys.witnesses[name]!));
  const found = cosignaturesOn(checkpoint, named);
  return hasQuorum({ witnesses: named, threshold: quorum }, found) ? undefined : 'NOT_WITNESSED';
};

const judge = async (one: VectorCase): Promise<string | undefined> => {
  const path = one.file ?? '';
  switch (one.kind) {
    case 'log':
      return judgeLog(one);
    case 'checkpoint':
      openCheckpoint(file(path), log.keys, log.origin);
      return witnessed(file(path), one);
    case 'proof': {
      const proof = parseTlogProof(file(path));
      return verifyTlogProof(proof, file(one.entry!), log) ? witnessed(proof.checkpoint, one) : 'NOT_INCLUDED';
    }
    case 'consistency': {
      const of = json(path) as { from: number; to: number; fromRoot: string; toRoot: string; hashes: string[] };
      const claim = {
        oldSize: of.from,
        newSize: of.to,
        oldRoot: base64(of.fromRoot),
        newRoot: base64(of.toRoot),
        proof: of.hashes.map(base64),
      };
      return verifyConsistency(claim) ? undefined : 'INCONSISTENT';
    }
    case 'disclosure':
      return judgeDisclosure(path);
    case 'box':
      return judgeBox(path);
  }
  return one.kind satisfies never;
};

const judgeLog = async (one: VectorCase): Promise<string | undefined> => {
  const base = folderFiles(join(folder, 'log'));
  const over = one.file === undefined ? undefined : folderFiles(join(folder, one.file));
  const files: LogFiles = {
    place: one.name,
    read: async (path) => (one.missing?.includes(path) ? undefined : ((await over?.read(path)) ?? base.read(path))),
  };
  const report = await verifyFiles(files, {
    keys: [key],
    schema: true,
    olderCheckpoints: one.older === undefined ? [] : [file(one.older)],
    progress: () => undefined,
  });
  if (report.outcome === 'refuted') return report.problem.kind;
  return witnessed((await files.read('checkpoint'))!, one);
};

const judgeDisclosure = (path: string): string | undefined => {
  const { entry, part, chunks } = json(path) as {
    entry: string;
    part: string;
    chunks: { salt: string; plaintext: string }[];
  };
  const { parts } = JSON.parse(base64(entry).toString('utf8')) as { parts: { name: string; commitment: string }[] };
  const committed = parts.filter(({ name }) => name === part).map(({ commitment }) => commitment);
  const disclosed = chunks.map(({ salt, plaintext }) =>
    createHash('sha256').update(base64(salt)).update(base64(plaintext)).digest('hex'),
  );
  return committed.length > 0 && committed.join() === disclosed.join() ? undefined : 'NOT_COMMITTED';
};

const judgeBox = (path: string): string | undefined => {
  const of = json(path) as Record<string, string> & {
    format: 2;
    secrets: { classMonth: string; subjectClass: string };
  };
  const bytes = (hex: string | undefined): Buffer => Buffer.from(hex!, 'hex');
  const document: BoxDocument = {
    _id: new Binary(bytes(of['id'])),
    v: of.format,
    of: of['of']!,
    salt: new Binary(bytes(of['salt'])),
    directory: new Binary(bytes(of['directory'])),
    boxes: new Binary(bytes(of['boxes'])),
  };
  if (boxFaults(document).length > 0) return 'ALTERED';
  const [box] = readDirectory(document);
  const [retentionClass, month] = document.of.split('/') as ['operational', string];
  const instance = of['instance'] as InstanceId;
  const event = of['event'] as EventId;
  const { classMonth, subjectClass } = of.secrets;
  const dataKey = deriveDataKey(
    instance,
    { retentionClass, month, subject: of['subject'] as SubjectId },
    bytes(classMonth),
    bytes(subjectClass),
  );
  const part = openBox(instance, dataKey, document, box!, new Map([[packedId(event), event]])).get(partKey(event, 0));
  return part?.plaintext.toString('utf8') === of['plaintext'] ? undefined : 'ALTERED';
};

describe('the test vectors', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s: our verifier says what it should', async (_name, one) => {
    expect(await verdictOn(one)).toBe(one.expected?.ours);
  });

  it('hold and fail alike, kind by kind', () => {
    for (const kind of ['log', 'checkpoint', 'proof', 'consistency', 'disclosure'] as const) {
      const own = cases.filter((one) => one.kind === kind);
      expect([kind, own.some(({ expected }) => expected), own.some(({ expected }) => !expected)]).toEqual([
        kind,
        true,
        true,
      ]);
    }
  });

  it.skipIf(!isThere(program))('have the same verdicts by the verifier in Go', async () => {
    const { stdout } = await run(pathOf(program), ['-vectors', folder]);
    expect(stdout).toBe(`${cases.length} vectors have the verdicts expected\n`);
  });
});
