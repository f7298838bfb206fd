import type { ExternalIdentity } from '../schema/identity.ts';
import { recordIdPattern, toFullId } from './salesforceId.ts';

/**
 * The one spelling of an identity, so that it can't belong to two principals under two. Mail addresses are taken without
 * regard to case, as Gmail and nearly all others take them (dots stay: in an organisation's domain they count), Salesforce
 * ids in their 18-character form. Ids of other systems are opaque and stay as they are.
 */
export const canonicalIdentity = (identity: ExternalIdentity): ExternalIdentity => {
  const { system, id } = identity;
  switch (system) {
    case 'gmail':
    case 'mail':
      return { ...identity, id: id.normalize('NFC').toLowerCase() };
    case 'salesforce':
      return recordIdPattern.test(id) ? { ...identity, id: toFullId(id) } : identity;
    case 'slack':
    case 'jira':
    case 'hubspot':
    case 'zendesk':
    case 'webhook':
    case 'agent':
      return identity;
    default:
      return system satisfies never;
  }
};
