/** Single points of the reasoning, each on an incident that is changed in one place. */
import { describe, expect, it } from 'vitest';
import type { Entry, RecordedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import { diagnose } from '../../domain/diagnosis/diagnose.ts';
import type { DiagnosisInput } from '../../domain/diagnosis/evidence.ts';
import type { Cause, Finding } from '../../domain/diagnosis/finding.ts';
import { renderDiagnosis } from '../../domain/diagnosis/render.ts';
import type { Statement } from '../../domain/diagnosis/statement.ts';
import { buildIncident, type Fault } from './incidents.ts';

const quiet = (fault: Fault, seed = 5): DiagnosisInput => buildIncident(seed, fault, { noise: false }).input;

const finding = (input: DiagnosisInput, cause: Cause): Finding =>
  diagnose(input).findings.find((found) => found.cause === cause)!;

const changed = (
  events: readonly RecordedEvent[],
  which: (entry: Entry) => boolean,
  change: (entry: Entry) => Partial<Entry>,
): RecordedEvent[] =>
  events.map((event) => (which(event.entry) ? { ...event, entry: { ...event.entry, ...change(event.entry) } } : event));

const isMappingPublication = ({ control }: Entry): boolean =>
  control?.change === 'version.publish' && control.kind === 'mapping' && control.version === '99';

const statements = <K extends Statement['kind']>(input: DiagnosisInput, kind: K) =>
  diagnose(input).statements.filter((one): one is Extract<Statement, { kind: K }> => one.kind === kind);

describe('what is in force', () => {
  it('is not what was published after the write', () => {
    const input = quiet('outdated-mapping');
    const last = Math.max(...input.events.map(({ index }) => index));
    const control = input.control.map((event) =>
      isMappingPublication(event.entry) ? { ...event, index: last + 1 } : event,
    );
    const integrity = { state: 'intact', size: last + 100 } as const;
    expect(finding({ ...input, control, integrity }, 'integration').state).toBe('excluded');
  });

  it('is not what the applier voided', () => {
    const input = quiet('outdated-mapping');
    const published = input.control.find(({ entry }) => isMappingPublication(entry))!;
    const { control: _, ...rest } = published.entry;
    const voided: RecordedEvent = {
      index: published.index + 0.5,
      entry: {
        ...rest,
        id: published.entry.id.replace(/.$/, 'x') as EventId,
        action: 'control.void',
        causedBy: published.entry.id,
        emitter: { id: 'platform/applier', sequence: 1 },
      },
    };
    const emitterStates = new Map([
      ...input.emitterStates,
      ['platform/applier', { high: 1, missing: [], truncated: null }],
    ]);
    const control = [...input.control, voided];
    expect(finding({ ...input, control, emitterStates }, 'integration').state).toBe('excluded');
  });

  it('is not what somebody merely reported', () => {
    const input = quiet('outdated-mapping');
    const control = changed(input.control, isMappingPublication, () => ({ provenance: 'reported' }));
    expect(finding({ ...input, control }, 'integration').state).toBe('excluded');
  });

  it('is an older version again once it was published again', () => {
    const input = quiet('outdated-mapping');
    const newest = input.control.find(({ entry }) => isMappingPublication(entry))!;
    const name = newest.entry.control?.change === 'version.publish' ? newest.entry.control.name : '';
    const used = input.events
      .map(({ entry }) => entry.versions?.mapping)
      .find((label) => label?.startsWith(`${name}@`))!;
    const isUsed = ({ control }: Entry): boolean =>
      control?.change === 'version.publish' && `${control.name}@${control.version}` === used;
    const control = input.control.map((event) =>
      isUsed(event.entry) ? { ...event, index: newest.index + 0.5 } : event,
    );
    expect(finding({ ...input, control }, 'integration').state).toBe('excluded');
  });
});

describe('several causes', () => {
  it('are all established, in the order in which the chain left its references', () => {
    const input = quiet('outdated-mapping');
    const other = { promptDigest: 'f'.repeat(64) };
    const events = changed(
      input.events,
      ({ action }) => action === 'prompt.submit',
      () => ({ versions: other }),
    );
    const { verdict } = diagnose({ ...input, events });
    expect(verdict).toMatchObject({
      state: 'established',
      causes: ['prompt', 'integration'],
      first: { cause: 'prompt' },
    });
  });
});

describe('the prompt', () => {
  it('is not cleared where the agent reports no prompt at all, whatever the run declared', () => {
    const input = quiet('nothing-deviates');
    const events = changed(
      input.events,
      ({ action }) => action === 'prompt.submit',
      () => ({ action: 'model.respond' }),
    );
    const found = finding({ ...input, events }, 'prompt');
    expect(found).toMatchObject({ state: 'unknown', reasons: [{ kind: 'entry-missing', entry: 'prompt.submit' }] });
  });

  it('is not cleared by what only the agent reports', () => {
    const found = finding(quiet('prompt-only-reported'), 'prompt');
    expect(found.state === 'unknown' && found.reasons.map(({ kind }) => kind)).toContain('only-reported');
  });

  it('is open where two prompts under different names could both be meant', () => {
    const input = quiet('nothing-deviates');
    const isCurrent = ({ control }: Entry): boolean =>
      control?.change === 'version.publish' && control.kind === 'prompt' && control.version === '2';
    const current = input.control.find(({ entry }) => isCurrent(entry))!;
    const second = changed([current], isCurrent, ({ id, control }) => ({
      id: id.replace(/.$/, 'x') as EventId,
      emitter: { id: 'platform/second', sequence: 1 },
      control:
        control?.change === 'version.publish' ? { ...control, name: 'summary', digest: 'e'.repeat(64) } : undefined,
    })).map((event) => ({ ...event, index: event.index + 0.5 }));
    const emitterStates = new Map([
      ...input.emitterStates,
      ['platform/second', { high: 1, missing: [], truncated: null }],
    ]);
    const found = finding({ ...input, control: [...input.control, ...second], emitterStates }, 'prompt');
    expect(found.state).toBe('unknown');
    expect(found.state === 'unknown' && found.reasons.map(({ kind }) => kind)).toContain('several-in-force');
  });
});

describe('the policy', () => {
  it('is open where an attempt names a decision that denies it', () => {
    const input = quiet('nothing-deviates');
    const events = changed(
      input.events,
      ({ authorization }) => authorization?.about === 'agent',
      ({ authorization }) => ({ authorization: { ...authorization!, result: 'deny' } }),
    );
    const found = finding({ ...input, events }, 'policy');
    expect(found.state === 'unknown' && found.reasons[0]?.kind).toBe('attempt-without-permission');
  });

  it('is open where an attempt names a decision that is not in the record', () => {
    const input = quiet('nothing-deviates');
    const elsewhere = '01a20cc8-0000-7000-8000-000000000000' as EventId;
    const events = changed(
      input.events,
      ({ phase }) => phase === 'attempt',
      ({ basis }) => ({ basis: { ...basis, decisions: [...basis!.decisions, elsewhere] } }),
    );
    const found = finding({ ...input, events }, 'policy');
    expect(found.state === 'unknown' && found.reasons[0]).toMatchObject({
      kind: 'entry-missing',
      entry: 'basis decision',
    });
  });

  it('is open where a decision is only reported', () => {
    const input = quiet('nothing-deviates');
    const events = changed(
      input.events,
      ({ authorization }) => authorization?.about === 'agent',
      () => ({ provenance: 'reported' }),
    );
    expect(finding({ ...input, events }, 'policy').state).toBe('unknown');
  });
});

describe('nothing at all', () => {
  it('leaves every cause unknown', () => {
    const input = {
      events: [],
      control: [],
      emitterStates: new Map(),
      integrity: { state: 'intact', size: 0 },
    } as const;
    const { findings, verdict } = diagnose(input);
    expect(findings.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'unknown', 'unknown']);
    expect(verdict).toMatchObject({ state: 'undetermined', why: 'evidence-missing' });
  });

  it('is known of gaps where the state of the control emitter is not given', () => {
    const input = quiet('outdated-mapping');
    const emitterStates = new Map([...input.emitterStates].filter(([emitter]) => !/control|api/.test(emitter)));
    expect(finding({ ...input, emitterStates }, 'integration')).toMatchObject({
      state: 'unknown',
      reasons: expect.arrayContaining([expect.objectContaining({ kind: 'control-incomplete' })]),
    });
  });
});

describe('the account of a run', () => {
  it('says who triggered it, for whom, and which identity was assumed in each system', () => {
    const input = quiet('nothing-deviates');
    const opened = input.events.find(({ entry }) => entry.action === 'run.open')!;
    expect(statements(input, 'trigger')).toEqual([
      {
        kind: 'trigger',
        principal: opened.entry.actor.principal,
        actor: 'human',
        onBehalfOf: opened.entry.onBehalfOf,
        purpose: 'sales',
        citations: [{ index: opened.index, id: opened.entry.id }],
      },
    ]);
    const calls = input.events.filter(({ entry }) => entry.phase === 'attempt' && entry.batch === undefined);
    const identities = statements(input, 'identity');
    expect(identities.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(calls.length);
    for (const { credential, onBehalfOf } of identities) {
      expect(credential).toMatch(/^cred-/);
      expect(onBehalfOf).toBe(opened.entry.onBehalfOf);
    }
  });

  it('adds up what changed per field over all objects, with examples from what to what', () => {
    const input = quiet('nothing-deviates');
    const changes = statements(input, 'change').filter(
      ({ field }) => field.endsWith('__c') && !field.startsWith('Trail'),
    );
    expect(changes.length).toBeGreaterThan(0);
    for (const { field, objects, unreadable, examples, system } of changes) {
      const written = input.events.filter(
        ({ entry, parts }) =>
          entry.phase === 'outcome' && entry.system === system && field in contentOf(parts, 'after'),
      );
      expect(objects).toBe(written.length);
      expect(unreadable).toBe(0);
      expect(examples.length).toBe(Math.min(3, objects));
      for (const { from, to } of examples) expect(from).not.toBe(to);
    }
  });

  it('counts what it can not read, and shows no value of it', () => {
    const changes = statements(quiet('content-withheld'), 'change');
    expect(changes.length).toBeGreaterThan(0);
    for (const { objects, unreadable, examples } of changes) {
      expect(unreadable).toBe(objects);
      expect(examples).toEqual([]);
    }
  });

  it('tells of each step which decisions of which policy version allowed it, and its retries', () => {
    const input = quiet('nothing-deviates');
    const intents = input.events.filter(({ entry }) => entry.phase === 'intent');
    const permissions = statements(input, 'permission');
    expect(permissions.map(({ intent }) => intent).toSorted()).toEqual(intents.map(({ entry }) => entry.id).toSorted());
    for (const { decisions } of permissions) {
      expect(decisions.map(({ about, result, policy }) => [about, result, policy.version])).toEqual([
        ['agent', 'allow', 1],
        ['user', 'allow', 1],
      ]);
    }
    const retried = input.events.filter(({ entry }) => entry.outcome === 'retry').length;
    expect(statements(input, 'step').reduce((sum, { retries }) => sum + retries, 0)).toBe(retried);
  });

  it('names a superseded mapping and where its fields went instead', () => {
    const input = quiet('outdated-mapping');
    const lines = renderDiagnosis(diagnose(input));
    expect(lines[0]).toMatch(/^Established cause: the integration; the chain first diverged at entry #\d+\./);
    expect(lines.join('\n')).toMatch(/although map-[a-z]+@99 was in force: \w+ went to \w+__c rather than New_\w+__c/);
    expect(lines.join('\n')).toMatch(/Field mapping map-[a-z]+@\d was in play, although map-[a-z]+@99 had replaced it/);
  });
});

const contentOf = (parts: RecordedEvent['parts'], name: string): object => {
  const part = parts?.[name];
  return part?.state === 'present' ? (part.content as object) : {};
};

describe('a reason', () => {
  it('is said once, with all the entries that it rests on', () => {
    const input = quiet('outdated-mapping');
    const silent = changed(
      input.events,
      (entry) => entry.versions?.promptDigest !== undefined,
      ({ versions }) => ({ versions: { ...versions, promptDigest: undefined } }),
    );
    const found = finding({ ...input, events: silent }, 'prompt');
    expect(found.state).toBe('unknown');
    if (found.state !== 'unknown') return;
    const said = found.reasons.map((reason) => JSON.stringify({ ...reason, citations: undefined }));
    expect(said).toEqual([...new Set(said)]);
    const unstated = found.reasons.find((reason) => reason.kind === 'not-stated');
    expect(unstated?.citations.length).toBeGreaterThan(0);
  });
});
