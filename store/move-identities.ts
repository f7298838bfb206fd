/** Moves the look-up of identities to the key of the current epoch, like that of data subjects (trail/keys/move-subjects.ts). */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';
import { lookupKeysOf, type Moved } from '../trail/keys/move-subjects.ts';
import type { Secrets } from '../trail/keys/secrets.ts';
import { identitiesOf, identityDocument, openIdentity } from './identities.ts';
import { putUnlessNewer } from './newest-entry.ts';

/** `client`, and that of `secrets`: keeper duty. What a later entry said of an identity under the new key stays. */
export const moveIdentities = async (client: MongoClient, instance: InstanceId, secrets: Secrets): Promise<Moved> => {
  const rows = identitiesOf(client);
  const keys = await lookupKeysOf(secrets, 'identity');
  let moved = 0;
  let unreadable = 0;
  const old = rows.find({ _id: { $gt: `${instance}/`, $lt: `${instance}0` }, lookup: { $ne: keys.current.epoch } });
  for await (const document of old) {
    const key = await keys.of(document.lookup);
    const original = key && openIdentity(key, document);
    if (!original) {
      unreadable += 1;
      continue;
    }
    await putUnlessNewer(rows, identityDocument(instance, keys.current, original, document));
    await rows.deleteOne({ _id: document._id, index: document.index });
    moved += 1;
  }
  return { moved, unreadable };
};
