/**
 * One partition that this broker hosts: its role, its in-sync set, its high watermark, and who waits on it. One whose log
 * directory has failed is offline: it answers KAFKA_STORAGE_ERROR until the broker starts anew.
 */
import { assert } from '../base/assert.ts'
import { OfflineLog } from '../log/offline-log.ts'
import type { AbortedTransaction, AppendOptions, AppendOutcome, LogSlice, ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'

/** What the controller says of a partition (LeaderAndIsr). */
export interface PartitionState {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** -1: none */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly replicas: readonly number[]
  readonly partitionEpoch: number
  readonly isNew: boolean
}

export interface ReadRequest {
  readonly fetchOffset: number
  /** -1: not given */
  readonly currentLeaderEpoch: number
  /** -1: not given (KIP-595) */
  readonly lastFetchedEpoch: number
  readonly maxBytes: number
  readonly minOneBatch: boolean
  readonly readCommitted: boolean
  /** Not -1 only for followers (>= 0) and debugging consumers (-2). */
  readonly replicaId: number
}

export interface ReadResult {
  readonly error: number
  /** -1 on errors, as in Fetch replies. */
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly slice: LogSlice | null
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number } | null
}

/** Someone to tell of growth: a Fetch that waits for bytes, a Produce that waits for the high watermark. */
export interface PartitionWaiter {
  /** Readable bytes were added. */
  grew(bytes: number): void
  /** The partition changed in a way that may end the waiting: leadership, deletion, truncation. */
  changed(): void
}

/** What a Fetch of a partition is answered with an error. */
export const readError = (error: number): ReadResult => ({
  error,
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  slice: null,
  abortedTransactions: null,
  divergingEpoch: null,
})

export class Partition {
  readonly topic: string
  readonly index: number
  readonly topicId: string
  isr: readonly number[] = []
  replicas: readonly number[] = []
  leader = -1
  leaderEpoch = -1
  partitionEpoch = -1
  highWatermark: number
  private current: ReplicaLog
  private readonly brokerId: number
  private readonly waiters = new Set<PartitionWaiter>()

  constructor(brokerId: number, log: ReplicaLog, checkpointedHighWatermark: number) {
    this.brokerId = brokerId
    this.topic = log.topic
    this.index = log.partition
    this.topicId = log.topicId
    this.current = log
    this.highWatermark = Math.min(Math.max(checkpointedHighWatermark, log.logStartOffset), log.logEndOffset)
  }

  get log(): ReplicaLog {
    return this.current
  }

  get isOffline(): boolean {
    return this.current instanceof OfflineLog
  }

  /** A move to another directory is complete: the same records lie there. Whoever waits looks again. */
  replaceLog(log: ReplicaLog): void {
    this.current = log
    this.wakeChanged()
  }

  /** The log directory has failed. Whoever waits is answered. */
  goOffline(): void {
    this.current = new OfflineLog(this.current, this.current.config)
    this.leader = -1
    this.wakeChanged()
  }

  get isLeader(): boolean {
    return this.leader === this.brokerId
  }

  /** min(high watermark, first offset of the oldest open transaction): what READ_COMMITTED may see. */
  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.log.firstUnstableOffset)
  }

  /** Takes what the controller decided. False when it is older than what is known, or the partition is offline. */
  apply(state: PartitionState): boolean {
    if (this.isOffline) return false
    if (state.leaderEpoch < this.leaderEpoch) return false
    const opensEpoch = state.leader === this.brokerId && state.leaderEpoch > this.leaderEpoch
    this.leader = state.leader
    this.leaderEpoch = state.leaderEpoch
    this.partitionEpoch = state.partitionEpoch
    this.isr = state.isr
    this.replicas = state.replicas
    if (opensEpoch) this.log.startLeaderEpoch(state.leaderEpoch)
    if (this.isLeader) this.advanceHighWatermark()
    this.wakeChanged()
    return true
  }

  /** Checks leadership and the in-sync set, appends, moves the high watermark. For acks=all callers wait for it. */
  append(records: Buffer, origin: AppendOptions['origin'], requiredAcks: number): AppendOutcome {
    if (this.isOffline) return this.log.appendAsLeader(records, { leaderEpoch: -1, origin })
    if (!this.isLeader)
      return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, message: 'this broker does not lead the partition' }
    const { minInsyncReplicas } = this.log.config
    if (requiredAcks === -1 && this.isr.length < minInsyncReplicas) {
      const message = `the in-sync set has ${this.isr.length} of the ${minInsyncReplicas} replicas that min.insync.replicas asks for`
      return { error: ErrorCode.NOT_ENOUGH_REPLICAS, message }
    }
    const outcome = this.log.appendAsLeader(records, { leaderEpoch: this.leaderEpoch, origin })
    if (outcome.error === ErrorCode.NONE) this.advanceHighWatermark(records.length)
    return outcome
  }

  /** Whole batches from `fetchOffset`, or the error that a Fetch of this partition gets. Throws DiskError. */
  read(request: ReadRequest): ReadResult {
    const refused = this.refusal(request)
    if (refused !== ErrorCode.NONE) return readError(refused)
    const { highWatermark, log } = this
    const { lastStableOffset } = this
    const { logStartOffset } = log
    const known = { error: ErrorCode.NONE, highWatermark, lastStableOffset, logStartOffset }
    const { fetchOffset } = request
    if (request.lastFetchedEpoch >= 0) {
      const end = log.endOffsetForEpoch(request.lastFetchedEpoch)
      if (end.leaderEpoch < 0 || end.endOffset < 0) return readError(ErrorCode.OFFSET_OUT_OF_RANGE)
      if (end.leaderEpoch < request.lastFetchedEpoch || end.endOffset < fetchOffset) {
        const divergingEpoch = { epoch: end.leaderEpoch, endOffset: end.endOffset }
        return { ...known, slice: null, abortedTransactions: null, divergingEpoch }
      }
    }
    if (fetchOffset < logStartOffset || fetchOffset > log.logEndOffset)
      return readError(ErrorCode.OFFSET_OUT_OF_RANGE)
    let upperBoundOffset = request.readCommitted ? lastStableOffset : highWatermark
    if (request.replicaId !== -1) upperBoundOffset = log.logEndOffset
    const slice =
      fetchOffset >= upperBoundOffset
        ? null
        : log.read(fetchOffset, {
            maxBytes: request.maxBytes,
            upperBoundOffset,
            minOneBatch: request.minOneBatch,
          })
    const abortedTransactions = request.readCommitted
      ? log.abortedTransactions(fetchOffset, upperBoundOffset)
      : null
    return { ...known, slice, abortedTransactions, divergingEpoch: null }
  }

  /** The error for a request that names `currentLeaderEpoch` (KIP-320; -1: none), NONE when this leader may answer it. */
  checkLeaderEpoch(currentLeaderEpoch: number): number {
    if (this.isOffline) return ErrorCode.KAFKA_STORAGE_ERROR
    if (currentLeaderEpoch !== -1 && currentLeaderEpoch < this.leaderEpoch)
      return ErrorCode.FENCED_LEADER_EPOCH
    if (currentLeaderEpoch > this.leaderEpoch) return ErrorCode.UNKNOWN_LEADER_EPOCH
    return this.isLeader ? ErrorCode.NONE : ErrorCode.NOT_LEADER_OR_FOLLOWER
  }

  /** Raises the log start (DeleteRecords, KIP-107). Gives the new low watermark or an error. */
  deleteRecordsBefore(offset: number): { error: number; lowWatermark: number } {
    if (this.isOffline) return { error: ErrorCode.KAFKA_STORAGE_ERROR, lowWatermark: -1 }
    if (!this.isLeader) return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, lowWatermark: -1 }
    const wanted = offset === -1 ? this.highWatermark : offset
    if (wanted < 0 || wanted > this.highWatermark)
      return { error: ErrorCode.OFFSET_OUT_OF_RANGE, lowWatermark: -1 }
    this.log.raiseLogStart(wanted, this.highWatermark)
    return { error: ErrorCode.NONE, lowWatermark: this.log.logStartOffset }
  }

  addWaiter(waiter: PartitionWaiter): void {
    this.waiters.add(waiter)
  }

  removeWaiter(waiter: PartitionWaiter): void {
    this.waiters.delete(waiter)
  }

  /** The replica leaves this broker: nobody leads here any more. */
  close(): void {
    this.leader = -1
    this.wakeChanged()
  }

  private refusal(request: ReadRequest): number {
    const refused = this.checkLeaderEpoch(request.currentLeaderEpoch)
    if (refused !== ErrorCode.NONE) return refused
    if (request.replicaId >= 0 && !this.replicas.includes(request.replicaId)) {
      return request.currentLeaderEpoch >= 0
        ? ErrorCode.UNKNOWN_LEADER_EPOCH
        : ErrorCode.NOT_LEADER_OR_FOLLOWER
    }
    return ErrorCode.NONE
  }

  /** While this broker is the whole in-sync set, what is in its log is committed. */
  private advanceHighWatermark(appendedBytes = 0): void {
    assert(this.isLeader, 'only a leader moves the high watermark')
    if (this.isr.length !== 1 || this.isr[0] !== this.brokerId) return
    if (this.log.logEndOffset === this.highWatermark) return
    this.highWatermark = this.log.logEndOffset
    for (const waiter of this.waiters) waiter.grew(appendedBytes)
  }

  private wakeChanged(): void {
    for (const waiter of [...this.waiters]) waiter.changed()
  }
}
