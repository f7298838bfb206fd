/**
 * Encrypts what workflows hold with a key of their instance (AES-256-GCM), bound to the workflow's id: a payload moved to
 * another workflow, let alone to another instance's, does not open. There is no content in histories anyhow; this keeps
 * ids, codes and the words of failures from whoever can read Temporal's database. A payload that is not encrypted is
 * refused, so nobody without the key can tell a workflow anything.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { instanceOfWorkflow } from '../../domain/action/contract.ts';
import { instanceIdPattern, type InstanceId } from '../../schema/ids.ts';

/** Name of the secret among an instance's (trail/keys/secrets.ts). */
export const temporalSecret = 'temporal/1';

/** The secret of an instance, 32 bytes. */
export type TemporalKeys = (instance: InstanceId) => Promise<Uint8Array>;

type Context = Parameters<PayloadCodec['encode']>[1];

const encoding = 'binary/trailkeeper-1';
const nonceBytes = 12;
const tagBytes = 16;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/** Thrown where something can't be encrypted: it is then not sent at all. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
  readonly code = 'PAYLOAD_UNREADABLE';
}

/**
 * What stands in for a payload that can't be read. Converting it fails, for the one workflow that holds it, and is tried
 * again; a codec that throws would take the whole worker down, and with it the workflows of all instances.
 */
const unreadable: Payload = { metadata: { encoding: Buffer.from('binary/unreadable') } };

export const createCodec = (keys: TemporalKeys): PayloadCodec => ({
  async encode(payloads, context) {
    if (payloads.length === 0) return payloads;
    const { key, aad } = await keyOf(keys, context);
    return payloads.map((payload) => seal(payload, key, aad));
  },
  async decode(payloads, context) {
    if (payloads.length === 0) return payloads;
    const found = await keyOf(keys, context).catch(() => undefined);
    return payloads.map((payload) => (found && open(payload, found.key, found.aad)) ?? unreadable);
  },
});

const seal = (payload: Payload, key: Uint8Array, aad: Buffer): Payload => {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
  const plaintext = PayloadMessage.encode(payload).finish();
  const sealed = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(encoding) }, data: sealed };
};

const open = ({ metadata, data }: Payload, key: Uint8Array, aad: Buffer): Payload | undefined => {
  const sealed = Buffer.from(data ?? []);
  const ours = Buffer.from(metadata?.['encoding'] ?? []).toString() === encoding;
  if (!ours || sealed.length < nonceBytes + tagBytes) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes)).setAAD(aad);
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    const plaintext = [decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()];
    return PayloadMessage.decode(Buffer.concat(plaintext));
  } catch {
    return undefined;
  }
};

/** Temporal adds the time to the id of each workflow that a schedule starts; its input was encrypted before. */
const scheduledAt = /-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

const keyOf = async (keys: TemporalKeys, context: Context): Promise<{ key: Uint8Array; aad: Buffer }> => {
  const owner = context?.workflowId?.replace(scheduledAt, '');
  const instance = owner === undefined ? undefined : instanceOfWorkflow(owner);
  if (owner === undefined || instance === undefined || !instanceIdPattern.test(instance))
    throw new CodecError('a payload belongs to no workflow of an instance');
  const secret = await keys(instance);
  const key = new Uint8Array(hkdfSync('sha256', secret, Buffer.alloc(0), `trailkeeper/temporal/v1/${owner}`, 32));
  return { key, aad: Buffer.from(`trailkeeper/temporal/v1\n${owner}`) };
};
