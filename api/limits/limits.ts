/** What one request may ask for at most; docs/graphql.md states the same numbers. */
export interface ApiLimits {
  readonly bodyBytesMax: number;
  readonly depthMax: number;
  /** Objects that an answer may hold, as estimated from the query (limits/cost.ts). */
  readonly costMax: number;
  readonly aliasesMax: number;
  readonly tokensMax: number;
  readonly recordBatchMax: number;
  /** Body of `POST /v1/events`, decompressed. */
  readonly bulkBytesMax: number;
  readonly bulkEventsMax: number;
  readonly bulkLineBytesMax: number;
  /** How many times its size a compressed body may have, decompressed. */
  readonly bulkExpansionMax: number;
  readonly pageSizeMax: number;
  /** Plaintext of payload parts in one answer. */
  readonly payloadBytesMax: number;
  /** Rows that are looked at for one page where no index narrows the filter. */
  readonly scannedRowsMax: number;
  /** Events of one correlation id that one answer holds. */
  readonly chainEventsMax: number;
  readonly verifiedEntriesMax: number;
  readonly subscriptionsMax: number;
  readonly subscriptionsPerPrincipalMax: number;
  /** Evidence packs that a process makes at once. */
  readonly evidencePacksMax: number;
  readonly evidencePacksPerPrincipalMax: number;
  /** Entries of one evidence pack. */
  readonly evidenceEntriesMax: number;
  readonly requestMsMax: number;
}

export const apiLimits: ApiLimits = {
  bodyBytesMax: 16 * 1024 * 1024,
  depthMax: 10,
  costMax: 10_000,
  aliasesMax: 15,
  tokensMax: 2000,
  recordBatchMax: 1000,
  bulkBytesMax: 256 * 1024 * 1024,
  bulkEventsMax: 250_000,
  bulkLineBytesMax: 16 * 1024 * 1024,
  bulkExpansionMax: 100,
  pageSizeMax: 500,
  payloadBytesMax: 64 * 1024 * 1024,
  scannedRowsMax: 50_000,
  chainEventsMax: 20_000,
  verifiedEntriesMax: 1_000_000,
  subscriptionsMax: 200,
  subscriptionsPerPrincipalMax: 10,
  evidencePacksMax: 4,
  evidencePacksPerPrincipalMax: 2,
  evidenceEntriesMax: 1_000_000,
  requestMsMax: 90_000,
};
