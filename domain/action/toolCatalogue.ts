/**
 * What those who accept an action know of the tools without being able to carry one out. The connectors themselves are
 * activities; the processes build a catalogue from them (stack/temporal/toolCatalogue.ts).
 */
import type { SubjectRef } from '../../schema/event.ts';
import type { JsonObject } from '../../schema/json.ts';
import type { Action, ChannelKind, System } from '../../schema/taxonomy.ts';
import type { Mapping } from '../mapping.ts';

export interface ToolDescription {
  /** `<system>.<verb>` */
  readonly name: string;
  readonly system: System;
  readonly action: Action;
  readonly effect: 'read' | 'write' | 'irreversible';
  readonly endpoint: string;
  readonly takesMapping: boolean;
}

/** A tool as it is told to callers. */
export interface DescribedTool extends ToolDescription {
  /** What the vendor itself offers against doing a call twice (activities/connectors/connector.ts). */
  readonly idempotency: 'key' | 'conditional' | 'none';
  /** JSON Schema (draft 2020-12) of the parameters. Says less than `issues` where a condition spans several of them. */
  readonly parameters: JsonObject;
}

/** What an action concerns, as far as its parameters tell. */
export interface ActionOutline {
  /** Number of objects. */
  readonly count: number;
  /** Vendor fields. */
  readonly fields: readonly string[];
  readonly subjects: readonly SubjectRef[];
  readonly channel?: { readonly kind: ChannelKind; readonly id: string };
}

export interface ToolCatalogue {
  /** In the order in which the connectors have them. */
  list(): readonly DescribedTool[];
  find(name: string): ToolDescription | undefined;
  /** What is wrong with the parameters and what would fit, in phrases; empty where nothing is. Never values. */
  issues(name: string, params: unknown): readonly string[];
  /** Undefined where it can't be told (a mapping that does not fit). The parameters must have passed `issues`. */
  outline(name: string, params: unknown, mapping?: Mapping): ActionOutline | undefined;
}

/** `name@version` taken apart. */
export const mappingReference = (reference: string): { name: string; version: string } | undefined => {
  const at = reference.lastIndexOf('@');
  return at < 1 ? undefined : { name: reference.slice(0, at), version: reference.slice(at + 1) };
};
