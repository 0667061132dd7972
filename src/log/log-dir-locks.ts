/** The locks of the log directories, for a broker that must hold them before it opens anything else that lies there. */
import type { Disk } from '../env/disk.ts'
import { join, LOCK_FILE } from './file-names.ts'
import { toLogDirError } from './log-directory.ts'

export interface LogDirLocks {
  release(): void
}

/** Makes and locks every directory, or none. Throws LogDirError. */
export function lockLogDirs(disk: Disk, directories: readonly string[]): LogDirLocks {
  const locks: { release(): void }[] = []
  const release = (): void => {
    for (const lock of locks.splice(0)) lock.release()
  }
  for (const directory of directories) {
    try {
      disk.makeDirectory(directory)
      locks.push(disk.lock(join(directory, LOCK_FILE)))
    } catch (error) {
      release()
      throw toLogDirError(error, directory)
    }
  }
  return { release }
}
