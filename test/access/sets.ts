/** Policy sets and principals for tests. */
import { hash } from 'node:crypto';
import type { PolicySet } from '../../domain/access/policy-set.ts';
import type { AccessPrincipal, PerformContext } from '../../domain/access/request.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';

export const setOf = (text: string, version = 1): PolicySet => ({
  name: 'default',
  version,
  digest: hash('sha256', text, 'hex'),
  text,
  index: 5,
});

export const defaultSet = setOf(defaultPolicies);

export const bot: AccessPrincipal = {
  principal: 'bot',
  kind: 'agent',
  roles: ['agent'],
  declared: [{ system: 'salesforce', actions: ['record.read', 'record.update', 'record.delete'] }],
  disabled: false,
};

export const dana: AccessPrincipal = { principal: 'dana', kind: 'human', roles: [], disabled: false };

export const context = (changes: Partial<PerformContext> = {}): PerformContext => ({
  effect: 'write',
  count: 1,
  fields: ['MobilePhone'],
  suspended: false,
  approvalGiven: false,
  ...changes,
});
