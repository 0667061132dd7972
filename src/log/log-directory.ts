/** One entry of `log.dirs`: its lock, its owner, its checkpoints, its clean marker. */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint, type PartitionOffset } from './checkpoint-file.ts'
import {
  CLEAN_SHUTDOWN_FILE,
  HIGH_WATERMARK_FILE,
  join,
  LOG_START_FILE,
  RECOVERY_POINT_FILE,
} from './file-names.ts'
import { toLogDirError } from './log-dir-error.ts'
import { lockLogDirectory } from './log-dir-locks.ts'
import { claimMetaProperties } from './meta-properties.ts'
import { listPartitions, type PartitionDirectory } from './partition-directories.ts'

export const CHECKPOINT_FILES = {
  recoveryPoint: RECOVERY_POINT_FILE,
  logStartOffset: LOG_START_FILE,
  highWatermark: HIGH_WATERMARK_FILE,
} as const
export type Checkpoint = keyof typeof CHECKPOINT_FILES

export interface LogDirectoryOptions {
  readonly disk: Disk
  readonly logger: Logger
  readonly path: string
  readonly brokerId: number
  readonly clusterId: string
  /** Sub-directories that belong to other parts of this broker. */
  readonly otherDirectories: readonly string[]
  /** The caller made it and holds its lock (log-dir-locks.ts). */
  readonly alreadyLocked: boolean
}

export class LogDirectory {
  readonly path: string
  readonly #options: LogDirectoryOptions
  #lock: { release(): void } | null = null
  /** The last stop was clean. */
  wasClean = false
  online = true
  #renamed = false
  /** Last written content, to leave alone what has not changed. */
  readonly #written = new Map<Checkpoint, string>()

  constructor(options: LogDirectoryOptions) {
    this.#options = options
    this.path = options.path
  }

  /** Makes, locks and claims it; gives its partition directories. Throws LogDirError. */
  open(): PartitionDirectory[] {
    const { disk, path } = this.#options
    try {
      if (!this.#options.alreadyLocked) this.#lock = lockLogDirectory(disk, path)
      claimMetaProperties(disk, path, this.#options)
      const partitions = listPartitions(disk, path, this.#options.otherDirectories)
      const marker = join(path, CLEAN_SHUTDOWN_FILE)
      this.wasClean = disk.stat(marker) !== null
      if (this.wasClean) disk.remove(marker)
      return partitions
    } catch (error) {
      this.release()
      throw toLogDirError(error, path)
    }
  }

  readCheckpoint(checkpoint: Checkpoint): Map<string, number> {
    const { disk, logger } = this.#options
    const path = join(this.path, CHECKPOINT_FILES[checkpoint])
    const { offsets, valid } = readOffsetCheckpoint(disk, path)
    if (!valid) logger.log('warn', 'checkpoint file is broken, going on without it', { path })
    return offsets
  }

  /** Failures are logged: the older file stays, and is right enough. */
  writeCheckpoint(checkpoint: Checkpoint, entries: readonly PartitionOffset[]): void {
    const { disk, logger } = this.#options
    const path = join(this.path, CHECKPOINT_FILES[checkpoint])
    const content = entries
      .map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`)
      .join('\n')
    if (this.#written.get(checkpoint) === content) return
    if (entries.length === 0 && !this.#written.has(checkpoint) && disk.stat(path) === null) return
    try {
      // Of these three only a lost log start would bring anything back that had gone.
      writeOffsetCheckpoint(disk, path, entries, { durable: checkpoint === 'logStartOffset' })
      this.#written.set(checkpoint, content)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      logger.log('error', 'checkpoint could not be written', { path, error: error.message })
    }
  }

  /** A partition directory was renamed; a power cut would undo it. */
  directoryRenamed(): void {
    this.#renamed = true
  }

  /** Failures are logged: what is found again at the next start is told by its topic's id. */
  syncRenames(): void {
    if (!this.#renamed) return
    const { disk, logger } = this.#options
    try {
      disk.syncDirectory(this.path)
      this.#renamed = false
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const { path } = this
      logger.log('error', 'a directory could not be flushed', { path, error: error.message })
    }
  }

  /** Throws DiskError. */
  markClean(): void {
    this.#options.disk.replaceFile(join(this.path, CLEAN_SHUTDOWN_FILE), '{"version":0,"brokerEpoch":-1}')
  }

  release(): void {
    this.#lock?.release()
    this.#lock = null
  }
}
