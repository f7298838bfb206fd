/** What an instance is to have before anybody uses it, as data. */
import type { Role, ToolScope, VersionKind } from '../../schema/control.ts';
import type { ActorKind, System } from '../../schema/taxonomy.ts';
import type { ExternalIdentity } from '../../schema/identity.ts';
import type { CredentialContent } from '../../store/connector-credentials.ts';

export interface PrincipalSpec {
  readonly principal: string;
  readonly kind: ActorKind;
  readonly roles: readonly Role[];
  /** Stands before those that it owns. */
  readonly owner?: string;
  readonly declared?: readonly ToolScope[];
}

/** What one of the principals is called in a target system. */
export interface IdentitySpec {
  readonly principal: string;
  readonly identity: ExternalIdentity;
}

export interface PolicySpec {
  readonly name: string;
  readonly version: number;
  readonly text: string;
}

export interface VersionSpec {
  readonly kind: VersionKind;
  readonly name: string;
  readonly version: string;
  readonly content: CredentialContent;
  readonly agent?: string;
  readonly system?: System;
}

export interface DelegationSpec {
  readonly delegation: string;
  readonly from: string;
  readonly to: string;
  readonly scope: readonly ToolScope[];
  readonly lifetimeDays: number;
}

export interface TokenSpec {
  /** The token's name; where a token of this name can't be used any more, `<token>-2` and so on. */
  readonly token: string;
  readonly principal: string;
  readonly role: Role;
  readonly lifetimeDays: number;
  /** Hex SHA-256 of a secret that somebody else made and keeps; where it is absent, a secret is made here. */
  readonly sha256?: string;
}

export interface ConnectorSpec {
  readonly system: System;
  /** Name of the credential. */
  readonly credential: string;
  readonly content: CredentialContent;
  readonly principals: readonly string[];
  readonly baseUrl: string;
}

/** Versions of one name stand in the order in which they are published: the last one comes into force. */
export interface InstanceSpec {
  readonly principals: readonly PrincipalSpec[];
  readonly identities: readonly IdentitySpec[];
  readonly policies: PolicySpec;
  readonly versions: readonly VersionSpec[];
  readonly delegations: readonly DelegationSpec[];
  readonly tokens: readonly TokenSpec[];
  readonly connectors: readonly ConnectorSpec[];
}
