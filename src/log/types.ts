/** The shapes that src/log shows to the rooms above it. */
import type { ProducerEntry } from './producer-entry.ts'
import type { FirstAppend, VerificationGuard } from './verifications.ts'

/** Settings of one topic's logs, resolved (topic override, else broker value). Units are in the names; -1 = no limit. */
export interface LogConfig {
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly segmentJitterMs: number
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly cleanupPolicy: readonly ('delete' | 'compact')[]
  readonly fileDeleteDelayMs: number
  /** Infinity = never by count. */
  readonly flushMessages: number
  /** Infinity = never by time. */
  readonly flushMs: number
  readonly maxMessageBytes: number
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime'
  readonly messageTimestampBeforeMaxMs: number
  readonly messageTimestampAfterMaxMs: number
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly minInsyncReplicas: number
  readonly preallocate: boolean
  /** `compression.{gzip,lz4,zstd}.level`: of what this broker compresses itself. -1 for gzip: the library's own. */
  readonly compressionLevels: { readonly gzip: number; readonly lz4: number; readonly zstd: number }
  /** Whether old Fetch versions get converted records. */
  readonly downconversionEnabled: boolean
  /** Compaction: see src/log/cleaner. Infinity = no limit. */
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly deleteRetentionMs: number
}

export interface AppendOptions {
  readonly leaderEpoch: number
  /** `client`: Produce. `coordinator`: this broker's own coordinators (control batches allowed, no sequence check). */
  readonly origin: 'client' | 'coordinator'
  /**
   * Transactional batches go into a transaction that is open here, or come with the guard that `startVerification` gave; null:
   * they have none. Left out: nothing is asked of them (KIP-890).
   */
  readonly guard?: VerificationGuard | null
}

/** `error` is a Kafka error code (protocol/error-codes.ts). Nothing was appended when it is not NONE. */
export type AppendOutcome =
  | {
      readonly error: 0
      /** -1 for a duplicate of which it is not known any more. */
      readonly firstOffset: number
      /** Of such a duplicate: it lies no higher. */
      readonly lastOffset: number
      /** -1 unless the topic uses LogAppendTime. */
      readonly logAppendTimeMs: number
      /** The batch was there already (same producer, same sequence): its first offsets are given, nothing was written. */
      readonly duplicate: boolean
      /** Records that were not written as they came: their format was older, or the topic has another codec. */
      readonly convertedRecords: number
    }
  | {
      readonly error: number
      readonly message: string
      /** Indexes into the batch's records, for Produce 8 and later. */
      readonly recordErrors?: readonly { readonly batchIndex: number; readonly message: string }[]
    }

export interface ReadOptions {
  readonly maxBytes: number
  /** Batches at or above this offset are not read (high watermark, last stable offset or log end). */
  readonly upperBoundOffset: number
  /** Give the first batch even if it alone is larger than `maxBytes` (KIP-74). */
  readonly minOneBatch: boolean
}

/** Whole batches; the first may begin below the offset asked for. `release` must be called once when the bytes have left. */
export interface LogSlice {
  readonly bytes: Buffer
  /** What comes after the last batch begins here or above; 0 where there is none. */
  readonly endOffset: number
  release(): void
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface TimestampOffset {
  /** -1 when unknown */
  readonly timestampMs: number
  readonly offset: number
  /** -1 when unknown */
  readonly leaderEpoch: number
}

export interface EpochEndOffset {
  /** -1 when undefined */
  readonly leaderEpoch: number
  /** -1 when undefined */
  readonly endOffset: number
}

export interface SegmentMark {
  readonly offset: number
  readonly modifiedMs: number
}

/** One replica's records on this machine's disk. All methods are synchronous unless they say otherwise. */
export interface ReplicaLog {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** Path of the partition directory. */
  readonly directory: string
  /** The `log.dirs` entry it lies in. */
  readonly logDirectory: string
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly sizeBytes: number
  /** -1 when the log has none. */
  readonly latestLeaderEpoch: number
  /**
   * First offset of the oldest transaction that is open, or that ended at or above the high watermark; else the log end. Throws
   * DiskError.
   */
  firstUnstableOffset(highWatermark: number): number
  /** Of all producers with an id that the log knows; -1 when there are none. Throws DiskError. */
  highestProducerId(): number
  /**
   * What a producer's first append to a transaction needs, once the coordinator has confirmed it; null: the transaction is open
   * here already; `fenced`: a producer of a newer epoch has been here (where its epoch is bumped by each). Throws DiskError.
   */
  startVerification(first: FirstAppend): VerificationGuard | 'fenced' | null
  /** All that the log knows. Throws DiskError. */
  producers(): Iterable<Readonly<ProducerEntry>>
  /** Set after a failed write left the log unusable for writing; reads go on. */
  readonly writeFailed: boolean
  /** flush.messages records have been appended since the last flush: an acknowledgement waits for `flush`. */
  readonly flushDue: boolean
  config: LogConfig

  /**
   * Checks and appends the batches of `records` (magic 2), assigning offsets and leader epoch in place. `records` is only
   * borrowed: written to the file, or copied, before the call returns.
   */
  appendAsLeader(records: Buffer, options: AppendOptions): AppendOutcome
  /** Batches as a leader sent them, offsets and epochs kept. Throws on corrupt or non-monotonic data. */
  appendAsFollower(records: Buffer): void
  /** Opens a leader epoch at the log end (leader-epoch-checkpoint). */
  startLeaderEpoch(leaderEpoch: number): void
  /**
   * null when the offset is out of range (below logStartOffset or above logEndOffset). Empty bytes at the upper bound.
   * Throws DiskError when the file cannot be read.
   */
  read(offset: number, options: ReadOptions): LogSlice | null
  abortedTransactions(fromOffset: number, upperBoundOffset: number): AbortedTransaction[]
  /** First record with timestamp >= the given one; null when there is none. */
  offsetForTimestamp(timestampMs: number): TimestampOffset | null
  /** The record with the greatest timestamp (ListOffsets -3); null when empty. */
  offsetOfMaxTimestamp(): TimestampOffset | null
  /**
   * Where each segment begins (within the log) and when it was last written; then, where the last one has bytes, the log's
   * end, written now. At least one, oldest first: ListOffsets 0 goes by them. Throws DiskError.
   */
  segmentMarks(): SegmentMark[]
  endOffsetForEpoch(leaderEpoch: number): EpochEndOffset
  /** The leader epoch that an offset was written under; -1 when unknown. */
  epochForOffset(offset: number): number
  truncateTo(offset: number): void
  truncateFullyAndStartAt(offset: number): void
  /** DeleteRecords and followers: raises the log start. Never above `highWatermark`. */
  raiseLogStart(offset: number, highWatermark: number): void
  /** Deletes (renames, removal later) segments by retention and log start; returns how many. */
  applyRetention(nowMs: number, highWatermark: number): number
  /** Waits until everything appended before the call is on disk. */
  flush(): Promise<void>
}

export interface PartitionId {
  readonly topic: string
  readonly partition: number
}

/** All replicas on this machine, over the `log.dirs`. */
export interface LogManager {
  /** Loads every partition directory found, recovering what a crash left. */
  start(): void
  get(topic: string, partition: number): ReplicaLog | undefined
  all(): Iterable<ReplicaLog>
  /**
   * Existing or new. A new one's directory is made with its first record; at once where there are several `log.dirs`.
   * Throws DiskError: it is not found, is not new (`isNew`, by default true), and a directory that may hold it is offline.
   */
  getOrCreate(
    topic: string,
    partition: number,
    topicId: string,
    config: LogConfig,
    isNew?: boolean,
  ): ReplicaLog
  /**
   * Renames the directory for asynchronous deletion (`-delete`). Throws DiskError where that fails, or where the partition
   * may lie in a directory that is offline.
   */
  remove(topic: string, partition: number): void
  /** The log that is to take the place of the current one, in another directory; undefined when there is no move. */
  future(topic: string, partition: number): ReplicaLog | undefined
  futures(): Iterable<ReplicaLog>
  /** `path`, one of `log.dirs`, is where the partition is to be made when it is made. */
  prefer(topic: string, partition: number, path: string): void
  /** False: the name of its directory would be too long. */
  canMove(topic: string, partition: number): boolean
  /** Makes an empty future log of an existing partition in `path`, one of `log.dirs`. Throws DiskError. */
  createFuture(topic: string, partition: number, path: string): ReplicaLog
  /** Nothing happens where there is none. Throws DiskError. */
  removeFuture(topic: string, partition: number): void
  /**
   * The future log, which must have the same records, becomes the current one: what was flushed before is flushed. The old
   * directory is deleted. Throws DiskError: then the old one stays, and the future one is known no more.
   */
  replaceWithFuture(topic: string, partition: number): ReplicaLog
  /** High watermarks read from replication-offset-checkpoint; 0 where there is none. */
  checkpointedHighWatermark(topic: string, partition: number): number
  logDirectories(): { path: string; online: boolean; totalBytes: number; usableBytes: number }[]
  /** Flushes, writes checkpoints, snapshots and the clean marker, closes. */
  stop(): Promise<void>
}
