/**
 * Runs a generator of pauses beside everything else that the event loop has to do: a few milliseconds at a time, seldom
 * while there is other work, and no faster than a rate of bytes.
 */
import type { Clock, Timer, Timers } from '../../env/env.ts'
import type { Pause } from './pause.ts'

/** One slice ends after this time or this many bytes, whichever comes first. */
export const SLICE_MS = 1
export const SLICE_BYTES = 4 * 1024 * 1024
/** The loop was held by others for longer than this between two slices: they come first. */
const BUSY_MS = 0.5
/** Then the next slice comes so much later. */
const PAUSE_WHEN_BUSY_MS = 10

export interface TurnsOptions {
  readonly env: { readonly clock: Clock; readonly timers: Timers }
  /** Bytes read and written so far; it only grows. */
  ioBytes(): number
  maxBytesPerSecond(): number
  /** Asked before every step: true ends the work. */
  isCutOff(): boolean
  /** A slice took so long. */
  onSlice(tookMs: number): void
}

export type Ending<R> =
  | { readonly kind: 'done'; readonly value: R }
  | { readonly kind: 'cut off' }
  | { readonly kind: 'failed'; readonly error: unknown }

/** One piece of work at a time. */
export class Turns<R> {
  readonly #options: TurnsOptions
  #work: Generator<Pause, R> | null = null
  #onEnd: ((ending: Ending<R>) => void) | null = null
  #timer: Timer | null = null
  #askedAtMs = 0
  /** By the rate of bytes. */
  #notBeforeMs = 0

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  run(work: Generator<Pause, R>, onEnd: (ending: Ending<R>) => void): void {
    this.#work = work
    this.#onEnd = onEnd
    this.#after(0)
  }

  /** Ends the work where it stands. What it has opened it closes. Throws what its closing throws. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#work !== null) this.#end({ kind: 'cut off' })
  }

  #after(delayMs: number): void {
    const { clock, timers } = this.#options.env
    this.#askedAtMs = clock.monotonicMs()
    const work = this.#work
    const go = (): void => {
      this.#timer = null
      if (work !== null && work === this.#work) this.#slice(work, delayMs > 0)
    }
    if (delayMs > 0) this.#timer = timers.after(delayMs, go)
    else timers.soon(go)
  }

  #slice(work: Generator<Pause, R>, hasPaused: boolean): void {
    const { env, onSlice } = this.#options
    const startMs = env.clock.monotonicMs()
    const isBusy = !hasPaused && startMs - this.#askedAtMs > BUSY_MS
    if (isBusy) return this.#after(PAUSE_WHEN_BUSY_MS)
    const bytesBefore = this.#options.ioBytes()
    const ended = this.#steps(work, startMs, bytesBefore)
    const nowMs = env.clock.monotonicMs()
    onSlice(nowMs - startMs)
    this.#spend(this.#options.ioBytes() - bytesBefore, nowMs)
    if (ended) return
    this.#after(Math.max(0, this.#notBeforeMs - nowMs))
  }

  #spend(bytes: number, nowMs: number): void {
    const spentMs = (1000 * bytes) / this.#options.maxBytesPerSecond()
    this.#notBeforeMs = Math.max(nowMs, this.#notBeforeMs) + spentMs
  }

  /** True when nothing is to be scheduled: the work has ended or waits. */
  #steps(work: Generator<Pause, R>, startMs: number, bytesBefore: number): boolean {
    const { env, ioBytes, isCutOff } = this.#options
    try {
      for (;;) {
        if (isCutOff()) return this.#end({ kind: 'cut off' })
        const step = work.next()
        if (step.done) return this.#end({ kind: 'done', value: step.value })
        if (step.value instanceof Promise) return this.#await(work, step.value)
        if (env.clock.monotonicMs() - startMs >= SLICE_MS) return false
        if (ioBytes() - bytesBefore >= SLICE_BYTES) return false
      }
    } catch (error) {
      return this.#end({ kind: 'failed', error })
    }
  }

  #await(work: Generator<Pause, R>, waited: Promise<unknown>): true {
    waited.then(
      () => {
        if (work === this.#work) this.#after(0)
      },
      (error: unknown) => {
        if (work === this.#work) this.#end({ kind: 'failed', error })
      },
    )
    return true
  }

  #end(ending: Ending<R>): true {
    const work = this.#work!
    const onEnd = this.#onEnd!
    this.#work = null
    this.#onEnd = null
    let last = ending
    try {
      // Runs its `finally` blocks; nothing where it has ended by itself.
      work.return(undefined as never)
    } catch (error) {
      last = { kind: 'failed', error }
    }
    onEnd(last)
    return true
  }
}
