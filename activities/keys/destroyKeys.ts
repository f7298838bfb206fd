import { numberOfKeyId } from '../../domain/signing-schedule.ts';
import { keyFailures, type KeyActivities } from '../../domain/keys/contract.ts';
import { TrailError } from '../../trail/errors.ts';
import { destroyEpoch } from '../../trail/keys/epochs.ts';
import { countUnder } from '../../trail/keys/rewrap.ts';
import { destroySeed } from '../../trail/keys/signing.ts';
import { FinalFailure } from '../failures.ts';
import type { KeyDeps } from './deps.ts';

export const createDestroySeed =
  ({ open, keeper }: KeyDeps): KeyActivities['destroySeed'] =>
  async ({ instance, id, retired }) => {
    const version = numberOfKeyId('signing', id);
    if (version === undefined) throw new FinalFailure(keyFailures.void);
    const { trail } = await open(instance);
    // Before that, a writer that begins anew would have to sign what is not anchored yet.
    if ((await trail.reader.size()) <= retired)
      throw new TrailError('TRAIL_UNAVAILABLE', 'the retirement is not anchored yet');
    await destroySeed(keeper, instance, version);
  };

export const createDestroyEpoch =
  ({ provider, keeper }: KeyDeps): KeyActivities['destroyEpoch'] =>
  async ({ instance, epoch }) => {
    // Strays of a process that was frozen go with the next look of the keeper (stack/keeping.ts); until then the key stays.
    if ((await countUnder(keeper, instance, epoch)) > 0)
      throw new TrailError('TRAIL_UNAVAILABLE', `secrets are under epoch key ${epoch} still`);
    const { keyId, destruction } = await destroyEpoch(keeper, provider, instance, epoch);
    const until = destruction.state === 'pending' ? destruction.until : new Date();
    return { keyId, state: destruction.state, until: until.toISOString() };
  };
