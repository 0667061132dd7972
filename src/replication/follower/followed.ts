/** One partition as a fetcher follows it, for one leader epoch. */
import { inRecordBatches } from '../../log/converted-batches.ts'
import { BATCH_OVERHEAD, baseOffset, lastOffset } from '../../protocol/record-batch.ts'
import type { FetchAnswer } from '../leader-channel.ts'
import type { FollowedPartition } from '../types.ts'
import type { FetchPosition, SessionPartition } from './fetch-session.ts'
import { actionOutOfRange, truncationBeforeFetching, truncationForDivergence } from './truncation.ts'
import { wholeBatches } from './whole-batches.ts'

export type FetchedData = FetchAnswer['responses'][number]['partitions'][number]

export class Followed implements SessionPartition {
  readonly partition: FollowedPartition
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly leaderEpoch: number
  /** In a row. */
  failures = 0
  /** As of the leader's last answer: such a replica is not throttled. */
  isCaughtUp = false
  /** null: the log is not known to be comparable with the leader's */
  #lastFetchedEpoch: number | null = null

  constructor(partition: FollowedPartition) {
    this.partition = partition
    this.topic = partition.topic
    this.topicId = partition.topicId
    this.index = partition.index
    this.leaderEpoch = partition.leaderEpoch
  }

  get name(): string {
    return `${this.topic}-${this.index}`
  }

  /** False: the controller has said something else since. */
  get isCurrent(): boolean {
    return this.partition.isFollower && this.partition.leaderEpoch === this.leaderEpoch
  }

  position(): FetchPosition {
    const { logEndOffset, logStartOffset } = this.partition.log
    return {
      currentLeaderEpoch: this.leaderEpoch,
      fetchOffset: logEndOffset,
      // Not asked of the log here, which may have to read it.
      lastFetchedEpoch: this.#lastFetchedEpoch ?? -1,
      logStartOffset,
    }
  }

  /** Before the first fetch. Throws DiskError; then it is to be called again. */
  begin(): void {
    if (this.#lastFetchedEpoch !== null) return
    const { partition } = this
    const offset = truncationBeforeFetching(partition.log, partition.highWatermark)
    if (offset !== null && offset < partition.log.logEndOffset) partition.truncateTo(offset)
    this.#lastFetchedEpoch = partition.log.latestLeaderEpoch
  }

  /**
   * Takes over what the leader has answered to a fetch from the log's end. False: it says that the logs differ where they
   * do not. Throws DiskError.
   */
  take(data: FetchedData): boolean {
    if (data.divergingEpoch.epoch >= 0) return this.#diverged(data.divergingEpoch)
    const { partition } = this
    const records = data.records === null ? null : inRecordBatches(wholeBatches(data.records))
    const { highWatermark, logStartOffset } = data
    if (records !== null && records.length > 0) this.#beginWithin(records)
    partition.appendFetched(records, { highWatermark, logStartOffset })
    this.#lastFetchedEpoch = partition.log.latestLeaderEpoch
    this.isCaughtUp = partition.log.logEndOffset >= highWatermark
    return true
  }

  /**
   * Nothing lies at the log's end with this leader. False: its log begins below and ends above, so that it would have to.
   * Throws DiskError.
   */
  takeRange(leader: { readonly logStartOffset: number; readonly logEndOffset: number }): boolean {
    const { partition } = this
    const action = actionOutOfRange(partition.log.logEndOffset, leader)
    if (action.kind === 'continue') return false
    if (action.kind === 'truncate') partition.truncateTo(action.offset)
    else partition.truncateFullyAndStartAt(action.offset)
    this.#lastFetchedEpoch = partition.log.latestLeaderEpoch
    this.isCaughtUp = false
    return true
  }

  #diverged(diverging: { readonly epoch: number; readonly endOffset: number }): boolean {
    const { partition } = this
    const before = this.position()
    partition.truncateTo(truncationForDivergence(partition.log, partition.highWatermark, diverging))
    this.#lastFetchedEpoch = partition.log.latestLeaderEpoch
    this.isCaughtUp = false
    const after = this.position()
    return after.fetchOffset < before.fetchOffset || after.lastFetchedEpoch < before.lastFetchedEpoch
  }

  /** The leader's log may begin within a batch, of which it sends all: an empty log then begins with that batch. */
  #beginWithin(records: Buffer): void {
    const { partition } = this
    const { logStartOffset, logEndOffset } = partition.log
    if (logStartOffset !== logEndOffset || records.length < BATCH_OVERHEAD) return
    const first = baseOffset(records, 0)
    if (first >= logEndOffset || lastOffset(records, 0) < logEndOffset) return
    partition.truncateFullyAndStartAt(first)
  }
}
