/** What a log is made of, and what it has of the manager of all. */
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LoadedLog } from './log-loader.ts'
import type { ProducerHost } from './log-producers.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
import type { SegmentListHost } from './segment-list.ts'
import type { LogConfig } from './types.ts'

/** What the logs of a manager share. */
export interface LogHost extends SegmentListHost, ProducerHost {
  /** The log ends earlier than it did. */
  logTruncated(log: PartitionLog): void
  /** The log start has moved: its checkpoint is out of date. */
  logStartRaised(log: PartitionLog): void
  /** A checkpoint that still names the old one would have a crash's traces overlooked. Failures are logged. */
  recoveryPointLowered(log: PartitionLog): void
  /** A log with a finite flush.ms has bytes that are not flushed. */
  flushWithin(log: PartitionLog, delayMs: number): void
}

export interface LogParts {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly logDirectory: string
  readonly config: LogConfig
  readonly epochs: LeaderEpochs
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerState
  readonly loaded: LoadedLog
  /** null: still to be read from partition.metadata */
  readonly topicId: string | null
  /** The directory does not exist yet: it is made with the first record. */
  readonly isNew: boolean
}
