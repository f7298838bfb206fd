import { controlActions, type Action, type RetentionClass } from '../schema/taxonomy.ts';

const control: ReadonlySet<Action> = new Set<Action>([...controlActions, 'control.void']);
const security: ReadonlySet<Action> = new Set<Action>([
  'authorization.decide',
  'approval.request',
  'approval.decide',
  'action.settle',
  'input.refuse',
  'trail.read',
  'trail.disclose',
  'trail.verify',
  'evidence.export',
  'integrity.check',
  'integrity.alert',
  'integrity.repair',
  'key.outcome',
  'key.use',
  'archive.lag',
  'witness.quorum',
  'witness.contradict',
  'instance.create',
  'isolation.probe',
  'isolation.breach',
]);
const communication: ReadonlySet<Action> = new Set<Action>([
  'prompt.submit',
  'model.respond',
  'message.read',
  'message.draft',
  'message.send',
  'message.update',
  'message.delete',
  'comment.create',
]);

/** The class under which an event's content is kept. Emitters can't choose it. */
export const retentionClassOf = (action: Action): RetentionClass => {
  if (control.has(action)) return 'control';
  if (security.has(action)) return 'security';
  if (communication.has(action)) return 'communication';
  return 'operational';
};
