/**
 * The whole chain of one correlation id in causal order, across systems and emitters. Event time and received time stay
 * apart; clocks that lie move a row only among rows that are causally free.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { EntryFlag } from '../../schema/taxonomy.ts';
import { summariseBulk, type BulkSummary } from './bulk.ts';
import { causalGraph, causalOrder, type CausalGraph } from './order.ts';
import { estimateSkew, type EmitterSkew } from './skew.ts';

/**
 * Besides the entry's own flags. `before-cause`: even with skew taken out, its event time is before that of its cause.
 * `dangling-cause`: what caused it is not in the record that was given. `contradictory`: it stands where statements of
 * order contradict each other. `reported`: the agent's own runtime says so. `erased`: some of its content is destroyed.
 */
export type RowFlag = EntryFlag | 'before-cause' | 'dangling-cause' | 'contradictory' | 'reported' | 'erased';

export interface TimelineRow {
  readonly event: RecordedEvent;
  /** The row that it hangs under, which always stands above it; null for a root. */
  readonly parent: EventId | null;
  /** 0 for a root. */
  readonly depth: number;
  /** As the emitter said, UTC. */
  readonly eventTime: string;
  /** When the platform took it in, UTC. */
  readonly receivedTime: string;
  /** Event time with the emitter's estimated skew taken out, UTC. What rows are ordered by where causes leave it open. */
  readonly correctedTime: string;
  /** Set on an object of a bulk action: it may be folded into that row's `bulk`. */
  readonly foldedUnder: EventId | null;
  /** Set on a row that has objects folded under it. */
  readonly bulk: BulkSummary | null;
  readonly flags: readonly RowFlag[];
}

export type TimelineProblem =
  | { readonly kind: 'dangling-cause'; readonly event: EventId; readonly missing: string }
  | { readonly kind: 'dangling-batch'; readonly parent: string; readonly objects: number }
  /** Ordinary where the trace began outside of the platform; one a span, not one a child. */
  | { readonly kind: 'dangling-span'; readonly span: string; readonly children: number }
  | { readonly kind: 'contradictory-order'; readonly events: readonly EventId[] };

export interface Timeline {
  readonly rows: readonly TimelineRow[];
  readonly emitters: readonly EmitterSkew[];
  readonly problems: readonly TimelineProblem[];
}

/** Same rows for the same events in whatever order they come; an event given twice is one row. O(n log n). */
export const buildTimeline = (events: readonly RecordedEvent[]): Timeline => {
  const graph = causalGraph(events);
  const { nodes } = graph;
  const emitters = estimateSkew(nodes);
  const skewMs = new Map(emitters.map((skew) => [skew.emitter, skew.skewMs]));
  const correctedMs = nodes.map(({ entry }) => Date.parse(entry.eventTime) + (skewMs.get(entry.emitter.id) ?? 0));
  const before = (a: number, b: number) =>
    correctedMs[a]! < correctedMs[b]! || (correctedMs[a] === correctedMs[b] && a < b);
  const { order, kept, contradictory } = causalOrder(graph, before);

  const parents = treeParents(graph, new Set(kept.filter(({ kind }) => kind !== 'sequence').map(edgeKey)));
  const inCycle = new Set(contradictory);
  const danglingCauses = new Set(graph.dangling.filter(({ kind }) => kind !== 'span').map(({ node }) => node));
  const bulk = summariseBulk(nodes);
  const depths: number[] = [];
  const rows = order.map((node): TimelineRow => {
    const event = nodes[node]!;
    const parent = parents[node]!;
    depths[node] = parent === null ? 0 : depths[parent]! + 1;
    const flags: RowFlag[] = [...(event.entry.flags ?? [])];
    if (parent !== null && correctedMs[node]! < correctedMs[parent]!) flags.push('before-cause');
    if (danglingCauses.has(node)) flags.push('dangling-cause');
    if (inCycle.has(node)) flags.push('contradictory');
    if (event.entry.provenance === 'reported') flags.push('reported');
    if (Object.values(event.parts ?? {}).some(({ state }) => state === 'erased')) flags.push('erased');
    return {
      event,
      parent: parent === null ? null : nodes[parent]!.entry.id,
      depth: depths[node],
      eventTime: event.entry.eventTime,
      receivedTime: event.entry.receivedTime,
      correctedTime: new Date(correctedMs[node]!).toISOString(),
      foldedUnder: event.entry.batch?.parent ?? null,
      bulk: bulk.get(event.entry.id) ?? null,
      flags,
    };
  });
  return { rows, emitters, problems: problemsOf(graph, contradictory) };
};

const edgeKey = ({ from, to }: { from: number; to: number }): string => `${from}>${to}`;

/** A bulk object hangs under its batch, everything else under its cause, else under its parent span. */
const treeParents = (graph: CausalGraph, kept: ReadonlySet<string>): (number | null)[] => {
  const byId = new Map(graph.nodes.map(({ entry }, node) => [entry.id as string, node]));
  const bySpan = new Map<number, number>();
  for (const { from, to, kind } of graph.edges) if (kind === 'span') bySpan.set(to, from);
  return graph.nodes.map(({ entry }, node) => {
    const candidates = [
      entry.batch === undefined ? undefined : byId.get(entry.batch.parent),
      entry.causedBy === undefined ? undefined : byId.get(entry.causedBy),
      bySpan.get(node),
    ];
    return candidates.find((from) => from !== undefined && kept.has(edgeKey({ from, to: node }))) ?? null;
  });
};

const problemsOf = (graph: CausalGraph, contradictory: readonly number[]): TimelineProblem[] => {
  const id = (node: number): EventId => graph.nodes[node]!.entry.id;
  const problems: TimelineProblem[] = [];
  const tally = { batch: new Map<string, number>(), span: new Map<string, number>() };
  for (const { node, kind, missing } of graph.dangling) {
    if (kind === 'cause') problems.push({ kind: 'dangling-cause', event: id(node), missing });
    else tally[kind].set(missing, (tally[kind].get(missing) ?? 0) + 1);
  }
  for (const [parent, objects] of tally.batch) problems.push({ kind: 'dangling-batch', parent, objects });
  for (const [span, children] of tally.span) problems.push({ kind: 'dangling-span', span, children });
  if (contradictory.length > 0) problems.push({ kind: 'contradictory-order', events: contradictory.map(id) });
  return problems;
};
