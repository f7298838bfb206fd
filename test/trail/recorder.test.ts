import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrincipalId } from '../../schema/ids.ts';
import { TrailError } from '../../trail/errors.ts';
import { newCorrelationId, Recorder, type EventDraft } from '../../trail/recorder.ts';
import { openTestTrail, type TestTrail } from './open.ts';

let test: TestTrail;
beforeAll(async () => {
  test = await openTestTrail();
  test.tails();
});
afterAll(() => test.close());

const draft = (): EventDraft => ({
  correlationId: newCorrelationId(),
  actor: { principal: 'trailkeeper' as PrincipalId, kind: 'platform' },
  action: 'trail.verify',
  phase: 'observation',
  system: 'trailkeeper',
});

const stateOf = async (emitter: string) => {
  await test.trail.reader.fresh(10_000);
  return (await test.trail.reader.emitters([emitter]))[0];
};

describe('a recorder', () => {
  it('numbers what it records without gaps', async () => {
    const recorder = new Recorder(test.trail.writer, 'platform/test/plain');
    await Promise.all([recorder.record([draft(), draft()]), recorder.record([draft()])]);
    expect(await stateOf('platform/test/plain')).toMatchObject({ high: 3, missing: [] });
  });

  it.each(['the event never reached the log', 'only its receipt was lost'])(
    'leaves no gap where an event was given up: %s',
    async (how) => {
      const emitter = `platform/test/${how.length}`;
      const { writer } = await test.another();
      let away = false;
      const append = writer.append.bind(writer);
      writer.append = async (events, provenance) => {
        if (away && how !== 'only its receipt was lost') throw new TrailError('LOG_FORKED', 'away');
        const results = await append(events, provenance);
        if (away) throw new TrailError('LOG_FORKED', 'away');
        return results;
      };
      const recorder = new Recorder(writer, emitter);
      await recorder.record([draft()]);
      away = true;
      await expect(recorder.record([draft()])).rejects.toThrow('away');
      await expect(recorder.fill()).rejects.toThrow('away');
      away = false;
      await recorder.record([draft()]);
      await recorder.fill();
      expect(await stateOf(emitter)).toMatchObject({ high: 3, missing: [] });
      const events = await test.trail.reader.find({ emitter }, { limit: 10 });
      expect(events).toHaveLength(3);
    },
  );
});
