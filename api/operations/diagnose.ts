/** What went wrong, from the record: gathers what domain/diagnosis reasons over, and checks that it is what was logged. */
import type { EmitterState } from '../../domain/emitters.ts';
import { diagnose as reason, type Diagnosis } from '../../domain/diagnosis/diagnose.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';
import type { Trail } from '../../trail/trail.ts';
import { ApiError } from '../errors.ts';
import type { PayloadLoader } from '../reads/payloadLoader.ts';
import { checkIntegrity } from './integrity.ts';
import { findChain } from './timeline.ts';

const controlPage = 5000;

export interface DiagnoseLimits {
  readonly chainEventsMax: number;
}

/**
 * Throws NOT_FOUND for an unknown correlation id, and QUERY_TOO_COSTLY for a chain that is too long: a diagnosis of
 * half of it would be none. Content that the caller may not see is withheld from the diagnosis too.
 */
export const diagnose = async (
  trail: Trail,
  payloads: PayloadLoader,
  correlationId: CorrelationId,
  { chainEventsMax }: DiagnoseLimits,
): Promise<{ diagnosis: Diagnosis; behind: number; entries: number }> => {
  const { reader } = trail;
  const chain = await findChain(reader, correlationId, chainEventsMax);
  if (chain.truncated)
    throw new ApiError(
      'QUERY_TOO_COSTLY',
      `the chain has more than ${chainEventsMax} events, which is too many to diagnose`,
    );
  const control = await allControl(reader, chain.upTo);
  const concerned = [...chain.events, ...control];
  const integrity = await checkIntegrity(trail, concerned);
  const [events, published] = await Promise.all([
    payloads.open(chain.events),
    // Of control state, only what was published can matter; tokens and the like stay closed.
    payloads.open(control.filter(({ entry }) => entry.control?.change === 'version.publish')),
  ]);
  const withContent = new Map(published.map((event) => [event.index, event]));
  const emitters = [...new Set(concerned.map(({ entry }) => entry.emitter.id))];
  const emitterStates = new Map<string, EmitterState>((await reader.emitters(emitters)).map((row) => [row._id, row]));
  const diagnosis = reason({
    events,
    control: control.map((event) => withContent.get(event.index) ?? event),
    integrity,
    emitterStates,
  });
  return { diagnosis, behind: chain.behind, entries: concerned.length };
};

const allControl = async (reader: TrailReader, upTo: number): Promise<IndexedEvent[]> => {
  const found: IndexedEvent[] = [];
  for (;;) {
    const after = found.at(-1)?.index;
    const page = await reader.control({ ...(after !== undefined && { after }), limit: controlPage });
    found.push(...page.filter(({ index }) => index < upTo));
    if (page.length < controlPage || page.at(-1)!.index >= upTo) return found;
  }
};
