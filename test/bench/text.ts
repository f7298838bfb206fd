/**
 * Text as agents write it to customers: sentences of common words with names, numbers and dates in them, the same for
 * the same seed. Repeated filler would be kinder to hashes' caches and to compression than real payloads are.
 */

/** Numbers from 0 up to 1, not included: mulberry32. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

const words =
  `the a customer account order invoice renewal contract address phone meeting quarter team support ticket reply draft
  update change field record contact opportunity stage amount currency discount approval manager region delivery date
  shipment delay refund request answer question please confirm review attached summary next step call email message
  thread channel issue priority severity resolved pending closed open created moved assigned owner note about before
  after during because while although however therefore since until again already never always often sometimes now
  today tomorrow yesterday week month year first second last new old current previous important urgent simple complex
  short long clear unclear correct wrong missing complete partial we you they our your their is are was were has have
  had will would can could should must may might do does did not and or but with without for from to of in on at by`
    .trim()
    .split(/\s+/);
const names =
  `Amara Okafor|Bjørn Lindqvist|Chiara Rossi|Daniel Schäfer|Elif Yılmaz|Farid Haddad|Grace Nakamura|Hugo Martínez|Ines
  Dubois|Jakub Nowak|Katarzyna Wójcik|Liam O’Connor|Mei Chen|Nadia Petrova|Oskar Jensen|Priya Raman`
    .replaceAll(/\s+/g, ' ')
    .split('|');

const sentence = (random: () => number): string => {
  const length = 6 + Math.floor(random() * 12);
  const said = Array.from({ length }, () => {
    const kind = random();
    if (kind < 0.04) return names[Math.floor(random() * names.length)]!;
    if (kind < 0.07) return String(Math.floor(random() * 100_000));
    if (kind < 0.09)
      return `2026-${String(1 + Math.floor(random() * 12)).padStart(2, '0')}-${10 + Math.floor(random() * 18)}`;
    return words[Math.floor(random() * words.length)]!;
  }).join(' ');
  return `${said[0]!.toUpperCase()}${said.slice(1)}.`;
};

/** Text of exactly so many bytes in UTF-8. */
export const textOfBytes = (sizeBytes: number, random: () => number): string => {
  let text = '';
  while (Buffer.byteLength(text) < sizeBytes) text += `${text && ' '}${sentence(random)}`;
  while (Buffer.byteLength(text) > sizeBytes) text = text.slice(0, -1);
  return text + '.'.repeat(sizeBytes - Buffer.byteLength(text));
};
