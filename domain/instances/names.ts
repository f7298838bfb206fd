/** Names of instances: which may be given, and the two that the platform keeps for itself. */
import { instanceIdPattern, type InstanceId } from '../../schema/ids.ts';

/** The platform's own instance: its operators create the others, and what they do stands in its log. */
export const platformInstance = 'platform' as InstanceId;

/** An instance without customers: the platform tries to break out of it, as its own assessment (isolation probe). */
export const canaryInstance = 'canary' as InstanceId;

/** Names that say something of the platform: whoever meets one in a URL or a workflow id takes it for the platform's. */
const reserved: ReadonlySet<string> = new Set([
  platformInstance,
  canaryInstance,
  'admin',
  'config',
  // Its database would be the control database.
  'control',
  'local',
  'probe',
  'system',
  'trailkeeper',
]);

export type NameJudgement =
  | { readonly state: 'free-to-give'; readonly instance: InstanceId }
  | { readonly state: 'malformed' }
  | { readonly state: 'reserved' };

/** Whether a new instance may have this name; not whether one has it already. Case is never folded: `Acme` is malformed. */
export const judgeName = (name: string): NameJudgement => {
  if (!instanceIdPattern.test(name)) return { state: 'malformed' };
  return reserved.has(name) ? { state: 'reserved' } : { state: 'free-to-give', instance: name as InstanceId };
};
