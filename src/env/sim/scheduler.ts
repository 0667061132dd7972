/**
 * Virtual time: a clock that stands still until it is moved, and timers that run when it is. Two timers due at the same
 * instant run in an order that the seed decides, since real ones promise none; `soon` keeps its order.
 */
import { Heap } from '../../base/heap.ts'
import type { Clock, Timer, Timers } from '../env.ts'
import { SeededRandom } from './random.ts'

interface Due {
  readonly atMs: number
  /** Orders what is due at the same instant. */
  readonly tie: number
  /** null: cancelled. */
  callback: (() => void) | null
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
  readonly #due = new Heap<Due>(isBefore)
  #cancelled = 0
  #afterEach: (() => void) | null = null

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

  /** `look` runs after each callback and all that it set going in promises. For invariants; it sees no half-done work. */
  afterEach(look: (() => void) | null): void {
    this.#afterEach = look
  }

  /** Runs what is due now, and what follows from it, until nothing is. */
  async settle(): Promise<void> {
    for (;;) {
      await this.#turn()
      if (!this.#runNext(this.#elapsedMs)) return
    }
  }

  /** Lets `ms` of virtual time pass. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      await this.#turn()
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
      await this.#turn()
      if (settled) return promise
      if (!this.#runNext(endMs)) throw new Error(`still waiting after ${limitMs} ms of virtual time`)
    }
  }

  #after(delayMs: number, callback: () => void): Timer {
    const atMs = this.#elapsedMs + Math.max(0, delayMs)
    const due: Due = { atMs, tie: this.#random.next(), callback }
    this.#due.push(due)
    return { cancel: () => this.#cancel(due) }
  }

  /** Left where it is until its time comes, or until most of what lies there is of this kind. */
  #cancel(due: Due): void {
    if (due.callback === null) return
    due.callback = null
    if (++this.#cancelled < 64 || this.#cancelled * 2 < this.#due.size) return
    const kept: Due[] = []
    for (let next = this.#due.pop(); next !== undefined; next = this.#due.pop()) {
      if (next.callback !== null) kept.push(next)
    }
    for (const each of kept) this.#due.push(each)
    this.#cancelled = 0
  }

  /** Promises that can go on do so before the next callback. */
  async #turn(): Promise<void> {
    await turn()
    this.#afterEach?.()
  }

  /** One callback; false when nothing is due up to `endMs`. */
  #runNext(endMs: number): boolean {
    if (this.#soon.length > 0) {
      const callbacks = this.#soon
      this.#soon = []
      for (const callback of callbacks) callback()
      return true
    }
    while (this.#due.peek()?.callback === null) {
      this.#due.pop()
      this.#cancelled--
    }
    const next = this.#due.peek()
    if (next === undefined || next.atMs > endMs) return false
    this.#due.pop()
    this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
    const { callback } = next
    // It has run: to cancel it now changes nothing.
    next.callback = null
    callback!()
    return true
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.tie < other.tie)
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
