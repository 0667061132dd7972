/** The locks of the log directories, for a broker that must hold them before it opens anything else that lies there. */
import type { Disk } from '../env/disk.ts'
import { join, LOCK_FILE } from './file-names.ts'
import { LogDirError, toLogDirError } from './log-dir-error.ts'
import { listPartitions } from './partition-directories.ts'

export interface LogDirLocks {
  /** What could not be locked, and why: directories of a disk that does not work. */
  readonly offline: ReadonlyMap<string, LogDirError>
  release(): void
}

/**
 * Makes and locks every directory, or none. One that its disk does not give is offline, while another one works.
 * Throws LogDirError: all are offline, or one is in use, or holds something else's data.
 */
export function lockLogDirs(disk: Disk, directories: readonly string[]): LogDirLocks {
  const locks: { release(): void }[] = []
  const offline = new Map<string, LogDirError>()
  const release = (): void => {
    for (const lock of locks.splice(0)) lock.release()
  }
  for (const directory of directories) {
    try {
      locks.push(lockLogDirectory(disk, directory))
    } catch (error) {
      if (!isDiskFailure(error)) {
        release()
        throw error
      }
      offline.set(directory, error)
    }
  }
  if (locks.length === 0) throw offline.values().next().value
  return { offline, release }
}

/** The directory cannot be used because of its disk, not because of what it holds or who has it. */
export function isDiskFailure(error: unknown): error is LogDirError {
  return error instanceof LogDirError && (error.code === 'IO' || error.code === 'NOT_WRITABLE')
}

/** Writes nothing into a directory that holds something else's data. Throws LogDirError. */
export function lockLogDirectory(disk: Disk, directory: string): { release(): void } {
  try {
    if (disk.stat(directory) === null) {
      disk.makeDirectory(directory)
      disk.syncDirectory(parentOf(directory))
    } else listPartitions(disk, directory)
    return disk.lock(join(directory, LOCK_FILE))
  } catch (error) {
    throw toLogDirError(error, directory)
  }
}

function parentOf(directory: string): string {
  const path = directory.replace(/\/+$/, '')
  const slash = path.lastIndexOf('/')
  if (slash < 0) return '.'
  return path.slice(0, slash) || '/'
}
