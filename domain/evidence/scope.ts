/** What an evidence pack is about. */
import type { CorrelationId, RunId } from '../../schema/ids.ts';

/** A run is the chain of its correlation id. A range is by log index, both ends belong to it. */
export type EvidenceScope =
  | { readonly kind: 'run'; readonly runId: RunId; readonly correlationId: CorrelationId }
  | { readonly kind: 'correlation'; readonly correlationId: CorrelationId }
  | { readonly kind: 'range'; readonly from: number; readonly to: number };
