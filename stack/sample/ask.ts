/** GraphQL over HTTP with one role's token. */
import type { Credentials } from '../embedded/credentials.ts';
import { SampleError, type Ask } from './incident.ts';

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

export const askAs =
  ({ endpoint }: Credentials, token: string): Ask =>
  async <T>(query: string, variables: Record<string, unknown> = {}): Promise<T> => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Answer;
    if (errors && errors.length > 0)
      throw new SampleError(
        errors.map(({ message, extensions }) => `${extensions?.code ?? '-'}: ${message}`).join('; '),
      );
    return data as T;
  };
