/**
 * Whether a leader leads still that is asked for an offset above its log's end, or sent a batch behind a gap: who asks may have been
 * told more by a later leader. It does lead if, after the question, every other member of the in-sync set has fetched and, having
 * been answered, has fetched again: none of them follows or is another leader. One fetch says nothing: it may have waited in a
 * socket for as long as this process stood still.
 */
import type { Clock } from '../env/env.ts'
import type { FollowerState } from './follower-state.ts'

interface Question {
  /** How far somebody has been elsewhere. */
  readonly offset: number
  readonly askedMs: number
  /** By broker id: how often it had fetched. */
  readonly fetches: ReadonlyMap<number, number>
}

const FETCHES = 2
/** Who asks again, does it soon; who asks later has been elsewhere meanwhile. */
const VALID_MS = 5000

export class LeadershipProof {
  readonly #clock: Clock
  #question: Question | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Where it is not known how far somebody has been, `offset` is left out. */
  holds(inSync: readonly FollowerState[], offset = 0): boolean {
    const nowMs = this.#clock.monotonicMs()
    const before = this.#question
    if (before === null || offset > before.offset || nowMs - before.askedMs > VALID_MS) {
      const fetches = new Map(inSync.map((follower) => [follower.brokerId, follower.fetches]))
      this.#question = { offset, askedMs: nowMs, fetches }
      return inSync.length === 0
    }
    const isProven = inSync.every(({ brokerId, fetches }) => {
      return fetches >= (before.fetches.get(brokerId) ?? Infinity) + FETCHES
    })
    // The next one who asks may have been told by another leader.
    if (isProven) this.#question = null
    return isProven
  }
}
