/**
 * One partition that this broker hosts: its role, its in-sync set, its high watermark, and who waits on it. One whose log
 * directory has failed is offline: it answers KAFKA_STORAGE_ERROR until the broker starts anew.
 */
import { assert } from '../base/assert.ts'
import { OfflineLog } from '../log/offline-log.ts'
import type { AppendOptions, AppendOutcome, ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import {
  type FollowedPartition,
  type PartitionState,
  type PartitionWaiter,
  readError,
  type ReadRequest,
  type ReadResult,
} from './types.ts'

export class Partition implements FollowedPartition {
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

  /** Somebody else leads, and the log works. */
  get isFollower(): boolean {
    return this.leader >= 0 && this.leader !== this.brokerId
  }

  /** min(high watermark, first offset of the oldest open transaction): what READ_COMMITTED may see. */
  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.log.firstUnstableOffset)
  }

  /** Leads from now on, or goes on leading. False, and nothing has changed: the state is older than what is known. */
  makeLeader(state: PartitionState): boolean {
    if (!this.take(state)) return false
    this.isr = state.isr
    this.log.startLeaderEpoch(state.leaderEpoch)
    this.advanceHighWatermark()
    this.wakeChanged()
    return true
  }

  /** Follows `state.leader` from now on (-1: nobody). False, and nothing has changed: the state is older than what is known. */
  makeFollower(state: PartitionState): boolean {
    if (!this.take(state)) return false
    this.isr = []
    this.wakeChanged()
    return true
  }

  private take(state: PartitionState): boolean {
    if (state.partitionEpoch < this.partitionEpoch) return false
    this.leader = state.leader
    this.leaderEpoch = state.leaderEpoch
    this.partitionEpoch = state.partitionEpoch
    this.replicas = state.replicas
    return true
  }

  /** Nobody leads here, and nothing is followed, until the controller says so again. */
  stop(): void {
    this.leader = -1
    this.isr = []
    this.wakeChanged()
  }

  appendFetched(
    records: Buffer | null,
    leader: { readonly highWatermark: number; readonly logStartOffset: number },
  ): void {
    assert(this.isFollower, 'only a follower takes what a leader sends')
    const { log } = this
    if (records !== null && records.length > 0) log.appendAsFollower(records)
    const highWatermark = Math.min(leader.highWatermark, log.logEndOffset)
    const grew = highWatermark > this.highWatermark
    this.highWatermark = Math.max(highWatermark, log.logStartOffset)
    log.raiseLogStart(leader.logStartOffset, this.highWatermark)
    if (!grew) return
    for (const waiter of this.waiters) waiter.grew(records?.length ?? 0)
  }

  truncateTo(offset: number): void {
    assert(this.isFollower, 'only a follower cuts its log')
    this.log.truncateTo(offset)
    this.boundHighWatermark()
  }

  truncateFullyAndStartAt(offset: number): void {
    assert(this.isFollower, 'only a follower cuts its log')
    this.log.truncateFullyAndStartAt(offset)
    this.boundHighWatermark()
  }

  private boundHighWatermark(): void {
    const { logStartOffset, logEndOffset } = this.log
    this.highWatermark = Math.min(Math.max(this.highWatermark, logStartOffset), logEndOffset)
    this.wakeChanged()
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
