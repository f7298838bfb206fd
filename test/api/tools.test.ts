import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectors } from '../../activities/connectors/registry.ts';
import { roles } from '../../schema/control.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const query = '{ tools { name system action effect idempotency takesMapping endpoint parameters } }';
const ajv = ajvFormats.default(new Ajv2020({ strict: false }));

describe('tools', () => {
  it('are told to every role, each that a connector has', async () => {
    const known = connectors.flatMap(({ tools }) => tools.map(({ name }) => name));
    for (const role of roles) {
      const { data, errors } = await api.ask(query, {}, role);
      expect([role, errors]).toEqual([role, undefined]);
      expect(data.tools.map(({ name }: { name: string }) => name)).toEqual(known);
    }
  });

  it('say what they do, and what parameters they take', async () => {
    const { data } = await api.ask(query);
    const tool = (name: string) => data.tools.find((one: { name: string }) => one.name === name);
    expect(tool('salesforce.updateRecords')).toMatchObject({
      system: 'salesforce',
      action: 'record.update',
      effect: 'write',
      idempotency: 'none',
      takesMapping: true,
      endpoint: expect.stringContaining('/composite/sobjects'),
    });
    const takes = (name: string, params: unknown) => ajv.validate(tool(name).parameters, params);
    expect(takes('slack.postMessage', { channel: 'C0SALES', text: 'hi' })).toBe(true);
    expect(takes('slack.postMessage', { channel: 'C0SALES' })).toBe(false);
    expect(takes('slack.postMessage', { channel: 'C0SALES', text: 'hi', color: 'red' })).toBe(false);
    // What has a default may be left out.
    expect(takes('jira.readIssue', { issue: 'SALES-1' })).toBe(true);
    for (const { parameters } of data.tools) expect(() => ajv.compile(parameters)).not.toThrow();
  });
});
