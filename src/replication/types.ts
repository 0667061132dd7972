/** The shapes that src/replication shows to the rooms above it, and to the fetchers of its followers. */
import type { AbortedTransaction, LogSlice, PartitionId, ReplicaLog } from '../log/types.ts'
import type { LeaderAddress } from './leader-channel.ts'

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

export interface LeaderAndIsr {
  readonly controllerId: number
  readonly controllerEpoch: number
  readonly states: readonly PartitionState[]
}

/** `error`: a Kafka error code, NONE where it was done. */
export interface PartitionAnswer extends PartitionId {
  readonly error: number
}

/** StopReplica of a topic that is deleted: no epoch is checked. */
export const EPOCH_DURING_DELETE = -2
/** StopReplica of a version that names no leader epoch: none is checked. */
export const NO_LEADER_EPOCH = -1

export interface ReplicaToStop extends PartitionId {
  /** EPOCH_DURING_DELETE, NO_LEADER_EPOCH, or an epoch that must not be older than the one known. */
  readonly leaderEpoch: number
  readonly deleteLog: boolean
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
  /** A follower may be read from, too (KIP-392: consumers that ask so). */
  readonly fromAnyReplica: boolean
  /** Of a follower: where its log starts. */
  readonly followerLogStartOffset: number
  /** Of a follower: the czxid of its registration (KIP-903); -1: not given */
  readonly followerBrokerEpoch: number
  /** A follower's position is noted, and what follows from it is done: not when a fetch that has waited reads again. */
  readonly notesPosition: boolean
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
  /** A consumer had better read from this replica (KIP-392); then nothing was read. */
  readonly preferredReadReplica?: number
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

/** Of what is not there Kafka says that it has no aborted transactions; of other errors, that it does not know. */
export const notThere = (error: number): ReadResult => ({ ...readError(error), abortedTransactions: [] })

/**
 * How far a reader sees: consumers what is committed, those of READ_COMMITTED up to where all transactions are settled, followers
 * and debuggers all that is there.
 */
export type ReadBound = 'high-watermark' | 'last-stable' | 'log-end'

/** Someone to tell of growth: a Fetch that waits for bytes. */
export interface PartitionWaiter {
  /** Readable bytes were added. */
  grew(bytes: number): void
  /** The partition changed in a way that may end the waiting: leadership, deletion, truncation, transactions that ended. */
  changed(): void
}

/**
 * A partition that this broker follows, as a fetcher sees it. What a fetcher does with it is for the leader epoch with which
 * it was told to follow: once `leaderEpoch` is another, or `isFollower` false, an answer that was under way is void. The three
 * methods must not be called then (they assert).
 */
export interface FollowedPartition {
  readonly topic: string
  readonly index: number
  readonly topicId: string
  readonly isFollower: boolean
  readonly leader: number
  readonly leaderEpoch: number
  /** Another object after a move between log directories: ask each time. */
  readonly log: ReplicaLog
  readonly highWatermark: number
  /**
   * Appends what the leader sent (nothing, where it only has news of itself), then takes over its high watermark, as far as
   * the own log goes, and its log start. Whoever waits for it is told. Throws DiskError, on corrupt bytes too.
   */
  appendFetched(
    records: Buffer | null,
    leader: { readonly highWatermark: number; readonly logStartOffset: number },
  ): void
  /** Cuts the log, and the high watermark with it. Throws DiskError. */
  truncateTo(offset: number): void
  /** Drops everything and goes on at `offset`. Throws DiskError. */
  truncateFullyAndStartAt(offset: number): void
}

/** What keeps this broker's followers up with their leaders. */
export interface FollowerFetchers {
  /** Fetches from `leader` from now on, in the partition's present leader epoch; in place of what it did before. */
  follow(partition: FollowedPartition, leader: LeaderAddress): void
  /** Nothing happens where it is not followed. */
  unfollow(partition: FollowedPartition): void
  /** For good: connections are closed, nothing is appended any more. */
  stop(): void
}
