/** Which of the `log.dirs` a partition is made in. */
import { DiskError } from '../env/disk.ts'
import type { LogDirectory } from './log-directory.ts'
import type { ReplicaLogs } from './replica-logs.ts'

export class Placement {
  readonly #directories: readonly LogDirectory[]
  readonly #logs: ReplicaLogs
  /** By partition: AlterReplicaLogDirs may name its directory before it is made. */
  readonly #preferred = new Map<string, LogDirectory>()

  constructor(directories: readonly LogDirectory[], logs: ReplicaLogs) {
    this.#directories = directories
    this.#logs = logs
  }

  /** Where it lies already, or is on its way to, nothing is to be remembered. */
  prefer(key: string, path: string): void {
    const lies = [this.#logs.current.get(key), this.#logs.future.get(key)]
    if (lies.some((log) => log?.logDirectory === path)) return
    this.#preferred.set(
      key,
      this.#directories.find((directory) => directory.path === path)!,
    )
  }

  forget(key: string): void {
    this.#preferred.delete(key)
  }

  /** The preferred one, else that with the fewest partitions. Throws DiskError when all are offline. */
  directoryFor(key: string): LogDirectory {
    const preferred = this.#preferred.get(key)
    this.#preferred.delete(key)
    return preferred?.online ? preferred : this.#leastUsed()
  }

  #leastUsed(): LogDirectory {
    const online = this.#directories.filter((directory) => directory.online)
    if (online.length === 0)
      throw new DiskError('IO', this.#directories[0].path, 'all log directories are offline')
    if (online.length === 1) return online[0]
    const counts = new Map(online.map(({ path }) => [path, 0]))
    for (const { logDirectory } of this.#logs.current.values()) {
      counts.set(logDirectory, (counts.get(logDirectory) ?? 0) + 1)
    }
    return online.reduce((least, other) =>
      counts.get(other.path)! < counts.get(least.path)! ? other : least,
    )
  }
}
