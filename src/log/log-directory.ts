/** One entry of `log.dirs`: its lock, its owner, its checkpoints, its clean marker. */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint, type PartitionOffset } from './checkpoint-file.ts'
import {
  CLEAN_SHUTDOWN_FILE,
  HIGH_WATERMARK_FILE,
  join,
  LOCK_FILE,
  LOG_START_FILE,
  parsePartitionDirectory,
  RECOVERY_POINT_FILE,
  type PartitionName,
} from './file-names.ts'
import { LogDirError } from './log-dir-error.ts'
import { claimMetaProperties } from './meta-properties.ts'

export const CHECKPOINT_FILES = {
  recoveryPoint: RECOVERY_POINT_FILE,
  logStartOffset: LOG_START_FILE,
  highWatermark: HIGH_WATERMARK_FILE,
} as const
export type Checkpoint = keyof typeof CHECKPOINT_FILES

/** Directories of Kafka's own that hold no partition of ours. */
const KNOWN_DIRECTORIES = new Set(['remote-log-index-cache', '__cluster_metadata-0', 'lost+found'])

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
  /** Last written content, to leave alone what has not changed. */
  readonly #written = new Map<Checkpoint, string>()

  constructor(options: LogDirectoryOptions) {
    this.#options = options
    this.path = options.path
  }

  /** Makes, locks and claims it; gives its partition directories. Throws LogDirError. */
  open(): { name: string; partition: PartitionName }[] {
    const { disk, path } = this.#options
    try {
      if (!this.#options.alreadyLocked) {
        disk.makeDirectory(path)
        this.#lock = disk.lock(join(path, LOCK_FILE))
      }
      claimMetaProperties(disk, path, this.#options)
      const partitions = this.#partitionDirectories()
      const marker = join(path, CLEAN_SHUTDOWN_FILE)
      this.wasClean = disk.stat(marker) !== null
      if (this.wasClean) disk.remove(marker)
      return partitions
    } catch (error) {
      this.release()
      throw toLogDirError(error, path)
    }
  }

  #partitionDirectories(): { name: string; partition: PartitionName }[] {
    const { disk, path, otherDirectories } = this.#options
    const found: { name: string; partition: PartitionName }[] = []
    for (const name of disk.list(path)) {
      if (name.startsWith('.') || KNOWN_DIRECTORIES.has(name) || otherDirectories.includes(name)) continue
      const partition = parsePartitionDirectory(name)
      if (partition !== null && partition.topic !== '') found.push({ name, partition })
      else if (disk.stat(join(path, name))?.isDirectory) {
        throw new LogDirError(
          'FOREIGN_DIRECTORY',
          path,
          `${join(path, name)} is no partition directory (topic-partition): ${path} seems to hold something else's data`,
        )
      }
    }
    return found
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

  /** Throws DiskError. */
  markClean(): void {
    this.#options.disk.replaceFile(join(this.path, CLEAN_SHUTDOWN_FILE), '{"version":0,"brokerEpoch":-1}')
  }

  release(): void {
    this.#lock?.release()
    this.#lock = null
  }
}

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
