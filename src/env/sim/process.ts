/**
 * One process in the simulated world: what it waits for (timers, arriving bytes, answers) comes through `run`, so that it
 * can be stopped as by SIGSTOP, go on, and be killed: of a killed process no callback ever runs again.
 */
import type { Clock, Random, Timer, Timers } from '../env.ts'
import { SeededRandom } from './random.ts'
import type { SimScheduler } from './scheduler.ts'

export interface SimProcessOptions {
  readonly scheduler: SimScheduler
  readonly seed: number
  /** How far its wall clock is from the world's. */
  readonly clockSkewMs?: number
}

export class SimProcess {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly #scheduler: SimScheduler
  readonly #killListeners: (() => void)[] = []
  #alive = true
  /** What came while it was stopped, in order. Null: it runs. */
  #held: Held[] | null = null
  #stopped = false

  constructor({ scheduler, seed, clockSkewMs = 0 }: SimProcessOptions) {
    this.#scheduler = scheduler
    this.random = new SeededRandom(seed)
    this.clock = {
      nowMs: () => scheduler.clock.nowMs() + clockSkewMs,
      monotonicMs: () => scheduler.clock.monotonicMs(),
    }
    this.timers = {
      after: (delayMs, callback) => this.#after(delayMs, callback),
      soon: (callback) => scheduler.timers.soon(() => this.run(callback)),
    }
  }

  get isAlive(): boolean {
    return this.#alive
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Now; when it goes on, if it is stopped; never, if it is dead. */
  run(callback: () => void): void {
    if (!this.#alive) return
    if (this.#held === null) callback()
    else this.#held.push({ callback, isTimer: false })
  }

  /** Runs `listener` when it is killed. */
  onKill(listener: () => void): void {
    this.#killListeners.push(listener)
  }

  /** As SIGSTOP: its timers fall due and its messages arrive, and it does not notice. */
  stop(): void {
    this.#stopped = true
    this.#held ??= []
  }

  /** As SIGCONT. Sometimes timers come first, as a loop that has slept too long looks at them first. */
  resume(): void {
    if (!this.#stopped) return
    this.#stopped = false
    if (this.#held === null) return
    if (this.random.next() < 0.5) {
      const timersFirst = (one: Held, other: Held): number => Number(other.isTimer) - Number(one.isTimer)
      this.#held.sort(timersFirst)
    }
    this.#catchUp()
  }

  /** As SIGKILL. */
  kill(): void {
    if (!this.#alive) return
    this.#alive = false
    this.#held = null
    for (const listener of this.#killListeners.splice(0)) listener()
  }

  /** One at a time, so that promises go on in between. What comes meanwhile stands behind. */
  #catchUp(): void {
    if (!this.#alive || this.#stopped) return
    const next = this.#held?.shift()
    if (next === undefined) {
      this.#held = null
      return
    }
    next.callback()
    this.#scheduler.timers.soon(() => this.#catchUp())
  }

  #after(delayMs: number, callback: () => void): Timer {
    let cancelled = false
    const run = (): void => {
      if (!cancelled) callback()
    }
    const timer = this.#scheduler.timers.after(delayMs, () => {
      if (!this.#alive || cancelled) return
      if (this.#held === null) callback()
      else this.#held.push({ callback: run, isTimer: true })
    })
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }
}

interface Held {
  readonly callback: () => void
  readonly isTimer: boolean
}
