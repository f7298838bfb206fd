/** Who the probe comes as: a principal of the canary, with tokens of a few minutes that are issued through its log. */
import { createHash } from 'node:crypto';
import { controlChange, type Role } from '../../schema/control.ts';
import { platformEvent } from '../../schema/event.ts';
import type { EventId, InstanceId, PrincipalId } from '../../schema/ids.ts';
import { openControlState } from '../../store/control-state.ts';
import { newTokenSecret, tokenDigest } from '../../store/tokens.ts';
import { newEventId, newSpanId } from '../../trail/recorder.ts';
import type { Trail } from '../../trail/trail.ts';
import { probeCorrelation } from '../../domain/isolation/contract.ts';
import type { MongoClient } from 'mongodb';

const lifetimeMs = 15 * 60_000;
const appliedMs = 60_000;

export interface CanaryTokens {
  readonly tokens: Readonly<Record<'auditor' | 'agent' | 'admin', string>>;
  /** They open nothing any more. */
  revoke(): Promise<void>;
}

/** Throws where the canary's log can't be written, or no worker applies its entries. */
export const issueTokens = async (
  trail: Pick<Trail, 'writer' | 'instance'>,
  reader: MongoClient,
  prober: PrincipalId,
  probe: EventId,
  nowMs: number,
): Promise<CanaryTokens> => {
  const name = (role: Role) =>
    `${role}-${createHash('sha256').update(`${probe}\n${nowMs}`).digest('hex').slice(0, 16)}`;
  const made = (['auditor', 'agent', 'admin'] as const).map((role) => ({
    role,
    token: name(role),
    secret: newTokenSecret(trail.instance, name(role)),
  }));
  const expires = new Date(nowMs + lifetimeMs).toISOString();
  await change(
    trail,
    reader,
    probe,
    made.map(({ role, token, secret }) => ({
      control: { change: 'token.issue', token, principal: prober, role, expires },
      parts: [{ name: 'token', content: { sha256: tokenDigest(secret) } }],
    })),
  );
  return {
    tokens: Object.fromEntries(made.map(({ role, secret }) => [role, secret])) as CanaryTokens['tokens'],
    revoke: () =>
      change(
        trail,
        reader,
        probe,
        made.map(({ token }) => ({ control: { change: 'token.revoke', token }, parts: [] })),
      ),
  };
};

const change = async (
  { writer, instance }: { readonly writer: Trail['writer']; readonly instance: InstanceId },
  reader: MongoClient,
  probe: EventId,
  changes: readonly { readonly control: unknown; readonly parts: readonly unknown[] }[],
): Promise<void> => {
  const events = changes.map(({ control, parts }) => {
    const id = newEventId();
    const parsed = controlChange.parse(control);
    return platformEvent.parse({
      id,
      correlationId: probeCorrelation(probe),
      spanId: newSpanId(),
      emitter: { id: `platform/probe/${id}`, sequence: 1 },
      eventTime: new Date().toISOString(),
      actor: { principal: 'platform', kind: 'platform' },
      action: parsed.change,
      phase: 'outcome',
      outcome: 'success',
      system: 'trailkeeper',
      control: parsed,
      parts,
    });
  });
  const results = await writer.append(events, 'platform');
  const state = openControlState(reader, instance);
  for (const result of results) {
    if (result.status === 'refused') throw new Error(`the canary's log refused it: ${result.refusal.code}`);
    await state.waitApplied(result.receipt.index, appliedMs);
  }
};
