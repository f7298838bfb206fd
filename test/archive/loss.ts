/** The loss of MongoDB, for one instance of a test: its database, and all that the control database has of it. */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { controlCollections, controlDatabase, instanceDatabase } from '../../store/provisioning/collections.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { testPasswords } from '../setup/database.ts';

/** `anchors`: whether they survive, in a database of their own. */
export const loseInstance = async (
  admin: MongoClient,
  instance: InstanceId,
  origin: string,
  { anchors = false }: { readonly anchors?: boolean } = {},
): Promise<void> => {
  await admin.db(instanceDatabase(instance)).dropDatabase();
  const control = admin.db(controlDatabase);
  for (const name of controlCollections) {
    if (name === 'anchors') continue;
    await control.collection<{ _id: string }>(name).deleteMany({
      $or: [{ instance }, { _id: instance }, { _id: { $gte: `${instance}/`, $lt: `${instance}0` } }],
    });
  }
  if (!anchors) await control.collection<{ _id: string }>('anchors').deleteMany({ _id: { $regex: `^${origin}` } });
  await provisionDatabase(admin, { instances: [instance], passwords: testPasswords });
};
