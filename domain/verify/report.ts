/** What the verification of a log can find. One tagged union, so that whoever shows it must deal with every kind. */

/** Leaf indexes from `index` to `lastIndex`, both included. Without `lastIndex` it is exactly `index`. */
export interface At {
  readonly index: number;
  /** Present where the evidence names a range only: something in it is wrong, and what comes before is right. */
  readonly lastIndex?: number;
}

export type WhichCheckpoint = 'current' | 'older';

/** The first thing that is wrong. Everything before its index was checked and holds. */
export type Problem =
  /** No signature by a known key, or one that does not verify. */
  | { readonly kind: 'bad-signature'; readonly checkpoint: WhichCheckpoint; readonly reason: string }
  | { readonly kind: 'malformed-checkpoint'; readonly checkpoint: WhichCheckpoint; readonly reason: string }
  | { readonly kind: 'wrong-origin'; readonly checkpoint: WhichCheckpoint; readonly reason: string }
  /** `rollback`: the log is shorter than it once was. `fork`: what it had at that size was something else. */
  | {
      readonly kind: 'inconsistent-with-older';
      readonly how: 'rollback' | 'fork';
      readonly size: number;
      readonly olderSize: number;
    }
  /** The bytes are not those that were logged: their hash is not in the tree. */
  | (At & { readonly kind: 'entry-altered' })
  /** The entry was logged, but at `belongsAt`. */
  | (At & { readonly kind: 'wrong-order'; readonly belongsAt: number })
  | (At & { readonly kind: 'missing-entries'; readonly reason: string })
  | (At & { readonly kind: 'surplus-entries'; readonly reason: string })
  | (At & { readonly kind: 'malformed-bundle'; readonly reason: string })
  /** A tile says something else than the checkpoint. The entry may be right all the same. */
  | (At & { readonly kind: 'tile-altered'; readonly path: string })
  | (At & { readonly kind: 'tile-missing'; readonly path: string })
  | (At & { readonly kind: 'tile-malformed'; readonly path: string; readonly reason: string })
  /** The leaf hash kept beside an entry is not its own; entry and checkpoint agree. */
  | (At & { readonly kind: 'leaf-hash-altered' })
  | (At & { readonly kind: 'unparseable-entry'; readonly reason: string })
  /** An entry that names another instance than the log's. */
  | (At & { readonly kind: 'foreign-entry'; readonly expected: string })
  | (At & { readonly kind: 'duplicate-id'; readonly id: string; readonly firstSeenAt: number })
  /** The entries do not give the checkpoint's root, and nothing at hand says which of them are at fault. */
  | (At & { readonly kind: 'root-mismatch'; readonly reason: string });

export type ProblemKind = Problem['kind'];

/** What a reader should know although the log holds. */
export type Warning =
  /** Sequence numbers `from` to `to` of an emitter never came. */
  | { readonly kind: 'sequence-gap'; readonly emitter: string; readonly from: number; readonly to: number }
  | { readonly kind: 'sequence-repeated'; readonly emitter: string; readonly sequence: number; readonly index: number };

/** What the checkpoint says. */
interface Head {
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

/** How far the verification went. */
interface Extent {
  /** False where no tiles were given, or where they contradict the checkpoint. Without, nothing can be located for certain. */
  readonly tilesChecked: boolean;
  /** False where entries were only looked at for version, id, instance and emitter. */
  readonly schemaChecked: boolean;
  readonly warnings: readonly Warning[];
}

export type VerificationReport =
  | (Head & Extent & { readonly outcome: 'verified' })
  /** Without a head, the checkpoint itself can't be relied on. */
  | (Partial<Head> &
      Extent & {
        readonly outcome: 'refuted';
        readonly problem: Problem;
        /** Entries before the first bad one, all of which hold as far as the evidence at hand goes. */
        readonly entriesChecked: number;
      });

/** Ends a verification from within; verifyLog turns it into a report. */
export class ProblemFound extends Error {
  override readonly name = 'ProblemFound';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.kind);
    this.problem = problem;
  }
}

const where = ({ index, lastIndex }: At): string =>
  lastIndex === undefined || lastIndex === index ? `index ${index}` : `index ${index} to ${lastIndex}`;

const which = (checkpoint: WhichCheckpoint): string => (checkpoint === 'current' ? 'checkpoint' : 'older checkpoint');

/** The problem in one line: where it is and what it is. */
export function describeProblem(problem: Problem): string {
  switch (problem.kind) {
    case 'bad-signature':
      return `${which(problem.checkpoint)}: bad signature: ${problem.reason}`;
    case 'malformed-checkpoint':
      return `${which(problem.checkpoint)}: malformed: ${problem.reason}`;
    case 'wrong-origin':
      return `${which(problem.checkpoint)}: wrong origin: ${problem.reason}`;
    case 'inconsistent-with-older':
      return problem.how === 'rollback'
        ? `index ${problem.size}: rolled back: an older checkpoint has size ${problem.olderSize}, this one ${problem.size}`
        : `forked: the log of size ${problem.size} does not extend the older checkpoint of size ${problem.olderSize}`;
    case 'entry-altered':
      return `${where(problem)}: entry altered: its hash is not that in the tree`;
    case 'wrong-order':
      return `${where(problem)}: wrong order: entry ${problem.belongsAt} stands here`;
    case 'missing-entries':
      return `${where(problem)}: missing entries: ${problem.reason}`;
    case 'surplus-entries':
      return `${where(problem)}: surplus entries: ${problem.reason}`;
    case 'malformed-bundle':
      return `${where(problem)}: malformed bundle: ${problem.reason}`;
    case 'tile-altered':
      return `${where(problem)}: tile altered: ${problem.path} is inconsistent with the checkpoint`;
    case 'tile-missing':
      return `${where(problem)}: ${problem.path} is missing`;
    case 'tile-malformed':
      return `${where(problem)}: ${problem.path} is malformed: ${problem.reason}`;
    case 'leaf-hash-altered':
      return `${where(problem)}: leaf hash altered: the hash kept beside the entry is not the entry's`;
    case 'unparseable-entry':
      return `${where(problem)}: unparseable entry: ${problem.reason}`;
    case 'foreign-entry':
      return `${where(problem)}: the entry is of another instance than "${problem.expected}"`;
    case 'duplicate-id':
      return `${where(problem)}: the event id ${problem.id} was already used at index ${problem.firstSeenAt}`;
    case 'root-mismatch':
      return `${where(problem)}: root mismatch: ${problem.reason}`;
  }
  return problem satisfies never;
}
