/**
 * READ_COMMITTED readers that wait. What is appended is theirs at once where no transaction holds it back; else when the last
 * stable offset moves: how many bytes that gives is not known here, so they look themselves.
 */
import { DiskError } from '../env/disk.ts'
import type { PartitionWaiter } from './types.ts'

export interface StableMarks {
  readonly highWatermark: number
  readonly lastStableOffset: number
}

/** As they are now: a partition's move. */
const taken = ({ highWatermark, lastStableOffset }: StableMarks): StableMarks => ({
  highWatermark,
  lastStableOffset,
})
const nothingHeldBack = (marks: StableMarks): boolean => marks.lastStableOffset === marks.highWatermark

export class StableWaiters {
  readonly #waiters = new Set<PartitionWaiter>()
  /** When it was last looked. */
  #marks: StableMarks = { highWatermark: -1, lastStableOffset: -1 }

  get size(): number {
    return this.#waiters.size
  }

  add(waiter: PartitionWaiter, marks: StableMarks): void {
    if (this.#waiters.size === 0) this.#marks = taken(marks)
    this.#waiters.add(waiter)
  }

  delete(waiter: PartitionWaiter): void {
    this.#waiters.delete(waiter)
  }

  /** The high watermark has moved, by so many bytes. */
  moved(marks: StableMarks, bytes: number): void {
    const before = this.#marks
    const now = this.#take(marks)
    if (now === null) return this.changed()
    this.#marks = now
    if (nothingHeldBack(before) && nothingHeldBack(now))
      for (const waiter of this.#waiters) waiter.grew(bytes)
    else if (now.lastStableOffset > before.lastStableOffset) this.changed()
  }

  /** null: the log cannot be read. Whoever looks then is told so. */
  #take(marks: StableMarks): StableMarks | null {
    try {
      return taken(marks)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return null
    }
  }

  /** Each looks for itself. */
  changed(): void {
    for (const waiter of [...this.#waiters]) waiter.changed()
  }
}
