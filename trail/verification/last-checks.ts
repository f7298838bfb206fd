/**
 * When the log was last checked, and with what result, from the log itself: what the index says of a check counts only
 * where the record has the same bytes.
 */
import { checkKinds, type CheckKind } from '../../domain/verification/contract.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import type { IndexedEvent, TrailReader } from '../reader.ts';

export type LastChecks = Readonly<Partial<Record<CheckKind, IndexedEvent>>>;

/** Outcomes that are looked through for the latest of each kind. */
const lookedThroughMax = 200;

/** Kind of the resource of a check's entries. */
export const checkResourceKind = (kind: CheckKind): string => `self-check.${kind}`;

/** The latest outcome of each kind, undefined where there is none. */
export const lastChecks = async (reader: TrailReader): Promise<LastChecks> => {
  const outcomes = await reader.findLatest({ action: 'integrity.check', phase: 'outcome' }, lookedThroughMax);
  const last: Partial<Record<CheckKind, IndexedEvent>> = {};
  for (const kind of checkKinds)
    for (const event of outcomes) {
      const { provenance, resource } = event.entry;
      if (provenance !== 'platform' || resource?.kind !== checkResourceKind(kind)) continue;
      if (!(await stands(reader, event))) continue;
      last[kind] = event;
      break;
    }
  return last;
};

/** The alerts of one check, in log order. */
export const alertsOfCheck = async (reader: TrailReader, correlationId: CorrelationId): Promise<IndexedEvent[]> =>
  (await reader.find({ corr: correlationId, action: 'integrity.alert' }, { limit: 200 })).filter(
    ({ entry }) => entry.provenance === 'platform',
  );

const stands = async (reader: TrailReader, { index, bytes }: IndexedEvent): Promise<boolean> => {
  const recorded = await reader.at(index).catch(() => undefined);
  return recorded?.bytes.equals(bytes) ?? false;
};
