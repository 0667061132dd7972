/** A partition on a log that only counts, whose world is in the test's hands. */
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import type { IsrOutcome, IsrProposal } from '../../src/replication/isr-changes.ts'
import { Partition, type PartitionHost } from '../../src/replication/partition.ts'
import type { PartitionState, ReadRequest } from '../../src/replication/types.ts'

/** A log that counts: every append is one record of `records.length` bytes. */
export class CountingLog {
  readonly topic = 't'
  readonly partition = 0
  readonly topicId = 'AAAAAAAAAAAAAAAAAAAAAA'
  logStartOffset = 0
  logEndOffset = 0
  unstableFrom = Infinity
  epochs: number[] = []
  config = { minInsyncReplicas: 1 } as LogConfig
  epochEnd = { leaderEpoch: -1, endOffset: -1 }
  appendAsLeader(records: Buffer) {
    const firstOffset = this.logEndOffset
    this.logEndOffset += 1
    return {
      error: 0 as const,
      firstOffset,
      lastOffset: firstOffset,
      logAppendTimeMs: -1,
      duplicate: false,
      size: records.length,
    }
  }
  firstUnstableOffset(): number {
    return this.unstableFrom
  }
  startLeaderEpoch(epoch: number): void {
    this.epochs.push(epoch)
  }
  appendAsFollower(): void {
    this.logEndOffset += 1
  }
  truncateTo(offset: number): void {
    this.logEndOffset = Math.min(this.logEndOffset, offset)
  }
  truncateFullyAndStartAt(offset: number): void {
    this.logStartOffset = offset
    this.logEndOffset = offset
  }
  read(offset: number, options: { upperBoundOffset: number }) {
    const endOffset = options.upperBoundOffset
    return { bytes: Buffer.from(`${offset}-${endOffset}`), endOffset, release: () => undefined }
  }
  abortedTransactions(): [] {
    return []
  }
  endOffsetForEpoch() {
    return this.epochEnd
  }
  raiseLogStart(offset: number): void {
    this.logStartOffset = Math.max(this.logStartOffset, offset)
  }
}

export const LAG_TIME_MAX_MS = 1000

/** What partitions have of their broker: a clock that stands, all brokers live, and in-sync sets that are answered by hand. */
export class HandHost implements PartitionHost {
  readonly brokerId = BROKER
  nowMs = 0
  readonly clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs }
  readonly dead = new Set<number>()
  readonly proposals: { proposal: IsrProposal; answer: (outcome: IsrOutcome) => void }[] = []
  readonly isrChanges = {
    submit: (proposal: IsrProposal, answer: (outcome: IsrOutcome) => void): void =>
      void this.proposals.push({ proposal, answer }),
  }
  tellsFollowers = false
  readonly lease = { holds: true, followersWithinMs: null as number | null }
  tellsHighWatermark(): boolean {
    return this.tellsFollowers
  }
  lagTimeMaxMs(): number {
    return LAG_TIME_MAX_MS
  }
  isLive(brokerId: number): boolean {
    return !this.dead.has(brokerId)
  }
  /** Answers the oldest proposal. */
  answer(outcome: IsrOutcome | 'accept'): void {
    const { proposal, answer } = this.proposals.shift()!
    const { leaderEpoch, partitionEpoch, isr } = proposal
    answer(
      outcome === 'accept' ? { error: 0, leaderEpoch, partitionEpoch: partitionEpoch + 1, isr } : outcome,
    )
  }
}

export const BROKER = 1
export const stateOf = (change: Partial<PartitionState> = {}): PartitionState => ({
  topic: 't',
  topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
  partition: 0,
  leader: BROKER,
  leaderEpoch: 5,
  isr: [BROKER],
  replicas: [BROKER],
  partitionEpoch: 0,
  isNew: false,
  ...change,
})
export const readOf = (change: Partial<ReadRequest> = {}): ReadRequest => ({
  fetchOffset: 0,
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1,
  maxBytes: 100,
  minOneBatch: true,
  readCommitted: false,
  replicaId: -1,
  fromAnyReplica: false,
  followerLogStartOffset: -1,
  followerBrokerEpoch: -1,
  notesPosition: true,
  ...change,
})

export function hosted(change: Partial<PartitionState> = {}) {
  const log = new CountingLog()
  const host = new HandHost()
  const partition = new Partition(host, log as unknown as ReplicaLog, 0)
  const state = stateOf(change)
  if (state.leader === BROKER) partition.makeLeader(state)
  else partition.makeFollower(state)
  return { log, host, partition }
}
