/**
 * The causal order of entries: topological over what caused what, over parent spans and over each emitter's own
 * sequence. Where these contradict each other (a cycle), the weakest testimony gives way: first sequences, then spans,
 * then causes that stand later in the log than their effect. What is left is acyclic by construction, since such edges
 * go from lower to higher log index.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import { phases } from '../../schema/taxonomy.ts';
import { ReadyQueue } from './readyQueue.ts';

/** Weakest first: the order in which they give way. */
const edgeKinds = ['sequence', 'span', 'cause'] as const;
export type EdgeKind = (typeof edgeKinds)[number];

/** Positions in `nodes`; `from` comes before `to`. */
export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
}

export interface CausalGraph {
  /** By log index, each id once. */
  readonly nodes: readonly RecordedEvent[];
  readonly edges: readonly Edge[];
  /** Effects whose cause, batch parent or parent span is not among the nodes. */
  readonly dangling: readonly {
    readonly node: number;
    readonly kind: 'cause' | 'batch' | 'span';
    readonly missing: string;
  }[];
}

export const causalGraph = (events: readonly RecordedEvent[]): CausalGraph => {
  const nodes = uniqueByIndex(events);
  const byId = new Map(nodes.map(({ entry }, node) => [entry.id as string, node]));
  const opening = spanOpenings(nodes);
  const edges: Edge[] = [];
  const dangling: CausalGraph['dangling'][number][] = [];
  const link = (from: number | undefined, to: number, kind: EdgeKind, name: 'cause' | 'batch' | 'span', id: string) => {
    if (from === undefined) dangling.push({ node: to, kind: name, missing: id });
    else edges.push({ from, to, kind });
  };
  for (const [node, { entry }] of nodes.entries()) {
    if (entry.causedBy !== undefined) link(byId.get(entry.causedBy), node, 'cause', 'cause', entry.causedBy);
    if (entry.batch !== undefined) link(byId.get(entry.batch.parent), node, 'cause', 'batch', entry.batch.parent);
    // Entries of one span may name it as their own parent's: that says nothing about order.
    const parent = entry.parentSpanId;
    if (parent !== undefined && parent !== entry.spanId) link(opening.get(parent), node, 'span', 'span', parent);
  }
  for (const own of bySequence(nodes)) {
    for (let at = 1; at < own.length; at++) edges.push({ from: own[at - 1]!, to: own[at]!, kind: 'sequence' });
  }
  return { nodes, edges, dangling };
};

export interface CausalOrder {
  /** Positions in `nodes`, causes first. */
  readonly order: readonly number[];
  readonly kept: readonly Edge[];
  /** Positions of entries on or between contradictory statements of order. Empty where there is no contradiction. */
  readonly contradictory: readonly number[];
}

/** Among what is causally free, `before` decides. O((n + edges) log n). */
export const causalOrder = (graph: CausalGraph, before: (a: number, b: number) => boolean): CausalOrder => {
  const size = graph.nodes.length;
  let kept = graph.edges;
  let contradictory: readonly number[] = [];
  for (const weakest of edgeKinds) {
    const core = cyclicCore(size, kept);
    if (core.size === 0) break;
    if (contradictory.length === 0) contradictory = [...core].toSorted((a, b) => a - b);
    kept = kept.filter(
      ({ from, to, kind }) =>
        kind !== weakest || !core.has(from) || !core.has(to) || (weakest === 'cause' && from < to),
    );
  }
  const { out, incoming } = adjacency(size, kept);
  const ready = new ReadyQueue(before);
  for (let node = 0; node < size; node++) if (incoming[node] === 0) ready.push(node);
  const order: number[] = [];
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    order.push(node);
    for (const next of out[node]!) if (--incoming[next]! === 0) ready.push(next);
  }
  return { order, kept, contradictory };
};

const uniqueByIndex = (events: readonly RecordedEvent[]): RecordedEvent[] => {
  const sorted = events.toSorted((a, b) => a.index - b.index);
  const seen = new Set<string>();
  return sorted.filter(({ entry }) => !seen.has(entry.id) && seen.add(entry.id));
};

/** The entry that stands for a span: the earliest phase in it, then the first in the log. */
const spanOpenings = (nodes: readonly RecordedEvent[]): Map<string, number> => {
  const rank = (node: number) => phases.indexOf(nodes[node]!.entry.phase);
  const openings = new Map<string, number>();
  for (const [node, { entry }] of nodes.entries()) {
    const known = openings.get(entry.spanId);
    if (known === undefined || rank(node) < rank(known)) openings.set(entry.spanId, node);
  }
  return openings;
};

const bySequence = (nodes: readonly RecordedEvent[]): number[][] => {
  const emitters = new Map<string, number[]>();
  for (const [node, { entry }] of nodes.entries()) {
    const own = emitters.get(entry.emitter.id);
    if (own === undefined) emitters.set(entry.emitter.id, [node]);
    else own.push(node);
  }
  const sequence = (node: number) => nodes[node]!.entry.emitter.sequence;
  return [...emitters.values()].map((own) => own.toSorted((a, b) => sequence(a) - sequence(b) || a - b));
};

/** What is left when everything that has nothing before it, or nothing after it, is taken away again and again. */
const cyclicCore = (size: number, edges: readonly Edge[]): Set<number> => {
  const forward = peel(size, edges);
  const inner = edges.filter(({ from, to }) => forward.has(from) && forward.has(to));
  const backward = peel(
    size,
    inner.map(({ from, to, kind }) => ({ from: to, to: from, kind })),
  );
  return new Set([...forward].filter((node) => backward.has(node)));
};

const peel = (size: number, edges: readonly Edge[]): Set<number> => {
  const { out, incoming } = adjacency(size, edges);
  const stack: number[] = [];
  const left = new Set<number>();
  for (let node = 0; node < size; node++) {
    if (incoming[node] === 0) stack.push(node);
    else left.add(node);
  }
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const next of out[node]!) {
      if (--incoming[next]! > 0) continue;
      left.delete(next);
      stack.push(next);
    }
  }
  return left;
};

const adjacency = (size: number, edges: readonly Edge[]): { out: number[][]; incoming: number[] } => {
  const out: number[][] = Array.from({ length: size }, () => []);
  const incoming = Array.from({ length: size }, () => 0);
  for (const { from, to } of edges) {
    out[from]!.push(to);
    incoming[to]!++;
  }
  return { out, incoming };
};
