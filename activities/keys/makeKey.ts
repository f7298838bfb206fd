import { signingKeyId, epochKeyId } from '../../domain/signing-schedule.ts';
import type { KeyActivities } from '../../domain/keys/contract.ts';
import { makeNextEpoch, requireKeyring } from '../../trail/keys/epochs.ts';
import { Keyring } from '../../trail/keys/keyring.ts';
import { listVerifierKeys, makeSigningKey } from '../../trail/keys/signing.ts';
import type { KeyDeps } from './deps.ts';

export const createMakeKey =
  ({ open, provider, keeper }: KeyDeps): KeyActivities['makeKey'] =>
  async ({ instance, key }) => {
    if (key === 'epoch') {
      const { current } = await requireKeyring(keeper, instance);
      const made = await makeNextEpoch(keeper, provider, instance);
      return { from: epochKeyId(current), to: epochKeyId(made.epoch) };
    }
    const { trail } = await open(instance);
    const all = await listVerifierKeys(keeper, instance);
    const own = all.filter(({ vkey }) => vkey.startsWith(`${trail.origin}+`));
    const inUse = own.findLast(({ from, until }) => from !== undefined && until === undefined) ?? own[0]!;
    // One that was made and never announced is used rather than another made.
    const unused = own.find(({ from }) => from === undefined);
    const version = unused?.version ?? all.at(-1)!.version + 1;
    const keyring = new Keyring(instance, provider, keeper);
    const { vkey } = await makeSigningKey(keeper, keyring, { instance, origin: trail.origin, version });
    return { from: signingKeyId(inUse.version), to: signingKeyId(version), vkey };
  };
