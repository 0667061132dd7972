/**
 * What the controller does, one thing after the other. Between two steps of an event nothing else changes what the
 * controller knows.
 */
import type { Timers } from '../env/env.ts'

export class EventQueue {
  readonly #timers: Timers
  #last: Promise<void> = Promise.resolve()
  /** Kinds of event that wait in the queue: a second watch adds nothing to the first. */
  readonly #pending = new Set<string>()
  #stopped = false

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Runs `event` when it is its turn. Undefined after `stop`. */
  push<T>(event: () => Promise<T>): Promise<T | undefined> {
    const done = this.#last.then(() => (this.#stopped ? undefined : event()))
    this.#last = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  /** For events that nobody waits for; `kind` stands in the queue once. What such an event throws is a bug. */
  schedule(kind: string, event: () => Promise<void>): void {
    if (this.#stopped || this.#pending.has(kind)) return
    this.#pending.add(kind)
    const run = (): Promise<void> => {
      this.#pending.delete(kind)
      return event()
    }
    this.push(run).catch((error: unknown) => {
      // It must reach the process, not end in a promise that nobody looks at.
      this.#timers.soon(() => {
        throw error
      })
    })
  }

  /** Resolves when all events that wait now have been dealt with. */
  idle(): Promise<void> {
    return this.#last
  }

  /** What waits is dropped; resolves when what is under way has been dealt with. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#last
  }
}
