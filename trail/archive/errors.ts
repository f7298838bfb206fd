/** Errors of the archive. None names a credential; a place is named by its address alone. */
export type ArchiveErrorCode =
  | 'ARCHIVE_UNAVAILABLE' // the storage can't be reached or is full now; what was begun is completed later
  | 'ARCHIVE_REFUSED' // the storage refuses this credential or this operation
  | 'ARCHIVE_CONFLICT' // other bytes stand under the name of an object
  | 'ARCHIVE_ALTERED' // an object is not what was written, or is gone
  | 'ARCHIVE_DIVERGED' // archive and record are not of the same log
  | 'ARCHIVE_INVALID' // the place of the archive is not one that can be used
  | 'REBUILD_REFUSED'; // what is there already may not be overwritten

export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
  readonly code: ArchiveErrorCode;
  readonly retryable: boolean;
  /** Name of the object that is concerned. */
  readonly object: string | undefined;

  constructor(code: ArchiveErrorCode, message: string, options: ErrorOptions & { readonly object?: string } = {}) {
    super(message, options);
    this.code = code;
    this.retryable = code === 'ARCHIVE_UNAVAILABLE';
    this.object = options.object;
  }
}

export const altered = (object: string, what: string, cause?: unknown): ArchiveError =>
  new ArchiveError('ARCHIVE_ALTERED', `${object}: ${what}`, { object, cause });
