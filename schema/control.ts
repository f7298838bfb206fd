/**
 * What a control entry says besides who and when. Each of these is applied to store/ by the ordered control applier;
 * bulky or secret content is in the entry's payload parts, and only its SHA-256 stands here.
 */
import { z } from 'zod';
import { identityKind, identitySystem } from './identity.ts';
import { actions, actorKinds, systems } from './taxonomy.ts';
import { instanceIdPattern, principalIdPattern } from './ids.ts';
import { witnessUrlProblem } from './witnessUrl.ts';

const principal = z.string().regex(principalIdPattern);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const version = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const utc = z.iso.datetime({ precision: 3 });
const keyId = z.string().regex(/^(?:master|epoch|signing)\/[A-Za-z0-9:._-]{1,200}$/);

const witnessUrl = z.string().superRefine((url, context) => {
  const problem = witnessUrlProblem(url);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** One tool that somebody may use: a system and the actions in it. */
export const toolScope = z.strictObject({ system: z.enum(systems), actions: z.array(z.enum(actions)).max(64) });
export type ToolScope = z.infer<typeof toolScope>;

export const roles = ['admin', 'agent', 'operator', 'approver', 'compliance', 'auditor', 'responder'] as const;
export type Role = (typeof roles)[number];

/** What can be published in versions, so that a record can say which was in force and which was used. */
export const versionKinds = ['mapping', 'prompt', 'model', 'agentBuild'] as const;
export type VersionKind = (typeof versionKinds)[number];

export const controlChange = z.discriminatedUnion('change', [
  z.strictObject({
    change: z.literal('principal.register'),
    principal,
    kind: z.enum(actorKinds),
    roles: z.array(z.enum(roles)).max(roles.length),
    /** The person answerable for an agent or service. */
    owner: principal.optional(),
    /** What the agent is meant to do. A decision that allows more than this was too broad. */
    declared: z.array(toolScope).max(32).optional(),
  }),
  z.strictObject({ change: z.literal('principal.disable'), principal }),
  /**
   * The part `identity` holds `{id}`, the id that the principal has in the system. It is personal data and easily guessed,
   * so no digest of it stands here either: the entry's salted commitment to the part says that it is this one. An
   * identity that belongs to one principal can't be mapped to another before it is unmapped.
   */
  z.strictObject({ change: z.literal('identity.map'), system: identitySystem, kind: identityKind, principal }),
  /** Likewise; `principal` is whose it was. */
  z.strictObject({ change: z.literal('identity.unmap'), system: identitySystem, kind: identityKind, principal }),
  /** The part `token` holds `{sha256}` of the secret; the secret itself is shown once and kept nowhere. */
  z.strictObject({ change: z.literal('token.issue'), token: name, principal, role: z.enum(roles), expires: utc }),
  z.strictObject({ change: z.literal('token.revoke'), token: name }),
  /** `from` lets `to` act for them within `scope`. */
  z.strictObject({
    change: z.literal('delegation.grant'),
    delegation: name,
    from: principal,
    to: principal,
    scope: z.array(toolScope).max(32),
    expires: utc,
  }),
  z.strictObject({ change: z.literal('delegation.revoke'), delegation: name }),
  /** The part `policies` holds `{text}`; `digest` is the SHA-256 of that text in UTF-8. */
  z.strictObject({
    change: z.literal('policy.publish'),
    policySet: z.string().regex(instanceIdPattern),
    version: z.int().positive(),
    digest: sha256,
  }),
  /** The part `content` holds the published thing as JSON; `digest` is the SHA-256 of its canonical JSON (RFC 8785). */
  z.strictObject({
    change: z.literal('version.publish'),
    kind: z.enum(versionKinds),
    name,
    version,
    digest: sha256,
    /** Present for prompts, models and builds: the agent they are for. */
    agent: principal.optional(),
    /** Present for mappings: the system whose fields it names. */
    system: z.enum(systems).optional(),
  }),
  /** `principals`: the only ones that may act under this credential. The credential itself is never in an entry. */
  z.strictObject({
    change: z.literal('connector.configure'),
    system: z.enum(systems),
    credential: name,
    credentialVersion: z.int().positive(),
    principals: z.array(principal).max(256),
  }),
  z.strictObject({ change: z.literal('connector.disable'), system: z.enum(systems), credential: name }),
  /**
   * Replaces the instance's witnesses: `vkey` is the verifier key of a witness (c2sp.org/tlog-cosignature), `url` its
   * submission prefix. `threshold` of them must have cosigned a checkpoint within `withinMs`; 0 without witnesses.
   */
  z.strictObject({
    change: z.literal('witness.configure'),
    witnesses: z.array(z.strictObject({ vkey: z.string().max(500), url: witnessUrl })).max(16),
    threshold: z.int().min(0).max(16),
    withinMs: z
      .int()
      .min(1000)
      .max(7 * 86_400_000),
  }),
  /**
   * A key takes another's place; ids are `master/<...>`, `epoch/<n>`, `signing/<n>`. An epoch key wraps all secrets from here on.
   * A signing key signs all later checkpoints, besides the one before until that is retired; `vkey` is its verifier key.
   */
  z.strictObject({
    change: z.literal('key.rotate'),
    key: z.enum(['master', 'epoch', 'signing']),
    from: keyId,
    to: keyId,
    vkey: z.string().max(500).optional(),
  }),
  /** Nothing is under this epoch key any more; or this signing key signs no later checkpoint. */
  z.strictObject({ change: z.literal('key.retire'), key: z.enum(['epoch', 'signing']), id: keyId }),
  /** An epoch key that was retired is to be destroyed by its provider. */
  z.strictObject({ change: z.literal('key.destroy'), key: z.literal('epoch'), id: keyId }),
  /** `archive`: a receipt leaves only once its entry is in the archive. An alarm is raised from this lag on. */
  z.strictObject({
    change: z.literal('archive.configure'),
    acknowledge: z.enum(['log', 'archive']),
    lagMsMax: z
      .int()
      .min(1000)
      .max(7 * 86_400_000),
  }),
  /**
   * The first entry after a log was restored from its archive: it goes on under a new origin and key, on the same tree.
   * `former`: what it was, and its last archived checkpoint (signed note). Entries from `missing.first` on are lost;
   * `missing.size` is the largest size that is known to have been given out, absent where none beyond the archive is.
   */
  z.strictObject({
    change: z.literal('log.continue'),
    logId: z.string().regex(/^[0-9a-f]{32}$/),
    origin: z.string().max(512),
    former: z.strictObject({
      origin: z.string().max(512),
      vkey: z.string().max(500),
      checkpoint: z.string().max(8192),
    }),
    missing: z.strictObject({ first: z.int().nonnegative(), size: z.int().positive().optional() }),
    approvedBy: z.array(principal).length(2),
  }),
  z.strictObject({ change: z.literal('instance.suspend') }),
  z.strictObject({ change: z.literal('instance.resume') }),
  /**
   * The key that signs the manifests of evidence packs (docs/evidence.md). The entry itself is what verifiers look at: from
   * it on, and from no other place, they know the key.
   */
  z.strictObject({ change: z.literal('evidence.key'), vkey: z.string().max(500) }),
]);
export type ControlChange = z.infer<typeof controlChange>;
