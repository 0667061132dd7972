/**
 * One partition that this broker hosts: its role, its in-sync set, its high watermark, and who waits on it. One whose log
 * directory has failed is offline: it answers KAFKA_STORAGE_ERROR until the broker starts anew.
 */
import { assert } from '../base/assert.ts'
import { OfflineLog } from '../log/offline-log.ts'
import type { AppendOptions, AppendOutcome, ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { type Ack, Acks } from './acks.ts'
import type { FollowerState } from './follower-state.ts'
import type { PendingIsr } from './in-sync-set.ts'
import type { IsrChanges, IsrOutcome } from './isr-changes.ts'
import type { LeadershipLease } from './leadership-lease.ts'
import { Leadership, type LeadershipHost } from './leadership.ts'
import { found, positionFault, readLog } from './partition-read.ts'
import { StableWaiters } from './stable-waiters.ts'
import {
  type FollowedPartition,
  type PartitionState,
  type PartitionWaiter,
  type ReadBound,
  readError,
  type ReadRequest,
  type ReadResult,
} from './types.ts'
import { UncommittedBytes } from './uncommitted-bytes.ts'

/** What the partitions of a broker share. */
export interface PartitionHost extends LeadershipHost {
  readonly isrChanges: Pick<IsrChanges, 'submit'>
  readonly lease: Pick<LeadershipLease, 'holds' | 'followersWithinMs'>
  /** Whether followers that wait for records are told of the high watermark at once: consumers may read from them. */
  tellsHighWatermark(): boolean
}

/** After these the controller's next word is awaited: what it knows of the partition is not what is known here. */
const AWAITS_CONTROLLER: readonly number[] = [
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.INVALID_UPDATE_VERSION,
  ErrorCode.INVALID_REQUEST,
]
/** It was not done, and will not be: the set is what it was. */
const NOT_DONE: readonly number[] = [ErrorCode.INELIGIBLE_REPLICA, ErrorCode.OPERATION_NOT_ATTEMPTED]

const NOT_LEADING: AppendOutcome = {
  error: ErrorCode.NOT_LEADER_OR_FOLLOWER,
  message: 'this broker does not lead the partition',
}

export class Partition implements FollowedPartition {
  readonly topic: string
  readonly index: number
  replicas: readonly number[] = []
  leader = -1
  leaderEpoch = -1
  partitionEpoch = -1
  highWatermark: number
  readonly #host: PartitionHost
  #log: ReplicaLog
  /** null while this broker does not lead. */
  #leadership: Leadership | null = null
  #awaitsController = false
  readonly #acks = new Acks()
  readonly #uncommitted = new UncommittedBytes()
  readonly #waiters = { 'high-watermark': new Set<PartitionWaiter>(), 'log-end': new Set<PartitionWaiter>() }
  readonly #stableWaiters = new StableWaiters()
  /** They wait for followers to raise their log starts, too. */
  readonly #lowWatermarkWaiters = new Set<() => void>()

  constructor(host: PartitionHost, log: ReplicaLog, checkpointedHighWatermark: number) {
    this.#host = host
    this.topic = log.topic
    this.index = log.partition
    this.#log = log
    this.highWatermark = Math.min(Math.max(checkpointedHighWatermark, log.logStartOffset), log.logEndOffset)
  }

  get log(): ReplicaLog {
    return this.#log
  }

  get topicId(): string {
    return this.#log.topicId
  }

  get isOffline(): boolean {
    return this.#log instanceof OfflineLog
  }

  get isLeader(): boolean {
    return this.#leadership !== null
  }

  /** Leads, and cannot have been replaced unseen: what it says as a leader holds. */
  get leadsSurely(): boolean {
    const leadership = this.#leadership
    return leadership !== null && this.#mayLead(leadership) && this.#mayAppend(leadership)
  }

  /** Somebody else leads. */
  get isFollower(): boolean {
    return this.leader >= 0 && this.#leadership === null
  }

  /** What it was is over with this broker's session: the next word of the controller counts, of the same leader epoch too. */
  get awaitsController(): boolean {
    return this.#awaitsController
  }

  /** As the controller has confirmed it; a follower does not know it. */
  get isr(): readonly number[] {
    return this.#leadership?.isr ?? []
  }

  /** What this leader knows of its followers. */
  get followers(): readonly FollowerState[] {
    return this.#leadership?.followers ?? []
  }

  /** Up to the high watermark, and to the oldest transaction that is not settled below it: what READ_COMMITTED may see. */
  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.log.firstUnstableOffset(this.highWatermark))
  }

  /**
   * Whether the high watermark may still be behind what was committed before this broker led: the end is not told to clients
   * then (KIP-207).
   */
  get isCatchingUpAfterElection(): boolean {
    return this.#leadership !== null && this.#leadership.epochStartOffset > this.highWatermark
  }

  // Roles

  /** Leads from now on, or goes on leading. False, and nothing has changed: the state is older than what is known. */
  makeLeader(state: PartitionState): boolean {
    if (!this.#take(state)) return false
    const { log } = this
    const before = this.#leadership
    this.#leadership = new Leadership(this.#host, state, log.logEndOffset, before)
    log.startLeaderEpoch(state.leaderEpoch)
    if (before === null) this.#uncommitted.clear()
    this.#advanceHighWatermark()
    this.#wakeChanged()
    return true
  }

  /** Follows `state.leader` from now on (-1: nobody). False, and nothing has changed: the state is older than what is known. */
  makeFollower(state: PartitionState): boolean {
    if (!this.#take(state)) return false
    this.#resign(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    return true
  }

  #take(state: PartitionState): boolean {
    if (state.partitionEpoch < this.partitionEpoch) return false
    this.leader = state.leader
    this.leaderEpoch = state.leaderEpoch
    this.partitionEpoch = state.partitionEpoch
    this.replicas = state.replicas
    this.#awaitsController = false
    return true
  }

  /** Nobody leads here, and nothing is followed, until the controller says so again. */
  stop(): void {
    this.leader = -1
    this.#resign(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  }

  /** This broker's session has ended: the controller elects another leader, and says so when this broker has registered anew. */
  sessionExpired(): void {
    if (this.#leadership === null) return
    this.stop()
    this.#awaitsController = true
  }

  /** A move to another directory is complete: the same records lie there. Whoever waits looks again. */
  replaceLog(log: ReplicaLog): void {
    this.#log = log
    this.#wakeChanged()
  }

  /** The log directory has failed. Whoever waits is answered. */
  goOffline(): void {
    this.#log = new OfflineLog(this.#log, this.#log.config)
    this.leader = -1
    this.#resign(ErrorCode.KAFKA_STORAGE_ERROR)
  }

  #resign(error: number): void {
    this.#leadership = null
    this.#uncommitted.clear()
    this.#acks.answerAll(error)
    this.#wakeChanged()
  }

  // Leading

  /** Checks leadership and the in-sync set, appends, moves the high watermark. For acks=all callers wait for it. */
  append(
    records: Buffer,
    origin: AppendOptions['origin'],
    requiredAcks: number,
    guard?: AppendOptions['guard'],
  ): AppendOutcome {
    if (this.isOffline) return this.log.appendAsLeader(records, { leaderEpoch: -1, origin })
    const leadership = this.#leadership
    if (leadership === null || !this.leadsSurely) return NOT_LEADING
    const { log } = this
    const { minInsyncReplicas } = log.config
    if (requiredAcks === -1 && leadership.missingMembers(minInsyncReplicas) > 0) {
      const least = leadership.minIsr(minInsyncReplicas)
      const message = `the in-sync set has ${this.isr.length} of the ${least} replicas that min.insync.replicas asks for`
      return { error: ErrorCode.NOT_ENOUGH_REPLICAS, message }
    }
    const { logEndOffset } = log
    const outcome = log.appendAsLeader(records, { leaderEpoch: this.leaderEpoch, origin, guard })
    // A batch that was there already adds nothing.
    if (log.logEndOffset > logEndOffset) this.#appended(leadership, records.length)
    const isGap = outcome.error === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    return isGap && !leadership.provesGap() ? NOT_LEADING : outcome
  }

  /**
   * The error for a client that asks a leader of its log, NONE where it is answered. `knownEpoch`: that of a record which it
   * has read; who knows of a later leader than this is told so, not that the epoch does not exist.
   */
  refusalToClient(knownEpoch = -1): number {
    const leadership = this.#leadership
    if (leadership === null || leadership.followers.length === 0) return ErrorCode.NONE
    if (!this.#mayLead(leadership)) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return knownEpoch > this.leaderEpoch ? ErrorCode.UNKNOWN_LEADER_EPOCH : ErrorCode.NONE
  }

  /** Without followers there is nobody else. */
  #mayLead(leadership: Leadership): boolean {
    return leadership.followers.length === 0 || this.#host.lease.holds
  }

  #mayAppend(leadership: Leadership): boolean {
    if (leadership.followers.length === 0) return true
    const withinMs = this.#host.lease.followersWithinMs
    return withinMs === null || leadership.isFollowedByAll(withinMs)
  }

  #appended(leadership: Leadership, bytes: number): void {
    if (leadership.followers.length > 0) {
      this.#uncommitted.appended(this.log.logEndOffset, bytes)
      this.#advanceHighWatermark()
    } else if (this.log.logEndOffset > this.highWatermark)
      this.#moveHighWatermark(this.log.logEndOffset, bytes)
    for (const waiter of this.#waiters['log-end']) waiter.grew(bytes)
  }

  #advanceHighWatermark(): void {
    const leadership = this.#leadership!
    const { logEndOffset, config } = this.log
    const next = leadership.highWatermark(this.highWatermark, logEndOffset, config.minInsyncReplicas)
    if (next > this.highWatermark) this.#moveHighWatermark(next, this.#uncommitted.committed(next))
  }

  #moveHighWatermark(to: number, bytes: number): void {
    this.highWatermark = to
    if (this.#acks.size > 0) this.#answerAcks()
    for (const waiter of this.#waiters['high-watermark']) waiter.grew(bytes)
    if (this.#stableWaiters.size > 0) this.#stableWaiters.moved(this, bytes)
    if (this.#waiters['log-end'].size > 0 && this.#host.tellsHighWatermark()) this.#wakeFollowers()
  }

  #answerAcks(): void {
    const enough = this.#leadership?.hasEnoughMembers(this.log.config.minInsyncReplicas) ?? true
    this.#acks.reached(
      this.highWatermark,
      enough ? ErrorCode.NONE : ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    )
  }

  /** A fetch says how far a follower is. */
  #noteFollower(follower: FollowerState, request: ReadRequest): void {
    const leadership = this.#leadership!
    const { logEndOffset, logStartOffset } = follower
    const nowMs = this.#host.clock.monotonicMs()
    follower.brokerEpoch = request.followerBrokerEpoch
    follower.fetched(request.fetchOffset, request.followerLogStartOffset, this.log.logEndOffset, nowMs)
    this.#propose(leadership.expand(follower, this.highWatermark))
    if (follower.logEndOffset !== logEndOffset) this.#advanceHighWatermark()
    if (follower.logStartOffset > logStartOffset) this.#wakeLowWatermarkWaiters()
  }

  /** Brokers have come or gone: one that is gone is not waited for. */
  brokersChanged(): void {
    if (this.#leadership !== null) this.#advanceHighWatermark()
  }

  /**
   * Leaves out of the in-sync set who has not been caught up for replica.lag.time.max.ms; nor is it waited for any more where it
   * was about to come in.
   */
  shrinkIsr(): void {
    if (this.#leadership === null) return
    this.#propose(this.#leadership.shrink(this.log.logEndOffset))
    this.#advanceHighWatermark()
  }

  #propose(pending: PendingIsr | null): void {
    const leadership = this.#leadership
    if (pending === null || leadership === null) return
    const { topic, topicId, index: partition, leaderEpoch, partitionEpoch } = this
    const { isr, newcomerEpoch } = pending
    const proposal = { topic, topicId, partition, leaderEpoch, partitionEpoch, isr, newcomerEpoch }
    this.#host.isrChanges.submit(proposal, (outcome) => {
      // Leadership has changed meanwhile: what the controller says then is in its LeaderAndIsr.
      if (this.#leadership === leadership && leadership.isPending(pending))
        this.#isrAnswered(leadership, pending, outcome)
    })
  }

  #isrAnswered(leadership: Leadership, pending: PendingIsr, outcome: IsrOutcome): void {
    if (!('isr' in outcome)) {
      const { error } = outcome
      if (NOT_DONE.includes(error)) {
        leadership.revert()
        this.#advanceHighWatermark()
      } else if (!AWAITS_CONTROLLER.includes(error)) this.#propose(pending)
      return
    }
    if (outcome.leaderEpoch !== this.leaderEpoch || outcome.partitionEpoch < this.partitionEpoch) return
    leadership.commit(outcome.isr)
    this.partitionEpoch = outcome.partitionEpoch
    this.#advanceHighWatermark()
  }

  // Reading

  /** Whole batches from `fetchOffset`, or the error that a Fetch of this partition gets. Throws DiskError. */
  read(request: ReadRequest): ReadResult {
    const refused = this.checkLeaderEpoch(request.currentLeaderEpoch, request.fromAnyReplica)
    if (refused !== ErrorCode.NONE) return readError(refused)
    const isConsumer = request.replicaId === -1
    if (isConsumer && this.#leadership !== null && !this.#mayLead(this.#leadership))
      return readError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    const follower = request.replicaId >= 0 ? this.#leadership?.follower(request.replicaId) : undefined
    if (request.replicaId >= 0 && follower === undefined) {
      const unknown = request.currentLeaderEpoch >= 0
      return readError(unknown ? ErrorCode.UNKNOWN_LEADER_EPOCH : ErrorCode.NOT_LEADER_OR_FOLLOWER)
    }
    const fault = positionFault(this.log, this, request)
    if (fault !== null)
      return isConsumer && this.#isOutrun(request) ? readError(ErrorCode.NOT_LEADER_OR_FOLLOWER) : fault
    if (follower !== undefined && request.notesPosition) this.#noteFollower(follower, request)
    return readLog(this.log, this, request)
  }

  /**
   * A consumer has been farther than this replica has, which is no reason for it to begin anew: a follower may lag, and a leader be
   * out of date.
   */
  #isOutrun({ fetchOffset }: ReadRequest): boolean {
    if (fetchOffset <= this.log.logEndOffset) return false
    return this.#leadership === null || !this.#leadership.provesItsEnd(fetchOffset)
  }

  /** What is told without reading. */
  marks(): ReadResult {
    return found(this.log, this)
  }

  /**
   * The error for a request that names `currentLeaderEpoch` (KIP-320; -1: none), NONE when this broker may answer it: as leader,
   * or (`fromAnyReplica`) as whatever it is.
   */
  checkLeaderEpoch(currentLeaderEpoch: number, fromAnyReplica = false): number {
    if (this.isOffline) return ErrorCode.KAFKA_STORAGE_ERROR
    if (currentLeaderEpoch !== -1 && currentLeaderEpoch < this.leaderEpoch)
      return ErrorCode.FENCED_LEADER_EPOCH
    if (currentLeaderEpoch > this.leaderEpoch) return ErrorCode.UNKNOWN_LEADER_EPOCH
    const mayAnswer = this.isLeader || (fromAnyReplica && !this.#awaitsController)
    return mayAnswer ? ErrorCode.NONE : ErrorCode.NOT_LEADER_OR_FOLLOWER
  }

  /**
   * Raises the log start (DeleteRecords, KIP-107). Gives an error, or the offset that was meant and the low watermark, which
   * may be behind: followers raise their log starts when they hear of it.
   */
  deleteRecordsBefore(offset: number): { error: number; lowWatermark: number; wantedOffset: number } {
    const refused = (error: number) => ({ error, lowWatermark: -1, wantedOffset: -1 })
    if (this.isOffline) return refused(ErrorCode.KAFKA_STORAGE_ERROR)
    if (this.#leadership === null) return refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    const wantedOffset = offset === -1 ? this.highWatermark : offset
    if (wantedOffset < 0 || wantedOffset > this.highWatermark) return refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    const before = this.log.logStartOffset
    this.log.raiseLogStart(wantedOffset, this.highWatermark)
    if (this.log.logStartOffset > before) this.#wakeFollowers()
    return { error: ErrorCode.NONE, lowWatermark: this.lowWatermark, wantedOffset }
  }

  /** Of this leader and its live followers the lowest log start; -1: not known. */
  get lowWatermark(): number {
    return this.#leadership?.lowWatermark(this.log.logStartOffset) ?? -1
  }

  // Following

  appendFetched(
    records: Buffer | null,
    leader: { readonly highWatermark: number; readonly logStartOffset: number },
  ): void {
    assert(this.isFollower, 'only a follower takes what a leader sends')
    const { log } = this
    if (records !== null && records.length > 0) {
      log.appendAsFollower(records)
      this.#uncommitted.appended(log.logEndOffset, records.length)
    }
    // What was committed stays so, also where a new leader does not know it yet.
    const highWatermark = Math.min(leader.highWatermark, log.logEndOffset)
    if (highWatermark > this.highWatermark)
      this.#moveHighWatermark(highWatermark, this.#uncommitted.committed(highWatermark))
    log.raiseLogStart(leader.logStartOffset, this.highWatermark)
    this.highWatermark = Math.max(this.highWatermark, log.logStartOffset)
  }

  truncateTo(offset: number): void {
    assert(this.isFollower, 'only a follower cuts its log')
    this.log.truncateTo(offset)
    this.#cut()
  }

  truncateFullyAndStartAt(offset: number): void {
    assert(this.isFollower, 'only a follower cuts its log')
    this.log.truncateFullyAndStartAt(offset)
    this.#cut()
  }

  #cut(): void {
    const { logStartOffset, logEndOffset } = this.log
    this.highWatermark = Math.min(Math.max(this.highWatermark, logStartOffset), logEndOffset)
    this.#uncommitted.clear()
    this.#wakeChanged()
  }

  // Waiting

  addWaiter(waiter: PartitionWaiter, bound: ReadBound): void {
    if (bound === 'last-stable') this.#stableWaiters.add(waiter, this)
    else this.#waiters[bound].add(waiter)
  }

  removeWaiter(waiter: PartitionWaiter, bound: ReadBound): void {
    if (bound === 'last-stable') this.#stableWaiters.delete(waiter)
    else this.#waiters[bound].delete(waiter)
  }

  /**
   * Runs `done` when all below `offset` is committed, with NONE or NOT_ENOUGH_REPLICAS_AFTER_APPEND; or with the error that ends
   * this broker's leadership. Only for what this leader has appended, or found in its log, and not before it was asked.
   */
  whenCommitted(offset: number, done: (error: number) => void): Ack {
    const ack = this.#acks.add(offset, done)
    if (this.highWatermark >= offset) this.#answerAcks()
    return ack
  }

  /** Runs `listener` when the low watermark may have risen, or this broker does not lead any more. */
  addLowWatermarkWaiter(listener: () => void): () => void {
    this.#lowWatermarkWaiters.add(listener)
    return () => void this.#lowWatermarkWaiters.delete(listener)
  }

  #wakeLowWatermarkWaiters(): void {
    for (const listener of [...this.#lowWatermarkWaiters]) listener()
  }

  /** They are told at once what they would hear with the next records. */
  #wakeFollowers(): void {
    for (const waiter of [...this.#waiters['log-end']]) waiter.changed()
  }

  #wakeChanged(): void {
    for (const waiter of [...this.#waiters['high-watermark']]) waiter.changed()
    this.#stableWaiters.changed()
    this.#wakeFollowers()
    this.#wakeLowWatermarkWaiters()
  }
}
