/**
 * Epoch keys under AWS KMS: one KMS key an instance and epoch, so that deleting the old one is a destruction that a
 * certificate can name. Its GenerateDataKey gives the epoch key once, bound by an encryption context to instance and epoch;
 * the encrypted copy stands in the keyring, and each process has it decrypted once. KMS answers nothing from then on,
 * so a keyring in a backup is worth nothing without the KMS key.
 *
 * https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#data-keys
 * https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  GenerateDataKeyCommand,
  KMSClient,
  type KeyMetadata,
  ListKeyRotationsCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import type { KeyUses } from './uses.ts';
import type { Destruction, EpochReference, KeyProvider, MasterKey } from './provider.ts';

export interface KmsOptions {
  readonly region?: string;
  /** Instead of the region's own: a VPC endpoint. */
  readonly endpoint?: string;
  /** Begins the aliases of the keys: `alias/<prefix>/<instance>/<epoch>`. One an installation. */
  readonly prefix: string;
  /** Between asking for a deletion and its coming about: 7 to 30. */
  readonly pendingDays: number;
}

const connectMs = 3000;
const answerMs = 5000;
const attemptsMax = 4;

/** What KMS says where the key is gone, disabled, not ours to use, or another one: trying again changes nothing. */
const lasting: ReadonlySet<string> = new Set([
  'NotFoundException',
  'DisabledException',
  'KMSInvalidStateException',
  'AccessDeniedException',
  'InvalidCiphertextException',
  'IncorrectKeyException',
  'InvalidKeyUsageException',
  'InvalidArnException',
  'UnrecognizedClientException',
]);

export const openKmsKeyProvider = (options: KmsOptions): KeyProvider => new KmsKeyProvider(options);

class KmsKeyProvider implements KeyProvider {
  readonly kind = 'aws-kms';
  readonly #options: KmsOptions;
  readonly #kms: KMSClient;
  uses?: KeyUses;
  readonly #unlocked = new Map<string, KeyObject>();

  constructor(options: KmsOptions) {
    this.#options = options;
    this.#kms = new KMSClient({
      ...(options.region !== undefined && { region: options.region }),
      ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
      maxAttempts: attemptsMax,
      requestHandler: { connectionTimeout: connectMs, requestTimeout: answerMs },
    });
  }

  async createEpoch(instance: InstanceId, epoch: number): Promise<EpochReference> {
    const keyId = await this.#ensureKey(instance, epoch);
    const answer = await this.#ask('GenerateDataKey', () =>
      this.#kms.send(
        new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: contextOf(instance, epoch) }),
      ),
    );
    const plaintext = answer.Plaintext!;
    this.#unlocked.set(idOf(instance, epoch, answer.CiphertextBlob!), createSecretKey(plaintext));
    plaintext.fill(0);
    return { instance, epoch, keyId, dataKey: answer.CiphertextBlob! };
  }

  async unlock({ instance, epoch, keyId, dataKey }: EpochReference): Promise<KeyObject> {
    if (!dataKey) throw new TrailError('KEY_UNAVAILABLE', `epoch key ${epoch} has no data key in the keyring`);
    const known = this.#unlocked.get(idOf(instance, epoch, dataKey));
    if (known) return known;
    const answer = await this.#ask('Decrypt', () =>
      this.#kms.send(
        new DecryptCommand({
          KeyId: keyId,
          CiphertextBlob: dataKey,
          EncryptionContext: contextOf(instance, epoch),
        }),
      ),
    );
    const plaintext = answer.Plaintext!;
    if (plaintext.length !== 32) throw new TrailError('KEY_UNAVAILABLE', `epoch key ${epoch} does not have 32 bytes`);
    const key = createSecretKey(plaintext);
    plaintext.fill(0);
    this.#unlocked.set(idOf(instance, epoch, dataKey), key);
    return key;
  }

  forget({ instance, epoch, dataKey }: EpochReference): void {
    if (dataKey) this.#unlocked.delete(idOf(instance, epoch, dataKey));
  }

  async destroy(reference: EpochReference): Promise<Destruction> {
    this.forget(reference);
    const { keyId } = reference;
    const described = await this.#describe(keyId);
    if (described === 'absent') return { state: 'destroyed' };
    if (described.KeyState === 'PendingDeletion' && described.DeletionDate)
      return { state: 'pending', until: described.DeletionDate };
    const { DeletionDate } = await this.#ask('ScheduleKeyDeletion', () =>
      this.#kms.send(
        new ScheduleKeyDeletionCommand({
          KeyId: described.KeyId,
          PendingWindowInDays: this.#options.pendingDays,
        }),
      ),
    );
    return { state: 'pending', until: DeletionDate! };
  }

  /** KMS rotates the material of its keys in place: what was encrypted under the former material still opens. */
  readonly master: MasterKey = {
    prepare: async (current) => {
      const rotations = await this.#rotations(current);
      return { from: `master/aws-kms-${rotations}`, to: `master/aws-kms-${rotations + 1}` };
    },
    complete: async (current) => {
      for (const { keyId } of current)
        await this.#ask('RotateKeyOnDemand', () => this.#kms.send(new RotateKeyOnDemandCommand({ KeyId: keyId })));
    },
  };

  async #rotations(current: readonly EpochReference[]): Promise<number> {
    const [first] = current;
    if (!first) return 0;
    const { Rotations = [] } = await this.#ask('ListKeyRotations', () =>
      this.#kms.send(new ListKeyRotationsCommand({ KeyId: first.keyId })),
    );
    return Rotations.length;
  }

  /** By its alias: a call that was cut off after making a key without one leaves that unused, and makes another. */
  async #ensureKey(instance: InstanceId, epoch: number): Promise<string> {
    const alias = `alias/${this.#options.prefix}/${instance}/${epoch}`;
    const present = await this.#describe(alias);
    if (present !== 'absent') return present.Arn!;
    const { KeyMetadata } = await this.#ask('CreateKey', () =>
      this.#kms.send(
        new CreateKeyCommand({
          Description: `Trailkeeper: epoch ${epoch} of ${instance}`,
          Tags: [
            { TagKey: 'trailkeeper:instance', TagValue: instance },
            { TagKey: 'trailkeeper:epoch', TagValue: String(epoch) },
          ],
        }),
      ),
    );
    try {
      await this.#kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: KeyMetadata!.KeyId! }));
      return KeyMetadata!.Arn!;
    } catch (error) {
      if ((error as Error).name !== 'AlreadyExistsException') throw toTrailError('CreateAlias', error);
    }
    // Another process was first: its key counts, and ours, under which nothing is, goes.
    await this.#ask('ScheduleKeyDeletion', () =>
      this.#kms.send(new ScheduleKeyDeletionCommand({ KeyId: KeyMetadata!.KeyId!, PendingWindowInDays: 7 })),
    );
    const first = await this.#describe(alias);
    if (first === 'absent') throw new TrailError('KEY_PROVIDER_UNAVAILABLE', 'a KMS alias was made and is gone again');
    return first.Arn!;
  }

  async #describe(keyId: string): Promise<'absent' | KeyMetadata> {
    try {
      const { KeyMetadata } = await this.#kms.send(new DescribeKeyCommand({ KeyId: keyId }));
      return KeyMetadata!;
    } catch (error) {
      if ((error as Error).name === 'NotFoundException') return 'absent';
      throw toTrailError('DescribeKey', error);
    }
  }

  async #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toTrailError(what, error);
    }
  }
}

const contextOf = (instance: InstanceId, epoch: number): Record<string, string> => ({
  'trailkeeper:instance': instance,
  'trailkeeper:epoch': String(epoch),
});

/** With the encrypted key: of two that were made for one epoch only one is in the keyring. */
const idOf = (instance: InstanceId, epoch: number, dataKey: Uint8Array): string =>
  `${instance}/${epoch}/${Buffer.from(dataKey).toString('base64')}`;

/** The vendor's words stay in the cause: they may name accounts and roles. */
const toTrailError = (what: string, error: unknown): TrailError => {
  if (error instanceof TrailError) return error;
  const name = error instanceof Error ? error.name : 'unknown';
  return lasting.has(name)
    ? new TrailError('KEY_UNAVAILABLE', `KMS refuses ${what} (${name}): look at the key and at who may use it`, {
        cause: error,
      })
    : new TrailError('KEY_PROVIDER_UNAVAILABLE', `KMS does not answer ${what} (${name}); try again`, { cause: error });
};
