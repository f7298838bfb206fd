import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Binary } from 'mongodb';
import { openCredential, stageCredential } from '../../store/connector-credentials.ts';
import { controlDatabase, instanceDatabase } from '../../store/provisioning/collections.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { connector } from './changes.ts';
import { openTestControl, type TestControl } from './control.ts';

const canary = 'canary-of-a-credential';
const content = { accessToken: canary, nested: { refresh: `${canary}-2` } };

let control: TestControl;
beforeAll(async () => {
  control = await openTestControl();
});
afterAll(() => control.close());

const named = (version = 1) => ({
  instance: control.instance,
  system: 'salesforce' as const,
  credential: 'crm',
  version,
});
const configured = async () => (await control.state.connector('salesforce'))!;
/** As an activity would, in a process of its own. */
const open = async (version: number, sealed: string) => {
  const { reader } = control.database.clients;
  return openCredential(reader, new Secrets(control.instance, control.keys, reader), named(version), sealed);
};
const stored = () =>
  control.database.admin.db(controlDatabase).collection<{ _id: string; sealed: Binary }>('connectors');

describe('a connector credential', () => {
  it('is opened by whoever holds the keys, once it is configured', async () => {
    await control.change(...(await connector(control, content)));
    const { credentialVersion, sealed } = await configured();
    expect(await open(credentialVersion, sealed)).toEqual(content);
  });

  it('stands in clear nowhere: in no entry, no box and no document', async () => {
    const found: string[] = [];
    for (const name of [controlDatabase, instanceDatabase(control.instance)]) {
      const db = control.database.admin.db(name);
      for (const { name: collection } of await db.listCollections().toArray())
        for (const document of await db.collection(collection).find().toArray())
          for (const text of textsIn(document)) if (text.includes(canary)) found.push(`${name}.${collection}`);
    }
    expect(found).toEqual([]);
    // Nor where the entry's encrypted part is opened.
    const { entries } = await control.batch(0);
    const placed = entries.find(({ entry }) => entry.action === 'connector.configure')!;
    const { reader } = control.trail;
    const recorded = { ...placed, bytes: Buffer.from(placed.bytes), leafHash: Buffer.from(placed.leaf) };
    const parts = await reader.withParts([recorded], () => true);
    expect(parts[0]!.parts!['connection']).toMatchObject({ state: 'present', content: { sealed: expect.anything() } });
    expect(JSON.stringify(parts)).not.toContain(canary);
  });

  it('has no effect while it is only staged', async () => {
    const before = await configured();
    const staged = await stageCredential(control.database.clients.applier, control.secrets, named(), { other: 1 });
    expect(staged.version).toBe(2);
    expect(await configured()).toEqual(before);
    expect(await open(before.credentialVersion, before.sealed)).toEqual(content);
  });

  it('is staged once: the same again is the same, another takes the next version', async () => {
    const { applier } = control.database.clients;
    const again = await stageCredential(applier, control.secrets, named(2), { other: 1 });
    expect(again).toEqual(await stageCredential(applier, control.secrets, named(2), { other: 1 }));
    expect(again.version).toBe(2);
    expect((await stageCredential(applier, control.secrets, named(2), { other: 2 })).version).toBe(3);
  });

  it('is not opened where the stored one is not the one that was configured', async () => {
    const { sealed } = await configured();
    await expect(open(2, sealed)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    const failure: unknown = await open(99, sealed).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('is not opened under the name of another system, version or instance', async () => {
    const own = (await stored().findOne({ _id: `${control.instance}/salesforce/crm/1` }))!;
    await stored().insertOne({ ...own, _id: `${control.instance}/salesforce/crm/7` });
    const { sealed } = await configured();
    const failure = await open(7, sealed).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect((failure as Error).message).not.toContain(canary);
    await stored().deleteOne({ _id: `${control.instance}/salesforce/crm/7` });
  });
});

const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  if ('buffer' in value && value.buffer instanceof Uint8Array) return [Buffer.from(value.buffer).toString('latin1')];
  return Object.values(value).flatMap(textsIn);
};
