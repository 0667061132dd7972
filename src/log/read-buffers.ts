/**
 * Buffers that record bytes are read into on their way to a socket. Reused, because a fresh megabyte costs more in page
 * faults than the read itself. Sizes are powers of two; what is larger than the largest is allocated for once.
 */
import { assert } from '../base/assert.ts'
import type { LogSlice } from './types.ts'

const SMALLEST_BITS = 12
const LARGEST_BITS = 21
/** Memory kept for reuse over all sizes. */
const MAX_IDLE_BYTES = 16 * 1024 * 1024

export class ReadBuffers {
  readonly #idle: Buffer[][] = Array.from({ length: LARGEST_BITS + 1 }, () => [])
  #idleBytes = 0

  /** At least `length` bytes, with anything in them. */
  take(length: number): Buffer {
    const bits = Math.max(SMALLEST_BITS, 32 - Math.clz32(length - 1))
    if (bits > LARGEST_BITS) return Buffer.allocUnsafeSlow(length)
    const buffer = this.#idle[bits].pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(1 << bits)
    this.#idleBytes -= buffer.length
    return buffer
  }

  give(buffer: Buffer): void {
    const bits = 31 - Math.clz32(buffer.length)
    if (bits > LARGEST_BITS || this.#idleBytes + buffer.length > MAX_IDLE_BYTES) return
    this.#idleBytes += buffer.length
    this.#idle[bits].push(buffer)
  }
}

export class PooledSlice implements LogSlice {
  readonly bytes: Buffer
  readonly endOffset: number
  readonly #buffers: ReadBuffers
  #owner: Buffer | null

  constructor(buffers: ReadBuffers, owner: Buffer, length: number, endOffset: number) {
    this.#buffers = buffers
    this.#owner = owner
    this.bytes = owner.subarray(0, length)
    this.endOffset = endOffset
  }

  release(): void {
    assert(this.#owner !== null, 'a log slice is released once')
    this.#buffers.give(this.#owner)
    this.#owner = null
  }
}

/** Nothing to read; may be released any number of times. */
export const EMPTY_SLICE: LogSlice = { bytes: Buffer.alloc(0), endOffset: 0, release() {} }
