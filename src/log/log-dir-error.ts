import { DiskError } from '../env/disk.ts'

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

/** What a DiskError means for the operator; anything else is given back as it is. */
export function toLogDirError(error: unknown, directory: string): unknown {
  if (!(error instanceof DiskError)) return error
  switch (error.code) {
    case 'LOCKED':
      return new LogDirError('LOCKED', directory, `${directory} is in use: ${error.message}`)
    case 'NOT_PERMITTED':
      return new LogDirError('NOT_WRITABLE', directory, `${directory} cannot be written: ${error.message}`)
    default:
      return new LogDirError('IO', directory, `${directory} cannot be used: ${error.message}`)
  }
}
