/**
 * Every operation that a caller of the API may be permitted: each root field of the GraphQL schema by its name, and the
 * two that are no field. Permission is per operation and role (schema/cedar/default.cedar).
 */
export const operations = [
  // runs and their actions
  'openRun',
  'performAction',
  'action',
  'decideAction',
  'settleAction',
  'recordEvents',
  'handOff',
  'closeRun',
  'tools',
  // keys
  'keys',
  'rotateKey',
  'destroyKey',
  // control state
  'publishVersion',
  'configureWitnesses',
  'configureArchive',
  'continueLog',
  'suspendInstance',
  'resumeInstance',
  // the record: `events` is both the query and the subscription
  'events',
  'event',
  'timeline',
  'diagnose',
  'correlate',
  'gaps',
  'disclose',
  'exportEvidence',
  // proofs
  'checkpoint',
  'inclusionProof',
  'consistencyProof',
  'verifyLog',
  'selfVerification',
  'startSelfVerification',
  'repairProjections',
  'witnesses',
  'archive',
  /** Checkpoint, tiles and entry bundles over plain HTTP; the bundles hold every skeleton. */
  'readLog',
  /** To see payload parts, in whatever answer they stand. Without it they are withheld. */
  'readPayloads',
  // the platform's own instance only
  'instances',
  'createInstance',
  'rotateMasterKey',
  'probeIsolation',
] as const;
export type Operation = (typeof operations)[number];
