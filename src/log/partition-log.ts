/** One replica's records: segments, leader epochs, producers. */
import { assert } from '../base/assert.ts'
import { DiskError } from '../env/disk.ts'
import type { Logger, Random } from '../env/env.ts'
import * as batch from '../protocol/record-batch.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { fault, validateClientBatch, validateOwnBatches, type AppendFault } from './append-validation.ts'
import { FlushQueue } from './flush-queue.ts'
import { followerChunk } from './follower-chunk.ts'
import { leaderChunk } from './leader-chunk.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LoadedLog } from './log-loader.ts'
import { PartitionDirectory } from './partition-directory.ts'
import { endMarkerAt, producedBatchAt, recordProducer } from './produced-batch.ts'
import { replayProducers } from './producer-replay.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { CompletedTransaction, ProducerState, ProducerVerdict } from './producer-state.ts'
import { EMPTY_SLICE } from './read-buffers.ts'
import { segmentsToDelete } from './retention.ts'
import { Segment, type Chunk, type SegmentHost } from './segment.ts'
import { findByTimestamp, findMaxTimestamp } from './timestamp-lookup.ts'
import { abortedBetween } from './transaction-index.ts'
import type {
  AbortedTransaction,
  AppendOptions,
  AppendOutcome,
  EpochEndOffset,
  LogConfig,
  LogSlice,
  ReadOptions,
  ReplicaLog,
  TimestampOffset,
} from './types.ts'
import { lastAtOrBelow } from './search.ts'

/** What the logs of a manager share. */
export interface LogHost extends SegmentHost {
  readonly logger: Logger
  readonly random: Random
  nowMs(): number
  readonly producerIdExpirationMs: number
  /** Deletes files after a while. */
  removeLater(paths: readonly string[], delayMs: number): void
  /** The log start has moved: its checkpoint is out of date. */
  logStartRaised(log: PartitionLog): void
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

export class PartitionLog implements ReplicaLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly logDirectory: string
  config: LogConfig
  readonly #host: LogHost
  readonly #epochs: LeaderEpochs
  readonly #snapshots: ProducerSnapshots
  readonly #producers: ProducerState
  #producersLoaded: boolean
  /** Oldest first; the last one is active. Empty before the first append. */
  #segments: Segment[]
  #logStartOffset: number
  #logEndOffset: number
  readonly #place: PartitionDirectory
  #jitterMs = 0
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
    this.#snapshots = parts.snapshots
    this.#producers = parts.producers
    this.#producersLoaded = parts.loaded.producersLoaded
    this.#segments = parts.loaded.segments
    this.#logStartOffset = parts.loaded.logStartOffset
    this.#logEndOffset = parts.loaded.logEndOffset
    const { topicId, isNew } = parts
    this.#place = new PartitionDirectory(host.disk, parts.directory, { topicId, exists: !isNew })
    this.#flushes = new FlushQueue({
      disk: host.disk,
      directory: parts.directory,
      logDirectory: parts.logDirectory,
      epochs: parts.epochs,
      recoveryPoint: parts.loaded.recoveryPoint,
    })
  }

  get topicId(): string {
    return this.#place.topicId
  }

  get hasDirectory(): boolean {
    return this.#place.exists
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
    return this.#logStartOffset > (this.#segments[0]?.baseOffset ?? 0)
  }

  get firstUnstableOffset(): number {
    const first = this.#loadedProducers().firstOpenTransactionOffset()
    return first < 0 ? this.#logEndOffset : first
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  get segmentCount(): number {
    return this.#segments.length
  }

  get latestLeaderEpoch(): number {
    return this.#epochs.latestEpoch
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
    const valid = isClient ? validateClientBatch(records, config, nowMs) : validateOwnBatches(records)
    if (valid.fault !== null) return valid.fault
    const bytes = valid.records
    if (bytes.length > config.segmentBytes) {
      return fault(
        ErrorCode.RECORD_LIST_TOO_LARGE,
        `Message batch size is ${bytes.length} bytes, which exceeds the maximum configured segment size of ${config.segmentBytes}`,
      )
    }
    const refusal = this.#refusalOf(bytes, isClient)
    if (refusal !== null) return refusal

    const logAppendTimeMs = config.messageTimestampType === 'LogAppendTime' ? nowMs : -1
    const maxTimestampMs = logAppendTimeMs >= 0 ? logAppendTimeMs : valid.maxTimestampMs
    const { leaderEpoch } = options
    const chunk = leaderChunk(bytes, this.#logEndOffset, { leaderEpoch, maxTimestampMs, logAppendTimeMs })
    const failure = this.#writeChunk(chunk, nowMs)
    if (failure !== null) return failure
    this.#epochs.assign(options.leaderEpoch, chunk.firstOffset)
    this.#recordProducers(chunk.bytes)
    const { firstOffset, lastOffset } = chunk
    return { error: ErrorCode.NONE, firstOffset, lastOffset, logAppendTimeMs, duplicate: false }
  }

  /** null: all may be appended. */
  #refusalOf(bytes: Buffer, isClient: boolean): AppendOutcome | null {
    try {
      return this.#checkProducers(bytes, isClient)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#host.logger.log('error', 'producers cannot be read', { path: error.path, error: error.message })
      return fault(ErrorCode.KAFKA_STORAGE_ERROR, `Reading ${this.directory} failed: ${error.message}`)
    }
  }

  /** Changes nothing. Throws DiskError. */
  #checkProducers(bytes: Buffer, isClient: boolean): AppendOutcome | null {
    for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
      if (batch.producerId(bytes, at) < 0) continue
      const verdict = this.#checkProducer(bytes, at, isClient)
      if (verdict.verdict === 'refused') return fault(verdict.error, verdict.message)
      if (verdict.verdict === 'duplicate') {
        const { lastOffset, offsetDelta, timestampMs } = verdict.batch
        return {
          error: ErrorCode.NONE,
          firstOffset: lastOffset - offsetDelta,
          lastOffset,
          logAppendTimeMs: timestampMs,
          duplicate: true,
        }
      }
    }
    return null
  }

  #checkProducer(bytes: Buffer, at: number, isClient: boolean): ProducerVerdict {
    const producers = this.#loadedProducers()
    if (batch.isControl(batch.attributes(bytes, at))) {
      const marker = endMarkerAt(bytes, at)
      return marker === null ? { verdict: 'accepted' } : producers.checkMarker(marker)
    }
    return producers.check(producedBatchAt(bytes, at)!, isClient)
  }

  /** null when it was written. */
  #writeChunk(chunk: Chunk, nowMs: number): AppendFault | null {
    try {
      if (this.#writeFailed) this.#mendAfterFailedWrite()
      this.#activeSegmentFor(chunk, nowMs).append(chunk, this.config.indexIntervalBytes)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return this.#writeHasFailed(error)
    }
    this.#logEndOffset = chunk.lastOffset + 1
    if (this.config.flushMs !== Infinity) this.#host.flushWithin(this, this.config.flushMs)
    return null
  }

  #mendAfterFailedWrite(): void {
    this.#segments.at(-1)?.cutUnfinishedWrite()
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
    const active = this.#segments.at(-1)
    if (active === undefined) return this.#openSegment(chunk.firstOffset, nowMs)
    if (!active.shouldRoll(chunk, this.config, nowMs, this.#jitterMs)) return active
    return this.#roll(chunk.firstOffset, nowMs)
  }

  #openSegment(baseOffset: number, nowMs: number): Segment {
    if (!this.#place.exists) this.#place.make()
    const segment = new Segment(this.#host, this.directory, baseOffset, { createdMs: nowMs, isNew: true })
    const { segmentJitterMs, segmentMs } = this.config
    this.#jitterMs = segmentJitterMs > 0 ? this.#host.random.next() * Math.min(segmentJitterMs, segmentMs) : 0
    this.#segments.push(segment)
    this.#flushes.namesChanged()
    return segment
  }

  /** Throws DiskError; then the old segment stays active. */
  #roll(baseOffset: number, nowMs: number): Segment {
    const old = this.#segments[this.#segments.length - 1]
    if (old.sizeBytes === 0) {
      this.#deleteSegments([old])
      return this.#openSegment(baseOffset, nowMs)
    }
    old.finishIndexes()
    this.#snapshots.write(this.#logEndOffset, this.#loadedProducers())
    old.becomeInactive()
    const flushed = this.#flushes.flushUpTo(this.#logEndOffset, this.#segments)
    flushed.catch((error) =>
      this.#host.logger.log('error', 'flush after roll failed', { error: String(error) }),
    )
    return this.#openSegment(baseOffset, nowMs)
  }

  #recordProducers(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
      if (batch.producerId(bytes, at) < 0) continue
      const completed = recordProducer(this.#loadedProducers(), bytes, at)
      if (completed?.isAborted) this.#recordAbort(completed)
    }
  }

  #recordAbort({ producerId, firstOffset, lastOffset }: CompletedTransaction): void {
    const open = this.#producers.firstOpenTransactionOffset()
    const lastStableOffset = open < 0 ? lastOffset + 1 : open
    const segment = this.#segments[this.#segments.length - 1]
    segment.transactions.append({ producerId, firstOffset, lastOffset, lastStableOffset })
  }

  #loadedProducers(): ProducerState {
    if (!this.#producersLoaded) this.#reloadProducers()
    return this.#producers
  }

  /** Throws DiskError; then they are read again when they are needed next. */
  #reloadProducers(): void {
    this.#producersLoaded = false
    replayProducers({
      segments: this.#segments,
      offset: this.#logEndOffset,
      logStartOffset: this.#logStartOffset,
      snapshots: this.#snapshots,
      producers: this.#producers,
      nowMs: this.#host.nowMs(),
      producerIdExpirationMs: this.#host.producerIdExpirationMs,
    })
    this.#producersLoaded = true
  }

  expireProducers(nowMs: number): void {
    if (this.#producersLoaded) this.#producers.expire(nowMs, this.#host.producerIdExpirationMs)
  }

  appendAsFollower(records: Buffer): void {
    const chunk = followerChunk(records, this.#logEndOffset, this.directory)
    if (chunk === null) return
    // Loaded first: a replay must not see what is recorded below.
    this.#loadedProducers()
    if (this.#segments.length === 0 && chunk.firstOffset > this.#logEndOffset) {
      this.#logEndOffset = chunk.firstOffset
      this.#logStartOffset = chunk.firstOffset
    }
    const failure = this.#writeChunk(chunk, this.#host.nowMs())
    if (failure !== null) throw new DiskError('IO', this.directory, failure.message)
    for (let at = 0; at < records.length; at += batch.batchSize(records, at)) {
      this.#epochs.assign(batch.partitionLeaderEpoch(records, at), batch.baseOffset(records, at))
    }
    this.#recordProducers(records)
  }

  read(offset: number, options: ReadOptions): LogSlice | null {
    if (offset < this.#logStartOffset || offset > this.#logEndOffset) return null
    if (offset >= options.upperBoundOffset || offset === this.#logEndOffset) return EMPTY_SLICE
    const segments = this.#segments
    for (let index = this.#indexOf(offset); index < segments.length; index++) {
      const slice = segments[index].read(offset, options)
      if (slice !== null) return slice
    }
    return EMPTY_SLICE
  }

  /** Index of the segment with the greatest base at or below `offset`; 0 when all lie above. */
  #indexOf(offset: number): number {
    const segments = this.#segments
    return Math.max(
      0,
      lastAtOrBelow(segments.length, offset, (slot) => segments[slot].baseOffset),
    )
  }

  abortedTransactions(fromOffset: number, upperBoundOffset: number): AbortedTransaction[] {
    const segments = this.#segments.slice(this.#indexOf(fromOffset))
    const indexes = segments.map(({ transactions }) => transactions)
    return abortedBetween(indexes, fromOffset, upperBoundOffset)
  }

  offsetForTimestamp(timestampMs: number): TimestampOffset | null {
    return findByTimestamp(this.#segments, timestampMs, this.#logStartOffset)
  }

  offsetOfMaxTimestamp(): TimestampOffset | null {
    return findMaxTimestamp(this.#segments, this.#logStartOffset)
  }

  endOffsetForEpoch(leaderEpoch: number): EpochEndOffset {
    return this.#epochs.endOffsetFor(leaderEpoch, this.#logEndOffset)
  }

  epochForOffset(offset: number): number {
    return this.#epochs.epochFor(offset)
  }

  truncateTo(offset: number): void {
    if (offset >= this.#logEndOffset) return
    if (offset <= (this.#segments[0]?.baseOffset ?? 0)) return this.truncateFullyAndStartAt(offset)
    const kept = this.#indexOf(offset - 1) + 1
    this.#deleteSegments(this.#segments.slice(kept))
    const active = this.#segments[kept - 1]
    active.becomeActive()
    active.truncateTo(offset, this.#host.nowMs())
    this.#logEndOffset = active.findNextOffset()
    this.#logStartOffset = Math.min(this.#logStartOffset, this.#logEndOffset)
    this.#flushes.truncatedTo(this.#logEndOffset)
    this.#epochs.truncateFromEnd(this.#logEndOffset)
    this.#snapshots.removeAbove(this.#logEndOffset)
    this.#reloadProducers()
  }

  truncateFullyAndStartAt(offset: number): void {
    this.#deleteSegments(this.#segments.slice())
    this.#snapshots.removeAll()
    this.#producers.clear()
    this.#producersLoaded = true
    this.#epochs.clear()
    this.#logStartOffset = offset
    this.#logEndOffset = offset
    this.#flushes.truncatedTo(offset)
    // The file's name is what remembers the offset.
    this.#openSegment(offset, this.#host.nowMs()).file()
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
    const doomed = segmentsToDelete(this.#segments, {
      config,
      nowMs,
      highWatermark,
      logStartOffset: this.#logStartOffset,
      logEndOffset: this.#logEndOffset,
    })
    if (doomed.length === 0) return 0
    if (doomed.length === this.#segments.length) this.#roll(this.#logEndOffset, nowMs).file()
    this.#deleteSegments(doomed)
    for (const { baseOffset } of doomed) this.#snapshots.remove(baseOffset)
    this.raiseLogStart(this.#segments[0].baseOffset, highWatermark)
    return doomed.length
  }

  #deleteSegments(doomed: readonly Segment[]): void {
    if (doomed.length === 0) return
    this.#segments = this.#segments.filter((segment) => !doomed.includes(segment))
    const paths = doomed.flatMap((segment) => segment.markDeleted())
    this.#host.removeLater(paths, this.config.fileDeleteDelayMs)
  }

  flush(): Promise<void> {
    assert(!this.#closed, 'a closed log is not flushed')
    if (!this.#place.exists) return Promise.resolve()
    return this.#flushes.flush(() => ({ endOffset: this.#logEndOffset, segments: this.#segments }))
  }

  /** Writes leader epochs that are only in memory. */
  persistEpochs(): void {
    if (this.#place.exists) this.#epochs.persist({ durable: false })
  }

  /** Completes and syncs every file, so that the next load needs no scan. Throws DiskError. */
  async close(): Promise<void> {
    this.#closed = true
    if (!this.#place.exists) return
    for (const segment of this.#segments) segment.finishIndexes()
    const hasProducers = this.#snapshots.count > 0 || this.#producers.size > 0
    if (this.#producersLoaded && hasProducers && this.#snapshots.newestOffset < this.#logEndOffset) {
      this.#snapshots.write(this.#logEndOffset, this.#producers)
    }
    this.persistEpochs()
    await this.#flushes.flushLast(this.#logEndOffset, this.#segments)
    for (const segment of this.#segments) segment.close()
  }

  /** Closes files and writes nothing: the directory is going away. */
  abandon(): void {
    for (const segment of this.#segments) segment.abandon()
    this.#closed = true
  }
}
