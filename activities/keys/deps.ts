/** What the activities of key rotation use of the outside. */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import type { ControlState } from '../../store/control-state.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import type { Trail } from '../../trail/trail.ts';

export interface KeyInstance {
  readonly trail: Pick<Trail, 'writer' | 'reader' | 'origin' | 'signing'>;
  readonly control: ControlState;
}

export interface KeyDeps {
  /** The same object for the same instance. */
  readonly open: (instance: InstanceId) => Promise<KeyInstance>;
  readonly provider: KeyProvider;
  /** Keeper duty. */
  readonly keeper: MongoClient;
}
