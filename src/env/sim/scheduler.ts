/**
 * Virtual time: a clock that stands still until it is moved, and timers that run when it is. Two timers due at the same
 * instant run in an order that the seed decides, since real ones promise none; `soon` keeps its order.
 */
import type { Clock, Timer, Timers } from '../env.ts'
import { SeededRandom } from './random.ts'

interface Due {
  readonly atMs: number
  /** Orders what is due at the same instant. */
  readonly tie: number
  readonly callback: () => void
}

export interface SimSchedulerOptions {
  readonly seed?: number
  /** Wall time at the beginning. */
  readonly startMs?: number
}

export class SimScheduler {
  readonly clock: Clock
  readonly timers: Timers
  readonly #random: SeededRandom
  #elapsedMs = 0
  #wallOffsetMs: number
  #soon: (() => void)[] = []
  readonly #due = new Set<Due>()

  constructor(options: SimSchedulerOptions = {}) {
    this.#random = new SeededRandom(options.seed ?? 0)
    this.#wallOffsetMs = options.startMs ?? 1_700_000_000_000
    this.clock = {
      nowMs: () => Math.floor(this.#wallOffsetMs + this.#elapsedMs),
      monotonicMs: () => this.#elapsedMs,
    }
    this.timers = {
      after: (delayMs, callback) => this.#after(delayMs, callback),
      soon: (callback) => void this.#soon.push(callback),
    }
  }

  /** Virtual milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Moves the wall clock, as an administrator or NTP does. Timers do not notice. */
  jumpWallClock(deltaMs: number): void {
    this.#wallOffsetMs += deltaMs
  }

  /** Runs what is due now, and what follows from it, until nothing is. */
  async settle(): Promise<void> {
    for (;;) {
      await turn()
      if (!this.#runNext(this.#elapsedMs)) return
    }
  }

  /** Lets `ms` of virtual time pass. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      await turn()
      if (!this.#runNext(endMs)) break
    }
    this.#elapsedMs = endMs
  }

  /** Lets time pass until `promise` settles; rejects when it has not after `limitMs`. */
  async until<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false
    const mark = (): void => void (settled = true)
    promise.then(mark, mark)
    const endMs = this.#elapsedMs + limitMs
    for (;;) {
      await turn()
      if (settled) return promise
      if (!this.#runNext(endMs)) throw new Error(`still waiting after ${limitMs} ms of virtual time`)
    }
  }

  #after(delayMs: number, callback: () => void): Timer {
    const atMs = this.#elapsedMs + Math.max(0, delayMs)
    const due: Due = { atMs, tie: this.#random.next(), callback }
    this.#due.add(due)
    return { cancel: () => void this.#due.delete(due) }
  }

  /** One callback; false when nothing is due up to `endMs`. */
  #runNext(endMs: number): boolean {
    if (this.#soon.length > 0) {
      const callbacks = this.#soon
      this.#soon = []
      for (const callback of callbacks) callback()
      return true
    }
    let next: Due | null = null
    for (const due of this.#due) {
      if (next === null || due.atMs < next.atMs || (due.atMs === next.atMs && due.tie < next.tie)) next = due
    }
    if (next === null || next.atMs > endMs) return false
    this.#due.delete(next)
    this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
    next.callback()
    return true
  }
}

/** Promises that can go on do so before the next callback. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
