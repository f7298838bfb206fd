/**
 * Switchable faults of a stand-in: what a network and a vendor can do to one call. A rule hits the next `calls` calls
 * that it matches and is then spent.
 */
import { z } from 'zod';

/** Whether the vendor had carried out the call when things went wrong. */
const when = z.enum(['before', 'after']);

export const faultSchema = z.discriminatedUnion('kind', [
  /** An answer of that status in the vendor's own form. A 4xx is always `before`: the vendor refused. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.union([401, 403, 404, 409, 412, 429, 500, 502, 503].map((status) => z.literal(status))),
    /** Value of the Retry-After header: seconds or an HTTP date. */
    retryAfter: z.string().max(64).optional(),
    when: when.optional(),
  }),
  /** No answer: the connection is held open until the caller gives up. */
  z.strictObject({ kind: z.literal('timeout'), when }),
  /** The connection is cut without an answer. */
  z.strictObject({ kind: z.literal('cut'), when }),
  /** 200 with a body that is not what the vendor's documentation says. */
  z.strictObject({ kind: z.literal('malformed'), when }),
  /** The right answer, late. */
  z.strictObject({ kind: z.literal('slow'), delayMs: z.int().positive().max(60_000) }),
]);
export type Fault = z.infer<typeof faultSchema>;

export const faultRuleSchema = z.strictObject({
  fault: faultSchema,
  calls: z.int().positive().max(10_000).default(1),
  /** Which calls: those that read, those that write, or any. */
  on: z.enum(['read', 'write', 'any']).default('any'),
  /** Only calls whose path contains this. */
  path: z.string().max(256).optional(),
});
export type FaultRule = z.input<typeof faultRuleSchema>;

export class Faults {
  #rules: z.infer<typeof faultRuleSchema>[] = [];

  /** Adds a rule behind those already set. Throws ZodError on a rule that does not exist. */
  set(rule: FaultRule): void {
    this.#rules.push(faultRuleSchema.parse(rule));
  }

  clear(): void {
    this.#rules = [];
  }

  pending(): readonly FaultRule[] {
    return structuredClone(this.#rules);
  }

  /** The fault for this call, if any; counts it. */
  take(effect: 'read' | 'write', path: string): Fault | undefined {
    const rule = this.#rules.find(
      (r) => (r.on === 'any' || r.on === effect) && (r.path === undefined || path.includes(r.path)),
    );
    if (rule === undefined) return undefined;
    rule.calls -= 1;
    if (rule.calls === 0) this.#rules.splice(this.#rules.indexOf(rule), 1);
    return rule.fault;
  }
}
