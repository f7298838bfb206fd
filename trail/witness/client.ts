/**
 * Speaks to one witness, c2sp.org/tlog-witness. What it answers is believed as far as it is signed by the key that the policy
 * names. It is asked at the address of the policy and nowhere else: no redirect, no proxy, no link-local address behind its
 * name, no answer without bounds of size and time.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { parseCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseSignatureLines, verifyCosignatures, type Cosignature } from '../../domain/tree/cosignature.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { parseNote } from '../../domain/tree/note.ts';
import { formatAddCheckpoint, parseTlogSize, type AddCheckpoint } from '../../domain/tree/witness.ts';
import { isLoopbackUrl } from '../../schema/witnessUrl.ts';
import type { ConfiguredWitness } from './policy.ts';

/** Why there is no cosignature. None of these says anything about the log. */
export type WitnessFailure =
  | 'ADDRESS_REFUSED' // the address is not one that this installation posts to
  | 'UNREACHABLE' // no connection, TLS failed, or no answer in time
  | 'UNKNOWN_LOG' // 404: the witness was not told of this log
  | 'KEY_NOT_TRUSTED' // 403: it knows the log under another key
  | 'REFUSED' // another status
  | 'MALFORMED'; // an answer that can't be read, or is not by the key of the policy

export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly cosignature: Cosignature }
  /** It cosigned this size last, not the one that the request named. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** 422: the proof does not lead from what it cosigned to this checkpoint. */
  | { readonly kind: 'unproven' }
  | { readonly kind: 'failed'; readonly failure: WitnessFailure };

export interface WitnessClientOptions {
  /** Whether http on this machine may be asked: for development. */
  readonly loopback: boolean;
  readonly timeoutMs?: number;
}

const timeoutMsDefault = 10_000;
/** A cosignature takes some 200 bytes, a post-quantum one 5 kB. */
const answerBytesMax = 64 * 1024;

const failed = (failure: WitnessFailure): WitnessAnswer => ({ kind: 'failed', failure });

/** Submits a checkpoint. Never throws for what the witness or the network does. */
export const addCheckpoint = async (
  { key, url }: ConfiguredWitness,
  submission: AddCheckpoint,
  options: WitnessClientOptions,
): Promise<WitnessAnswer> => {
  const loopback = isLoopbackUrl(url);
  if (loopback && !options.loopback) return failed('ADDRESS_REFUSED');
  let answer: Answer;
  try {
    answer = await post(`${url}/add-checkpoint`, formatAddCheckpoint(submission), options, loopback);
  } catch (error) {
    return failed(error instanceof AddressRefused ? 'ADDRESS_REFUSED' : 'UNREACHABLE');
  }
  const { text } = parseNote(submission.checkpoint);
  switch (answer.status) {
    case 200:
      return cosignedBy(answer.body, text, key);
    case 409: {
      const size = answer.type === 'text/x.tlog.size' ? parseTlogSize(answer.body) : undefined;
      // Without a body it is the other conflict: of two trees of one size.
      if (size === undefined && submission.oldSize === parseCheckpoint(text).size) return { kind: 'unproven' };
      return size === undefined ? failed('MALFORMED') : { kind: 'conflict', size };
    }
    case 422:
      return { kind: 'unproven' };
    case 404:
      return failed('UNKNOWN_LOG');
    case 403:
      return failed('KEY_NOT_TRUSTED');
    default:
      return failed('REFUSED');
  }
};

const cosignedBy = (body: string, text: string, key: ConfiguredWitness['key']): WitnessAnswer => {
  try {
    const [cosignature] = verifyCosignatures(text, parseSignatureLines(body), [key]);
    return cosignature ? { kind: 'cosigned', cosignature } : failed('MALFORMED');
  } catch (error) {
    if (error instanceof TreeError) return failed('MALFORMED');
    throw error;
  }
};

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

const post = (url: string, body: Buffer, options: WitnessClientOptions, loopback: boolean): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const address = new URL(url);
    const literal = address.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) && !mayBeAsked(literal, loopback)) throw new AddressRefused();
    const request = (address.protocol === 'https:' ? httpsRequest : httpRequest)(
      address,
      {
        method: 'POST',
        agent: false,
        lookup: guardedLookup(loopback),
        signal: AbortSignal.timeout(options.timeoutMs ?? timeoutMsDefault),
        headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length },
      },
      // Redirects are statuses like others: nothing follows them.
      (response) => void read(response).then(resolve, reject),
    );
    request.once('error', reject);
    request.end(body);
  });

const read = async (response: IncomingMessage): Promise<Answer> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) {
      response.destroy();
      throw new Error('the answer is too long');
    }
    chunks.push(chunk);
  }
  const type = (response.headers['content-type'] ?? '').split(';')[0]!.trim();
  return { status: response.statusCode ?? 0, type, body: Buffer.concat(chunks).toString('utf8') };
};

/** Never asked, whatever name leads there: metadata services of clouds, "this host", multicast. */
const never = new BlockList();
never.addSubnet('0.0.0.0', 8, 'ipv4');
never.addSubnet('169.254.0.0', 16, 'ipv4');
never.addSubnet('224.0.0.0', 3, 'ipv4');
never.addAddress('::', 'ipv6');
never.addSubnet('fe80::', 10, 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');
never.addSubnet('fd00:ec2::', 32, 'ipv6');
const ownMachine = new BlockList();
ownMachine.addSubnet('127.0.0.0', 8, 'ipv4');
ownMachine.addAddress('::1', 'ipv6');

/** An https address must not lead to this machine, and one for this machine must not lead away. */
const mayBeAsked = (address: string, loopback: boolean): boolean => {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return !never.check(address, family) && ownMachine.check(address, family) === loopback;
};

const guardedLookup =
  (loopback: boolean): LookupFunction =>
  (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0);
      const allowed = addresses.filter(({ address }) => mayBeAsked(address, loopback));
      const [first] = allowed;
      if (!first) return callback(new AddressRefused(), '', 0);
      if (options.all) return callback(null, allowed);
      return callback(null, first.address, first.family);
    });
  };
