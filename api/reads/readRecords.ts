/**
 * Use of the trail, recorded in the trail: reading payloads one event a request, reading skeletons coalesced for each
 * principal and minute. Nothing switches it off, and where it can't be recorded, nothing is read.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from '../../schema/json.ts';
import type { Operation } from '../../schema/operations.ts';
import { newCorrelationId, type EventDraft } from '../../trail/recorder.ts';
import type { Caller, InstanceServices } from '../context.ts';
import { MinuteTally } from './minuteTally.ts';

/** A field of the query that reads, with its arguments: conditions and ids, never content. */
export interface ReadField {
  readonly field: string;
  readonly arguments: Json;
}

export type ReadKind = 'payloads' | 'subscription-opened' | 'subscription-closed' | 'export';

interface SkeletonReader {
  readonly instance: InstanceServices;
  readonly caller: Caller;
}

export class ReadRecords {
  readonly #skeletons: MinuteTally<SkeletonReader, { requests: number; entries: number }>;

  readonly #misses: MinuteTally<SkeletonReader & { readonly operation: Operation }, { calls: number }>;

  constructor(nowMs: () => number) {
    this.#misses = new MinuteTally({
      nowMs,
      record: async ({ instance, caller, operation }, { calls }) => {
        await instance.recorder.record([missEvent(caller, operation, calls)]);
      },
    });
    this.#skeletons = new MinuteTally({
      nowMs,
      record: async ({ instance, caller }, { requests, entries }) => {
        const content = { reads: 'skeletons', requests, entries };
        await instance.recorder.record([readEvent(caller, entries, content)]);
      },
    });
  }

  async skeletons(instance: InstanceServices, caller: Caller, amounts: { requests: number; entries: number }) {
    const key = JSON.stringify([caller.instance, caller.principal]);
    await this.#skeletons.note(key, { instance, caller }, amounts);
  }

  /**
   * A call that asked for what is not in the instance. The first of a caller and operation in a minute is recorded before
   * it is answered. Whether it is another instance's can't be said: nobody looks there.
   */
  async missed(instance: InstanceServices, caller: Caller, operation: Operation): Promise<void> {
    const key = JSON.stringify([caller.instance, caller.principal, operation]);
    await this.#misses.note(key, { instance, caller, operation }, { calls: 1 });
  }

  /** Returns once the event stands in the log. `entries`: how many entries' payloads are read. */
  async payloads(
    instance: InstanceServices,
    caller: Caller,
    read: { readonly kind: ReadKind; readonly entries: number; readonly fields: readonly ReadField[] },
  ): Promise<void> {
    const { kind, entries, fields } = read;
    const query = fields.map((field) => ({ field: field.field, arguments: field.arguments }));
    await instance.recorder.record([readEvent(caller, entries, { reads: kind, entries, query })]);
  }

  async sweep(): Promise<void> {
    await Promise.all([this.#skeletons.sweep(), this.#misses.sweep()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#skeletons.close(), this.#misses.close()]);
  }
}

const readEvent = (
  caller: Caller,
  count: number,
  content: { readonly query?: Json; readonly [name: string]: Json | undefined },
): EventDraft => ({
  // Not the chain that is read: its timeline would change with every look at it.
  correlationId: newCorrelationId(),
  actor: { principal: caller.principal, kind: caller.kind },
  action: 'trail.read',
  phase: 'observation',
  outcome: 'success',
  system: 'trailkeeper',
  count,
  ...(content.query !== undefined && { parametersDigest: digest(content.query) }),
  parts: [{ name: 'query', content: { ...content, token: caller.token } as never }],
});

const missEvent = (caller: Caller, operation: Operation, count: number): EventDraft => ({
  correlationId: newCorrelationId(),
  actor: { principal: caller.principal, kind: caller.kind },
  action: 'trail.read',
  phase: 'observation',
  outcome: 'failure',
  system: 'trailkeeper',
  count,
  error: { code: 'NOT_FOUND' },
  parts: [{ name: 'query', content: { reads: 'nothing', operation, token: caller.token } }],
});

const digest = (value: Json): string =>
  createHash('sha256')
    .update(canonicalize(value) ?? '')
    .digest('hex');
