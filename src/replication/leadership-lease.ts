/**
 * Whether a leader may take itself for one. Two things may have others elected without its knowledge.
 *
 * A process that is stopped and goes on (SIGSTOP, a machine that sleeps, a pause of minutes) does not notice: the first that it
 * sees are requests that have waited. Others may have been elected meanwhile. So a broker whose clock has jumped by more than
 * half a session acts as no leader until the coordination service has said that its session holds. Kafka's brokers do not ask;
 * what they answer then can be wrong, though never an acknowledgement of acks=all.
 *
 * A broker that is cut off from the coordination service cannot know whether it is the only one. While it is, it takes records
 * only where all its in-sync followers still fetch (`isSessionSound`, leadership.ts): so an ensemble that is away stops nobody.
 */
import type { Clock, Logger, Timer, Timers } from '../env/env.ts'

export interface LeadershipLeaseParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  /** zookeeper.session.timeout.ms */
  sessionTimeoutMs(): number
  /** replica.fetch.wait.max.ms: a follower with nothing to fetch is heard of this often. */
  fetchWaitMaxMs(): number
  /** The service is in reach, as far as is known. */
  isSessionSound(): boolean
  /** Resolves when the service has answered; again and again asked until it has. */
  confirmSession(): Promise<'sound' | 'expired'>
  /** The session is over: whoever led may do so no more. */
  expired(): void
}

/** A session is renewed each third of its time or so: a pause of the rest may be its end. */
const SESSIONS_PER_PAUSE = 0.5
const BEATS_PER_PAUSE = 4
const MAX_BEAT_MS = 1000
const FETCHES_PER_SILENCE = 3
const SESSIONS_PER_SILENCE = 0.125

export class LeadershipLease {
  readonly #parts: LeadershipLeaseParts
  #timer: Timer | null = null
  #lastBeatMs = 0
  #isAsking = false
  #stopped = false

  constructor(parts: LeadershipLeaseParts) {
    this.#parts = parts
  }

  /** Before it nothing is watched, and the lease holds. Safe to call again. */
  start(): void {
    if (this.#timer !== null || this.#stopped) return
    this.#lastBeatMs = this.#parts.clock.monotonicMs()
    this.#wait()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
  }

  /** Asked with every request: one look at the clock. */
  get holds(): boolean {
    if (this.#isAsking) return false
    if (this.#timer === null || !this.#hasPaused()) return true
    this.#ask()
    return false
  }

  /** Without a sound session: within this time followers must have been heard. */
  get followersWithinMs(): number | null {
    const { sessionTimeoutMs, fetchWaitMaxMs, isSessionSound } = this.#parts
    if (isSessionSound()) return null
    return Math.max(fetchWaitMaxMs() * FETCHES_PER_SILENCE, sessionTimeoutMs() * SESSIONS_PER_SILENCE)
  }

  get #maxPauseMs(): number {
    return this.#parts.sessionTimeoutMs() * SESSIONS_PER_PAUSE
  }

  #hasPaused(): boolean {
    return this.#parts.clock.monotonicMs() - this.#lastBeatMs > this.#maxPauseMs
  }

  #wait(): void {
    const beatMs = Math.min(MAX_BEAT_MS, this.#maxPauseMs / BEATS_PER_PAUSE)
    this.#timer = this.#parts.timers.after(beatMs, () => {
      if (!this.#isAsking && this.#hasPaused()) this.#ask()
      this.#lastBeatMs = this.#parts.clock.monotonicMs()
      this.#wait()
    })
  }

  #ask(): void {
    const { clock, logger } = this.#parts
    const pausedMs = Math.round(clock.monotonicMs() - this.#lastBeatMs)
    logger.log('warn', 'this broker has not run for a while: whether it leads still is asked', { pausedMs })
    this.#isAsking = true
    void this.#parts.confirmSession().then((answer) => {
      if (this.#stopped) return
      if (answer === 'expired') this.#parts.expired()
      this.#lastBeatMs = clock.monotonicMs()
      this.#isAsking = false
    })
  }
}
