/** All that a log manager does from time to time, on one timer. */
import type { Clock, Timer, Timers } from '../env/env.ts'

interface Task {
  readonly everyMs: number
  readonly run: () => void
  dueMs: number
}

export class PeriodicTasks {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #tasks: Task[] = []
  #timer: Timer | null = null

  constructor(env: { clock: Clock; timers: Timers }) {
    this.#clock = env.clock
    this.#timers = env.timers
  }

  /** `run` handles its own failures. */
  every(everyMs: number, run: () => void): void {
    this.#tasks.push({ everyMs, run, dueMs: this.#clock.monotonicMs() + everyMs })
    this.#schedule()
  }

  #schedule(): void {
    this.#timer?.cancel()
    const dueMs = Math.min(...this.#tasks.map((task) => task.dueMs))
    this.#timer = this.#timers.after(Math.max(1, dueMs - this.#clock.monotonicMs()), () => this.#runDue())
  }

  #runDue(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const task of this.#tasks) {
      if (task.dueMs > nowMs) continue
      task.dueMs = nowMs + task.everyMs
      task.run()
    }
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#tasks.length = 0
  }
}
