/** One replica's records: segments, leader epochs, producers. */
import { assert } from '../base/assert.ts'
import { DiskError, type Disk } from '../env/disk.ts'
import * as batch from '../protocol/record-batch.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { fault, validateClientBatch, validateOwnBatches, type AppendFault } from './append-validation.ts'
import { FlushQueue } from './flush-queue.ts'
import { followerChunk } from './follower-chunk.ts'
import { leaderChunk } from './leader-chunk.ts'
import type { CleanableLog, LastRecord } from './cleaner/cleanable-log.ts'
import { epochStartsOf } from './epoch-scan.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LogHost, LogParts } from './log-parts.ts'
import { LogProducers } from './log-producers.ts'
import { PartitionDirectory } from './partition-directory.ts'
import type { ProducerEntry } from './producer-entry.ts'
import { EMPTY_SLICE } from './read-buffers.ts'
import { segmentsToDelete } from './retention.ts'
import type { Chunk, Segment } from './segment.ts'
import { swapSegments } from './segment-swap.ts'
import type { AbortedTransactionEntry } from './transaction-index.ts'
import { SegmentList } from './segment-list.ts'
import type {
  AbortedTransaction,
  AppendOptions,
  AppendOutcome,
  EpochEndOffset,
  LogConfig,
  LogSlice,
  ReadOptions,
  ReplicaLog,
  SegmentMark,
  TimestampOffset,
} from './types.ts'
import type { FirstAppend, VerificationGuard } from './verifications.ts'

export class PartitionLog implements ReplicaLog, CleanableLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly logDirectory: string
  config: LogConfig
  readonly #host: LogHost
  readonly #epochs: LeaderEpochs
  readonly #producers: LogProducers
  readonly #segments: SegmentList
  #logStartOffset: number
  #logEndOffset: number
  readonly #place: PartitionDirectory
  #writeFailed = false
  readonly #flushes: FlushQueue
  #closed = false

  constructor(host: LogHost, parts: LogParts) {
    this.#host = host
    this.topic = parts.topic
    this.partition = parts.partition
    this.directory = parts.directory
    this.logDirectory = parts.logDirectory
    this.config = parts.config
    this.#epochs = parts.epochs
    this.#segments = new SegmentList(host, parts.directory, parts.loaded.segments)
    this.#logStartOffset = parts.loaded.logStartOffset
    this.#logEndOffset = parts.loaded.logEndOffset
    this.#producers = new LogProducers({
      host,
      directory: parts.directory,
      snapshots: parts.snapshots,
      producers: parts.producers,
      isLoaded: parts.loaded.producersLoaded,
      extent: () => ({
        segments: this.#segments.all,
        logStartOffset: this.#logStartOffset,
        logEndOffset: this.#logEndOffset,
      }),
    })
    const { topicId, isNew } = parts
    this.#place = new PartitionDirectory(host.disk, parts.directory, { topicId, exists: !isNew })
    this.#flushes = new FlushQueue({
      disk: host.disk,
      directory: parts.directory,
      logDirectory: parts.logDirectory,
      epochs: parts.epochs,
      snapshots: parts.snapshots,
      recoveryPoint: parts.loaded.recoveryPoint,
      namesAreDurable: parts.loaded.wasClean,
    })
    this.#epochs.rebuild = () => epochStartsOf(this.#segments.all)
    this.#segments.rebuildTransactions = (segment) => this.#producers.rebuildTransactions(segment)
  }

  get topicId(): string {
    return this.#place.topicId
  }

  get hasDirectory(): boolean {
    return this.#place.exists
  }

  /** Before its first record. Throws DiskError. */
  makeDirectory(): void {
    if (!this.#place.exists) this.#place.make()
  }

  belongsTo(topicId: string): boolean {
    return this.#place.belongsTo(topicId)
  }

  adoptTopicId(topicId: string): void {
    this.#place.adopt(topicId)
  }

  get logStartOffset(): number {
    return this.#logStartOffset
  }

  get logEndOffset(): number {
    return this.#logEndOffset
  }

  get recoveryPoint(): number {
    return this.#flushes.recoveryPoint
  }

  /** Whether the log start lies inside the first segment, so that only the checkpoint knows it. */
  get needsLogStartCheckpoint(): boolean {
    return this.#logStartOffset > this.#segments.firstBaseOffset
  }

  firstUnstableOffset(highWatermark: number): number {
    const first = this.#producers.state().firstUnstableOffset(highWatermark)
    return first < 0 ? this.#logEndOffset : Math.max(first, this.#logStartOffset)
  }

  get sizeBytes(): number {
    return this.#segments.sizeBytes
  }

  get segmentCount(): number {
    return this.#segments.count
  }

  get latestLeaderEpoch(): number {
    return this.#epochs.latestEpoch
  }

  highestProducerId(): number {
    return this.#producers.state().highestId
  }

  startVerification(first: FirstAppend): VerificationGuard | 'fenced' | null {
    return this.#producers.startVerification(first)
  }

  producers(): Iterable<ProducerEntry> {
    return this.#producers.entries()
  }

  get writeFailed(): boolean {
    return this.#writeFailed
  }

  get flushDue(): boolean {
    return this.#logEndOffset - this.#flushes.recoveryPoint >= this.config.flushMessages
  }

  startLeaderEpoch(leaderEpoch: number): void {
    this.#epochs.assign(leaderEpoch, this.#logEndOffset)
  }

  appendAsLeader(records: Buffer, options: AppendOptions): AppendOutcome {
    const { config } = this
    const nowMs = this.#host.nowMs()
    const isClient = options.origin === 'client'
    const valid = isClient ? validateClientBatch(records, config, nowMs) : validateOwnBatches(records, config)
    if (valid.fault !== null) return valid.fault
    const bytes = valid.records
    if (bytes.length > config.segmentBytes) {
      return fault(
        ErrorCode.RECORD_LIST_TOO_LARGE,
        `Message batch size is ${bytes.length} bytes, which exceeds the maximum configured segment size of ${config.segmentBytes}`,
      )
    }
    const refusal = this.#producers.refusalOf(bytes, { checksSequence: isClient, guard: options.guard })
    if (refusal !== null) return refusal

    const logAppendTimeMs = config.messageTimestampType === 'LogAppendTime' ? nowMs : -1
    const maxTimestampMs = logAppendTimeMs >= 0 ? logAppendTimeMs : valid.maxTimestampMs
    const { leaderEpoch } = options
    const chunk = leaderChunk(bytes, this.#logEndOffset, { leaderEpoch, maxTimestampMs, logAppendTimeMs })
    const failure = this.#writeChunk(chunk, nowMs)
    if (failure !== null) return failure
    this.#epochs.assign(options.leaderEpoch, chunk.firstOffset)
    this.#producers.record(chunk.bytes, this.#segments.active!)
    const { firstOffset, lastOffset } = chunk
    const { convertedRecords } = valid
    return {
      error: ErrorCode.NONE,
      firstOffset,
      lastOffset,
      logAppendTimeMs,
      duplicate: false,
      convertedRecords,
    }
  }

  /** null when it was written. */
  #writeChunk(chunk: Chunk, nowMs: number): AppendFault | null {
    try {
      if (this.#writeFailed) this.#mendAfterFailedWrite()
      const segment = this.#activeSegmentFor(chunk, nowMs)
      // Its file is made now, however long ago the segment was opened.
      if (segment.sizeBytes === 0) this.#flushes.namesChanged()
      segment.append(chunk, this.config.indexIntervalBytes)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return this.#writeHasFailed(error)
    }
    this.#logEndOffset = chunk.lastOffset + 1
    if (this.config.flushMs !== Infinity) this.#host.flushWithin(this, this.config.flushMs)
    return null
  }

  #mendAfterFailedWrite(): void {
    this.#segments.active?.cutUnfinishedWrite()
    this.#writeFailed = false
  }

  #writeHasFailed(error: DiskError): AppendFault {
    this.#host.logger.log('error', 'append failed', { path: error.path, error: error.message })
    this.#writeFailed = true
    try {
      this.#mendAfterFailedWrite()
    } catch (mendError) {
      if (!(mendError instanceof DiskError)) throw mendError
    }
    return fault(ErrorCode.KAFKA_STORAGE_ERROR, `Append to ${this.directory} failed: ${error.message}`)
  }

  #activeSegmentFor(chunk: Chunk, nowMs: number): Segment {
    const { active } = this.#segments
    if (active === undefined) return this.#openSegment(chunk.firstOffset, nowMs)
    if (!this.#segments.shouldRoll(chunk, this.config, nowMs)) return active
    return this.#roll(chunk.firstOffset, nowMs)
  }

  #openSegment(baseOffset: number, nowMs: number): Segment {
    if (!this.#place.exists) this.#place.make()
    const segment = this.#segments.open(baseOffset, this.config, nowMs)
    this.#flushes.namesChanged()
    return segment
  }

  /** Throws DiskError; then the old segment stays active. */
  #roll(baseOffset: number, nowMs: number): Segment {
    const old = this.#segments.active!
    if (old.sizeBytes === 0) {
      this.#deleteSegments([old])
      return this.#openSegment(baseOffset, nowMs)
    }
    old.finishIndexes()
    this.#producers.takeSnapshot(this.#logEndOffset)
    old.becomeInactive()
    const flushed = this.#flushes.flushUpTo(this.#logEndOffset, this.#segments.all)
    flushed.catch((error) =>
      this.#host.logger.log('error', 'flush after roll failed', { error: String(error) }),
    )
    return this.#openSegment(baseOffset, nowMs)
  }

  expireProducers(nowMs: number): void {
    this.#producers.expire(nowMs)
  }

  appendAsFollower(records: Buffer): void {
    const chunk = followerChunk(records, this.#logEndOffset, this.directory)
    if (chunk === null) return
    // Loaded first: a replay must not see what is recorded below.
    this.#producers.state()
    if (this.#segments.count === 0 && chunk.firstOffset > this.#logEndOffset) {
      this.#logEndOffset = chunk.firstOffset
      this.#logStartOffset = chunk.firstOffset
    }
    const failure = this.#writeChunk(chunk, this.#host.nowMs())
    if (failure !== null) throw new DiskError('IO', this.directory, failure.message)
    for (let at = 0; at < records.length; at += batch.batchSize(records, at)) {
      this.#epochs.assign(batch.partitionLeaderEpoch(records, at), batch.baseOffset(records, at))
    }
    this.#producers.record(records, this.#segments.active!)
  }

  read(offset: number, options: ReadOptions): LogSlice | null {
    if (offset < this.#logStartOffset || offset > this.#logEndOffset) return null
    if (offset >= options.upperBoundOffset || offset === this.#logEndOffset) return EMPTY_SLICE
    return this.#segments.read(offset, options)
  }

  abortedTransactions(fromOffset: number, upperBoundOffset: number): AbortedTransaction[] {
    const aborted = this.#segments.abortedTransactions(fromOffset, upperBoundOffset)
    return aborted.map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
  }

  segmentMarks(): SegmentMark[] {
    const marks = this.#segments.all.map((segment) => ({
      offset: Math.max(segment.baseOffset, this.#logStartOffset),
      modifiedMs: segment.modifiedMs(),
    }))
    const isEmpty = marks.length > 0 && this.#segments.active!.sizeBytes === 0
    if (!isEmpty) marks.push({ offset: this.#logEndOffset, modifiedMs: this.#host.nowMs() })
    return marks
  }

  offsetForTimestamp(timestampMs: number): TimestampOffset | null {
    return this.#segments.offsetForTimestamp(timestampMs, this.#logStartOffset)
  }

  offsetOfMaxTimestamp(): TimestampOffset | null {
    return this.#segments.offsetOfMaxTimestamp(this.#logStartOffset)
  }

  endOffsetForEpoch(leaderEpoch: number): EpochEndOffset {
    return this.#epochs.endOffsetFor(leaderEpoch, this.#logEndOffset)
  }

  epochForOffset(offset: number): number {
    return this.#epochs.epochFor(offset)
  }

  truncateTo(offset: number): void {
    if (offset >= this.#logEndOffset) {
      // An epoch that began at the end has left no records: it may be one that no other replica knows (KIP-101).
      if (offset === this.#logEndOffset) this.#epochs.truncateFromEnd(offset)
      return
    }
    if (offset <= this.#segments.firstBaseOffset) return this.truncateFullyAndStartAt(offset)
    this.#lowerRecoveryPoint(offset)
    this.#flushes.namesChanged()
    const { fileDeleteDelayMs } = this.config
    this.#logEndOffset = this.#segments.truncateTo(offset, this.#host.nowMs(), fileDeleteDelayMs)
    this.#logStartOffset = Math.min(this.#logStartOffset, this.#logEndOffset)
    this.#flushes.truncatedTo(this.#logEndOffset)
    this.#epochs.truncateFromEnd(this.#logEndOffset)
    this.#host.logTruncated(this)
    this.#producers.truncatedTo(this.#logEndOffset)
  }

  /** What is appended from `offset` on has not been flushed, whatever was there before. Throws DiskError. */
  #lowerRecoveryPoint(offset: number): void {
    const wasAbove = this.recoveryPoint > offset
    this.#flushes.truncatedTo(offset)
    if (wasAbove) this.#host.recoveryPointLowered(this)
  }

  truncateFullyAndStartAt(offset: number): void {
    this.#lowerRecoveryPoint(offset)
    this.#deleteSegments(this.#segments.all)
    this.#producers.clear()
    this.#epochs.clear()
    this.#logStartOffset = offset
    this.#logEndOffset = offset
    // The file's name is what remembers the offset.
    this.#openSegment(offset, this.#host.nowMs()).file()
    this.#flushes.syncNames()
    this.#host.logTruncated(this)
    this.#host.logStartRaised(this)
  }

  raiseLogStart(offset: number, highWatermark: number): void {
    const target = Math.min(offset, highWatermark, this.#logEndOffset)
    if (target <= this.#logStartOffset) return
    this.#logStartOffset = target
    this.#epochs.truncateFromStart(target)
    this.#host.logStartRaised(this)
  }

  applyRetention(nowMs: number, highWatermark: number): number {
    const { config } = this
    const doomed = segmentsToDelete(this.#segments.all, {
      config,
      nowMs,
      highWatermark,
      logStartOffset: this.#logStartOffset,
      logEndOffset: this.#logEndOffset,
    })
    if (doomed.length === 0) return 0
    if (doomed.length === this.#segments.count) this.#roll(this.#logEndOffset, nowMs).file()
    this.#deleteSegments(doomed)
    for (const { baseOffset } of doomed) this.#producers.removeSnapshot(baseOffset)
    this.raiseLogStart(this.#segments.firstBaseOffset, highWatermark)
    return doomed.length
  }

  #deleteSegments(doomed: readonly Segment[]): void {
    // What was cut off must not come back behind what is appended in its place.
    this.#flushes.namesChanged()
    this.#segments.delete(doomed, this.config.fileDeleteDelayMs)
  }

  get disk(): Disk {
    return this.#host.disk
  }

  get segments(): readonly Segment[] {
    return this.#segments.all
  }

  get cuts(): number {
    return this.#segments.cuts
  }

  abortedBetween(fromOffset: number, upperBoundOffset: number): AbortedTransactionEntry[] {
    return this.#segments.abortedTransactions(fromOffset, upperBoundOffset)
  }

  lastRecordsOfProducers(): ReadonlyMap<number, LastRecord> {
    return this.#producers.lastRecords()
  }

  replaceSegments(old: readonly Segment[]): void {
    const bases = old.map(({ baseOffset }) => baseOffset)
    const removed = swapSegments(this.#host.disk, this.directory, bases)
    this.#segments.replace(old, this.#host.nowMs())
    this.#host.removeLater(removed, this.config.fileDeleteDelayMs)
    for (const baseOffset of bases.slice(1)) this.#producers.removeSnapshot(baseOffset)
  }

  flush(): Promise<void> {
    assert(!this.#closed, 'a closed log is not flushed')
    if (!this.#place.exists) return Promise.resolve()
    return this.#flushes.flush(() => ({ endOffset: this.#logEndOffset, segments: this.#segments.all }))
  }

  /** Writes leader epochs that are only in memory, and the topic's id where there was no room for it. Throws DiskError. */
  persistEpochs(): void {
    if (!this.#place.exists) return
    this.#place.complete()
    if (this.#epochs.persist({ durable: false })) this.#flushes.namesChanged()
  }

  /** Completes and syncs every file, so that the next load needs no scan. Throws DiskError. */
  async close(): Promise<void> {
    this.#closed = true
    if (!this.#place.exists) return
    try {
      for (const segment of this.#segments.all) segment.finishIndexes()
      if (this.#producers.takeLastSnapshot(this.#logEndOffset)) this.#flushes.namesChanged()
      this.persistEpochs()
    } finally {
      // On a full disk there is no room for these, but the records are there, and are not lost with the machine's power.
      await this.#flushes.flushLast(this.#logEndOffset, this.#segments.all)
    }
    for (const segment of this.#segments.all) segment.close()
  }

  /**
   * Completes every file and makes it durable, blocking, and closes the log: it is to be opened under another name, and to
   * have all that `source` has besides the records, which are the same. Throws DiskError.
   */
  sealAsCopyOf(source: PartitionLog): void {
    this.#epochs.assign(source.latestLeaderEpoch, this.#logEndOffset)
    for (const segment of this.#segments.all) segment.finishIndexes()
    this.#producers.takeSnapshotOf(source.#producers, this.#logEndOffset)
    this.#epochs.persist({ durable: true })
    for (const segment of this.#segments.all) segment.syncNow()
    this.#host.disk.syncDirectory(this.directory)
    this.abandon()
  }

  /** Closes files and writes nothing: the directory is going away. */
  abandon(): void {
    this.#flushes.abandon()
    this.#segments.cuts++
    for (const segment of this.#segments.all) segment.abandon()
    this.#closed = true
  }
}
