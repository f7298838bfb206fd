/**
 * Hands out what an outsider needs to check one payload part against the log: entry, salt, plaintext and proof; no key.
 * The log says who let it out before it is let out.
 */
import type { EventId } from '../../schema/ids.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import type { OperationContext } from '../context.ts';
import { ApiError, notFound } from '../errors.ts';
import type { MaySee } from '../../trail/reader.ts';
import { inclusionProof, type Inclusion } from './proofs.ts';
import { findEvent } from './query.ts';

export interface DisclosedPart {
  readonly event: EventId;
  readonly part: string;
  readonly state: 'present' | 'erased';
  readonly chunks: readonly { commitment: string; salt: Buffer; plaintext: Buffer }[];
  readonly proof: Inclusion;
}

export const disclose = async (
  { instance, caller, maySee }: OperationContext & { readonly maySee: () => Promise<MaySee> },
  id: EventId,
  part: string,
): Promise<DisclosedPart> => {
  const { trail, recorder } = instance;
  const event = await findEvent(trail.reader, id);
  const committed = event.entry.parts.find(({ name }) => name === part);
  if (!committed) throw notFound('part of the event');
  if (!(await maySee())(event.entry, committed))
    throw new ApiError('FORBIDDEN', `the role ${caller.role} does not see this part, so it can't disclose it`);
  await recorder.record([
    {
      // Not the run's own chain: that is over, and a look at it must not change it.
      correlationId: newCorrelationId(),
      causedBy: id,
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'trail.disclose',
      phase: 'observation',
      outcome: 'success',
      system: 'trailkeeper',
      ...(committed.subject && { subjects: [{ subject: committed.subject }] }),
      parts: [{ name: 'disclosed', content: { event: id, part, token: caller.token } }],
    },
  ]);
  const [disclosed, proof] = await Promise.all([
    trail.reader.disclose(event, part),
    inclusionProof(trail, { index: event.index }),
  ]);
  const chunks = disclosed?.state === 'present' ? [...disclosed.chunks] : [];
  return { event: id, part, state: disclosed?.state ?? 'erased', chunks, proof };
};
