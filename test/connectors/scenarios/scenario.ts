/** What the conformance tests must know of a tool to try it. */
import type { CallResult, FieldMapping, Json, JsonObject } from '../../../activities/connectors/connector.ts';
import type { Sandbox } from '../../../stack/sandbox/sandbox.ts';

export interface Ready {
  readonly params: JsonObject;
  /** The state, past the API, that a write changes and its compensation restores. */
  state?(): Promise<Json>;
}

export interface Scenario {
  readonly tool: string;
  readonly mapping?: FieldMapping;
  /** Makes what the call needs in the stand-in, anew for each try. */
  prepare(sandbox: Sandbox): Promise<Ready>;
  /** How many objects one call changes; 1 where absent. */
  readonly effects?: number;
  /** Correlation ids found in the target, past the API, after a call with this result; absent for deletions. */
  marks?(sandbox: Sandbox, result: CallResult): Promise<readonly (Json | undefined)[]>;
  /** Params that the input schema refuses. */
  readonly refused: readonly JsonObject[];
}
