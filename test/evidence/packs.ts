/** Gets evidence packs from an API under test, runs the verifier on them, and takes them apart to tamper with them. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { tarEnd, tarHeader, tarPadding } from '../../domain/evidence/tar.ts';
import { main as verifierMain } from '../../domain/evidence/verifier.mjs';
import type { Role } from '../../schema/control.ts';
import type { Name, TestApi } from '../api/openApi.ts';

export interface Member {
  readonly name: string;
  readonly bytes: Buffer;
}

export const askDocument = `mutation Export($input: ExportEvidenceInput!) {
  exportEvidence(input: $input) { id url expires entries vkey }
}`;

export interface Asked {
  readonly id: string;
  readonly url: string;
  readonly expires: string;
  readonly entries: number;
  readonly vkey: string;
}

type As = Role | { instance: Name; role: Role };

export const ask = async (api: TestApi, input: object, as: As = 'auditor'): Promise<Asked> => {
  const { data, errors } = await api.ask(askDocument, { input }, as);
  if (errors) throw new Error(`${errors[0]!.extensions.code}: ${errors[0]!.message}`);
  return data.exportEvidence as Asked;
};

export const pathOf = ({ url }: Asked): string => new URL(url).pathname;

export const exported = async (api: TestApi, input: object, as: As = 'auditor'): Promise<Buffer> => {
  const response = await api.fetch(pathOf(await ask(api, input, as)), {}, as);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return Buffer.from(await response.arrayBuffer());
};

/** Names below the pack's folder. By another implementation of tar than the one that wrote it. */
export const membersOf = async (pack: Buffer): Promise<Member[]> => {
  const members: Member[] = [];
  for await (const entry of Readable.from([gunzipSync(pack)]).pipe(extract())) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    members.push({ name: entry.header.name.split('/').slice(1).join('/'), bytes: Buffer.concat(chunks) });
  }
  return members;
};

export const packOf = (members: readonly Member[]): Buffer =>
  gzipSync(
    Buffer.concat([
      ...members.flatMap(({ name, bytes }) => [
        tarHeader({ name: `evidence-test/${name}`, sizeBytes: bytes.length, modifiedSeconds: 0 }),
        bytes,
        tarPadding(bytes.length),
      ]),
      tarEnd,
    ]),
  );

export const memberNamed = (members: readonly Member[], name: string): Member => {
  const found = members.find((member) => member.name === name);
  if (!found) throw new Error(`no ${name} among ${members.map((member) => member.name).join(', ')}`);
  return found;
};

export const replaced = (members: readonly Member[], name: string, change: (bytes: Buffer) => Buffer): Member[] => {
  memberNamed(members, name);
  return members.map((member) => (member.name === name ? { name, bytes: change(member.bytes) } : member));
};

export const linesOf = <T>({ bytes }: Member): T[] =>
  bytes
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface Problem {
  readonly kind: string;
  readonly detail: string;
  readonly member?: string;
  readonly index?: number;
}

export interface Report {
  readonly outcome: 'verified' | 'refuted' | 'unauthenticated';
  readonly entries: number;
  readonly complete: boolean;
  readonly manifest: string;
  readonly parts: Record<string, number>;
  readonly emitters: { readonly seen: number; readonly gapless: number };
  readonly cosignatures: readonly { readonly name: string; readonly time?: number }[];
  /** Entries of the log that the witnesses vouch for. */
  readonly cosignedSize: number | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly { readonly kind: string; readonly detail: string }[];
  readonly limits: readonly string[];
}

export interface Verified {
  readonly exit: number;
  readonly report: Report;
}

/** Runs the verifier in this process, on a file of its own. */
export const verified = async (pack: Buffer, ...argv: readonly string[]): Promise<Verified> => {
  const { exit, out } = await ran(pack, ...argv, '--json');
  return { exit, report: JSON.parse(out.join('\n')) as Report };
};

export const ran = async (
  pack: Buffer,
  ...argv: readonly string[]
): Promise<{ exit: number; out: string[]; err: string[] }> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-pack-'));
  try {
    const path = join(folder, 'pack.tar.gz');
    await writeFile(path, pack);
    const out: string[] = [];
    const err: string[] = [];
    const exit = await verifierMain(
      [path, ...argv],
      (line) => out.push(line),
      (line) => err.push(line),
    );
    return { exit, out, err };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
