/**
 * The format of an evidence pack, the one form in which the product gives anything out for others to check.
 * docs/evidence.md describes it member by member. A change that an old verifier would misread raises `packVersion`.
 */
import type { ActorKind } from '../../schema/taxonomy.ts';
import type { EvidenceScope } from './scope.ts';

export const packVersion = 1;

/** What the pack is; later ones (deletion certificates, reviews, incidents) add kinds, and members of their own. */
export const packKinds = ['export'] as const;
export type PackKind = (typeof packKinds)[number];

/** Members that every pack has once. */
export const member = {
  readme: 'README.md',
  verifier: 'verify.mjs',
  description: 'pack.json',
  checkpoint: 'checkpoint',
  /** Where witnesses have cosigned an earlier checkpoint only: that one, and the proof that the log goes on from it. */
  cosigned: 'cosigned',
  cosignedConsistency: 'cosigned-consistency.json',
  citations: 'citations.json',
  summary: 'summary.json',
  /** Last, and the only one that it does not list. */
  manifest: 'manifest',
} as const;

/**
 * Entries stand in sections: those of the scope, and those that they rest on (publications of the policies and versions
 * that they cite, the key of the manifest, the record of the export). A section is cut into parts of bounded size, each
 * of three members with the same number; long payloads take further members, `000000-1` and on.
 */
export type Section = 'scope' | 'cited';

const numbered = (part: number): string => String(part).padStart(6, '0');
const folderOf = (section: Section): string => (section === 'scope' ? '' : 'cited/');

export const sectionMember = {
  /** A line an entry: its bytes as they stand in the log, and as they are hashed. */
  entries: (section: Section, part: number) => `${folderOf(section)}entries/${numbered(part)}.ndjson`,
  /** Line for line the proof of the entry: `ProofLine`. */
  proofs: (section: Section, part: number) => `${folderOf(section)}proofs/${numbered(part)}.ndjson`,
  /** A line each part of each entry, in order: `PayloadLine`. */
  payloads: (section: Section, part: number, more: number) =>
    `${folderOf(section)}payloads/${numbered(part)}${more === 0 ? '' : `-${more}`}.ndjson`,
};

/** A member is closed at the first line that passes this, so it is at most one line larger. */
export const memberBytesMax = 2 * 1024 * 1024;
/** So that a reader who holds one part of a section in memory needs little of it. */
export const entriesPerMemberMax = 1000;

export interface ProofLine {
  readonly index: number;
  /** Base64, from the leaf's sibling up: with `checkpoint` they make a c2sp.org/tlog-proof@v1. */
  readonly hashes: readonly string[];
}

/**
 * One part (or chunk of a part) of an entry. SHA-256(salt || plaintext) is the commitment in the entry; the plaintext is
 * `text` in UTF-8, or `base64` where a chunk ends inside a character. `withheld`: the role of whoever asked does not see
 * it. `erased`: its keys were destroyed. `damaged`: the record does not hold what the entry commits to.
 */
export type PayloadLine = { readonly index: number; readonly position: number; readonly name: string } & (
  | { readonly state: 'present'; readonly salt: string; readonly text: string }
  | { readonly state: 'present'; readonly salt: string; readonly base64: string }
  | { readonly state: 'withheld' | 'erased' | 'damaged'; readonly reason: string }
);

export const absenceReasons = {
  withheld: 'the role of whoever asked for the pack does not see this part',
  erased: 'the keys of this part were destroyed, or its content was',
  damaged: 'the record does not hold what the entry commits to',
} as const;

/** `pack.json`: what was known before the first entry was read. Times are UTC. */
export interface PackDescription {
  readonly format: 'trailkeeper-evidence';
  readonly version: typeof packVersion;
  readonly kind: PackKind;
  /** Id of the entry by which it was asked for. */
  readonly id: string;
  readonly instance: string;
  readonly origin: string;
  /** Keys of the log. Whoever checks the pack gets them by another way than the pack. */
  readonly vkeys: readonly string[];
  /** Key of the manifest, and the index of the log's entry that names it. */
  readonly evidenceKey: { readonly vkey: string; readonly announcedAt: number };
  readonly scope: EvidenceScope;
  readonly askedBy: { readonly principal: string; readonly kind: ActorKind; readonly role?: string };
  readonly askedAt: string;
  readonly madeAt: string;
  /** Size of the tree that all proofs lead to. */
  readonly treeSize: number;
  /** Log indexes of the entries that record the export itself, as far as they precede the pack. */
  readonly custody: readonly number[];
}

export type PartState = PayloadLine['state'];

/** `summary.json`: what the pack turned out to hold. */
export interface PackSummary {
  readonly entries: number;
  readonly firstIndex: number | null;
  readonly lastIndex: number | null;
  /** Parts of the entries of the scope, by state. */
  readonly parts: Readonly<Record<PartState, number>>;
  readonly citedEntries: number;
}

export interface CitedPolicySet {
  readonly policySet: string;
  readonly version: number;
  /** Hex SHA-256 of the text in UTF-8. */
  readonly digest: string | null;
  /** Index of the entry that published it; null for the platform's own set, which no instance publishes. */
  readonly publishedAt: number | null;
  /** Member that holds the text, else the reason why there is none. */
  readonly member: string | null;
  readonly reason?: string;
}

export interface CitedVersion {
  readonly what: 'agentBuild' | 'model' | 'promptDigest' | 'connector' | 'mapping';
  readonly value: string;
  /** Index of the entry that published it; null where nothing that was published bears this name. */
  readonly publishedAt: number | null;
}

/** `citations.json` */
export interface Citations {
  readonly policySets: readonly CitedPolicySet[];
  readonly versions: readonly CitedVersion[];
  /** True where the entries name more than are listed. */
  readonly truncated: boolean;
}
