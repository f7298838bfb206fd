/** GraphQL's `null` and absence are one thing to operations: not given. */
type Given<T> = { [K in keyof T]: Exclude<T[K], null> };

/** The input without its nulls, also one level down. */
export const given = <T extends object>(input: T): Given<T> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== undefined)) as Given<T>;
