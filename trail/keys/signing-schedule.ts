/**
 * Which keys sign the checkpoints that one writer makes: what signed the checkpoints that it has seen, changed by the
 * entries that it has read or written since (domain/signing-schedule.ts). Nothing here depends on how soon a process hears of
 * a rotation: whoever can extend the log beyond an entry has read the entry.
 */
import { signingStepOf, signingVersions, type SigningBase, type SigningStep } from '../../domain/signing-schedule.ts';
import type { NoteSigner } from '../../domain/tree/note.ts';
import type { Entry } from '../../schema/event.ts';
import type { OwnCheckpoint, SigningKeys } from './signing.ts';

/** Of checkpoints seen before; a writer signs for the newest end of its log only. */
const basesKept = 16;

export class SigningSchedule {
  readonly origin: string;
  readonly #keys: SigningKeys;
  #bases: SigningBase[];
  #steps: SigningStep[] = [];

  constructor(keys: SigningKeys) {
    this.origin = keys.origin;
    this.#keys = keys;
    this.#bases = [{ size: 0, versions: [keys.first.version] }];
  }

  /** Opens a checkpoint of this log, and remembers which keys signed it. Throws a TreeError. */
  async open(note: Uint8Array): Promise<OwnCheckpoint> {
    const opened = await this.#keys.open(note);
    const { size, versions } = opened;
    const bases = [...this.#bases.filter((base) => base.size !== size), { size, versions }];
    this.#bases = bases.toSorted((a, b) => a.size - b.size).slice(-basesKept);
    return opened;
  }

  /** Entries that were read from the log or written to it, the first of them at this index. */
  observe(first: number, entries: readonly Pick<Entry, 'control'>[]): void {
    for (const [position, entry] of entries.entries()) {
      if (entry.control === undefined) continue;
      const step = signingStepOf(first + position, entry);
      if (step && !this.#steps.some(({ index }) => index === step.index)) this.#steps.push(step);
    }
  }

  /** Those that sign a checkpoint of this many entries. Throws KEY_UNAVAILABLE where one of them is gone. */
  async signersFor(size: number): Promise<NoteSigner[]> {
    const steps = await this.#known();
    return Promise.all(signingVersions(this.#bases, steps, size).map((version) => this.#keys.signer(version)));
  }

  /** Steps that add a key which there is. It was made before its entry, so a process that has read that finds it. */
  async #known(): Promise<SigningStep[]> {
    const isKnown = ({ step, version, vkey }: SigningStep) =>
      step === 'remove' || this.#keys.known.some((key) => key.version === version && key.vkey === vkey);
    if (!this.#steps.every(isKnown)) {
      await this.#keys.refresh();
      // An entry that names no key of ours adds none, now or later: no key that is made has its verifier key.
      this.#steps = this.#steps.filter(isKnown);
    }
    return this.#steps;
  }
}
