import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConnectorError } from '../../activities/connectors/connector.ts';
import { soqlOf } from '../../activities/connectors/salesforce/read.ts';
import { toFullId } from '../../domain/salesforceId.ts';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import { contextFor, perform, prepareStep, tool } from './context.ts';
import { contactMapping, newContacts } from './scenarios/salesforce.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

const context = () => contextFor(sandbox, 'salesforce', { mapping: contactMapping });
const update = (ids: readonly string[], set: Record<string, string | number>) => ({
  object: 'Contact',
  mapping: 'contacts@3',
  records: ids.map((id) => ({ id, set })),
});
const headers = () => ({
  authorization: `Bearer ${sandbox.credentials.salesforce.accessToken}`,
  'content-type': 'application/json',
});
const api = (path: string, init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {}) =>
  fetch(`${sandbox.urls.salesforce}/services/data/v62.0${path}`, {
    ...init,
    headers: { ...headers(), ...init.headers },
  });
const errorCodes = async (response: Response): Promise<string[]> =>
  ((await response.json()) as { errorCode: string }[]).map((e) => e.errorCode);

describe('a bulk update', () => {
  const updateRecords = tool('salesforce.updateRecords');

  it('is split into calls of at most 200, each record once, as a data subject, with what was asked and what is sent', () => {
    const ids = newContacts(sandbox, 300);
    const steps = updateRecords.plan(updateRecords.input.parse(update(ids, { mobile: '1', score: 7 })), contactMapping);
    expect(steps.map((step) => step.items.length)).toEqual([200, 100]);
    expect(steps.flatMap((step) => step.items.map((item) => item.target!.id))).toEqual(ids);
    expect(steps[1]!.items[0]).toEqual({
      target: { kind: 'Contact', id: ids[200], subject: { system: 'salesforce', kind: 'Contact', id: ids[200] } },
      requested: { mobile: '1', score: 7 },
      sent: { MobilePhone: '1', Health_Score__c: 7 },
    });
    expect(steps[0]!.fields).toEqual([
      'MobilePhone',
      'Health_Score__c',
      'Trailkeeper_Correlation_Id__c',
      'Trailkeeper_Last_Action_Id__c',
    ]);
  });

  it('records before and after by vendor field', async () => {
    const [id] = newContacts(sandbox, 1);
    const ctx = context();
    const was = sandbox.salesforce.peek('Contact', id!)!;
    const { before, result } = await perform(updateRecords, ctx, update([id!], { phone: '+1', region: 'EMEA' }));
    const none = { Trailkeeper_Correlation_Id__c: null, Trailkeeper_Last_Action_Id__c: null };
    expect(before).toEqual([{ Phone: was['Phone'], Region__c: was['Region__c'], ...none }]);
    expect(result.items[0]!.after).toEqual({
      Phone: '+1',
      Region__c: 'EMEA',
      Trailkeeper_Correlation_Id__c: ctx.correlationId,
      Trailkeeper_Last_Action_Id__c: ctx.actionId,
    });
  });

  it('lets each record succeed or fail for itself, and says why', async () => {
    const [good, gone] = newContacts(sandbox, 2);
    await perform(tool('salesforce.deleteRecord'), context(), { object: 'Contact', id: gone! });
    const ctx = context();
    const params = update([good!, gone!], { score: 1 });
    const { step, before, result } = await perform(updateRecords, ctx, params);
    expect(before[1]).toBeNull();
    expect(result.items.map((item) => [item.outcome, item.error?.code])).toEqual([
      ['success', undefined],
      ['failure', 'NOT_FOUND'],
    ]);
    expect(await updateRecords.verify!(ctx, step, result)).toMatchObject({
      matches: true,
      items: [{ matches: true }, { matches: false }],
    });
    expect(updateRecords.compensate!(step, before, result)).toEqual({
      tool: 'salesforce.restoreRecords',
      params: { object: 'Contact', records: [{ id: good, fields: { Health_Score__c: before[0] && 7 } }] },
    });
  });

  it('changes nothing at all with allOrNone where one record is refused', async () => {
    const [good, gone] = newContacts(sandbox, 2);
    await perform(tool('salesforce.deleteRecord'), context(), { object: 'Contact', id: gone! });
    const changes = sandbox.changes('salesforce').length;
    const { result } = await perform(updateRecords, context(), {
      ...update([good!, gone!], { score: 1 }),
      allOrNone: true,
    });
    expect(result.items.map((item) => item.outcome)).toEqual(['failure', 'failure']);
    expect(sandbox.changes('salesforce')).toHaveLength(changes);
  });

  it('settles a call of which some records were refused', async () => {
    const [good, bad] = newContacts(sandbox, 2);
    const ctx = context();
    const params = {
      object: 'Contact',
      mapping: 'contacts@3',
      records: [
        { id: good!, set: { mobile: '1' } },
        { id: bad!, set: { mobile: 'x'.repeat(41) } },
      ],
    };
    const { step, before } = await prepareStep(updateRecords, ctx, params);
    sandbox.faults.salesforce.set({ fault: { kind: 'cut', when: 'after' }, on: 'write' });
    await expect(updateRecords.call(ctx, step, before)).rejects.toMatchObject({ tookEffect: 'unknown' });
    expect(await updateRecords.settle!(ctx, step, before)).toMatchObject({
      state: 'applied',
      result: { items: [{ outcome: 'success' }, { outcome: 'failure', error: { code: 'INVALID_REQUEST' } }] },
    });
  });

  it('still settles as applied where a person changed the values since', async () => {
    const [id] = newContacts(sandbox, 1);
    const ctx = context();
    const { step, before } = await perform(updateRecords, ctx, update([id!], { mobile: '1' }));
    sandbox.salesforce.touch('Contact', id!, { MobilePhone: 'changed by hand' });
    expect(await updateRecords.settle!(ctx, step, before)).toMatchObject({ state: 'applied' });
  });

  it('does not guess where a later action wrote over the mark, even to the old values', async () => {
    const [id] = newContacts(sandbox, 1);
    const ctx = context();
    const first = await perform(updateRecords, ctx, update([id!], { mobile: '1' }));
    const undo = updateRecords.compensate!(first.step, first.before, first.result)!;
    await perform(tool(undo.tool), context(), undo.params);
    expect(await updateRecords.settle!(ctx, first.step, first.before)).toMatchObject({ state: 'undetermined' });
  });

  it('does not guess where a record was deleted since', async () => {
    const [id] = newContacts(sandbox, 1);
    const ctx = context();
    const { step, before } = await prepareStep(updateRecords, ctx, update([id!], { mobile: '1' }));
    await perform(tool('salesforce.deleteRecord'), context(), { object: 'Contact', id: id! });
    expect(await updateRecords.settle!(ctx, step, before)).toMatchObject({ state: 'undetermined' });
  });

  it.each([
    ['no mapping content', update(['003Tk0000000001IAA'], { mobile: '1' }), undefined],
    [
      'another mapping than it names',
      update(['003Tk0000000001IAA'], { mobile: '1' }),
      { ...contactMapping, version: '4' },
    ],
    ['a logical field that the mapping lacks', update(['003Tk0000000001IAA'], { fax: '1' }), contactMapping],
    [
      'a mapping that leads to our own fields',
      update(['003Tk0000000001IAA'], { mobile: '1' }),
      { ...contactMapping, fields: { mobile: 'trailkeeper_correlation_id__c' } },
    ],
  ])('is refused before any call with %s', (_name, params, mapping) => {
    const plan = () => updateRecords.plan(updateRecords.input.parse(params), mapping);
    expect(plan).toThrow(ConnectorError);
    expect(plan).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST', tookEffect: 'no' }));
  });
});

describe('creating a record', () => {
  it('makes one record however often it is tried', async () => {
    const t = tool('salesforce.createRecord');
    const ctx = context();
    const params = { object: 'Account', fields: { Name: 'Once' } };
    const { step, before } = await prepareStep(t, ctx, params);
    sandbox.faults.salesforce.set({ fault: { kind: 'cut', when: 'after' }, on: 'write' });
    await expect(t.call(ctx, step, before)).rejects.toMatchObject({ tookEffect: 'unknown' });
    await t.call(ctx, step, before);
    const made = sandbox.changes('salesforce').filter((c) => c.fields['Name']?.to === 'Once');
    expect(made.map((c) => c.operation)).toEqual(['create']);
  });

  it('normalises what the vendor refuses', async () => {
    const t = tool('salesforce.createRecord');
    const refused = (fields: Record<string, string>) => perform(t, context(), { object: 'Contact', fields });
    await expect(refused({ FirstName: 'No last name' })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      httpStatus: 400,
    });
    await expect(refused({ LastName: 'X', Shoe_Size__c: '43' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(refused({ LastName: 'X', Email: 'nobody' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

describe('a query', () => {
  it('carries values that can not break out of their quotes', async () => {
    const soql = soqlOf({
      object: 'Contact',
      fields: ['Email'],
      where: [{ field: 'LastName', operator: '=', value: "x' OR Name != '\\" }],
      limit: 5,
    });
    expect(soql).toBe(String.raw`SELECT Id, Email FROM Contact WHERE LastName = 'x\' OR Name != \'\\' LIMIT 5`);
  });

  it('finds by condition, and gives each record as a subject', async () => {
    sandbox.seed({
      salesforce: { records: [{ object: 'Contact', fields: { LastName: "O'Hara", Email: 'o@example.com' } }] },
    });
    const { result } = await perform(tool('salesforce.queryRecords'), context(), {
      object: 'Contact',
      fields: ['LastName', 'Email'],
      where: [
        { field: 'LastName', operator: '=', value: "O'Hara" },
        { field: 'Email', operator: 'like', value: 'o@%' },
        { field: 'CreatedDate', operator: '>', value: { datetime: '2020-01-01T00:00:00Z' } },
      ],
      orderBy: { field: 'LastName', direction: 'asc' },
      limit: 10,
    });
    expect(result.items).toEqual([]);
    expect(result.response).toEqual({ found: 1 });
    expect(result.found).toMatchObject([
      {
        target: { kind: 'Contact', subject: { kind: 'Contact' } },
        values: { LastName: "O'Hara", Email: 'o@example.com' },
      },
    ]);
  });
});

describe('record ids', () => {
  it('have one form in the record, whichever was given', () => {
    const [id] = newContacts(sandbox, 1);
    expect(toFullId(id!.slice(0, 15))).toBe(id);
    expect(toFullId(id!)).toBe(id);
  });
});

describe('the Salesforce stand-in', () => {
  it('refuses what Salesforce refuses', async () => {
    const [id] = newContacts(sandbox, 1);
    const patch = (body: unknown, extra = {}) =>
      api(`/sobjects/Contact/${id}`, { method: 'PATCH', body: JSON.stringify(body), ...extra });
    expect(await errorCodes(await patch({ Nope__c: 1 }))).toEqual(['INVALID_FIELD']);
    expect(await errorCodes(await patch({ Phone: 5 }))).toEqual(['JSON_PARSER_ERROR']);
    expect(await errorCodes(await patch({ Title: 'x'.repeat(129) }))).toEqual(['STRING_TOO_LONG']);
    expect(await errorCodes(await patch({ CreatedDate: '2020-01-01T00:00:00Z' }))).toEqual([
      'INVALID_FIELD_FOR_INSERT_UPDATE',
    ]);
    expect(await errorCodes(await patch({ LastName: null }))).toEqual(['REQUIRED_FIELD_MISSING']);
    expect((await api('/sobjects/Unicorn/1')).status).toBe(404);
    expect(await errorCodes(await api('/query?q=SELECT+Id+FROM+Contact+GROUP+BY+Name'))).toEqual(['MALFORMED_QUERY']);
    expect(await errorCodes(await api('/query?q=SELECT+Nope+FROM+Contact'))).toEqual(['INVALID_FIELD']);
  });

  it('refuses a collection of more than 200 records', async () => {
    const records = newContacts(sandbox, 201).map((id) => ({ attributes: { type: 'Contact' }, id, Title: 'x' }));
    const response = await api('/composite/sobjects', { method: 'PATCH', body: JSON.stringify({ records }) });
    expect([response.status, await errorCodes(response)]).toEqual([400, ['EXCEEDED_ID_LIMIT']]);
  });

  it('honours If-Unmodified-Since', async () => {
    const [id] = newContacts(sandbox, 1);
    const change = (since: string) =>
      api(`/sobjects/Contact/${id}`, {
        method: 'PATCH',
        body: '{"Title":"Chief"}',
        headers: { 'if-unmodified-since': since },
      });
    const stale = await change('Tue, 01 Jan 2019 00:00:00 GMT');
    expect([stale.status, await errorCodes(stale)]).toEqual([412, ['PRECONDITION_FAILED']]);
    expect((await change(new Date(Date.now() + 60_000).toUTCString())).status).toBe(204);
  });

  it('describes the custom fields that the connector needs', async () => {
    const { fields } = (await (await api('/sobjects/Contact/describe')).json()) as { fields: { name: string }[] };
    const ours = fields.filter((f) => f.name.startsWith('Trailkeeper_'));
    expect(ours).toMatchObject([
      { name: 'Trailkeeper_Correlation_Id__c', length: 32 },
      { name: 'Trailkeeper_Last_Action_Id__c', length: 36 },
      { name: 'Trailkeeper_Action_Id__c', length: 36, externalId: true, unique: true },
    ]);
  });
});
