/** What is asked of a policy set. Field by field as in schema/cedar/schema.cedarschema. */
import type { Role, ToolScope } from '../../schema/control.ts';
import type { Operation } from '../../schema/operations.ts';
import type { Action, ActorKind, System } from '../../schema/taxonomy.ts';

/** As the control state knows it (store/principals.ts). */
export interface AccessPrincipal {
  readonly principal: string;
  readonly kind: ActorKind;
  /** Those that count for this request: of a caller, the one role of its token. */
  readonly roles: readonly Role[];
  readonly declared?: readonly ToolScope[];
  readonly disabled: boolean;
}

export interface AccessTool {
  readonly system: System;
  readonly action: Action;
}

export interface PerformContext {
  readonly effect: 'read' | 'write' | 'irreversible';
  /** How many objects it concerns. */
  readonly count: number;
  /** Names of the fields it touches, in the target's own naming. */
  readonly fields: readonly string[];
  readonly purpose?: string;
  /** Mail domains of a message's recipients, lower case; absent where there are none or they are not known. */
  readonly recipientDomains?: readonly string[];
  /** The kill flag. */
  readonly suspended: boolean;
  /** True when asked again after a person approved exactly these parameters. */
  readonly approvalGiven: boolean;
}

/** A user's delegation in force to the agent that acts for them. */
export interface AccessDelegation {
  readonly delegation: string;
  readonly scope: readonly ToolScope[];
}

export type AccessRequest =
  | {
      readonly ask: 'perform';
      readonly principal: AccessPrincipal;
      readonly tool: AccessTool;
      readonly context: PerformContext;
      readonly delegated?: AccessDelegation;
    }
  | {
      readonly ask: 'operate';
      readonly principal: AccessPrincipal;
      readonly operation: Operation;
      /** Whether the caller belongs to the platform's own instance. */
      readonly platform: boolean;
    };

/** `<system>:<action>`: the one form in which scopes and tools are compared. */
export const scopeOf = ({ system, action }: AccessTool): string => `${system}:${action}`;

export const scopesOf = (scopes: readonly ToolScope[]): string[] => [
  ...new Set(scopes.flatMap(({ system, actions }) => actions.map((action) => scopeOf({ system, action })))),
];
