import type { Clock, Timers } from '../env/env.ts'

/** How long one slice of background work may hold the event loop. */
const SLICE_MS = 5

/**
 * Does work in slices, between which the event loop serves others: a generator whose every step is short. The first slice
 * begins in a later turn of the loop. `stop` ends the work at its last step, running its `finally` blocks.
 */
export class SlicedWork {
  readonly #env: { readonly clock: Clock; readonly timers: Timers }
  readonly #steps: Iterator<void>
  #done = false

  constructor(env: { readonly clock: Clock; readonly timers: Timers }, steps: Iterator<void>) {
    this.#env = env
    this.#steps = steps
    env.timers.soon(() => this.#slice())
  }

  get done(): boolean {
    return this.#done
  }

  stop(): void {
    if (this.#done) return
    this.#done = true
    this.#steps.return?.()
  }

  #slice(): void {
    const { clock, timers } = this.#env
    const endMs = clock.monotonicMs() + SLICE_MS
    while (!this.#done) {
      if (this.#steps.next().done === true) this.#done = true
      else if (clock.monotonicMs() >= endMs) return timers.soon(() => this.#slice())
    }
  }
}
