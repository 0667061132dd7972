/**
 * Which session this broker registered in, noted in its log directories: the next process that has them knows whose
 * registration it finds. Only for sessions that outlive their process, as those of a real ensemble do.
 */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { join } from '../log/file-names.ts'

export const LAST_SESSION_FILE = 'odradek-last-session'

/** `directories` are locked by this process. What cannot be read is left out. */
export function readLastSessions(disk: Disk, directories: readonly string[]): bigint[] {
  return directories.flatMap((directory) => {
    try {
      const text = disk.readFile(join(directory, LAST_SESSION_FILE)).toString('latin1').trim()
      return /^\d{1,20}$/.test(text) ? [BigInt(text)] : []
    } catch (error) {
      if (error instanceof DiskError) return []
      throw error
    }
  })
}

/** In the first directory that takes it. Without it the next process waits until the session has ended. */
export function noteLastSession(
  env: { disk: Disk; logger: Logger },
  directories: readonly string[],
  session: bigint,
): void {
  for (const directory of directories) {
    try {
      return env.disk.replaceFile(join(directory, LAST_SESSION_FILE), `${session}\n`)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      env.logger.log('warn', 'the session could not be noted', { path: error.path, error: error.message })
    }
  }
}
