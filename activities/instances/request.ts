import { creationRequest, instancePart, type CreationRequest } from '../../domain/instances/request.ts';
import type { EventId } from '../../schema/ids.ts';
import type { Trail } from '../../trail/trail.ts';

/** Trying again can't help: the entry says something else, or its content was erased. */
export class RequestMissingError extends Error {
  override readonly name = 'RequestMissingError';
  readonly code = 'REQUEST_MISSING';
}

/** Throws RequestMissingError, and an error that may pass while the entry is not indexed yet. */
export const loadRequest = async ({ reader }: Pick<Trail, 'reader'>, request: EventId): Promise<CreationRequest> => {
  const found = await reader.byId(request);
  if (!found) throw new Error('the request is not indexed yet');
  if (found.entry.action !== 'instance.create' || found.entry.phase !== 'intent')
    throw new RequestMissingError('the entry is no request for an instance');
  const [opened] = await reader.withParts([found], (_entry, { name }) => name === instancePart);
  const part = opened?.parts?.[instancePart];
  const parsed = creationRequest.safeParse(part?.state === 'present' ? part.content : undefined);
  if (!parsed.success) throw new RequestMissingError('the request has no readable content');
  return parsed.data;
};
