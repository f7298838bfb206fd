/** Which payload parts a caller sees: by what the instance's policies permit, and by role and retention class. */
import type { Role } from '../../schema/control.ts';
import type { RetentionClass } from '../../schema/taxonomy.ts';
import type { MaySee } from '../../trail/reader.ts';

/**
 * Roles that see less than all where `readPayloads` is permitted: an approver sees what is to be approved, not who else
 * was granted or read what.
 */
const narrowed: Partial<Record<Role, ReadonlySet<RetentionClass>>> = {
  approver: new Set<RetentionClass>(['operational', 'communication']),
  operator: new Set<RetentionClass>(['operational']),
  agent: new Set<RetentionClass>(['operational', 'communication']),
};

export const seeNothing: MaySee = () => false;

export const maySeeOf = (role: Role, permitted: boolean): MaySee => {
  if (!permitted) return seeNothing;
  const classes = narrowed[role];
  return (entry) => classes === undefined || classes.has(entry.retentionClass);
};
