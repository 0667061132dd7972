export type LogDirErrorCode =
  | 'LOCKED'
  | 'NOT_WRITABLE'
  | 'FOREIGN_DIRECTORY'
  | 'FOREIGN_CLUSTER'
  | 'FOREIGN_BROKER'
  | 'FOREIGN_FORMAT'
  | 'IO'

/** A `log.dirs` entry that this broker must not or cannot use. `message` is one line for the operator. */
export class LogDirError extends Error {
  readonly code: LogDirErrorCode
  readonly directory: string
  constructor(code: LogDirErrorCode, directory: string, message: string) {
    super(message)
    this.name = 'LogDirError'
    this.code = code
    this.directory = directory
  }
}
