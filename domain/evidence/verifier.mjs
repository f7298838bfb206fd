#!/usr/bin/env node
// Checks an evidence pack of Trailkeeper: one file, Node 20 or later, no dependency, no network. It shares no code with
// the product that made the pack; what it checks is described in docs/evidence.md of that product.
//
//   node verify.mjs PACK --key VKEY [--key VKEY] [--witness VKEY]... [--witnesses K] [--json] [--tlog-proof INDEX]
//
// Exit codes: 0 the pack holds; 1 it does not, and what is wrong is named; 2 wrong usage, or the file can't be read;
// 3 the pack agrees with itself, but no key was given: whoever made it up could have made that too.

import { createHash, createPublicKey, verify as verifyEd25519 } from 'node:crypto';
import { createReadStream, readFileSync, realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { createGunzip } from 'node:zlib';

const PACK_FORMAT = 'trailkeeper-evidence';
const PACK_VERSION = 1;
const MANIFEST_HEADER = 'trailkeeper-evidence-manifest/v1';
const ENTRY_VERSION = 1;
/** Members are 2 MiB and a line at most; what is much larger is not ours, and is not held in memory. */
const MEMBER_BYTES_MAX = 128 * 1024 * 1024;
const MEMBERS_MAX = 20_000;
const LINES_MAX = 200_000;
const PROBLEMS_MAX = 100;
const EXIT = { holds: 0, refuted: 1, usage: 2, unauthenticated: 3 };

// ---------------------------------------------------------------------------------------------------------------------
// What can be wrong. Texts never repeat content of the pack but names of members, ids and numbers.

class Findings {
  problems = [];
  warnings = [];
  unlisted = 0;

  problem(kind, detail, where = {}) {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ kind, detail, ...where });
    else this.unlisted += 1;
  }

  warn(kind, detail) {
    if (this.warnings.length < PROBLEMS_MAX) this.warnings.push({ kind, detail });
  }
}

/** Ends the reading: what comes after can't be told apart. */
class Broken extends Error {
  constructor(kind, detail) {
    super(detail);
    this.kind = kind;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Hashes, RFC 6962 section 2.1; inclusion, RFC 9162 section 2.1.3.2

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const leafHash = (entry) => sha256(LEAF, entry);
const nodeHash = (left, right) => sha256(NODE, left, right);

const rootFromProof = (leaf, index, size, proof) => {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return undefined;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else hash = nodeHash(hash, sibling);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : undefined;
};

/** RFC 9162 section 2.1.4.2 */
const isBeginning = (old, oldRoot, size, root, proof) => {
  if (old === size) return proof.length === 0 && oldRoot.equals(root);
  if (old < 1 || old > size || proof.length === 0) return false;
  let node = old - 1;
  let last = size - 1;
  while (node % 2 === 1) {
    node = (node - 1) / 2;
    last = Math.floor(last / 2);
  }
  const path = node === 0 ? [oldRoot, ...proof] : proof;
  let [oldHash, hash] = [path[0], path[0]];
  for (const sibling of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else hash = nodeHash(hash, sibling);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && oldHash.equals(oldRoot) && hash.equals(root);
};

/** Canonical base64 only: else one value would have many spellings. */
const base64 = (text) => {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decode = (bytes) => {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
};
const parseJson = (bytes) => {
  const text = typeof bytes === 'string' ? bytes : decode(bytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

// ---------------------------------------------------------------------------------------------------------------------
// Signed notes, c2sp.org/signed-note; checkpoints, c2sp.org/tlog-checkpoint; cosignatures, c2sp.org/tlog-cosignature

const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

const keyIdOf = (name, typed) => sha256(Buffer.from(`${name}\n`), typed).subarray(0, 4);

/** `name+id+base64`; undefined for anything else. */
const parseVkey = (vkey, type) => {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  const typed = match && base64(match[3]);
  if (!typed || typed[0] !== type || typed.length !== 33) return undefined;
  const id = keyIdOf(match[1], typed);
  if (id.toString('hex') !== match[2]) return undefined;
  const key = createPublicKey({ key: Buffer.concat([SPKI, typed.subarray(1)]), format: 'der', type: 'spki' });
  return { name: match[1], id, key, vkey };
};

const parseNote = (bytes) => {
  const whole = decode(bytes);
  if (whole === undefined || !whole.endsWith('\n')) return undefined;
  const split = whole.lastIndexOf('\n\n');
  if (split < 0) return undefined;
  const signatures = [];
  for (const line of whole.slice(split + 2, -1).split('\n')) {
    const match = /^\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    const signed = match && base64(match[2]);
    if (!signed || signed.length <= 4) return undefined;
    signatures.push({ name: match[1], id: signed.subarray(0, 4), signature: signed.subarray(4) });
  }
  return { text: whole.slice(0, split + 1), signatures };
};

const isBy = (key, { name, id }) => key.name === name && key.id.equals(id);

/** `good`, `bad` (a signature by this key that does not verify) or `absent`. */
const signedBy = ({ text, signatures }, key) => {
  const own = signatures.filter((one) => isBy(key, one));
  if (own.length === 0) return 'absent';
  return own.every(({ signature }) => verifyEd25519(null, Buffer.from(text), key.key, signature)) ? 'good' : 'bad';
};

/** Time of the cosignature in seconds; undefined where there is none, or it does not verify. */
const cosignedAt = ({ text, signatures }, key) => {
  for (const one of signatures) {
    if (!isBy(key, one) || one.signature.length !== 72) continue;
    const time = one.signature.readBigUInt64BE(0);
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
    if (verifyEd25519(null, message, key.key, one.signature.subarray(8))) return Number(time);
  }
  return undefined;
};

const parseCheckpoint = (text) => {
  const [origin, size, root] = text.split('\n');
  const hash = base64(root);
  if (!origin || !/^(0|[1-9][0-9]*)$/.test(size ?? '') || !Number.isSafeInteger(Number(size)) || hash?.length !== 32)
    return undefined;
  return { origin, size: Number(size), root: hash };
};

// ---------------------------------------------------------------------------------------------------------------------
// The archive: gzip, tar (ustar)

/** Reads exact numbers of bytes from a stream. */
class ByteReader {
  #chunks;
  #held = Buffer.alloc(0);

  constructor(stream) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Undefined at the end of the stream; throws where it ends within. */
  async take(count) {
    const pieces = [];
    let missing = count;
    while (missing > 0) {
      if (this.#held.length === 0) {
        const { value, done } = await this.#chunks.next();
        if (done) {
          if (missing === count) return undefined;
          throw new Broken('archive-truncated', 'the archive ends within a member');
        }
        this.#held = value;
      }
      const piece = this.#held.subarray(0, missing);
      pieces.push(piece);
      this.#held = this.#held.subarray(piece.length);
      missing -= piece.length;
    }
    return Buffer.concat(pieces, count);
  }
}

const octal = (bytes) => {
  const text = bytes.toString('latin1').replace(/[\0 ]+$/, '');
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
};

const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]*(\/[A-Za-z0-9][A-Za-z0-9._@-]*)*$/;

/** Members in the order of the archive: name below the archive's one folder, and bytes. */
async function* readMembers(stream) {
  const reader = new ByteReader(stream);
  let folder;
  for (let members = 0; ; members += 1) {
    if (members > MEMBERS_MAX) throw new Broken('archive-malformed', 'the archive has more members than any pack');
    const header = await reader.take(512);
    if (header === undefined) throw new Broken('archive-truncated', 'the archive has no end');
    if (header.every((byte) => byte === 0)) break;
    const sum = header.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 32 : byte), 0);
    const size = octal(header.subarray(124, 136));
    if (octal(header.subarray(148, 156)) !== sum || size === undefined)
      throw new Broken('archive-malformed', 'a header of the archive is not one of a tar file');
    const path = header.subarray(0, 100).toString('latin1').replace(/\0.*$/s, '');
    if (!['0', '\0'].includes(String.fromCharCode(header[156])) || header[345] !== 0 || !SAFE_NAME.test(path))
      throw new Broken('archive-malformed', 'the archive holds something else than plain files with plain names');
    const slash = path.indexOf('/');
    folder ??= path.slice(0, slash);
    if (slash < 1 || path.slice(0, slash) !== folder)
      throw new Broken('archive-malformed', 'the members do not all stand in one folder');
    if (size > MEMBER_BYTES_MAX) throw new Broken('archive-malformed', 'a member is larger than any of a pack');
    const bytes = await reader.take(size);
    if (size > 0 && bytes === undefined) throw new Broken('archive-truncated', 'the archive ends within a member');
    if (size % 512 !== 0 && (await reader.take(512 - (size % 512))) === undefined)
      throw new Broken('archive-truncated', 'the archive ends within a member');
    yield { name: path.slice(slash + 1), bytes: bytes ?? Buffer.alloc(0) };
  }
  for (let block = await reader.take(512); block !== undefined; block = await reader.take(512))
    if (block.some((byte) => byte !== 0))
      throw new Broken('archive-malformed', 'something follows the end of the archive');
}

async function* unpacked(path) {
  const file = createReadStream(path);
  const gunzip = createGunzip();
  file.on('error', (error) => gunzip.destroy(error));
  try {
    yield* file.pipe(gunzip);
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'EISDIR') throw error;
    if (error.code === 'Z_BUF_ERROR') throw new Broken('archive-truncated', 'the file ends before the archive does');
    throw new Broken('archive-malformed', 'the file is not a gzip archive, or was damaged');
  } finally {
    file.destroy();
  }
}

const linesOf = (bytes) => {
  const lines = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) return { lines, whole: false };
    if (lines.length === LINES_MAX) throw new Broken('archive-malformed', 'a member has more lines than any of a pack');
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return { lines, whole: true };
};

// ---------------------------------------------------------------------------------------------------------------------
// The pack, member by member as they come. Nothing is believed of a member before the manifest, which comes last, agrees.

const ENTRIES = /^(cited\/)?entries\/(\d{6})\.ndjson$/;
const PROOFS = /^(cited\/)?proofs\/(\d{6})\.ndjson$/;
const PAYLOADS = /^(cited\/)?payloads\/(\d{6})(?:-([1-9]\d*))?\.ndjson$/;
const POLICY = /^policies\/([a-z0-9@.-]+)\.cedar$/;

const OWN_EMITTER = /^platform\/(action|run)\//;

const newSection = () => ({
  entries: 0,
  firstIndex: null,
  lastIndex: null,
  parts: { present: 0, withheld: 0, erased: 0, damaged: 0 },
  /** The part that is being read: its entries, and the payload parts that are still to come. */
  part: -1,
  open: undefined,
});

class PackCheck {
  findings = new Findings();
  members = [];
  files = new Map();
  sections = { scope: newSection(), cited: newSection() };
  emitters = new Map();
  policySets = new Map();
  versions = new Map();
  /** Entries of the section `cited`, by index: few. */
  cited = new Map();
  policyDigests = new Map();
  proofs = new Map();
  wantedProof;

  constructor(options) {
    this.options = options;
    this.wantedProof = options.tlogProof;
  }

  // --- reading

  async read(path) {
    try {
      for await (const { name, bytes } of readMembers(unpacked(path))) this.member(name, bytes);
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError)
        this.findings.problem(
          'pack-malformed',
          'the pack is not shaped as packs are, and could not be read to its end',
        );
      else if (error instanceof Broken) this.findings.problem(error.kind, error.message);
      else throw error;
    }
    for (const section of ['scope', 'cited']) this.endPart(section);
  }

  member(name, bytes) {
    this.members.push({ name, sizeBytes: bytes.length, sha256: sha256(bytes).toString('hex') });
    const of = (match) => (match[1] === undefined ? 'scope' : 'cited');
    let match;
    if ((match = ENTRIES.exec(name))) this.entriesMember(of(match), Number(match[2]), name, bytes);
    else if ((match = PROOFS.exec(name))) this.proofsMember(of(match), Number(match[2]), name, bytes);
    else if ((match = PAYLOADS.exec(name))) this.payloadsMember(of(match), Number(match[2]), name, bytes);
    else if ((match = POLICY.exec(name))) this.policyDigests.set(name, sha256(bytes).toString('hex'));
    else if (!this.files.has(name)) this.files.set(name, bytes);
    if (name === 'pack.json') this.describe(bytes);
    if (name === 'checkpoint') this.readCheckpoint(bytes);
  }

  describe(bytes) {
    const pack = parseJson(bytes);
    const wrong = (what) => this.findings.problem('description-malformed', what, { member: 'pack.json' });
    if (!isObject(pack) || pack.format !== PACK_FORMAT)
      return wrong('pack.json is not the description of an evidence pack');
    if (pack.version !== PACK_VERSION)
      return wrong(`the pack has another format version than ${PACK_VERSION}: a newer verifier is needed`);
    const { scope } = pack;
    const known =
      isObject(scope) &&
      (scope.kind === 'range'
        ? Number.isSafeInteger(scope.from) && Number.isSafeInteger(scope.to)
        : ['run', 'correlation'].includes(scope.kind) && typeof scope.correlationId === 'string');
    const texts = ['id', 'instance', 'origin', 'askedAt', 'madeAt'].every((field) => typeof pack[field] === 'string');
    if (
      !known ||
      !texts ||
      !Array.isArray(pack.vkeys) ||
      !Array.isArray(pack.custody) ||
      !isObject(pack.evidenceKey) ||
      !isObject(pack.askedBy)
    )
      return wrong('pack.json lacks what a description must say');
    this.pack = pack;
  }

  readCheckpoint(bytes) {
    this.checkpointNote = parseNote(bytes);
    this.checkpointBytes = bytes;
    this.checkpoint = this.checkpointNote && parseCheckpoint(this.checkpointNote.text);
    if (!this.checkpoint)
      this.findings.problem('checkpoint-malformed', 'the checkpoint can not be read', { member: 'checkpoint' });
  }

  // --- entries, proofs, payloads

  entriesMember(section, part, name, bytes) {
    this.endPart(section);
    const state = this.sections[section];
    if (part !== state.part + 1)
      this.findings.problem('members-reordered', `${name} does not follow the part before it`, { member: name });
    state.part = part;
    const { lines, whole } = linesOf(bytes);
    if (!whole) this.findings.problem('member-malformed', `${name} does not end in a line break`, { member: name });
    state.open = { name, lines, proofs: undefined, parts: undefined, listed: 0 };
  }

  proofsMember(section, part, name, bytes) {
    const state = this.sections[section];
    if (!state.open || state.part !== part || state.open.proofs)
      return this.findings.problem('members-reordered', `${name} does not follow its entries`, { member: name });
    const { lines } = linesOf(bytes);
    if (lines.length !== state.open.lines.length)
      this.findings.problem(
        'proof-missing',
        `${name} has ${lines.length} proofs for ${state.open.lines.length} entries`,
        { member: name },
      );
    const entries = state.open.lines;
    // From here on only the payload parts that must follow, in order, are kept.
    state.open = { name: state.open.name, proofs: true, parts: [], listed: 0 };
    for (const [at, entryBytes] of entries.entries()) {
      const proof = lines[at] && parseJson(lines[at]);
      const entry = this.entry(section, state, entryBytes, isObject(proof) ? proof : undefined, name);
      for (const [position, committed] of (entry?.parts ?? []).entries())
        state.open.parts.push({
          index: proof.index,
          position,
          name: committed?.name,
          commitment: committed?.commitment,
        });
    }
    return undefined;
  }

  entry(section, state, bytes, proof, name) {
    const entriesMember = name.replace('proofs/', 'entries/');
    if (!proof || !Number.isSafeInteger(proof.index) || !Array.isArray(proof.hashes)) {
      this.findings.problem('proof-malformed', 'a proof can not be read', { member: name });
      return undefined;
    }
    const { index } = proof;
    const here = { member: entriesMember, index };
    if (state.lastIndex !== null && index <= state.lastIndex)
      this.findings.problem('entries-reordered', `entry ${index} stands after entry ${state.lastIndex}`, here);
    state.entries += 1;
    state.firstIndex ??= index;
    const previous = state.lastIndex;
    state.lastIndex = index;
    this.prove(bytes, index, proof.hashes, here);
    const entry = parseJson(bytes);
    if (!isObject(entry) || entry.v !== ENTRY_VERSION || typeof entry.id !== 'string' || !Array.isArray(entry.parts)) {
      this.findings.problem(
        'entry-malformed',
        `entry ${index} is not an entry of format version ${ENTRY_VERSION}`,
        here,
      );
      return undefined;
    }
    if (this.pack && entry.instance !== this.pack.instance)
      this.findings.problem('foreign-entry', `entry ${index} is of another instance than the pack`, here);
    if (section === 'scope') this.scopeEntry(entry, index, previous, here);
    else this.cited.set(index, entry);
    return entry;
  }

  prove(bytes, index, hashes, here) {
    if (!this.checkpoint) return;
    const proof = hashes.map(base64);
    const root =
      proof.every((hash) => hash?.length === 32) && rootFromProof(leafHash(bytes), index, this.checkpoint.size, proof);
    if (!root || !root.equals(this.checkpoint.root))
      this.findings.problem('not-in-log', `entry ${index}: entry and proof do not lead to the checkpoint's root`, here);
    if (this.wantedProof === index)
      this.foundProof = `c2sp.org/tlog-proof@v1\nindex ${index}\n${hashes.map((hash) => `${hash}\n`).join('')}\n${decode(this.checkpointBytes)}`;
  }

  scopeEntry(entry, index, previous, here) {
    const { scope } = this.pack ?? {};
    if (scope?.kind === 'range') {
      const expected = previous === null ? scope.from : previous + 1;
      if (index > expected)
        this.findings.problem('entries-missing', `entries ${expected} to ${index - 1} of the range are missing`, here);
      if (index < scope.from || index > scope.to)
        this.findings.problem('outside-scope', `entry ${index} is not in the range`, here);
    } else if (scope && entry.correlationId !== scope.correlationId)
      this.findings.problem('outside-scope', `entry ${index} has another correlation id than the pack`, here);
    if (entry.id === scope?.runId && entry.action === 'run.open' && entry.provenance === 'platform')
      this.runOpened = true;
    this.emitter(entry);
    const { authorization, versions } = entry;
    if (authorization) this.policySets.set(`${authorization.policySet}@${authorization.policyVersion}`, index);
    for (const [what, value] of Object.entries(versions ?? {})) this.versions.set(`${what} ${value}`, index);
  }

  emitter({ emitter }) {
    if (!isObject(emitter) || !Number.isSafeInteger(emitter.sequence)) return;
    const known = this.emitters.get(emitter.id);
    const { sequence } = emitter;
    if (!known) this.emitters.set(emitter.id, { low: sequence, high: sequence, seen: 1 });
    else {
      known.low = Math.min(known.low, sequence);
      known.high = Math.max(known.high, sequence);
      known.seen += 1;
    }
  }

  payloadsMember(section, part, name, bytes) {
    const state = this.sections[section];
    if (!state.open?.parts || state.part !== part)
      return this.findings.problem('members-reordered', `${name} does not follow its entries`, { member: name });
    for (const line of linesOf(bytes).lines) {
      const payload = parseJson(line);
      const expected = state.open.parts[state.open.listed];
      state.open.listed += 1;
      if (!expected)
        return this.findings.problem('payload-added', `${name} has parts that no entry has`, { member: name });
      this.payload(state, isObject(payload) ? payload : {}, expected, name);
    }
  }

  payload(state, payload, expected, name) {
    const { index, position } = expected;
    const here = { member: name, index };
    const which = `part ${position} of entry ${index}`;
    if (payload.index !== index || payload.position !== position || payload.name !== expected.name)
      return this.findings.problem('payload-missing', `${which} is missing, or not in its place`, here);
    if (!Object.hasOwn(state.parts, payload.state ?? ''))
      return this.findings.problem('payload-altered', `${which} does not say whether it is here`, here);
    state.parts[payload.state] += 1;
    if (payload.state !== 'present') {
      if (payload.state === 'damaged')
        this.findings.warn('payload-damaged', `${which}: the record itself no longer holds what the entry commits to`);
      return undefined;
    }
    const salt = base64(payload.salt);
    const plaintext = typeof payload.text === 'string' ? Buffer.from(payload.text) : base64(payload.base64);
    if (!salt || !plaintext || sha256(salt, plaintext).toString('hex') !== expected.commitment)
      this.findings.problem('payload-altered', `${which} is not what its entry commits to`, here);
    return undefined;
  }

  /** What a part still lacks when the next one begins. */
  endPart(section) {
    const state = this.sections[section];
    const { open } = state;
    if (!open) return;
    if (!open.parts) this.findings.problem('proof-missing', `${open.name} has no proofs`, { member: open.name });
    const first = open.parts?.[open.listed];
    if (first)
      this.findings.problem(
        'payload-missing',
        `${open.parts.length - open.listed} payload parts are missing, the first of them part ${first.position} of entry ${first.index}`,
        { member: open.name.replace('entries/', 'payloads/'), index: first.index },
      );
    state.open = undefined;
  }

  // --- judging, once all was read

  judge() {
    for (const name of ['pack.json', 'checkpoint', 'manifest'])
      if (!this.files.has(name)) this.findings.problem('member-missing', `${name} is missing`, { member: name });
    this.judgeCheckpoint();
    this.judgeManifest();
    if (!this.pack) return;
    this.judgeScope();
    this.judgeCustody();
    this.judgeCitations();
    this.judgeSummary();
    this.judgeEmitters();
  }

  judgeCheckpoint() {
    const { pack, checkpoint, checkpointNote, findings } = this;
    if (!checkpoint) return undefined;
    if (pack && checkpoint.origin !== pack.origin)
      findings.problem('wrong-log', 'the checkpoint is of another log than the pack says', { member: 'checkpoint' });
    if (pack && checkpoint.size !== pack.treeSize)
      findings.problem('description-wrong', 'the checkpoint has another size than pack.json says', {
        member: 'pack.json',
      });
    const given = this.options.keys;
    const keys =
      given.length > 0 ? given : (pack?.vkeys ?? []).map((one) => parseVkey(String(one), ED25519)).filter(Boolean);
    this.authenticated = given.length > 0;
    const forThis = keys.filter(({ name }) => name === checkpoint.origin);
    if (forThis.length === 0)
      return findings.problem(
        'wrong-log',
        given.length > 0
          ? `the pack is of the log ${checkpoint.origin}, and the key that was given is of ${given.map(({ name }) => name).join(', ')}`
          : 'the pack names no key of its own log',
        { member: 'checkpoint' },
      );
    const verdicts = forThis.map((key) => signedBy(checkpointNote, key));
    if (!verdicts.includes('good') || verdicts.includes('bad'))
      findings.problem(
        'checkpoint-signature',
        verdicts.includes('bad')
          ? 'the signature under the checkpoint does not verify'
          : 'the checkpoint is not signed by a key that was given',
        { member: 'checkpoint' },
      );
    return this.judgeWitnesses(forThis);
  }

  /**
   * Witnesses cosign a while after the log signed: what they saw may be a smaller log, of which the pack then shows that
   * the log goes on from it. They vouch for the entries that it has.
   */
  judgeWitnesses(keys) {
    const { witnesses, witnessesMin } = this.options;
    const seen = [{ size: this.checkpoint.size, note: this.checkpointNote }];
    const earlier = this.files.has('cosigned') ? this.earlierCheckpoint(keys) : undefined;
    if (earlier) seen.unshift(earlier);
    const counted = seen.map(({ size, note }) => {
      const cosignatures = witnesses.map((key) => ({ name: key.name, time: cosignedAt(note, key) }));
      return { size, cosignatures, good: cosignatures.filter(({ time }) => time !== undefined).length };
    });
    const best =
      counted.findLast(({ good }) => good >= witnessesMin) ?? counted.reduce((a, b) => (b.good >= a.good ? b : a));
    this.cosignatures = best.cosignatures;
    this.cosignedSize = best.good > 0 ? best.size : null;
    if (best.good < witnessesMin)
      this.findings.problem(
        'witnesses-missing',
        `${best.good} of the ${witnesses.length} witnesses given cosigned a checkpoint of the pack, ${witnessesMin} must`,
        { member: 'cosigned' },
      );
    else if (witnessesMin > 0 && this.sections.scope.lastIndex >= best.size)
      this.findings.problem(
        'witnesses-behind',
        `the witnesses vouch for the first ${best.size} entries of the log, and the pack has later ones`,
        { member: 'cosigned' },
      );
  }

  earlierCheckpoint(keys) {
    const wrong = (detail) => this.findings.problem('cosigned-checkpoint', detail, { member: 'cosigned' });
    const note = parseNote(this.files.get('cosigned'));
    const checkpoint = note && parseCheckpoint(note.text);
    const proof = parseJson(this.files.get('cosigned-consistency.json') ?? '');
    if (!checkpoint || !isObject(proof) || !Array.isArray(proof.hashes))
      return wrong('the cosigned checkpoint, or the proof that the log goes on from it, can not be read');
    const { origin, size, root } = this.checkpoint;
    const verdicts = keys.map((key) => signedBy(note, key));
    if (checkpoint.origin !== origin || !verdicts.includes('good') || verdicts.includes('bad'))
      return wrong('the cosigned checkpoint is not signed by the log');
    const hashes = proof.hashes.map(base64);
    const holds =
      hashes.every((hash) => hash?.length === 32) && isBeginning(checkpoint.size, checkpoint.root, size, root, hashes);
    if (!holds) return wrong('the log does not go on from the cosigned checkpoint');
    return { size: checkpoint.size, note };
  }

  judgeManifest() {
    const bytes = this.files.get('manifest');
    if (!bytes) return;
    const wrong = (kind, detail, more = {}) => this.findings.problem(kind, detail, { member: 'manifest', ...more });
    const last = this.members.at(-1);
    if (last.name !== 'manifest') wrong('member-added', `members follow the manifest, the last of them ${last.name}`);
    const note = parseNote(bytes);
    const lines = note?.text.slice(0, -1).split('\n') ?? [];
    const [header, origin, id, count, ...listed] = lines;
    if (!note || header !== MANIFEST_HEADER || !/^members \d+$/.test(count ?? ''))
      return wrong('manifest-malformed', 'the manifest can not be read');
    if (listed.length !== Number(count.slice(8)))
      wrong('manifest-malformed', 'the manifest does not list as many members as it says');
    if (this.pack && (origin !== `origin ${this.pack.origin}` || id !== `pack ${this.pack.id}`))
      wrong('manifest-wrong', 'the manifest is of another pack');
    this.judgeMembers(listed);
    this.judgeManifestSignature(note, wrong);
    return undefined;
  }

  /** Names what was altered, removed, added or moved. */
  judgeMembers(listed) {
    const { findings } = this;
    const found = this.members.filter(({ name }) => name !== 'manifest');
    const byName = new Map();
    for (const one of found) {
      if (byName.has(one.name))
        findings.problem('member-added', `${one.name} stands in the archive twice`, { member: one.name });
      else byName.set(one.name, one);
    }
    const order = [];
    for (const line of listed) {
      const match = /^([0-9a-f]{64}) (\d+) (.+)$/.exec(line);
      if (!match || !SAFE_NAME.test(match[3])) {
        findings.problem('manifest-malformed', 'a line of the manifest can not be read', { member: 'manifest' });
        continue;
      }
      const [, digest, size, name] = match;
      const here = { member: name };
      const one = byName.get(name);
      order.push(name);
      if (!one) findings.problem('member-missing', `${name} is missing`, here);
      else if (one.sha256 !== digest || one.sizeBytes !== Number(size))
        findings.problem('member-altered', `${name} is not what the manifest says`, here);
    }
    const names = new Set(order);
    for (const { name } of found)
      if (!names.has(name)) findings.problem('member-added', `${name} is not in the manifest`, { member: name });
    const inBoth = found.filter(({ name }) => names.has(name)).map(({ name }) => name);
    const moved = order.filter((name) => byName.has(name)).findIndex((name, at) => inBoth[at] !== name);
    if (moved >= 0 && inBoth.length === new Set(inBoth).size)
      findings.problem('members-reordered', `${inBoth[moved]} does not stand where the manifest has it`, {
        member: inBoth[moved],
      });
  }

  /** The log itself names the key of the manifest: so the key of the log is all that one needs to know. */
  judgeManifestSignature(note, wrong) {
    const { evidenceKey } = this.pack ?? {};
    if (!evidenceKey) return;
    const key = typeof evidenceKey.vkey === 'string' ? parseVkey(evidenceKey.vkey, ED25519) : undefined;
    const announced = this.cited.get(evidenceKey.announcedAt);
    const isAnnounced =
      announced?.action === 'evidence.key' &&
      announced.provenance === 'platform' &&
      announced.control?.vkey === evidenceKey.vkey;
    if (!key || !isAnnounced)
      wrong('manifest-key-unproven', 'the log has no entry in the pack that names the key of the manifest');
    if (!key) return;
    const verdict = signedBy(note, key);
    if (verdict === 'absent') wrong('manifest-signature', 'the manifest is not signed by the key that the log names');
    if (verdict === 'bad') wrong('manifest-signature', 'the signature under the manifest does not verify');
  }

  judgeScope() {
    const { scope } = this.pack;
    const { lastIndex, entries } = this.sections.scope;
    if (scope.kind === 'range') {
      const end = Math.min(scope.to, (this.checkpoint?.size ?? Infinity) - 1);
      if (scope.to > end)
        this.findings.problem('description-wrong', 'the range ends after the log does', { member: 'pack.json' });
      const next = lastIndex === null ? scope.from : lastIndex + 1;
      if (next <= end) this.findings.problem('entries-missing', `entries ${next} to ${end} of the range are missing`);
    } else if (entries === 0) this.findings.problem('entries-missing', 'the pack has no entries');
    if (scope.kind === 'run' && !this.runOpened)
      this.findings.problem('entries-missing', 'the entry that opened the run is not in the pack');
  }

  /** The log recorded that this was asked for, and by whom. */
  judgeCustody() {
    const { id, askedBy, custody } = this.pack;
    const entries = custody.map((index) => this.cited.get(index));
    const asked = entries.find((entry) => entry?.id === id);
    if (entries.includes(undefined) || !asked || asked.action !== 'evidence.export' || asked.provenance !== 'platform')
      this.findings.problem('export-unrecorded', 'no entry in the pack records that it was asked for', {
        member: 'pack.json',
      });
    else if (asked.actor?.principal !== askedBy.principal)
      this.findings.problem('description-wrong', 'pack.json names another than the log as who asked', {
        member: 'pack.json',
      });
  }

  judgeCitations() {
    const citations = parseJson(this.files.get('citations.json') ?? '');
    const here = { member: 'citations.json' };
    if (!isObject(citations) || !Array.isArray(citations.policySets) || !Array.isArray(citations.versions))
      return this.findings.problem('citations-malformed', 'citations.json is missing or can not be read', here);
    const listed = new Set();
    for (const set of citations.policySets.filter(isObject)) {
      listed.add(`${set.policySet}@${set.version}`);
      this.judgePolicySet(set);
    }
    const versions = new Set(citations.versions.filter(isObject).map(({ what, value }) => `${what} ${value}`));
    if (citations.truncated)
      this.findings.warn('citations-truncated', 'the entries name more policy sets or versions than are listed');
    else {
      this.judgeCited('policy set', this.policySets, listed);
      this.judgeCited('version', this.versions, versions);
    }
    return undefined;
  }

  judgeCited(kind, named, listed) {
    for (const [name, index] of named)
      if (!listed.has(name))
        this.findings.problem('citation-missing', `a ${kind} that entry ${index} names is not in citations.json`, {
          member: 'citations.json',
          index,
        });
  }

  judgePolicySet({ policySet, version, digest, publishedAt, member, reason }) {
    const which = `policy set ${String(policySet).slice(0, 64)}, version ${Number(version)}`;
    if (member !== null && this.policyDigests.get(member) !== digest)
      return this.findings.problem('policy-altered', `${which}: the text does not have its digest`, { member });
    if (publishedAt === null) {
      // The platform's own set comes with the software; the log does not vouch for its text.
      if (policySet !== 'platform')
        this.findings.warn('policy-unpublished', `${which}: ${String(reason).slice(0, 120)}`);
      return undefined;
    }
    const { control } = this.cited.get(publishedAt) ?? {};
    if (
      control?.change !== 'policy.publish' ||
      control.policySet !== policySet ||
      control.version !== version ||
      control.digest !== digest
    )
      return this.findings.problem(
        'policy-altered',
        `${which}: entry ${publishedAt} does not publish it under this digest`,
        { member: 'citations.json' },
      );
    if (member === null) this.findings.warn('policy-text-absent', `${which}: ${String(reason).slice(0, 120)}`);
    return undefined;
  }

  judgeSummary() {
    const summary = parseJson(this.files.get('summary.json') ?? '');
    const { scope, cited } = this.sections;
    const counted = {
      entries: scope.entries,
      firstIndex: scope.firstIndex,
      lastIndex: scope.lastIndex,
      citedEntries: cited.entries,
    };
    const agrees =
      isObject(summary) &&
      Object.entries(counted).every(([name, value]) => summary[name] === value) &&
      Object.entries(scope.parts).every(([state, count]) => summary.parts?.[state] === count);
    if (!agrees)
      this.findings.problem('summary-wrong', 'summary.json is missing, or does not count what the pack holds', {
        member: 'summary.json',
      });
  }

  /**
   * Emitters number what they emit from 1 without gaps. In a range, what is missing between two numbers may stand before or
   * after it; in a chain, an action and a run have emitters of their own, of which nothing stands anywhere else.
   */
  judgeEmitters() {
    const isRange = this.pack.scope.kind === 'range';
    this.gapless = 0;
    for (const [emitter, { low, high, seen }] of this.emitters) {
      const from = !isRange && OWN_EMITTER.test(emitter) ? 1 : low;
      const missing = high - from + 1 - seen;
      if (missing <= 0) this.gapless += 1;
      else if (isRange || OWN_EMITTER.test(emitter))
        this.findings.warn(
          'sequence-gap',
          `emitter ${String(emitter).slice(0, 128)}: ${missing} of the numbers ${from} to ${high} are not in the pack`,
        );
    }
  }

  // --- what came out

  report() {
    const { pack, checkpoint, findings, sections } = this;
    const refuted = findings.problems.length > 0;
    return {
      outcome: refuted ? 'refuted' : this.authenticated ? 'verified' : 'unauthenticated',
      pack: pack && {
        id: pack.id,
        kind: pack.kind,
        instance: pack.instance,
        scope: pack.scope,
        askedBy: pack.askedBy,
        askedAt: pack.askedAt,
      },
      log: checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root.toString('base64') },
      manifest: this.members.findLast(({ name }) => name === 'manifest')?.sha256 ?? null,
      members: this.members.length,
      entries: sections.scope.entries,
      parts: sections.scope.parts,
      emitters: { seen: this.emitters.size, gapless: this.gapless ?? 0 },
      cosignatures: this.cosignatures ?? [],
      cosignedSize: this.cosignedSize ?? null,
      complete: pack?.scope.kind === 'range' && !refuted,
      problems: findings.problems,
      problemsNotListed: findings.unlisted,
      warnings: findings.warnings,
      limits: limitsOf(this),
    };
  }
}

/** What a pack that holds still does not show. */
const limitsOf = ({ pack, authenticated, options }) => [
  ...(authenticated
    ? []
    : [
        'NO KEY WAS GIVEN: the key inside the pack was used, and whoever makes up a pack makes up its key. Give --key.',
      ]),
  ...(pack && pack.scope.kind !== 'range'
    ? [
        'That these are all entries of the correlation id: each is proven to stand in the log, but a pack of a chain can not show that none was left out. A range can.',
      ]
    : []),
  ...(options.witnesses.length === 0
    ? ['That everybody sees the same log: only witnesses, or a checkpoint that was kept, show a log that was replaced.']
    : []),
  'That what was reported is true, and that nothing happened which was never recorded.',
];

// ---------------------------------------------------------------------------------------------------------------------
// The command line

const USAGE = `node verify.mjs PACK --key VKEY [--key-file FILE] [--witness VKEY]... [--witnesses K] [--json] [--tlog-proof INDEX]

  --key VKEY          verifier key of the log (name+id+base64), known beforehand; may be repeated
  --key-file FILE     file that holds it
  --witness VKEY      verifier key of a witness; may be repeated
  --witnesses K       how many of them must have cosigned; by default all that are given
  --json              print the report as JSON
  --tlog-proof INDEX  print the proof of one entry as c2sp.org/tlog-proof@v1 instead, if the pack holds

Exit codes: 0 holds, 1 does not, 2 wrong usage, 3 agrees with itself but no key was given.
`;

class UsageError extends Error {}

const parseArguments = (argv) => {
  const options = {
    path: undefined,
    keys: [],
    witnesses: [],
    witnessesMin: undefined,
    json: false,
    tlogProof: undefined,
  };
  const key = (text, type, what) => {
    const parsed = parseVkey(text.trim(), type);
    if (!parsed) throw new UsageError(`${what}: not a verifier key of the kind that is needed (name+id+base64)`);
    return parsed;
  };
  const number = (text, what) => {
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new UsageError(`${what} takes a number`);
    return Number(text);
  };
  const takes = {
    '--key': (text) => options.keys.push(key(text, ED25519, '--key')),
    '--key-file': (text) => {
      let lines;
      try {
        lines = readFileSync(text, 'utf8').split('\n');
      } catch {
        throw new UsageError(`${text} can't be read`);
      }
      for (const line of lines) if (line.trim() !== '') options.keys.push(key(line, ED25519, '--key-file'));
    },
    '--witness': (text) => options.witnesses.push(key(text, COSIGNATURE, '--witness')),
    '--witnesses': (text) => (options.witnessesMin = number(text, '--witnesses')),
    '--tlog-proof': (text) => (options.tlogProof = number(text, '--tlog-proof')),
  };
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at];
    if (argument === '--json') options.json = true;
    else if (Object.hasOwn(takes, argument)) {
      at += 1;
      if (argv[at] === undefined) throw new UsageError(`${argument} takes a value`);
      takes[argument](argv[at]);
    } else if (argument.startsWith('-') || options.path !== undefined) throw new UsageError(`what is ${argument}?`);
    else options.path = argument;
  }
  if (options.path === undefined) throw new UsageError('name the pack');
  options.witnessesMin ??= options.witnesses.length;
  return options;
};

/** What stands in a pack may be anybody's words: none may steer the terminal. */
const printable = (text) =>
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

const describeReport = (report) => {
  const lines = [];
  const { pack, log, parts } = report;
  if (pack) {
    const { scope } = pack;
    const about =
      scope.kind === 'range'
        ? `entries ${scope.from} to ${scope.to}`
        : `${scope.kind} ${scope.runId ?? scope.correlationId}`;
    lines.push(
      `pack ${pack.id} of ${pack.instance}: ${about}`,
      `asked for by ${pack.askedBy.principal} at ${pack.askedAt}`,
    );
  }
  if (log) lines.push(`log ${log.origin}, ${log.size} entries`);
  lines.push(
    `${report.entries} entries in the pack; payload parts: ${parts.present} present, ${parts.withheld} withheld, ${parts.erased} erased, ${parts.damaged} damaged`,
  );
  for (const { name, time } of report.cosignatures)
    lines.push(
      time === undefined ? `not cosigned by ${name}` : `cosigned by ${name} at ${new Date(time * 1000).toISOString()}`,
    );
  for (const { kind, detail } of report.warnings) lines.push(`warning: ${kind}: ${detail}`);
  for (const { kind, detail } of report.problems) lines.push(`PROBLEM: ${kind}: ${detail}`);
  if (report.problemsNotListed > 0) lines.push(`PROBLEM: and ${report.problemsNotListed} more`);
  if (report.outcome !== 'refuted') {
    lines.push('', 'What this does not show:');
    for (const limit of report.limits) lines.push(`- ${limit}`);
  }
  const verdicts = {
    verified: 'VERIFIED: the pack is whole and unaltered, and its entries stand in the log.',
    refuted: 'REFUTED: do not rely on this pack.',
    unauthenticated: 'NOT AUTHENTICATED: the pack agrees with itself, but without --key that proves nothing.',
  };
  lines.push('', verdicts[report.outcome]);
  return lines;
};

export const verifyPack = async (options) => {
  const check = new PackCheck(options);
  await check.read(options.path);
  try {
    check.judge();
  } catch (error) {
    // What is shaped as no pack is, and led the checks astray, is none.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    check.findings.problem('pack-malformed', 'the pack is not shaped as packs are, and could not be judged to its end');
  }
  return { report: check.report(), tlogProof: check.foundProof };
};

/** Returns the exit code. */
export const main = async (
  argv,
  out = (line) => process.stdout.write(`${line}\n`),
  err = (line) => process.stderr.write(`${line}\n`),
) => {
  let options;
  try {
    options = parseArguments(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    err(`${error.message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  let verified;
  try {
    verified = await verifyPack(options);
  } catch (error) {
    if (typeof error.code !== 'string' || !/^E[A-Z]+$/.test(error.code)) throw error;
    err(`${options.path} can't be read (${error.code})`);
    return EXIT.usage;
  }
  const { report, tlogProof } = verified;
  if (options.tlogProof !== undefined && report.outcome !== 'refuted') {
    if (tlogProof === undefined) {
      err(`the pack has no entry ${String(options.tlogProof)}`);
      return EXIT.usage;
    }
    out(tlogProof.slice(0, -1));
  } else if (options.json) out(JSON.stringify(report, null, 2));
  else for (const line of describeReport(report)) out(printable(line));
  return { verified: EXIT.holds, refuted: EXIT.refuted, unauthenticated: EXIT.unauthenticated }[report.outcome];
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href)
  process.exitCode = await main(process.argv.slice(2));
