/**
 * The log names the key that signs evidence packs, once, before the first pack is made: a verifier that knows the key of
 * the log then needs no other, and a key that the log does not name signs nothing that anybody would believe.
 */
import { encodeVkey, type NoteSigner } from '../../domain/tree/note.ts';
import type { PrincipalId } from '../../schema/ids.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import type { InstanceServices } from '../context.ts';

export interface AnnouncedKey {
  readonly signer: NoteSigner;
  /** Log index of the entry that names it. */
  readonly announcedAt: number;
}

const announced = new WeakMap<InstanceServices, Promise<AnnouncedKey>>();

/** Two processes that do this at the same time name the same key twice, which does no harm. */
export const announcedKey = (instance: InstanceServices): Promise<AnnouncedKey> => {
  const known = announced.get(instance);
  if (known) return known;
  const finding = find(instance);
  announced.set(instance, finding);
  // What failed is tried again by the next export.
  finding.catch(() => announced.delete(instance));
  return finding;
};

const find = async ({ trail, controlRecorder }: InstanceServices): Promise<AnnouncedKey> => {
  const signer = await trail.evidenceSigner();
  const vkey = encodeVkey(signer);
  const named = await trail.reader.findLatest({ action: 'evidence.key' }, namedMax);
  const known = named.find(
    ({ entry }) =>
      entry.provenance === 'platform' && entry.control?.change === 'evidence.key' && entry.control.vkey === vkey,
  );
  if (known) return { signer, announcedAt: known.index };
  const [receipt] = await controlRecorder.record([
    {
      correlationId: newCorrelationId(),
      actor: { principal: 'trailkeeper' as PrincipalId, kind: 'platform' },
      action: 'evidence.key',
      phase: 'outcome',
      outcome: 'success',
      system: 'trailkeeper',
      control: { change: 'evidence.key', vkey },
    },
  ]);
  return { signer, announcedAt: receipt!.index };
};

const namedMax = 20;
