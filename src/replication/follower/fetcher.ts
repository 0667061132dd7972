/**
 * Keeps the partitions that it is given up with one leader: one Fetch under way at a time, over a connection of its own.
 * An answer's records are appended in one turn (many: in a few), and the next Fetch, which acknowledges them, leaves in the
 * same turn.
 *
 * As in Kafka, an acknowledged record is in the page cache, not on the platter, unless `flush.messages` asks for more.
 */
import { DiskError } from '../../env/disk.ts'
import { NetworkError } from '../../env/network.ts'
import type { Clock, Logger, Timer, Timers } from '../../env/env.ts'
import { ErrorCode, errorName } from '../../protocol/error-codes.ts'
import type { FetchRequest } from '../../protocol/messages/01-fetch.ts'
import type { FetchAnswer, LeaderAddress, LeaderChannel, LeaderChannelFactory } from '../leader-channel.ts'
import type { ReplicationQuota } from '../replication-quota.ts'
import type { FollowedPartition } from '../types.ts'
import { reactionTo } from './fetch-error.ts'
import { type FetchPosition, FetchSession, type SessionRequest } from './fetch-session.ts'
import { Followed, type FetchedData } from './followed.ts'
import { FollowedTable } from './followed-table.ts'
import { findRanges, type LeaderRange } from './leader-range.ts'
import { retryDelayMs } from './retry-schedule.ts'

/** A Fetch that has been answered by then was not waiting at the leader for records. */
const IN_FLIGHT_GRACE_MS = 5
/** Between two connections that are given up for the sake of a partition that is new. */
const MIN_INTERRUPT_INTERVAL_MS = 100
/** Appended without letting others have their turn, a few milliseconds' worth: one who catches up must not hold all up. */
const TURN_BYTES = 2 << 20
/** A replica over its quota is asked for again within it, however little the quota allows. */
const MAX_THROTTLE_MS = 1000

/** replica.fetch.*, as they are at the start. */
export interface FetchSettings {
  /** replica.fetch.wait.max.ms */
  readonly maxWaitMs: number
  /** replica.fetch.min.bytes */
  readonly minBytes: number
  /** replica.fetch.response.max.bytes */
  readonly maxBytes: number
  /** replica.fetch.max.bytes */
  readonly partitionMaxBytes: number
  /** replica.fetch.backoff.ms */
  readonly backoffMs: number
}

export interface FetcherParts {
  readonly brokerId: number
  /** As registered; another after the session of the coordination service has expired. -1: not known */
  readonly brokerEpoch: () => number
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly settings: FetchSettings
  readonly quota: ReplicationQuota
  readonly channelTo: LeaderChannelFactory
}

export class Fetcher {
  readonly #parts: FetcherParts
  readonly #fetcherId: number
  #leader: LeaderAddress
  #channel: LeaderChannel
  readonly #session: FetchSession<Followed>
  readonly #followed = new FollowedTable()
  /** Not asked for before their time has come, in milliseconds of the monotonic clock. */
  readonly #later = new Map<Followed, number>()
  /** In a row, of the connection or the session. */
  #failures = 0
  /** Counts requests; a partition that comes may be too late for the one under way. */
  #requests = 0
  #inFlight = false
  #interruptTimer: Timer | null = null
  #interruptedMs = -Infinity
  /** Ends the pause that the fetcher makes; null while it makes none. */
  #resume: (() => void) | null = null
  #stopped = false

  constructor(parts: FetcherParts, leader: LeaderAddress, fetcherId: number) {
    this.#parts = parts
    this.#leader = leader
    this.#fetcherId = fetcherId
    this.#channel = parts.channelTo(leader, fetcherId)
    this.#session = new FetchSession(() => parts.settings.partitionMaxBytes)
    void this.#run()
  }

  get leader(): LeaderAddress {
    return this.#leader
  }

  get isIdle(): boolean {
    return this.#followed.size === 0
  }

  /** In the partition's present leader epoch. The leader may have moved to another address. */
  follow(partition: FollowedPartition, leader: LeaderAddress): void {
    const known = this.#followed.get(partition)
    if (known?.isCurrent && !this.#hasMoved(leader)) return
    this.unfollow(partition)
    const followed = new Followed(partition)
    this.#followed.add(followed)
    this.#ask(followed)
    this.#failures = 0
    if (this.#hasMoved(leader)) {
      this.#leader = leader
      this.#reconnect()
    }
    this.#hurry()
  }

  unfollow(partition: FollowedPartition): void {
    const followed = this.#followed.get(partition)
    if (followed !== undefined) this.#drop(followed)
  }

  stop(): void {
    this.#stopped = true
    this.#interruptTimer?.cancel()
    this.#channel.close()
    this.#resume?.()
  }

  #hasMoved({ host, port }: LeaderAddress): boolean {
    return host !== this.#leader.host || port !== this.#leader.port
  }

  #drop(followed: Followed): void {
    this.#followed.remove(followed)
    this.#session.remove(followed)
    this.#later.delete(followed)
  }

  /** It is asked for with the next request. */
  #ask(followed: Followed): void {
    this.#later.delete(followed)
    try {
      followed.begin()
      this.#session.add(followed)
    } catch (error) {
      this.#diskFailed(followed, error)
    }
  }

  #askLater(followed: Followed, delayMs: number): void {
    this.#session.remove(followed)
    this.#later.set(followed, this.#parts.clock.monotonicMs() + delayMs)
  }

  #retry(followed: Followed): void {
    followed.failures++
    this.#askLater(followed, retryDelayMs(followed.failures, this.#parts.settings.backoffMs))
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#askThoseDue()
      this.#throttle()
      const waitMs = this.#timeToNextDue()
      const request = this.#session.next()
      if (request === null) {
        await this.#pause(waitMs)
        continue
      }
      const response = await this.#fetch(request, waitMs)
      if (this.#stopped) return
      if (response === null) await this.#pause(retryDelayMs(this.#failures, this.#parts.settings.backoffMs))
      else if (response !== 'interrupted') await this.#take(response, request.usesTopicIds)
    }
  }

  #askThoseDue(): void {
    if (this.#later.size === 0) return
    const nowMs = this.#parts.clock.monotonicMs()
    for (const [followed, dueMs] of [...this.#later]) if (dueMs <= nowMs) this.#ask(followed)
  }

  /** Infinity: nobody is to be asked for later. */
  #timeToNextDue(): number {
    if (this.#later.size === 0) return Infinity
    let nextMs = Infinity
    for (const dueMs of this.#later.values()) nextMs = Math.min(nextMs, dueMs)
    return Math.max(1, nextMs - this.#parts.clock.monotonicMs())
  }

  /** Replicas that are throttled and behind wait while the quota is exceeded (KIP-73). */
  #throttle(): void {
    const { quota } = this.#parts
    const exceededMs = Math.min(quota.exceededForMs(), MAX_THROTTLE_MS)
    if (exceededMs === 0) return
    for (const followed of this.#followed.all()) {
      if (followed.isCaughtUp || this.#later.has(followed)) continue
      if (quota.isThrottled(followed.topic, followed.index)) this.#askLater(followed, exceededMs)
    }
  }

  /** null: it has failed, and the failure is counted. */
  async #fetch(request: SessionRequest, waitMs: number): Promise<FetchAnswer | 'interrupted' | null> {
    const channel = this.#channel
    this.#requests++
    this.#inFlight = true
    try {
      const response = await channel.fetch(this.#message(request, waitMs), request.usesTopicIds)
      return this.#sessionOutcome(response)
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      this.#session.failed()
      if (channel !== this.#channel || this.#stopped) return 'interrupted'
      this.#failures++
      this.#logFailure(error.message)
      return null
    } finally {
      this.#inFlight = false
    }
  }

  #message(session: SessionRequest, waitMs: number): FetchRequest {
    const { brokerId, settings } = this.#parts
    const { sessionId, sessionEpoch, topics, forgottenTopicsData } = session
    return {
      clusterId: null,
      replicaId: brokerId,
      replicaState: { replicaId: brokerId, replicaEpoch: this.#parts.brokerEpoch() },
      // Who is to be asked for again soon must not wait for those who are up to date.
      maxWaitMs: Math.floor(Math.min(settings.maxWaitMs, waitMs)),
      minBytes: settings.minBytes,
      maxBytes: settings.maxBytes,
      isolationLevel: 0,
      sessionId,
      sessionEpoch,
      topics,
      forgottenTopicsData,
      rackId: '',
    }
  }

  #sessionOutcome(response: FetchAnswer): FetchAnswer | 'interrupted' | null {
    const { errorCode } = response
    if (errorCode === ErrorCode.NONE) {
      this.#failures = 0
      this.#session.accepted(response.sessionId)
      return response
    }
    if (errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND) this.#session.lost()
    else this.#session.failed()
    this.#failures++
    // The leader has forgotten the session, as it may: all is asked for at once.
    if (this.#failures === 1) return 'interrupted'
    this.#logFailure(errorName(errorCode))
    return null
  }

  async #take(response: FetchAnswer, usesTopicIds: boolean): Promise<void> {
    const flushes: Promise<void>[] = []
    const outOfRange: Followed[] = []
    let turnBytes = 0
    for (const topic of response.responses) {
      const known = this.#followed.ofTopic(topic, usesTopicIds)
      if (known === undefined) continue
      for (const data of topic.partitions) {
        if (turnBytes >= TURN_BYTES) {
          await new Promise<void>((resolve) => this.#parts.timers.soon(resolve))
          if (this.#stopped) return
          turnBytes = 0
        }
        turnBytes += data.records?.length ?? 0
        const followed = known[data.partitionIndex]
        if (followed === undefined || !this.#isAnswered(followed)) continue
        const { errorCode } = data
        if (errorCode === ErrorCode.NONE) {
          if (this.#takeData(followed, data) && followed.partition.log.flushDue)
            flushes.push(this.#flush(followed))
        } else if (reactionTo(errorCode) === 'findRange') outOfRange.push(followed)
        else this.#react(followed, errorCode)
      }
    }
    if (flushes.length > 0) await Promise.all(flushes)
    if (outOfRange.length > 0 && !this.#stopped) await this.#findRanges(outOfRange)
  }

  /** Whether an answer is one to what would be asked now. */
  #isAnswered(followed: Followed): boolean {
    if (!followed.isCurrent) {
      this.#drop(followed)
      return false
    }
    const asked = this.#session.asked(followed)
    if (asked === null) return false
    if (asked.fetchOffset === followed.partition.log.logEndOffset) return true
    // Cut meanwhile.
    this.#session.moved(followed)
    return false
  }

  /** False: nothing was taken. */
  #takeData(followed: Followed, data: FetchedData): boolean {
    const asked = this.#session.asked(followed)!
    try {
      if (!followed.take(data)) {
        this.#partitionFailed(followed, 'the leader says that the logs differ where they do not')
        return false
      }
    } catch (error) {
      this.#diskFailed(followed, error)
      return false
    }
    followed.failures = 0
    const bytes = data.records?.length ?? 0
    if (bytes > 0) {
      this.#session.gaveData(followed)
      const { quota } = this.#parts
      if (quota.isThrottled(followed.topic, followed.index)) quota.record(bytes)
    }
    if (!isSamePosition(followed.position(), asked)) this.#session.moved(followed)
    return true
  }

  /** An acknowledgement is to mean that the records are on the disk: the next request waits for it. */
  async #flush(followed: Followed): Promise<void> {
    try {
      await followed.partition.log.flush()
    } catch (error) {
      if (this.#followed.get(followed.partition) === followed) this.#diskFailed(followed, error)
    }
  }

  #react(followed: Followed, error: number): void {
    if (reactionTo(error) !== 'await') return this.#partitionFailed(followed, errorName(error))
    this.#parts.logger.log('info', 'a partition is not fetched until the controller says who leads it', {
      partition: followed.name,
      error: errorName(error),
    })
    this.#drop(followed)
  }

  async #findRanges(outOfRange: readonly Followed[]): Promise<void> {
    const ranges = await findRanges(this.#channel, this.#parts.brokerId, outOfRange)
    if (this.#stopped) return
    for (const followed of outOfRange) {
      if (!this.#isAnswered(followed)) continue
      this.#takeRange(followed, ranges.get(followed) ?? { error: ErrorCode.UNKNOWN_SERVER_ERROR })
    }
  }

  #takeRange(followed: Followed, range: LeaderRange): void {
    if (!('logEndOffset' in range)) return this.#react(followed, range.error)
    const fromOffset = followed.partition.log.logEndOffset
    try {
      if (!followed.takeRange(range)) return this.#partitionFailed(followed, 'OFFSET_OUT_OF_RANGE')
    } catch (error) {
      return this.#diskFailed(followed, error)
    }
    this.#session.moved(followed)
    this.#parts.logger.log('warn', 'a replica goes on elsewhere: its leader has nothing at its end', {
      partition: followed.name,
      fromOffset,
      toOffset: followed.partition.log.logEndOffset,
    })
  }

  #diskFailed(followed: Followed, error: unknown): void {
    if (!(error instanceof DiskError)) throw error
    this.#partitionFailed(followed, error.message)
  }

  #partitionFailed(followed: Followed, reason: string): void {
    this.#retry(followed)
    if (!isPowerOfTwo(followed.failures)) return
    const { id: leader } = this.#leader
    this.#parts.logger.log('warn', 'a partition could not be fetched', {
      partition: followed.name,
      leader,
      failures: followed.failures,
      reason,
    })
  }

  #logFailure(reason: string): void {
    if (!isPowerOfTwo(this.#failures)) return
    const { id: leader } = this.#leader
    this.#parts.logger.log('warn', 'fetching from a leader has failed', {
      leader,
      failures: this.#failures,
      reason,
    })
  }

  /**
   * A partition has come. If the request under way waits at the leader for records of others, it is given up: the new one
   * may be all that acknowledgements wait for.
   */
  #hurry(): void {
    this.#resume?.()
    if (!this.#inFlight || this.#interruptTimer !== null) return
    const request = this.#requests
    const sinceLastMs = this.#parts.clock.monotonicMs() - this.#interruptedMs
    const delayMs = Math.max(IN_FLIGHT_GRACE_MS, MIN_INTERRUPT_INTERVAL_MS - sinceLastMs)
    this.#interruptTimer = this.#parts.timers.after(delayMs, () => {
      this.#interruptTimer = null
      if (this.#inFlight && this.#requests === request) this.#reconnect()
    })
  }

  /** What is under way ends, and the next request names everything. */
  #reconnect(): void {
    this.#interruptedMs = this.#parts.clock.monotonicMs()
    const old = this.#channel
    this.#channel = this.#parts.channelTo(this.#leader, this.#fetcherId)
    old.close()
  }

  /** Until `delayMs` have passed (Infinity: no limit), or there is reason to go on. */
  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = delayMs === Infinity ? null : this.#parts.timers.after(delayMs, () => this.#resume?.())
      this.#resume = () => {
        this.#resume = null
        timer?.cancel()
        resolve()
      }
    })
  }
}

const isSamePosition = (one: FetchPosition, other: FetchPosition): boolean =>
  one.fetchOffset === other.fetchOffset &&
  one.lastFetchedEpoch === other.lastFetchedEpoch &&
  one.logStartOffset === other.logStartOffset

/** Of a failure that goes on, ever fewer lines are logged. */
const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0
