/** Stands for the log of a replica whose directory has failed: nothing can be known of it, and nothing done with it. */
import { DiskError } from '../env/disk.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type {
  AppendOutcome,
  EpochEndOffset,
  LogConfig,
  LogSlice,
  ReplicaLog,
  TimestampOffset,
} from './types.ts'

export class OfflineLog implements ReplicaLog {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly logDirectory = ''
  readonly logStartOffset = 0
  readonly logEndOffset = 0
  readonly sizeBytes = 0
  readonly latestLeaderEpoch = -1
  readonly writeFailed = true
  readonly flushDue = false
  config: LogConfig

  constructor(id: { topic: string; partition: number; topicId: string }, config: LogConfig) {
    this.topic = id.topic
    this.partition = id.partition
    this.topicId = id.topicId
    this.directory = `${id.topic}-${id.partition}`
    this.config = config
  }

  #offline(): DiskError {
    return new DiskError('IO', this.directory, `the log directory of ${this.directory} is offline`)
  }

  firstUnstableOffset(): number {
    return 0
  }

  highestProducerId(): number {
    throw this.#offline()
  }

  startVerification(): never {
    throw this.#offline()
  }

  producers(): never {
    throw this.#offline()
  }

  appendAsLeader(): AppendOutcome {
    return { error: ErrorCode.KAFKA_STORAGE_ERROR, message: this.#offline().message }
  }

  appendAsFollower(): void {
    throw this.#offline()
  }

  startLeaderEpoch(): void {
    throw this.#offline()
  }

  read(): LogSlice | null {
    throw this.#offline()
  }

  abortedTransactions(): never {
    throw this.#offline()
  }

  offsetForTimestamp(): TimestampOffset | null {
    throw this.#offline()
  }

  offsetOfMaxTimestamp(): TimestampOffset | null {
    throw this.#offline()
  }

  segmentMarks(): never {
    throw this.#offline()
  }

  endOffsetForEpoch(): EpochEndOffset {
    throw this.#offline()
  }

  epochForOffset(): number {
    throw this.#offline()
  }

  truncateTo(): void {
    throw this.#offline()
  }

  truncateFullyAndStartAt(): void {
    throw this.#offline()
  }

  raiseLogStart(): void {
    throw this.#offline()
  }

  applyRetention(): number {
    return 0
  }

  async flush(): Promise<void> {
    throw this.#offline()
  }
}
