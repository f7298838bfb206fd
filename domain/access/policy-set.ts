/** A published set of Cedar policies. */
export interface PolicySet {
  readonly name: string;
  readonly version: number;
  /** Hex SHA-256 of the text in UTF-8. */
  readonly digest: string;
  readonly text: string;
  /** Log index of the entry that published it. */
  readonly index: number;
}
