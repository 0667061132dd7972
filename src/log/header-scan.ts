/** Walks the batch headers of a segment file without reading the records. */
import type { DiskFile } from '../env/disk.ts'
import {
  attributes,
  BATCH_OVERHEAD,
  baseOffset,
  batchSize,
  lastOffset,
  maxTimestamp,
  producerId,
} from '../protocol/record-batch.ts'

const WINDOW_BYTES = 32 * 1024
/** One window is kept for reuse: scans are synchronous and hardly ever nest. */
let idleWindow: Buffer | null = null

export class HeaderScan {
  readonly #file: DiskFile
  readonly #end: number
  readonly #window: Buffer
  #windowStart = 0
  #windowLength = 0
  /** Where the current batch lies; after `next` gave false: where the scan stopped. */
  position: number
  sizeBytes = 0
  #at = 0

  constructor(file: DiskFile, position: number, end: number) {
    this.#file = file
    this.#end = end
    this.position = position
    this.#window = idleWindow ?? Buffer.allocUnsafeSlow(WINDOW_BYTES)
    idleWindow = null
  }

  /** Moves to the first, then to each following batch; false at the end, or where no whole batch can be. */
  next(): boolean {
    const position = this.position + this.sizeBytes
    this.position = position
    this.sizeBytes = 0
    if (position + BATCH_OVERHEAD > this.#end) return false
    this.#at = position - this.#windowStart
    if (this.#at < 0 || this.#at + BATCH_OVERHEAD > this.#windowLength) {
      const length = Math.min(WINDOW_BYTES, this.#end - position)
      this.#windowLength = this.#file.read(this.#window, 0, length, position)
      this.#windowStart = position
      this.#at = 0
      if (this.#windowLength < BATCH_OVERHEAD) return false
    }
    const size = batchSize(this.#window, this.#at)
    if (size < BATCH_OVERHEAD || position + size > this.#end) return false
    this.sizeBytes = size
    return true
  }

  get baseOffset(): number {
    return baseOffset(this.#window, this.#at)
  }

  get lastOffset(): number {
    return lastOffset(this.#window, this.#at)
  }

  get maxTimestampMs(): number {
    return maxTimestamp(this.#window, this.#at)
  }

  get producerId(): number {
    return producerId(this.#window, this.#at)
  }

  get attributes(): number {
    return attributes(this.#window, this.#at)
  }

  /** The header lies at `at` in `bytes`, until the next move. */
  get bytes(): Buffer {
    return this.#window
  }

  get at(): number {
    return this.#at
  }

  /** Gives the window back; the scan must not be used any more. */
  done(): void {
    idleWindow = this.#window
  }
}
