/** One entry of `log.dirs`: its lock, its owner, its checkpoints, its clean marker, and whether it can still be trusted. */
import { DiskError } from '../env/disk.ts'
import type { Env, Logger } from '../env/env.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint, type PartitionOffset } from './checkpoint-file.ts'
import {
  CLEAN_SHUTDOWN_FILE,
  CLEANER_OFFSET_FILE,
  HIGH_WATERMARK_FILE,
  join,
  LOG_START_FILE,
  RECOVERY_POINT_FILE,
} from './file-names.ts'
import { GuardedDisk } from './guarded-disk.ts'
import { toLogDirError, type LogDirError } from './log-dir-error.ts'
import { lockLogDirectory } from './log-dir-locks.ts'
import { claimMetaProperties } from './meta-properties.ts'
import { listPartitions, type PartitionDirectory } from './partition-directories.ts'
import { RemovalQueue } from './removal-queue.ts'

export const CHECKPOINT_FILES = {
  recoveryPoint: RECOVERY_POINT_FILE,
  logStartOffset: LOG_START_FILE,
  highWatermark: HIGH_WATERMARK_FILE,
  cleanerOffset: CLEANER_OFFSET_FILE,
} as const
export type Checkpoint = keyof typeof CHECKPOINT_FILES

export interface LogDirectoryOptions {
  readonly env: Pick<Env, 'disk' | 'clock' | 'timers' | 'logger'>
  readonly path: string
  readonly brokerId: number
  readonly clusterId: string
  /** Sub-directories that belong to other parts of this broker. */
  readonly otherDirectories: readonly string[]
  /** The caller made it and holds its lock (log-dir-locks.ts). */
  readonly alreadyLocked: boolean
  /** Why it could not be locked; null: it could. */
  readonly offline: LogDirError | null
  /** Runs once, in a later turn than the operation that failed, and not for what `open` finds. */
  readonly onFailure: (directory: LogDirectory) => void
}

export class LogDirectory {
  readonly path: string
  /** All that lies in the directory is read and written through it. */
  readonly disk: GuardedDisk
  readonly removals: RemovalQueue
  readonly #options: LogDirectoryOptions
  readonly #logger: Logger
  #opened = false
  #lock: { release(): void } | null = null
  /** The last stop was clean. */
  wasClean = false
  #renamed = false
  /** Last written content, to leave alone what has not changed. */
  readonly #written = new Map<Checkpoint, string>()

  constructor(options: LogDirectoryOptions) {
    const { env, offline } = options
    this.#options = options
    this.#logger = env.logger
    this.path = options.path
    this.disk = new GuardedDisk(env.disk, (error) => this.#failed(error))
    this.removals = new RemovalQueue({ ...env, disk: this.disk })
    if (offline !== null) this.disk.fail(new DiskError('IO', options.path, offline.message))
  }

  /** False from the first failure on, until a restart. */
  get online(): boolean {
    return this.disk.failure === null
  }

  #failed(error: DiskError): void {
    const fields = { directory: this.path, path: error.path, error: error.message }
    this.#logger.log('error', 'a log directory has failed and is offline until the next start', fields)
    if (this.#opened) this.#options.env.timers.soon(() => this.#options.onFailure(this))
  }

  /** Makes, locks and claims it; gives its partition directories. Throws LogDirError. */
  open(): PartitionDirectory[] {
    const { disk, path } = this
    try {
      if (!this.#options.alreadyLocked) this.#lock = lockLogDirectory(disk, path)
      disk.check(path)
      claimMetaProperties(disk, path, this.#options)
      const partitions = listPartitions(disk, path, this.#options.otherDirectories)
      const marker = join(path, CLEAN_SHUTDOWN_FILE)
      this.wasClean = disk.stat(marker) !== null
      if (this.wasClean) {
        disk.remove(marker)
        // Came it back, the next start would look for no traces of a crash.
        disk.syncDirectory(path)
      }
      return partitions
    } catch (error) {
      this.release()
      throw toLogDirError(error, path)
    }
  }

  readCheckpoint(checkpoint: Checkpoint): Map<string, number> {
    const path = join(this.path, CHECKPOINT_FILES[checkpoint])
    const { offsets, valid } = readOffsetCheckpoint(this.disk, path)
    if (!valid) this.#logger.log('warn', 'checkpoint file is broken, going on without it', { path })
    return offsets
  }

  /** From here on failures are told to `onFailure`. */
  loaded(): void {
    this.#opened = true
  }

  /** Failures are logged: the older file stays, and is right enough. */
  writeCheckpoint(
    checkpoint: Checkpoint,
    entries: readonly PartitionOffset[],
    options = { durable: false },
  ): void {
    if (!this.online) return
    const { disk } = this
    const path = join(this.path, CHECKPOINT_FILES[checkpoint])
    const content = entries
      .map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`)
      .join('\n')
    if (this.#written.get(checkpoint) === content) return
    try {
      if (entries.length === 0 && !this.#written.has(checkpoint) && disk.stat(path) === null) return
      writeOffsetCheckpoint(disk, path, entries, options)
      this.#written.set(checkpoint, content)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#logger.log('error', 'checkpoint could not be written', { path, error: error.message })
    }
  }

  /** A partition directory was renamed; a power cut would undo it. */
  directoryRenamed(): void {
    this.#renamed = true
  }

  /** Failures are logged: what is found again at the next start is told by its topic's id. */
  syncRenames(): void {
    if (!this.#renamed || !this.online) return
    try {
      this.disk.syncDirectory(this.path)
      this.#renamed = false
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const { path } = this
      this.#logger.log('error', 'a directory could not be flushed', { path, error: error.message })
    }
  }

  /** Throws DiskError. */
  markClean(): void {
    this.disk.replaceFile(join(this.path, CLEAN_SHUTDOWN_FILE), '{"version":0,"brokerEpoch":-1}')
  }

  release(): void {
    this.#lock?.release()
    this.#lock = null
  }
}
