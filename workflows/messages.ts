/** What callers can ask of running workflows. Names are part of the contract: running workflows answer to them. */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { Decision } from '../domain/action/approval.ts';
import type { PerformInput, RunProgress, SettleInput } from '../domain/action/contract.ts';
import type { ActionProgress } from '../domain/action/progress.ts';
import type { EventId } from '../schema/ids.ts';

/** Of a run: lets an action begin, once however often it is asked. Refused with RUN_CLOSED, BUDGET_EXCEEDED, RUN_CONTINUING. */
export const performUpdate = defineUpdate<void, [PerformInput]>('perform');
/** Of a run: no action begins from now on. Answers with the id under which the closing is to be recorded. */
export const closeRunUpdate = defineUpdate<{ entry: EventId }, []>('closeRun');
/** Of a run that is closing: its closing was recorded, so it ends. */
export const endRunUpdate = defineUpdate<void, []>('endRun');
export const runProgressQuery = defineQuery<RunProgress>('runProgress');

/** Of an action that waits for approval. Refused with the codes of `DecisionRefusal`. */
export const decideUpdate = defineUpdate<ActionProgress, [Decision]>('decide');
/** Of an action whose outcome is unknown. Refused with the codes of `SettleRefusal`. */
export const settleUpdate = defineUpdate<ActionProgress, [SettleInput]>('settle');
export const progressQuery = defineQuery<ActionProgress>('progress');
