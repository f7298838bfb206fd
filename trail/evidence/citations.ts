/**
 * What the entries of an evidence pack rest on: the policy sets that decided, and the published versions in play. They are
 * gathered while the entries go by, and looked up at the end among the publications of the log.
 */
import type { CitedVersion } from '../../domain/evidence/format.ts';
import type { ControlChange, VersionKind } from '../../schema/control.ts';
import type { Entry } from '../../schema/event.ts';
import type { IndexedEvent, TrailReader } from '../reader.ts';

/** Distinct policy sets, and distinct versions, that are listed. */
const citedMax = 1000;
const pageSize = 200;

/** The set of the platform itself, in force in every instance and published in none. */
export const platformSetName = 'platform';

const publishedAs = {
  agentBuild: 'agentBuild',
  model: 'model',
  promptDigest: 'prompt',
  mapping: 'mapping',
} as const satisfies Partial<Record<CitedVersion['what'], VersionKind>>;

export interface CitedSet {
  readonly policySet: string;
  readonly version: number;
  readonly publication: IndexedEvent | undefined;
}

export interface Cited {
  readonly policySets: readonly CitedSet[];
  readonly versions: readonly (CitedVersion & { readonly publication: IndexedEvent | undefined })[];
  readonly truncated: boolean;
}

/** What is cited, and the last few publications that bear its name: a later one may turn out to be void. */
type Candidates<T> = T & { readonly publications: IndexedEvent[] };
const candidatesMax = 20;

export class Citations {
  readonly #sets = new Map<string, Candidates<{ policySet: string; version: number }>>();
  readonly #versions = new Map<string, Candidates<{ what: CitedVersion['what']; value: string }>>();
  #truncated = false;

  see({ authorization, versions }: Entry): void {
    if (authorization) {
      const { policySet, policyVersion: version } = authorization;
      this.#note(this.#sets, `${policySet}@${version}`, { policySet, version, publications: [] });
    }
    for (const [what, value] of Object.entries(versions ?? {}) as [CitedVersion['what'], string][])
      this.#note(this.#versions, `${what} ${value}`, { what, value, publications: [] });
  }

  /** The last publication of each below the index `size` that was not voided. */
  async resolve(reader: TrailReader, size: number): Promise<Cited> {
    if (this.#sets.size > 0 || this.#versions.size > 0) {
      const filter = { action: { $in: ['policy.publish', 'version.publish', 'control.void'] }, _id: { $lt: size } };
      for (let after = -1; ;) {
        const page = await reader.find(filter, { after, limit: pageSize });
        for (const event of page) this.#place(event);
        if (page.length < pageSize) break;
        after = page.at(-1)!.index;
      }
    }
    const last = (publications: readonly IndexedEvent[]) => publications.at(-1);
    return {
      policySets: [...this.#sets.values()].map(({ policySet, version, publications }) => ({
        policySet,
        version,
        publication: last(publications),
      })),
      versions: [...this.#versions.values()].map(({ what, value, publications }) => ({
        what,
        value,
        publishedAt: last(publications)?.index ?? null,
        publication: last(publications),
      })),
      truncated: this.#truncated,
    };
  }

  #note<T>(all: Map<string, T>, key: string, value: T): void {
    if (all.has(key)) return;
    if (all.size >= citedMax) this.#truncated = true;
    else all.set(key, value);
  }

  #place(event: IndexedEvent): void {
    const { control, provenance, action, causedBy, outcome } = event.entry;
    if (provenance !== 'platform') return;
    if (action === 'control.void') {
      for (const { publications } of [...this.#sets.values(), ...this.#versions.values()]) {
        const voided = publications.findIndex(({ entry }) => entry.id === causedBy);
        if (voided >= 0) publications.splice(voided, 1);
      }
      return;
    }
    if (outcome !== undefined && outcome !== 'success') return;
    if (control?.change === 'policy.publish') {
      const set = this.#sets.get(`${control.policySet}@${control.version}`);
      if (set) add(set.publications, event);
    } else if (control?.change === 'version.publish')
      for (const version of this.#versions.values()) if (isOf(control, version)) add(version.publications, event);
  }
}

const add = (publications: IndexedEvent[], event: IndexedEvent): void => {
  publications.push(event);
  if (publications.length > candidatesMax) publications.shift();
};

type Publication = Extract<ControlChange, { change: 'version.publish' }>;

/** Prompts are named by digest; builds and models by version alone or together with the name; mappings by both. */
const isOf = (change: Publication, { what, value }: { what: CitedVersion['what']; value: string }): boolean => {
  if (what === 'connector' || publishedAs[what] !== change.kind) return false;
  const { digest, name, version } = change;
  return [digest, version, `${name}@${version}`, `${name}/${version}`].includes(value);
};
