/**
 * Walks the batch headers of a segment file without reading the records, and without their CRC: a header is believed where
 * its magic, its size and its offsets can be those of the batch that comes next.
 */
import type { DiskFile } from '../env/disk.ts'
import {
  attributes,
  BATCH_OVERHEAD,
  baseOffset,
  batchSize,
  lastOffset,
  magic,
  MAGIC_V2,
  maxTimestamp,
  producerId,
  recordsMaxTimestamp,
} from '../protocol/record-batch.ts'

const WINDOW_BYTES = 32 * 1024
/** How far above a segment's base its offsets may lie: an index entry has four bytes for that. */
const MAX_RELATIVE_OFFSET = 0x7fff_ffff
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
  readonly #segmentBase: number
  /** The least offset that the next batch may begin at. */
  #nextOffset: number

  constructor(file: DiskFile, position: number, end: number, segmentBase: number) {
    this.#file = file
    this.#segmentBase = segmentBase
    this.#nextOffset = segmentBase
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
    if (!this.#canBeNext(this.#end - position)) return false
    this.sizeBytes = batchSize(this.#window, this.#at)
    this.#nextOffset = this.lastOffset + 1
    return true
  }

  #canBeNext(available: number): boolean {
    const size = batchSize(this.#window, this.#at)
    if (size < BATCH_OVERHEAD || size > available || magic(this.#window, this.#at) !== MAGIC_V2) return false
    const { baseOffset, lastOffset } = this
    return (
      baseOffset >= this.#nextOffset &&
      lastOffset >= baseOffset &&
      lastOffset - this.#segmentBase <= MAX_RELATIVE_OFFSET
    )
  }

  /** The current batch comes once more. */
  rewind(): void {
    this.sizeBytes = 0
    this.#nextOffset = this.#segmentBase
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

  /** -1 where no record is left that has it. */
  get recordsMaxTimestampMs(): number {
    return recordsMaxTimestamp(this.#window, this.#at)
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
