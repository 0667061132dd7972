/** The locks of the log directories, for a broker that must hold them before it opens anything else that lies there. */
import type { Disk } from '../env/disk.ts'
import { join, LOCK_FILE } from './file-names.ts'
import { toLogDirError } from './log-dir-error.ts'
import { listPartitions } from './partition-directories.ts'

export interface LogDirLocks {
  release(): void
}

/** Makes and locks every directory, or none. Throws LogDirError. */
export function lockLogDirs(disk: Disk, directories: readonly string[]): LogDirLocks {
  const locks: LogDirLocks[] = []
  const release = (): void => {
    for (const lock of locks.splice(0)) lock.release()
  }
  try {
    for (const directory of directories) locks.push(lockLogDirectory(disk, directory))
  } catch (error) {
    release()
    throw error
  }
  return { release }
}

/** Writes nothing into a directory that holds something else's data. Throws LogDirError. */
export function lockLogDirectory(disk: Disk, directory: string): LogDirLocks {
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
