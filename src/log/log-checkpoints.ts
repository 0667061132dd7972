/** The checkpoint files of all directories: what is written when, of which logs. */
import { DiskError } from '../env/disk.ts'
import type { Logger, Timers } from '../env/env.ts'
import type { PartitionOffset } from './checkpoint-file.ts'
import type { Checkpoint, LogDirectory } from './log-directory.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ReplicaLogs } from './replica-logs.ts'

export interface LogCheckpointsParts {
  readonly directories: readonly LogDirectory[]
  readonly logs: ReplicaLogs
  readonly timers: Timers
  readonly logger: Logger
  highWatermarkOf(topic: string, partition: number): number
}

export class LogCheckpoints {
  readonly #parts: LogCheckpointsParts
  #logStartsWaiting = false

  constructor(parts: LogCheckpointsParts) {
    this.#parts = parts
  }

  /** Of one kind, in every directory. */
  write(checkpoint: Checkpoint): void {
    if (checkpoint === 'logStartOffset') this.#logStartsWaiting = false
    if (checkpoint === 'recoveryPoint') for (const log of this.#parts.logs.all()) this.#persistEpochs(log)
    for (const directory of this.#parts.directories) this.writeIn(directory, checkpoint)
  }

  /** Of the three only a lost log start would bring anything back that had gone. */
  writeIn(
    directory: LogDirectory,
    checkpoint: Checkpoint,
    options = { durable: checkpoint === 'logStartOffset' },
  ): void {
    directory.writeCheckpoint(checkpoint, this.#entries(checkpoint, directory.path), options)
  }

  /** A log start has moved, or a directory was renamed: written once for all that happens in this turn. */
  writeLogStartsSoon(): void {
    if (this.#logStartsWaiting) return
    this.#logStartsWaiting = true
    this.#parts.timers.soon(() => {
      if (this.#logStartsWaiting) this.write('logStartOffset')
      for (const directory of this.#parts.directories) directory.syncRenames()
    })
  }

  #persistEpochs(log: PartitionLog): void {
    try {
      log.persistEpochs()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const fields = { path: log.directory, error: error.message }
      this.#parts.logger.log('error', 'leader epochs could not be written', fields)
    }
  }

  #entries(checkpoint: Checkpoint, directory: string): PartitionOffset[] {
    const entries: PartitionOffset[] = []
    for (const log of this.#parts.logs.in(directory)) {
      if (!log.hasDirectory) continue
      const { topic, partition } = log
      if (checkpoint === 'recoveryPoint') entries.push({ topic, partition, offset: log.recoveryPoint })
      else if (checkpoint === 'highWatermark') {
        const offset = this.#parts.highWatermarkOf(topic, partition)
        entries.push({ topic, partition, offset: Math.min(offset, log.logEndOffset) })
      } else if (log.needsLogStartCheckpoint) {
        entries.push({ topic, partition, offset: log.logStartOffset })
      }
    }
    return entries
  }
}
