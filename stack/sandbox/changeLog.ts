/**
 * A stand-in's own change log: who changed what, when, from what to what. It is written by the stand-in from what it
 * did, not from what anybody reports, and so is what a reconciliation compares the trail with.
 */
import type { JsonValue, Vendor } from './standIn.ts';

export interface Change {
  /** From 1, without gaps, for each vendor. */
  readonly sequence: number;
  readonly vendor: Vendor;
  /** RFC 3339, UTC. */
  readonly at: string;
  /** The account in the vendor's system whose credential was used. */
  readonly by: string;
  readonly operation: 'create' | 'update' | 'delete';
  readonly kind: string;
  readonly id: string;
  /** Only what changed; `null` stands for "not there". */
  readonly fields: Readonly<Record<string, { readonly from: JsonValue; readonly to: JsonValue }>>;
}

export class ChangeLog {
  readonly #vendor: Vendor;
  readonly #now: () => Date;
  #changes: Change[] = [];

  constructor(vendor: Vendor, now: () => Date) {
    this.#vendor = vendor;
    this.#now = now;
  }

  record(change: Pick<Change, 'by' | 'operation' | 'kind' | 'id' | 'fields'>): void {
    this.#changes.push({
      sequence: this.#changes.length + 1,
      vendor: this.#vendor,
      at: this.#now().toISOString(),
      ...structuredClone(change),
    });
  }

  /** Changes after the given sequence number, oldest first. */
  after(sequence = 0): readonly Change[] {
    return this.#changes.slice(Math.max(0, sequence));
  }

  restore(changes: readonly Change[]): void {
    this.#changes = [...changes];
  }
}

/** The fields in which two states differ. */
export function changedFields(
  before: Readonly<Record<string, JsonValue>>,
  after: Readonly<Record<string, JsonValue>>,
): Change['fields'] {
  const fields: Record<string, { from: JsonValue; to: JsonValue }> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const from = before[name] ?? null;
    const to = after[name] ?? null;
    if (JSON.stringify(from) !== JSON.stringify(to)) fields[name] = { from, to };
  }
  return fields;
}
