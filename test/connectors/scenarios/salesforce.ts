import type { JsonObject } from '../../../activities/connectors/connector.ts';
import type { Sandbox } from '../../../stack/sandbox/sandbox.ts';
import type { Scenario } from './scenario.ts';

export const contactMapping = {
  name: 'contacts',
  version: '3',
  fields: { phone: 'Phone', mobile: 'MobilePhone', region: 'Region__c', city: 'MailingCity', score: 'Health_Score__c' },
};

export const newContacts = (sandbox: Sandbox, contacts: number): readonly string[] =>
  sandbox.seed({ salesforce: { contacts } }).salesforce;

const correlationOf = (sandbox: Sandbox, object: string, id: string) =>
  sandbox.salesforce.peek(object, id)?.['Trailkeeper_Correlation_Id__c'];

/** The fields that a person would compare. */
const visible = (sandbox: Sandbox, ids: readonly string[]): JsonObject[] =>
  ids.map((id) => {
    const record = sandbox.salesforce.peek('Contact', id) ?? {};
    return {
      phone: record['Phone'] ?? null,
      mobile: record['MobilePhone'] ?? null,
      region: record['Region__c'] ?? null,
    };
  });

const anId = '003000000000001AAA';

export const salesforceScenarios: readonly Scenario[] = [
  {
    tool: 'salesforce.readRecords',
    prepare: async (sandbox) => ({
      params: { object: 'Contact', ids: [...newContacts(sandbox, 2)], fields: ['Email', 'Phone'] },
    }),
    refused: [
      { object: 'Contact', ids: ['nope'], fields: ['Email'] },
      { object: 'Contact', ids: [], fields: ['Email'] },
      { object: 'Contact/../Account', ids: [anId], fields: ['Email'] },
    ],
  },
  {
    tool: 'salesforce.queryRecords',
    prepare: async (sandbox) => {
      newContacts(sandbox, 3);
      return {
        params: {
          object: 'Contact',
          fields: ['Email'],
          where: [{ field: 'Region__c', operator: 'in', value: ['EMEA', 'AMER', 'APAC'] }],
          limit: 2,
        },
      };
    },
    refused: [
      { object: 'Contact', fields: ['Email'], limit: 0 },
      { object: 'Contact', fields: ['(SELECT Id FROM Cases)'], limit: 1 },
      { object: 'Contact', fields: ['Email'], where: [{ field: 'Email', operator: 'or', value: 'x' }], limit: 1 },
    ],
  },
  {
    tool: 'salesforce.updateRecords',
    mapping: contactMapping,
    effects: 3,
    prepare: async (sandbox) => {
      const ids = newContacts(sandbox, 3);
      return {
        params: {
          object: 'Contact',
          mapping: 'contacts@3',
          records: ids.map((id) => ({ id, set: { mobile: '+44 20 7946 0000', region: 'LATAM' } })),
        },
        state: async () => visible(sandbox, ids),
      };
    },
    marks: async (sandbox, result) => result.items.map((item) => correlationOf(sandbox, 'Contact', item.target!.id)),
    refused: [
      { object: 'Contact', mapping: 'contacts', records: [{ id: anId, set: { mobile: '1' } }] },
      { object: 'Contact', mapping: 'contacts@3', records: [{ id: anId, set: {} }] },
      { object: 'Contact', mapping: 'contacts@3', records: [{ id: anId, set: { mobile: { a: 1 } } }] },
      { object: 'Contact', mapping: 'contacts@3', records: [] },
      {
        object: 'Contact',
        mapping: 'contacts@3',
        records: [
          { id: anId, set: { mobile: '1' } },
          { id: anId.slice(0, 15), set: { mobile: '2' } },
        ],
      },
    ],
  },
  {
    tool: 'salesforce.restoreRecords',
    effects: 2,
    prepare: async (sandbox) => {
      const ids = newContacts(sandbox, 2);
      return {
        params: {
          object: 'Contact',
          records: ids.map((id) => ({ id, fields: { Phone: '+1 555 0100', Region__c: null } })),
        },
        state: async () => visible(sandbox, ids),
      };
    },
    marks: async (sandbox, result) => result.items.map((item) => correlationOf(sandbox, 'Contact', item.target!.id)),
    refused: [
      { object: 'Contact', records: [{ id: anId, fields: { Id: anId } }] },
      { object: 'Contact', records: [{ id: anId, fields: { Trailkeeper_Correlation_Id__c: 'x' } }] },
      { object: 'Contact', records: [{ id: anId, fields: { 'Phone, Email': 'x' } }] },
    ],
  },
  {
    tool: 'salesforce.createRecord',
    prepare: async (sandbox) => ({
      params: { object: 'Contact', fields: { LastName: 'Okonkwo', Email: 'n.okonkwo@example.com' } },
      state: async () => {
        const found = sandbox.changes('salesforce').filter((c) => c.fields['LastName']?.to === 'Okonkwo');
        return found.filter((c) => sandbox.salesforce.peek('Contact', c.id) !== undefined).length;
      },
    }),
    marks: async (sandbox, result) => [correlationOf(sandbox, 'Contact', result.items[0]!.target!.id)],
    refused: [
      { object: 'Contact', fields: {} },
      { object: 'Contact', fields: { LastName: 'X', Trailkeeper_Action_Id__c: 'x' } },
      { object: 'Contact', fields: { LastName: 'X' }, unknown: true },
    ],
  },
  {
    tool: 'salesforce.deleteRecord',
    prepare: async (sandbox) => ({ params: { object: 'Contact', id: newContacts(sandbox, 1)[0]! } }),
    refused: [{ object: 'Contact', id: '12' }, { object: 'Contact' }],
  },
];
