/**
 * The closed vocabularies of the event model. A value that is not listed here is refused at the door;
 * adding one is a compatible change, removing or renaming one needs a new entry format version.
 */

/** What was done. Verbs are common to all systems: a chat message and a mail are both `message.send`. */
export const actions = [
  // what the agent thought and called
  'prompt.submit',
  'model.respond',
  'tool.call',
  'api.call',
  // records: CRM objects, tickets, issues, contacts
  'record.read',
  'record.search',
  'record.create',
  'record.update',
  'record.delete',
  // communication: chat, mail, comments
  'message.read',
  'message.draft',
  'message.send',
  'message.update',
  'message.delete',
  'comment.create',
  'webhook.send',
  'webhook.receive',
  // people in the loop
  'escalation.raise',
  'handoff.request',
  'handoff.complete',
  'approval.request',
  'approval.decide',
  'action.settle',
  // governance of a run
  'run.open',
  'run.close',
  'authorization.decide',
  'input.refuse',
  // control state: each is applied to store/ from the log
  'principal.register',
  'principal.disable',
  'identity.map',
  'identity.unmap',
  'token.issue',
  'token.revoke',
  'delegation.grant',
  'delegation.revoke',
  'policy.publish',
  'version.publish',
  'connector.configure',
  'connector.disable',
  'witness.configure',
  'archive.configure',
  'log.continue',
  'key.rotate',
  'key.retire',
  'key.destroy',
  'instance.suspend',
  'instance.resume',
  'control.void',
  // the key that signs evidence packs
  'evidence.key',
  // keys: what became of one, and who took one into use
  'key.outcome',
  'key.use',
  // the platform and its instances
  'instance.create',
  'isolation.probe',
  'isolation.breach',
  // use of the trail itself
  'trail.read',
  'trail.disclose',
  'trail.verify',
  'evidence.export',
  // what the platform finds when it checks its own log, and what it mends
  'integrity.check',
  'integrity.alert',
  'integrity.repair',
  // the archive: whether it lags too far behind
  'archive.lag',
  // witnesses: whether enough of them cosign in time, and who saw another history
  'witness.quorum',
  'witness.contradict',
] as const;
export type Action = (typeof actions)[number];

/** Actions whose entries change control state; only the platform may emit them. */
export const controlActions = [
  'principal.register',
  'principal.disable',
  'identity.map',
  'identity.unmap',
  'token.issue',
  'token.revoke',
  'delegation.grant',
  'delegation.revoke',
  'policy.publish',
  'version.publish',
  'connector.configure',
  'connector.disable',
  'witness.configure',
  'archive.configure',
  'log.continue',
  'key.rotate',
  'key.retire',
  'key.destroy',
  'instance.suspend',
  'instance.resume',
  'evidence.key',
] as const satisfies readonly Action[];
export type ControlAction = (typeof controlActions)[number];

/** Actions that an agent's own runtime may report through `recordEvents`. */
export const reportableActions = [
  'prompt.submit',
  'model.respond',
  'tool.call',
  'api.call',
  'record.read',
  'record.search',
  'record.create',
  'record.update',
  'record.delete',
  'message.read',
  'message.draft',
  'message.send',
  'message.update',
  'message.delete',
  'comment.create',
  'webhook.send',
  'webhook.receive',
  'escalation.raise',
  'handoff.request',
  'handoff.complete',
] as const satisfies readonly Action[];

/** Where in its life an action stands; a guarded action passes through them in this order. */
export const phases = ['intent', 'decision', 'attempt', 'outcome', 'verified', 'observation'] as const;
export type Phase = (typeof phases)[number];

/**
 * `retry`: this attempt failed and another will follow. `pending`: waits for a person or a deadline.
 * `unknown`: the call may or may not have taken effect; settled by reading back or by a person, never by trying again.
 */
export const outcomes = ['success', 'denied', 'retry', 'failure', 'pending', 'unknown'] as const;
export type Outcome = (typeof outcomes)[number];

/** Outcomes after which an action needs nothing more. `pending` and `unknown` count as missing when a run closes. */
export const finalOutcomes = ['success', 'denied', 'failure'] as const satisfies readonly Outcome[];

/** Why something did not succeed, the same for all systems. */
export const errorCodes = [
  'UNAUTHENTICATED', // the target refused the credential (401)
  'FORBIDDEN', // the target refused the operation (403)
  'NOT_FOUND', // no such object in the target (404)
  'CONFLICT', // the object changed or exists (409, 412)
  'INVALID_REQUEST', // the target refused the parameters (400, 422)
  'RATE_LIMITED', // 429 or the vendor's own form of it
  'UNAVAILABLE', // 5xx or no connection
  'TIMEOUT', // no answer in time
  'MALFORMED_RESPONSE', // an answer that can't be read
  'NOT_CONFIGURED', // the instance has no such connector or no credential for it
  'POLICY_DENIED', // a policy forbids it, or none permits it
  'APPROVAL_DENIED',
  'APPROVAL_EXPIRED',
  'PARAMETERS_CHANGED', // the parameters are not those that were approved
  'SUSPENDED', // the kill flag is set
  'CONTENT_ERASED', // the parameters were erased meanwhile
  'VERIFICATION_FAILED', // reading back showed something else
  'INPUT_REFUSED', // an event that did not pass the schema or a limit
  'CANCELLED', // whoever asked for it went away before it was done
  'INTERNAL', // a defect of ours
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** Target systems and the two that are ours: `trailkeeper` (the platform) and `agent` (the agent's own runtime). */
export const systems = [
  'salesforce',
  'slack',
  'gmail',
  'jira',
  'hubspot',
  'zendesk',
  'mail',
  'webhook',
  'agent',
  'trailkeeper',
] as const;
export type System = (typeof systems)[number];

export const actorKinds = ['agent', 'human', 'service', 'platform'] as const;
export type ActorKind = (typeof actorKinds)[number];

/** Who vouches for the entry. `platform`: Trailkeeper did or saw it. `reported`: the agent's own runtime says so. */
export const provenances = ['platform', 'reported'] as const;
export type Provenance = (typeof provenances)[number];

/** How content is kept. Assigned by the server from the action (domain/retention-class.ts). */
export const retentionClasses = ['control', 'security', 'operational', 'communication'] as const;
export type RetentionClass = (typeof retentionClasses)[number];

/** Ways in which a channel can be addressed, the same for all systems. */
export const channelKinds = ['chat', 'email', 'ticket', 'webhook'] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** What a reader should be warned of. Flags never refuse an event. */
export const entryFlags = ['skew-future', 'skew-past', 'late'] as const;
export type EntryFlag = (typeof entryFlags)[number];
