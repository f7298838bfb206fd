/**
 * Where a witness may be: https, without credentials, query and fragment, or http on this machine, for development. It is
 * the only kind of address that the platform posts to at an administrator's word.
 */
const lengthMax = 200;

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

export const isLoopbackUrl = (url: string): boolean => loopback.has(new URL(url).hostname);

/** Why it can't be a witness's submission prefix; undefined where it can. The address itself is not repeated. */
export const witnessUrlProblem = (text: string): string | undefined => {
  const url = URL.parse(text);
  if (!url || text.length > lengthMax) return `it is no URL of at most ${lengthMax} characters`;
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback.has(url.hostname)))
    return 'it must begin with https:// (http:// only for 127.0.0.1, [::1] and localhost)';
  if (url.username !== '' || url.password !== '') return 'it must not hold credentials';
  if (url.search !== '' || url.hash !== '') return 'it must have no query and no fragment';
  // One spelling: what is recorded is what is asked.
  if (url.href.replace(/\/$/, '') !== text) return 'it must be written in its normal form, without a slash at its end';
  return undefined;
};
