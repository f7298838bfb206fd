/**
 * Why the servers could not be had. Each message says what was wrong, which value, and what to do; none holds a secret.
 *
 * - `NO_SERVER`: nothing serves; `tried` lists each way and why it failed.
 * - `PORT_TAKEN`: another process listens on the port; the message names the setting.
 * - `DATA_FOLDER_IN_USE`: another running stack owns the data folder.
 * - `DATA_FOLDER_UNUSABLE`: the data was written by another server version, or its credentials are lost.
 * - `SERVER_FAILED`: the server ended, or did not become ready in time; the message ends with the tail of its log.
 * - `MONGODB_UNREACHABLE`, `MONGODB_UNFIT`, `TEMPORAL_UNREACHABLE`, `TEMPORAL_UNFIT`: the address in the environment
 *   does not answer, or answers but can't serve.
 */
export type ServersErrorCode =
  | 'NO_SERVER'
  | 'PORT_TAKEN'
  | 'DATA_FOLDER_IN_USE'
  | 'DATA_FOLDER_UNUSABLE'
  | 'SERVER_FAILED'
  | 'MONGODB_UNREACHABLE'
  | 'MONGODB_UNFIT'
  | 'TEMPORAL_UNREACHABLE'
  | 'TEMPORAL_UNFIT';

export class ServersError extends Error {
  override readonly name = 'ServersError';
  readonly code: ServersErrorCode;

  constructor(code: ServersErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
