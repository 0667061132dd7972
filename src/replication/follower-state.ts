/** What a leader knows of one of its followers, from the fetches that it sends. */

/** Nothing is known: it has not fetched from this leader yet. */
export const UNKNOWN_OFFSET = -1
/** It did not say, as before Fetch 15. */
export const UNKNOWN_EPOCH = -1

export class FollowerState {
  readonly brokerId: number
  /** Which life of it has fetched last (KIP-903). */
  brokerEpoch = UNKNOWN_EPOCH
  /** Where it fetched last: it has all that lies below. */
  logEndOffset = UNKNOWN_OFFSET
  logStartOffset = UNKNOWN_OFFSET
  /** The last time at which it had all that the leader had. */
  lastCaughtUpMs: number
  /** The leader's log end when it fetched last, and when that was. */
  #leaderEndAtLastFetch = UNKNOWN_OFFSET
  #lastFetchMs = -Infinity
  /** Its latest fetch in this leader epoch. */
  lastHeardMs = -Infinity
  /** How often it has fetched. */
  fetches = 0

  /** A member of the in-sync set gets the whole lag time to show itself; others have never been caught up. */
  constructor(brokerId: number, isInSync: boolean, nowMs: number) {
    this.brokerId = brokerId
    this.lastCaughtUpMs = isInSync ? nowMs : -Infinity
  }

  /** The same leader goes on in a new epoch: what the follower has stays known. */
  newEpoch(isInSync: boolean, leaderEndOffset: number, nowMs: number): void {
    this.lastCaughtUpMs = isInSync ? nowMs : -Infinity
    this.#leaderEndAtLastFetch = leaderEndOffset
    this.#lastFetchMs = this.lastCaughtUpMs
    this.lastHeardMs = -Infinity
  }

  /**
   * A fetch at `fetchOffset`, when the leader's log ended at `leaderEndOffset`. One that reaches only what the leader had at
   * the fetch before was caught up at that time: a follower that is always one step behind is in sync.
   */
  fetched(fetchOffset: number, logStartOffset: number, leaderEndOffset: number, nowMs: number): void {
    if (fetchOffset >= leaderEndOffset) this.lastCaughtUpMs = Math.max(this.lastCaughtUpMs, nowMs)
    else if (fetchOffset >= this.#leaderEndAtLastFetch)
      this.lastCaughtUpMs = Math.max(this.lastCaughtUpMs, this.#lastFetchMs)
    this.lastHeardMs = nowMs
    this.fetches++
    this.logEndOffset = fetchOffset
    this.logStartOffset = logStartOffset
    this.#leaderEndAtLastFetch = Math.max(this.#leaderEndAtLastFetch, leaderEndOffset)
    this.#lastFetchMs = nowMs
  }

  isCaughtUp(leaderEndOffset: number, nowMs: number, lagTimeMaxMs: number): boolean {
    return this.logEndOffset === leaderEndOffset || nowMs - this.lastCaughtUpMs <= lagTimeMaxMs
  }
}
