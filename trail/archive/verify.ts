/**
 * Verifies a whole archive without any key but the verifier key: every object is read and hashed, the tree is computed
 * from the entries, and what is there is compared with what should be. Memory does not grow with the archive, but for a
 * few bytes a range.
 */
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import type { NoteKey } from '../../domain/tree/note.ts';
import { ArchiveError } from './errors.ts';
import { ExpectedNames } from './expected.ts';
import { emptyArchive, readObject, type ArchivedHead, type KeyTrust } from './head.ts';
import type { Manifest } from './manifest.ts';
import { checkpointName, latestCheckpointName, manifestName } from './names.ts';
import { readRange, requireRanges, type RangeEnd } from './ranges.ts';
import { replayRange, type RangeVisitor } from './replay.ts';
import type { ArchiveStore } from './store.ts';

/**
 * `altered`: its bytes are not those that were written, or it does not fit the others. `missing`: it is gone. `added`: no
 * range knows it. `covered`: something was laid over it, or it was deleted, where the storage keeps versions; the object
 * itself is still there. `contradicted`: a checkpoint kept elsewhere is of another log.
 */
export type ArchiveProblemKind = 'altered' | 'missing' | 'added' | 'covered' | 'contradicted';

export interface ArchiveProblem {
  readonly kind: ArchiveProblemKind;
  readonly object: string;
  readonly message: string;
}

export interface ArchiveReport {
  readonly outcome: 'verified' | 'refuted';
  readonly place: string;
  readonly origin: string | undefined;
  /** Entries up to the newest checkpoint, and root of the tree, hex. */
  readonly size: number;
  readonly root: string | undefined;
  /** Entries that hold, from the first on. */
  readonly entriesChecked: number;
  readonly objects: number;
  /** In the order in which they were found, at most `problemsMax`. */
  readonly problems: readonly ArchiveProblem[];
  /** Sizes of checkpoints kept elsewhere that are beyond the archive: what is younger than it. */
  readonly younger: readonly number[];
}

export interface VerifyArchiveOptions {
  readonly trust: KeyTrust;
  /** Checkpoints that were kept elsewhere, as signed notes. */
  readonly kept?: readonly Uint8Array[];
  readonly progress?: (entries: number, of: number) => void;
  /** Is told of what holds, as it is read. */
  readonly visitor?: RangeVisitor;
}

export const problemsMax = 100;

export const verifyArchive = async (store: ArchiveStore, options: VerifyArchiveOptions): Promise<ArchiveReport> => {
  const problems: ArchiveProblem[] = [];
  const tell = (problem: ArchiveProblem): void => {
    if (problems.length < problemsMax && !problems.some(({ object }) => object === problem.object))
      problems.push(problem);
  };
  let found: Awaited<ReturnType<typeof requireRanges>>;
  try {
    found = await requireRanges(store, options.trust);
  } catch (error) {
    tell(problemOf(error));
    return { ...nothing(store), problems };
  }
  const { newest, ends } = found;
  const kept = new KeptRoots(options.kept ?? [], options.trust, newest.origin);
  let head: ArchivedHead | undefined = emptyArchive;
  let entriesChecked = 0;
  for (const end of ends) {
    head = await checkRange(store, head, end, { options, kept, tell });
    if (head) entriesChecked = end.size;
    options.progress?.(end.size, newest.size);
  }
  const objects = await checkListing(store, ends, tell);
  await checkLatest(store, options.trust, newest.origin, tell);
  for (const problem of kept.problems(newest.size)) tell(problem);
  return {
    outcome: problems.length === 0 ? 'verified' : 'refuted',
    place: store.place,
    origin: newest.origin,
    size: newest.size,
    root: newest.root.toString('hex'),
    entriesChecked,
    objects,
    problems,
    younger: kept.younger(newest.size),
  };
};

const nothing = (store: ArchiveStore): ArchiveReport => ({
  outcome: 'refuted',
  place: store.place,
  origin: undefined,
  size: 0,
  root: undefined,
  entriesChecked: 0,
  objects: 0,
  problems: [],
  younger: [],
});

interface Checking {
  readonly options: VerifyArchiveOptions;
  readonly kept: KeptRoots;
  readonly tell: (problem: ArchiveProblem) => void;
}

/** The head after the range; undefined once something before was bad: then only digests are looked at. */
const checkRange = async (
  store: ArchiveStore,
  head: ArchivedHead | undefined,
  end: RangeEnd,
  { options, kept, tell }: Checking,
): Promise<ArchivedHead | undefined> => {
  let manifest: Manifest | undefined;
  try {
    const range = await readRange(store, end);
    ({ manifest } = range);
    if (!head) throw new Skipped();
    const visitor = {
      ...options.visitor,
      async segment(...[segment, entries, next]: Parameters<NonNullable<RangeVisitor['segment']>>) {
        kept.reached(next);
        await options.visitor?.segment?.(segment, entries, next);
      },
    };
    return (await replayRange(store, head, range, options.trust, visitor)).head;
  } catch (error) {
    if (!(error instanceof Skipped)) tell(problemOf(error));
    for (const object of manifest?.objects ?? [])
      await readObject(store, object).catch((failure: unknown) => tell(problemOf(failure)));
    return undefined;
  }
};

class Skipped extends Error {}

/** Throws what is no finding: storage that is away says nothing of the archive. */
const problemOf = (error: unknown): ArchiveProblem => {
  if (!(error instanceof ArchiveError)) throw error;
  if (error.code !== 'ARCHIVE_ALTERED' && error.code !== 'ARCHIVE_INVALID') throw error;
  const object = error.object ?? latestCheckpointName;
  const kind = error.message.endsWith('it is missing') ? 'missing' : 'altered';
  return { kind, object, message: error.message };
};

const checkListing = async (
  store: ArchiveStore,
  ends: readonly RangeEnd[],
  tell: (problem: ArchiveProblem) => void,
): Promise<number> => {
  const expected = new ExpectedNames(store, ends);
  let objects = 0;
  for await (const { name, covered } of store.list('')) {
    objects += 1;
    if (!(await expected.has(name)))
      tell({ kind: 'added', object: name, message: `${name}: no range of the archive knows it` });
    else if (covered && name !== latestCheckpointName)
      tell({ kind: 'covered', object: name, message: `${name}: something was laid over it, or it was deleted` });
  }
  return objects;
};

/** What third-party tools read must be one of the archived checkpoints. */
const checkLatest = async (
  store: ArchiveStore,
  trust: KeyTrust,
  origin: string,
  tell: (problem: ArchiveProblem) => void,
): Promise<void> => {
  const bytes = await store.newest(latestCheckpointName);
  if (!bytes) return tell({ kind: 'missing', object: latestCheckpointName, message: 'checkpoint: it is missing' });
  const size = trust.kind === 'trusted' ? sizeOf(bytes, trust.keys, origin) : undefined;
  const name = size === undefined ? undefined : checkpointName(size);
  const archived = name === undefined ? undefined : await store.get(name);
  if (trust.kind === 'trusted' && !archived)
    tell({ kind: 'altered', object: latestCheckpointName, message: 'checkpoint: it is not one that was archived' });
};

const sizeOf = (note: Uint8Array, keys: readonly NoteKey[], origin: string): number | undefined => {
  try {
    return openCheckpoint(note, keys, origin).size;
  } catch (error) {
    if (error instanceof TreeError) return undefined;
    throw error;
  }
};

/** Checkpoints that were kept elsewhere, against the roots of the archive's tree. */
class KeptRoots {
  readonly #wanted = new Map<number, Buffer>();
  readonly #reached = new Map<number, boolean>();

  constructor(notes: readonly Uint8Array[], trust: KeyTrust, origin: string) {
    for (const note of notes) {
      if (trust.kind !== 'trusted')
        throw new ArchiveError(
          'ARCHIVE_INVALID',
          'a checkpoint can only be compared where the key of the log is given',
        );
      const { size, root } = openCheckpoint(note, trust.keys, origin);
      this.#wanted.set(size, root);
    }
  }

  reached({ size, root }: { readonly size: number; readonly root: Buffer }): void {
    const wanted = this.#wanted.get(size);
    if (wanted) this.#reached.set(size, wanted.equals(root));
  }

  /** Checkpoints end where segments end: one within the archive that no segment ends at is of another log. */
  problems(size: number): ArchiveProblem[] {
    return [...this.#wanted.keys()]
      .filter((kept) => kept <= size && this.#reached.get(kept) !== true)
      .map((kept) => ({
        kind: 'contradicted' as const,
        object: manifestName(size),
        message: `the checkpoint of size ${kept} that was kept elsewhere is of another log than this archive`,
      }));
  }

  younger(size: number): number[] {
    return [...this.#wanted.keys()].filter((kept) => kept > size).toSorted((a, b) => a - b);
  }
}
