import type { Random } from '../env.ts'

/** Random numbers that a seed repeats (mulberry32). Not for secrets. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size)
    for (let i = 0; i < size; i++) bytes[i] = this.integer(256)
    return bytes
  }

  /** Uniform in [0, limit). */
  integer(limit: number): number {
    return Math.floor(this.next() * limit)
  }
}
