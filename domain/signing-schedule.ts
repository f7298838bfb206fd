/**
 * Which keys sign a checkpoint. The log itself says so: an entry `key.rotate` at index i adds a key to every checkpoint of
 * more than i entries, and `key.retire` takes one away. So every writer signs the same, whatever it has heard otherwise, and
 * none can sign with a retired key: to extend the log past the retirement it has to have read it.
 */
import type { Entry } from '../schema/event.ts';

export interface SigningStep {
  /** Log index of the entry. */
  readonly index: number;
  readonly step: 'add' | 'remove';
  /** Number of the key. */
  readonly version: number;
  /** Verifier key of one that is added: a key of this number alone would not tell which one was meant. */
  readonly vkey?: string;
}

/** `signing/<n>` */
export const signingKeyId = (version: number): string => `signing/${version}`;
/** `epoch/<n>` */
export const epochKeyId = (epoch: number): string => `epoch/${epoch}`;

/** The number in a key's id; undefined where it is of another kind. */
export const numberOfKeyId = (kind: 'signing' | 'epoch', id: string): number | undefined => {
  const match = /^([a-z]+)\/([1-9]\d{0,8})$/.exec(id);
  return match?.[1] === kind ? Number(match[2]) : undefined;
};

/** What an entry changes; undefined for the many that change nothing. */
export const signingStepOf = (index: number, { control }: Pick<Entry, 'control'>): SigningStep | undefined => {
  if (control?.change !== 'key.rotate' && control?.change !== 'key.retire') return undefined;
  if (control.key !== 'signing') return undefined;
  const id = control.change === 'key.rotate' ? control.to : control.id;
  const version = numberOfKeyId('signing', id);
  if (version === undefined) return undefined;
  if (control.change === 'key.retire') return { index, step: 'remove', version };
  return control.vkey === undefined ? undefined : { index, step: 'add', version, vkey: control.vkey };
};

/** What signed a checkpoint that is known already. */
export interface SigningBase {
  readonly size: number;
  readonly versions: readonly number[];
}

/**
 * The keys that sign a checkpoint of `size` entries, oldest first. `bases` in order of size; the last one not over `size`
 * counts, and the steps after it. The last key is never taken away: a log without one could not go on.
 */
export const signingVersions = (
  bases: readonly SigningBase[],
  steps: readonly SigningStep[],
  size: number,
): readonly number[] => {
  const base = bases.findLast((one) => one.size <= size) ?? bases[0];
  const versions = new Set(base?.versions);
  for (const { index, step, version } of steps.toSorted((a, b) => a.index - b.index)) {
    if (index < (base?.size ?? 0) || index >= size) continue;
    if (step === 'add') versions.add(version);
    else if (versions.size > 1) versions.delete(version);
  }
  return [...versions].toSorted((a, b) => a - b);
};

/** Which checkpoints a key may have signed: those of more entries than `from`, and of no more than `until`. */
export interface SigningSpan {
  /** Undefined for a key whose entry is not there yet, or was not applied yet. */
  readonly from: number | undefined;
  readonly until: number | undefined;
}

/** A retired key signs nothing that is newer: what it is found under there was signed by somebody who stole it. */
export const maySign = ({ from, until }: SigningSpan, size: number): boolean =>
  (from === undefined || from < size) && (until === undefined || size <= until);
