/** What the activities of self-verification use of the outside. */
import type { MongoClient } from 'mongodb';
import type { CheckRates } from '../../domain/verification/contract.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { Trail } from '../../trail/trail.ts';
import type { VerifiedArchive } from '../../trail/verification/archive-check.ts';
import type { VerifiedLog } from '../../trail/verification/verified-log.ts';

export interface VerificationInstance {
  readonly trail: Pick<Trail, 'writer' | 'reader'>;
  readonly log: VerifiedLog;
  /** Absent where the instance has no archive. */
  readonly archive?: VerifiedArchive;
}

export interface VerificationDeps {
  /** The same object for the same instance. */
  readonly open: (instance: InstanceId) => Promise<VerificationInstance>;
  readonly rates: CheckRates;
  /** Projector duty: mends the projections. */
  readonly projector: MongoClient;
}
