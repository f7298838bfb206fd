import { assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entrySchema, type RecordedEvent } from '../../schema/event.ts';
import { diagnose } from '../../domain/diagnosis/diagnose.ts';
import type { DiagnosisInput } from '../../domain/diagnosis/evidence.ts';
import { causes, type Basis, type Cause, type Finding } from '../../domain/diagnosis/finding.ts';
import { renderDiagnosis } from '../../domain/diagnosis/render.ts';
import { buildIncident, faults, type Incident } from './incidents.ts';
import { buildTimeline } from '../../domain/timeline/timeline.ts';
import { emitterStatesOf } from './recordWriter.ts';

const allFaults = Object.values(faults).flat();
const seeds = integer({ min: 0, max: 0x7fffffff });
const decidable = causes.flatMap((cause) => faults[cause].map((fault) => ({ cause, fault })));

const states = (findings: readonly Finding[]) => Object.fromEntries(findings.map(({ cause, state }) => [cause, state]));

const findingFor = (input: DiagnosisInput, cause: Cause): Finding =>
  diagnose(input).findings.find((finding) => finding.cause === cause)!;

const basesOf = (finding: Finding): readonly Basis[] => {
  if (finding.state === 'unknown') return [];
  return finding.state === 'excluded' ? finding.basis : finding.deviations.flatMap(({ basis }) => basis);
};

/** The ids that a finding rests on, by role. */
const roles = (finding: Finding): Map<string, string[]> =>
  new Map(
    [...Map.groupBy(basesOf(finding), ({ role }) => role)].map(([role, own]) => [
      role,
      own.flatMap(({ citations }) => citations.map(({ id }) => id)),
    ]),
  );

/** The entries never reached the log: the emitters' numbers show it as soon as something follows. */
const lost = ({ input, log }: Incident, ids: ReadonlySet<string>): DiagnosisInput => {
  const kept = (event: RecordedEvent) => !ids.has(event.entry.id);
  return {
    ...input,
    events: input.events.filter(kept),
    control: input.control.filter(kept),
    emitterStates: emitterStatesOf(log.filter(kept)),
  };
};

/** The entries are in the log and were not handed over. */
const withheld = ({ input }: Incident, ids: ReadonlySet<string>): DiagnosisInput => {
  const kept = (event: RecordedEvent) => !ids.has(event.entry.id);
  return { ...input, events: input.events.filter(kept), control: input.control.filter(kept) };
};

/** Each way in which these entries can be missing so that a trace of them is left. */
const takenAway = (incident: Incident, ids: ReadonlySet<string>): DiagnosisInput[] => {
  const own = incident.log.filter(({ entry }) => ids.has(entry.id));
  // Of these emitters the whole sequence has to be handed over.
  const whole = own.every(({ entry }) => /^platform\/(?:control$|action\/)/.test(entry.emitter.id));
  return whole ? [lost(incident, ids), withheld(incident, ids)] : [lost(incident, ids)];
};

describe('the incidents that tests are made of', () => {
  it('consist of entries that the schema accepts', () => {
    assert(
      property(seeds, constantFrom(...allFaults), (seed, fault) => {
        for (const { entry } of buildIncident(seed, fault).log)
          expect(entrySchema.safeParse(entry).error).toBeUndefined();
      }),
      { numRuns: 20 },
    );
  });
});

describe.each(allFaults)('an incident of kind %s', (fault) => {
  it('gets the right finding for each cause, whatever the systems, fields, clocks and noise', () => {
    assert(
      property(seeds, (seed) => {
        const { input, expected } = buildIncident(seed, fault);
        expect(states(diagnose(input).findings)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('gets a verdict that follows from its findings and names where the chain first diverged', () => {
    assert(
      property(seeds, (seed) => {
        const { input, expected, log } = buildIncident(seed, fault);
        const established = causes.filter((cause) => expected[cause] === 'established');
        const { verdict, findings } = diagnose(input);
        expect(verdict).toMatchObject(
          established.length > 0
            ? { state: 'established', causes: established, unknown: [], first: { cause: established[0] } }
            : { state: 'undetermined', why: fault === 'nothing-deviates' ? 'no-deviation' : 'evidence-missing' },
        );
        const points = findings.flatMap((finding) =>
          finding.state === 'established' ? finding.deviations.map(({ at }) => at) : [],
        );
        const first = verdict.state === 'established' ? [verdict.first.at] : [];
        const earliest = buildTimeline(log).rows.find(({ event }) => points.some(({ id }) => id === event.entry.id));
        expect(first.map(({ id }) => id)).toEqual(earliest === undefined ? [] : [earliest.event.entry.id]);
      }),
      { numRuns: 20 },
    );
  });

  it('is diagnosed the same without the noise, and in whatever order the entries are given', () => {
    assert(
      property(seeds, (seed) => {
        const noisy = buildIncident(seed, fault);
        const quiet = buildIncident(seed, fault, { noise: false });
        expect(states(diagnose(quiet.input).findings)).toEqual(states(diagnose(noisy.input).findings));
        const reversed = {
          ...noisy.input,
          events: noisy.input.events.toReversed(),
          control: noisy.input.control.toReversed(),
        };
        expect(diagnose(reversed)).toEqual(diagnose(noisy.input));
      }),
      { numRuns: 15 },
    );
  });

  it('cites only entries that exist, under their own index, in every finding and statement', () => {
    assert(
      property(seeds, (seed) => {
        const { input, log } = buildIncident(seed, fault);
        const diagnosis = diagnose(input);
        const cited = [...diagnosis.findings, ...diagnosis.statements, diagnosis.verdict].flatMap(
          (part) => part.citations,
        );
        for (const { index, id } of cited) expect(log[index]?.entry.id).toBe(id);
        const decided = diagnosis.findings.filter(({ state }) => state !== 'unknown');
        expect(decided.filter(({ citations }) => citations.length === 0)).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it('leaves a cause unknown, and never another finding, when any entry is lost that its exclusion rests on', () => {
    assert(
      property(seeds, (seed) => {
        const incident = buildIncident(seed, fault);
        for (const finding of diagnose(incident.input).findings) {
          if (finding.state !== 'excluded') continue;
          for (const id of sample(
            finding.citations.map((citation) => citation.id),
            seed,
          )) {
            for (const input of takenAway(incident, new Set<string>([id]))) {
              expect([finding.cause, findingFor(input, finding.cause).state]).toEqual([finding.cause, 'unknown']);
            }
          }
        }
      }),
      { numRuns: 6 },
    );
  });

  it('proves nothing once the record is not intact', () => {
    const { input } = buildIncident(7, fault);
    const unknown = Object.fromEntries(causes.map((cause) => [cause, 'unknown']));
    for (const integrity of [
      { state: 'altered', detail: 'entry altered', firstBadIndex: 3 },
      { state: 'unverified', detail: 'no checkpoint' },
      { state: 'intact', size: 3 },
    ] as const) {
      const { findings, verdict } = diagnose({ ...input, integrity });
      expect(states(findings)).toEqual(unknown);
      expect(verdict).toMatchObject({ state: 'undetermined', why: 'record-not-intact' });
    }
  });

  it('is told in sentences, one a line', () => {
    for (const line of renderDiagnosis(diagnose(buildIncident(11, fault).input))) {
      expect(line).toMatch(/^[A-Z][^\n]*\.(?: \[#\d+(?:, #\d+)*(?: and \d+ more)?\])?$/);
      expect(line).not.toMatch(/undefined|\[object|NaN/);
    }
  });
});

describe.each(decidable)('the $cause as the established cause ($fault)', ({ cause, fault }) => {
  it('becomes unknown when the entries of any one role that it rests on are lost', () => {
    assert(
      property(seeds, (seed) => {
        const incident = buildIncident(seed, fault);
        const finding = findingFor(incident.input, cause);
        expect(finding.state).toBe('established');
        for (const [role, own] of roles(finding)) {
          const ids = new Set(own);
          for (const input of takenAway(incident, ids)) {
            expect([role, findingFor(input, cause).state]).toEqual([role, 'unknown']);
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  it('is never turned into an exclusion by the loss of any single entry of the record', () => {
    const incident = buildIncident(23, fault);
    const everything = [...incident.input.events, ...incident.input.control].map(({ entry }) => entry.id);
    for (const id of everything) {
      expect(findingFor(lost(incident, new Set<string>([id])), cause).state).not.toBe('excluded');
    }
  });
});

/** At most twenty, spread over the list, other ones for another seed. */
const sample = (ids: readonly string[], seed: number): readonly string[] => {
  const step = Math.max(1, Math.floor(ids.length / 20));
  return ids.filter((_, at) => (at + seed) % step === 0);
};
