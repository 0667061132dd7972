/** One replica of a partition as a fetcher sees it, on a real log, and what a leader makes of it. */
import type { DiskError } from '../../../src/env/disk.ts'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import type { LogConfig, ReplicaLog } from '../../../src/log/types.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import type { FetchPosition } from '../../../src/replication/follower/fetch-session.ts'
import type { FetchedData } from '../../../src/replication/follower/followed.ts'
import type { FollowedPartition } from '../../../src/replication/types.ts'
import { append, openLogs, readAll, TOPIC_ID } from '../../log/log-fixture.ts'

export class Replica implements FollowedPartition {
  readonly topic: string
  readonly index: number
  readonly topicId = TOPIC_ID
  readonly brokerId: number
  readonly log: ReplicaLog
  leader = -1
  leaderEpoch = -1
  highWatermark = 0
  /** Thrown by the next append. */
  failure: DiskError | null = null
  /** Where the log was cut. */
  readonly cuts: number[] = []

  constructor(
    brokerId: number,
    options: { topic?: string; index?: number; config?: Partial<LogConfig> } = {},
  ) {
    const { topic = 't', index = 0, config } = options
    this.brokerId = brokerId
    this.topic = topic
    this.index = index
    const disk = new SimDisk({ random: new SeededRandom(brokerId) })
    this.log = openLogs({ disk, config }).log(topic, index)
  }

  get isFollower(): boolean {
    return this.leader >= 0 && this.leader !== this.brokerId
  }

  lead(leaderEpoch: number): void {
    this.leader = this.brokerId
    this.leaderEpoch = leaderEpoch
    this.log.startLeaderEpoch(leaderEpoch)
  }

  follow(leader: number, leaderEpoch: number): void {
    this.leader = leader
    this.leaderEpoch = leaderEpoch
  }

  produce(...values: string[]): void {
    append(this.log, { values }, this.leaderEpoch)
  }

  appendFetched(records: Buffer | null, leader: { highWatermark: number; logStartOffset: number }): void {
    const { failure } = this
    this.failure = null
    if (failure !== null) throw failure
    if (records !== null && records.length > 0) this.log.appendAsFollower(records)
    this.highWatermark = Math.min(leader.highWatermark, this.log.logEndOffset)
    this.log.raiseLogStart(leader.logStartOffset, this.highWatermark)
  }

  truncateTo(offset: number): void {
    if (offset < this.log.logEndOffset) this.cuts.push(offset)
    this.log.truncateTo(offset)
    this.highWatermark = Math.min(this.highWatermark, this.log.logEndOffset)
  }

  truncateFullyAndStartAt(offset: number): void {
    this.cuts.push(offset)
    this.log.truncateFullyAndStartAt(offset)
    this.highWatermark = offset
  }

  /** What this replica, as leader, answers to a follower's fetch (KIP-595). */
  answer(asked: FetchPosition, maxBytes = 1024 * 1024): FetchedData {
    const { log, highWatermark, leaderEpoch } = this
    const none = { epoch: -1, endOffset: -1 }
    const refused = (errorCode: number) => this.#data({ errorCode, highWatermark: -1, divergingEpoch: none })
    if (asked.currentLeaderEpoch < leaderEpoch) return refused(ErrorCode.FENCED_LEADER_EPOCH)
    if (asked.currentLeaderEpoch > leaderEpoch) return refused(ErrorCode.UNKNOWN_LEADER_EPOCH)
    if (asked.lastFetchedEpoch >= 0) {
      const end = log.endOffsetForEpoch(asked.lastFetchedEpoch)
      if (end.endOffset < 0) return refused(ErrorCode.OFFSET_OUT_OF_RANGE)
      if (end.leaderEpoch < asked.lastFetchedEpoch || end.endOffset < asked.fetchOffset) {
        const divergingEpoch = { epoch: end.leaderEpoch, endOffset: end.endOffset }
        return this.#data({ errorCode: ErrorCode.NONE, highWatermark, divergingEpoch })
      }
    }
    if (asked.fetchOffset < log.logStartOffset || asked.fetchOffset > log.logEndOffset) {
      return refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    }
    const slice = log.read(asked.fetchOffset, {
      maxBytes,
      upperBoundOffset: log.logEndOffset,
      minOneBatch: true,
    })
    const records = slice === null || slice.bytes.length === 0 ? null : Buffer.from(slice.bytes)
    slice?.release()
    return this.#data({ errorCode: ErrorCode.NONE, highWatermark, divergingEpoch: none }, records)
  }

  #data(
    result: Pick<FetchedData, 'errorCode' | 'highWatermark' | 'divergingEpoch'>,
    records: Buffer | null = null,
  ): FetchedData {
    return {
      ...result,
      partitionIndex: this.index,
      lastStableOffset: -1,
      logStartOffset: this.log.logStartOffset,
      currentLeader: { leaderId: -1, leaderEpoch: -1 },
      snapshotId: { endOffset: -1, epoch: -1 },
      abortedTransactions: null,
      preferredReadReplica: -1,
      records,
    }
  }
}

/** Everything in a log, as bytes. */
export const contentOf = ({ log }: Replica): Buffer => readAll(log)
