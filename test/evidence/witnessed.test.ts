/** Real witnesses cosign the log; a pack carries what they said, and the verifier holds it to that. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { mongoAnchor } from '../../trail/anchor.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import { WitnessLoop } from '../../trail/witness/loop.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { isThere } from '../setup/programs.ts';
import { emitterOf } from '../trail/events.ts';
import { litewitness, startWitness, type Witness } from '../witness/litewitness.ts';
import { exported, memberNamed, membersOf, packOf, replaced, verified } from './packs.ts';

describe.skipIf(!isThere(litewitness))('a pack of a log with witnesses', () => {
  let api: TestApi;
  let witnesses: Witness[];
  let cosignedSize: number;
  let pack: Buffer;
  const next = emitterOf('witnessed-pack');
  const chain = { correlationId: newCorrelationId() };
  const key = () => ['--key', api.trails.acme.vkey];
  const both = () => witnesses.flatMap(({ vkey }) => ['--witness', vkey]);

  beforeAll(async () => {
    api = await openTestApi();
    const { instance, origin, vkey, writer, reader } = api.trails.acme;
    witnesses = [await startWitness('witness.example/one'), await startWitness('witness.example/two')];
    for (const witness of witnesses) witness.add(origin, vkey);
    const { controlRecorder, control } = await api.services.open(instance);
    const [receipt] = await controlRecorder.record([
      {
        correlationId: newCorrelationId(),
        actor: { principal: 'ines' as never, kind: 'human' },
        action: 'witness.configure',
        phase: 'outcome',
        outcome: 'success',
        system: 'trailkeeper',
        control: {
          change: 'witness.configure',
          witnesses: witnesses.map((witness) => ({ vkey: witness.vkey, url: witness.url })),
          threshold: 2,
          withinMs: 600_000,
        },
      },
    ]);
    await control.waitApplied(receipt!.index, 30_000);
    await writer.append(
      Array.from({ length: 300 }, (_, at) => next(at % 100 === 0 ? chain : {})),
      'platform',
    );
    cosignedSize = await reader.size();
    const { witness } = api.database.clients;
    const loop = new WitnessLoop({
      client: witness,
      anchor: mongoAnchor(witness),
      owner: `evidence-${instance}`,
      intervalMs: 1000,
      witness: { loopback: true, timeoutMs: 60_000 },
      originOf: async (asked) => (asked === instance ? origin : undefined),
      record: async () => undefined,
      recordStatement: async () => undefined,
      wasMissed: async () => false,
      onEvent: () => undefined,
      nowMs: Date.now,
    });
    await loop.round();
    pack = await exported(api, chain);
  });
  afterAll(async () => {
    await Promise.all((witnesses ?? []).map((witness) => witness.close()));
    await api?.close();
  });

  it('shows that they vouch for what it holds, though the log has grown since', async () => {
    const { exit, report } = await verified(pack, ...key(), ...both());
    expect([exit, report.problems]).toEqual([0, []]);
    expect(report.cosignedSize).toBe(cosignedSize);
    expect(report.cosignatures.map(({ name, time }) => [name, typeof time])).toEqual([
      ['witness.example/one', 'number'],
      ['witness.example/two', 'number'],
    ]);
  });

  it('counts k of n', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const stranger = ['--witness', encodeCosignerVkey(cosignerKey('witness.example/three', raw))];
    const enough = await verified(pack, ...key(), ...both(), ...stranger, '--witnesses', '2');
    expect([enough.exit, enough.report.problems]).toEqual([0, []]);
    const { exit, report } = await verified(pack, ...key(), ...both(), ...stranger);
    expect([exit, report.problems.map(({ kind }) => kind)]).toEqual([1, ['witnesses-missing']]);
  });

  it('does not pass off as vouched for what is younger than the cosignatures', async () => {
    const younger = await exported(api, { range: { from: cosignedSize - 2 } });
    const { exit, report } = await verified(younger, ...key(), ...both());
    expect([exit, report.problems.map(({ kind }) => kind)]).toEqual([1, ['witnesses-behind']]);
    expect((await verified(younger, ...key())).exit).toBe(0);
  });

  it('shows a cosigned checkpoint that the log does not go on from', async () => {
    const members = await membersOf(pack);
    const proof = JSON.parse(memberNamed(members, 'cosigned-consistency.json').bytes.toString());
    proof.hashes.reverse();
    const altered = replaced(members, 'cosigned-consistency.json', () => Buffer.from(JSON.stringify(proof)));
    const { exit, report } = await verified(packOf(altered), ...key(), ...both());
    expect(exit).toBe(1);
    expect(report.problems.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['cosigned-checkpoint', 'witnesses-missing', 'member-altered']),
    );
  });
});
