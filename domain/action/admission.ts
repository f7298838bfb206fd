/** Which actions a run lets begin. Its children are remembered, so that one submitted again does not begin again. */
import type { EventId } from '../../schema/ids.ts';

export type AdmissionRefusal = 'RUN_CLOSED' | 'BUDGET_EXCEEDED';

/** No run has more, so that what it remembers fits into one continue-as-new. */
export const actionsMaxLimit = 10_000;
export const actionsMaxDefault = 1000;

export class Admissions {
  readonly #actionsMax: number;
  readonly #children = new Set<string>();
  closed = false;

  constructor(actionsMax: number, children: string, closed: boolean) {
    this.#actionsMax = actionsMax;
    for (let at = 0; at < children.length; at += packedLength)
      this.#children.add(children.slice(at, at + packedLength));
    this.closed = closed;
  }

  get count(): number {
    return this.#children.size;
  }

  knows(intent: EventId): boolean {
    return this.#children.has(packed(intent));
  }

  /** Why an action can't begin; undefined where it can or already did. */
  refusal(intent: EventId): AdmissionRefusal | undefined {
    if (this.knows(intent)) return undefined;
    if (this.closed) return 'RUN_CLOSED';
    return this.#children.size >= this.#actionsMax ? 'BUDGET_EXCEEDED' : undefined;
  }

  admit(intent: EventId): void {
    this.#children.add(packed(intent));
  }

  /** Where the child could not be started after all. */
  withdraw(intent: EventId): void {
    this.#children.delete(packed(intent));
  }

  /** All children in one string, 22 characters each. */
  carry(): string {
    return [...this.#children].join('');
  }
}

const packedLength = 22;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The 32 digits of an id, three in two characters. */
const packed = (intent: EventId): string => {
  const digits = intent.replaceAll('-', '').padEnd(33, '0');
  let characters = '';
  for (let at = 0; at < digits.length; at += 3) {
    const value = Number.parseInt(digits.slice(at, at + 3), 16);
    characters += alphabet[value >> 6]! + alphabet[value & 63]!;
  }
  return characters;
};
