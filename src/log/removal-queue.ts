/** Files and directories that go after a delay (`file.delete.delay.ms`), a piece a turn, so that no turn is long. */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Clock, Logger, Timer, Timers } from '../env/env.ts'
import { join } from './file-names.ts'

interface Removal {
  readonly path: string
  readonly dueMs: number
}

export class RemovalQueue {
  readonly #env: { disk: Disk; clock: Clock; timers: Timers; logger: Logger }
  #waiting: Removal[] = []
  #timer: Timer | null = null
  #stopped = false

  constructor(env: { disk: Disk; clock: Clock; timers: Timers; logger: Logger }) {
    this.#env = env
  }

  add(paths: readonly string[], delayMs: number): void {
    const dueMs = this.#env.clock.monotonicMs() + delayMs
    for (const path of paths) this.#waiting.push({ path, dueMs })
    this.#waiting.sort((a, b) => a.dueMs - b.dueMs)
    this.#schedule()
  }

  #schedule(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#waiting.length === 0 || this.#stopped) return
    const delayMs = Math.max(0, this.#waiting[0].dueMs - this.#env.clock.monotonicMs())
    this.#timer = this.#env.timers.after(delayMs, () => this.#removeNext())
  }

  #removeNext(): void {
    this.#timer = null
    const next = this.#waiting[0]
    if (next !== undefined && next.dueMs <= this.#env.clock.monotonicMs()) {
      this.#waiting.shift()
      this.#remove(next)
    }
    this.#schedule()
  }

  #remove({ path, dueMs }: Removal): void {
    const { disk, logger } = this.#env
    try {
      const names = disk.stat(path)?.isDirectory ? disk.list(path) : []
      if (names.length === 0) return disk.remove(path)
      // The directory again, once it is empty.
      this.#waiting.unshift(
        ...[...names.map((name) => join(path, name)), path].map((each) => ({ path: each, dueMs })),
      )
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      logger.log('warn', 'could not delete', { path, error: error.message })
    }
  }

  /** What waits is found and deleted at the next start. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
