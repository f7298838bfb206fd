/**
 * Whether a process that starts has the keys of the data that it will meet: every epoch key that a keyring names is there,
 * and is the one that was meant. So a lost master key, another installation's or a truncated one is found now, not at the
 * first read of something old. Keys that were destroyed are destroyed again, where a restored backup brought them back.
 */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import { keyringsOf, referenceOf, unlockChecked } from './keyring.ts';
import type { KeyProvider } from './provider.ts';

/** `problems` has one line an instance, for the operator of the whole installation: it never leaves the process. */
export class KeysMissing extends Error {
  override readonly name = 'KeysMissing';
  readonly code = 'KEY_UNAVAILABLE';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `KEY_UNAVAILABLE: this process does not have the keys of the data in MongoDB, and does not start without them:\n` +
        problems.map((line) => `  - ${line}`).join('\n') +
        '\nNothing was changed, and no new key was made. docs/keys.md says how keys are restored.',
    );
    this.problems = problems;
  }
}

/**
 * `client` may read keyrings. Throws KeysMissing; and TrailError KEY_PROVIDER_UNAVAILABLE where the provider can't be
 * reached, which is worth another try.
 */
export const requireKeys = async (client: MongoClient, provider: KeyProvider): Promise<void> => {
  const problems: string[] = [];
  for await (const { _id, epochs } of keyringsOf(client).find().sort({ _id: 1 })) {
    const instance = _id as InstanceId;
    for (const document of epochs) {
      try {
        if (document.state === 'destroyed' && document.provider === provider.kind)
          await provider.destroy(referenceOf(instance, document));
        if (document.state === 'made' || document.state === 'live' || document.state === 'closed')
          await unlockChecked(provider, instance, document);
      } catch (error) {
        if (!(error instanceof TrailError) || error.code !== 'KEY_UNAVAILABLE') throw error;
        problems.push(`instance ${instance}: ${error.message}`);
      }
    }
  }
  if (problems.length > 0) throw new KeysMissing(problems);
};
