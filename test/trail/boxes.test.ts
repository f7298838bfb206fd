/** The format of boxes: what opens them, what tells that they were altered, and what one altered box leaves readable. */
import { createHmac, randomBytes } from 'node:crypto';
import { Binary } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../domain/hmac.ts';
import type { EventId, InstanceId, SubjectId } from '../../schema/ids.ts';
import { boxesOf, boxFaults, openBox, packedId, partKey, readDirectory, sealDocument } from '../../trail/boxes.ts';
import { deriveBoxKey } from '../../trail/keys/derive.ts';
import { documentBytesTarget, packParts } from '../../trail/pack.ts';
import { newEventId } from '../../trail/recorder.ts';
import { segmentsOf } from '../../trail/segments.ts';
import { emitterOf } from './events.ts';
import { openTestTrail, type TestTrail } from './open.ts';

const acme = 'acme' as InstanceId;
const of = 'operational/2026-11';
const part = (event: EventId, subject: SubjectId | undefined, text: string, position = 0) => ({
  event,
  subject,
  position,
  salt: randomBytes(32),
  plaintext: Buffer.from(text),
});
const [a, b, c] = [newEventId(), newEventId(), newEventId()] as const;
const subject = 'sub_00112233445566778899aabbccddeeff' as SubjectId;
const [ownKey, subjectKey] = [randomBytes(32), randomBytes(32)];
const wanted = (...ids: EventId[]) => new Map(ids.map((id) => [packedId(id), id]));

const sealed = () =>
  sealDocument(acme, of, [
    {
      subject: undefined,
      dataKey: ownKey,
      parts: [part(a, undefined, 'a0'), part(a, undefined, 'a1', 1), part(c, undefined, 'c0')],
    },
    { subject, dataKey: subjectKey, parts: [part(b, subject, 'b0')] },
  ]);

describe('HMAC-SHA256', () => {
  it("is that of Node's createHmac, for keys and messages of any length", () => {
    for (const keyBytes of [0, 1, 32, 64])
      for (const bytes of [0, 1, 51, 55, 56, 64, 1000, 5000]) {
        const [key, message] = [randomBytes(keyBytes), randomBytes(bytes)];
        expect(hmacSha256(key, message)).toEqual(createHmac('sha256', key).update(message).digest());
      }
    expect(() => hmacSha256(Buffer.alloc(65), Buffer.alloc(1))).toThrow(RangeError);
  });
});

describe('a document of boxes', () => {
  it('has box keys by HKDF-Expand (RFC 5869, section 2.3) with the salt in the info', () => {
    const salt = randomBytes(32);
    const expand = createHmac('sha256', ownKey)
      .update('trailkeeper/box/v2')
      .update(salt)
      .update(Buffer.from([1]));
    expect(deriveBoxKey(ownKey, salt)).toEqual(expand.digest());
  });

  it('gives back the parts of the wanted events, each box by its own data key', () => {
    const document = sealed();
    const [own, about] = readDirectory(document);
    expect([own?.key, about?.key]).toEqual([`${of}/-`, `${of}/${subject}`]);
    const opened = openBox(acme, ownKey, document, own!, wanted(a, b));
    expect([...opened].map(([key, { plaintext }]) => [key, plaintext.toString()])).toEqual([
      [partKey(a, 0), 'a0'],
      [partKey(a, 1), 'a1'],
    ]);
    expect(openBox(acme, subjectKey, document, about!, wanted(b)).get(partKey(b, 0))?.plaintext.toString()).toBe('b0');
    expect(openBox(acme, subjectKey, document, about!, wanted(a)).size).toBe(0);
  });

  it('opens under no other instance, data key, class or directory', () => {
    const document = sealed();
    const [own, about] = readDirectory(document);
    expect(() => openBox('globex' as InstanceId, ownKey, document, own!, wanted(a))).toThrow(/not what was written/);
    expect(() => openBox(acme, subjectKey, document, own!, wanted(a))).toThrow(/not what was written/);
    const [elsewhere] = readDirectory({ ...document, of: 'security/2026-11' });
    expect(() => openBox(acme, ownKey, document, elsewhere!, wanted(a))).toThrow(/not what was written/);
    const renamed = { ...about!, events: Buffer.from(packedId(c), 'latin1') };
    expect(() => openBox(acme, subjectKey, document, renamed, wanted(c))).toThrow(/not what was written/);
  });

  it('tells by digests alone which box was altered or taken out, and vouches for the others', () => {
    const document = sealed();
    expect(boxFaults(document)).toEqual([]);
    const [own, about] = readDirectory(document);
    const bytes = Buffer.from(document.boxes.buffer);
    bytes[own!.start]! ^= 1;
    bytes.fill(0, about!.start, about!.end);
    expect(boxFaults({ ...document, boxes: new Binary(bytes) })).toMatchObject([
      { box: { key: own!.key }, removed: false },
      { box: { key: about!.key }, removed: true },
    ]);
    const directory = Buffer.from(document.directory.buffer);
    directory[10]! ^= 1;
    expect(() => boxFaults({ ...document, directory: new Binary(directory) })).toThrow(/not what was written/);
    const shorter = new Binary(Buffer.from(document.boxes.buffer).subarray(0, -1));
    expect(() => readDirectory({ ...document, boxes: shorter })).toThrow(/not what was written/);
  });

  it('is refused in another version of the format', () => {
    expect(() => readDirectory({ ...sealed(), v: 1 as never })).toThrow(
      expect.objectContaining({ code: 'FORMAT_UNKNOWN' }),
    );
  });
});

describe('packing', () => {
  const operational = { retentionClass: 'operational', month: '2026-11' } as const;
  const security = { retentionClass: 'security', month: '2026-11' } as const;

  it('puts one class and month into a document, and one data key into a box of it', () => {
    const packed = packParts([
      { of: operational, parts: [part(a, subject, 'x'), part(a, undefined, 'y', 1)] },
      { of: security, parts: [part(b, subject, 'x')] },
      { of: operational, parts: [part(c, subject, 'x')] },
    ]);
    expect(packed.map(({ of: name, from, to, boxes }) => [name.retentionClass, from, to, boxes.size])).toEqual([
      ['operational', 0, 2, 2],
      ['security', 1, 1, 1],
    ]);
    expect(packed[0]!.boxes.get(subject)).toHaveLength(2);
  });

  it('closes a document at its size, wherever that is in an event', () => {
    const large = 'x'.repeat(documentBytesTarget / 2);
    const packed = packParts([
      { of: operational, parts: [part(a, undefined, large), part(a, undefined, large, 1)] },
      { of: operational, parts: [part(b, undefined, 'x')] },
      { of: operational, parts: [part(c, undefined, large.repeat(4))] },
    ]);
    expect(packed.map(({ from, to }) => [from, to])).toEqual([
      [0, 0],
      [0, 1],
      [2, 2],
    ]);
  });
});

describe('reading where a box was altered in the database', () => {
  let test: TestTrail;
  beforeAll(async () => {
    test = await openTestTrail();
  });
  afterAll(() => test.close());

  it('tells an altered event, settles the others, and keeps none of them from being read', async () => {
    const next = emitterOf('poisoned');
    const about = (id: string) =>
      next({
        subjects: [{ system: 'salesforce', kind: 'Contact', id }],
        parts: [{ name: 'after', content: { Phone: id }, subject: 0 }],
      });
    const events = [about('one'), about('two'), about('three')];
    await test.trail.writer.append(events, 'platform');
    const { admin } = test.database;
    const [segment] = await segmentsOf(admin, test.instance).find({ _id: 0 }).toArray();
    expect(segment!.boxes).toMatchObject([{ from: 0, to: 2 }]);
    const [document] = await boxesOf(admin, test.instance).find({ _id: segment!.boxes[0]!.id }).toArray();
    const second = readDirectory(document!)[1]!;
    const bytes = Buffer.from(document!.boxes.buffer);
    bytes[second.start]! ^= 1;
    await boxesOf(admin, test.instance).updateOne({ _id: document!._id }, { $set: { boxes: new Binary(bytes) } });

    const again = (index: number) => test.trail.writer.append([events[index]!], 'platform');
    expect(await again(0)).toMatchObject([{ status: 'duplicate' }]);
    await expect(again(1)).rejects.toMatchObject({ code: 'LOG_INCONSISTENT' });
    // All at once: what stands beside the altered one is settled, and only then the call fails.
    const [first, altered, third] = await Promise.allSettled([again(0), again(1), again(2)]);
    expect([first.status, altered.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
