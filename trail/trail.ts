/**
 * One instance's trail, as a process sees it: what it can do depends on the MongoDB users (duties) it was given.
 * `openTrail` is the one way in.
 */
import type { MongoClient } from 'mongodb';
import type { NoteSigner } from '../domain/tree/note.ts';
import type { InstanceId } from '../schema/ids.ts';
import { compositeAnchor, mongoAnchor, type Anchor, type CheckpointPlace } from './anchor.ts';
import type { KeyProvider } from './keys/provider.ts';
import { closedAnchor, findClosing, type Closing } from './closing.ts';
import { loadEvidenceSigner } from './evidence/signing.ts';
import { Secrets } from './keys/secrets.ts';
import { SigningKeys } from './keys/signing.ts';
import { PartReader } from './parts.ts';
import { TrailReader } from './reader.ts';
import { Sealer } from './seal.ts';
import { Subjects } from './subjects.ts';
import { cosignedPlace } from './witness/cosignatures.ts';
import { witnessContradiction } from './witness/statements.ts';
import { WitnessedLog } from './witness/witnessed.ts';
import { LogWriter, type WriterOptions } from './writer.ts';

/** MongoDB connections by duty (store/provisioning/duties.ts). */
export interface TrailClients {
  readonly appender: MongoClient;
  readonly anchor: MongoClient;
  readonly reader: MongoClient;
}

export interface Trail {
  readonly instance: InstanceId;
  /** The log's URL prefix without scheme: name of its key and first line of its checkpoints. */
  readonly origin: string;
  /** Verifier key that signs now, to be handed to third parties by another way than this log. */
  readonly vkey: string;
  /** Every key of the log, retired ones too. */
  readonly signing: SigningKeys;
  readonly writer: LogWriter;
  readonly reader: TrailReader;
  /** Signs the manifests of evidence packs. */
  readonly evidenceSigner: () => Promise<NoteSigner>;
  /** Checkpoints with the cosignatures of witnesses, for readers from outside. */
  readonly witnessed: WitnessedLog;
  /** Of a log that was restored from its archive, and is to go on under another origin: it can only be read. */
  readonly closing?: Closing;
}

export interface TrailOptions {
  readonly clients: TrailClients;
  readonly keys: KeyProvider;
  readonly writer?: Partial<WriterOptions>;
  /** Where checkpoints are kept besides the anchor and the witnesses: a writer's log must hold each of them. */
  readonly places?: readonly CheckpointPlace[];
}

export const openTrail = async (instance: InstanceId, origin: string, options: TrailOptions): Promise<Trail> => {
  const { clients, keys } = options;
  const closing = await findClosing(clients.anchor, origin);
  const secrets = new Secrets(instance, keys, clients.appender);
  const subjects = new Subjects(instance, secrets, clients.appender);
  const signing = await SigningKeys.open({ instance, origin, keyring: secrets.keyring }, clients.appender, (id) =>
    keys.uses?.used(instance, id),
  );
  const anchor: Anchor = closing
    ? closedAnchor(closing).writing
    : compositeAnchor(
        mongoAnchor(clients.anchor),
        [cosignedPlace(clients.reader), ...(options.places ?? [])],
        witnessContradiction(clients.reader, instance),
      );
  const writer = new LogWriter(
    instance,
    { appender: clients.appender, anchor, signing, secrets, subjects },
    options.writer,
  );
  if (!closing) keys.uses?.attach(instance, writer);
  const readAnchor = closing ? closedAnchor(closing).reading : mongoAnchor(clients.reader);
  const reader = new TrailReader(instance, {
    client: clients.reader,
    anchor: readAnchor,
    log: signing,
    parts: new PartReader(instance, secrets, clients.reader),
    sealer: new Sealer(instance, secrets, subjects),
  });
  const witnessed = new WitnessedLog(instance, origin, clients.reader, readAnchor);
  return {
    instance,
    origin,
    get vkey() {
      return signing.vkey;
    },
    signing,
    writer,
    reader,
    evidenceSigner: () => loadEvidenceSigner(origin, secrets),
    witnessed,
    ...(closing && { closing }),
  };
};
