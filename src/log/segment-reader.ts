/**
 * Reads whole batches of a segment for those who send them on. No CRC is computed: that is the reader's. What no CRC covers,
 * and what decides where a batch lies, is looked at: magic, sizes, and offsets that rise.
 */
import type { DiskError, DiskFile } from '../env/disk.ts'
import {
  baseOffset,
  batchSize,
  BATCH_OVERHEAD,
  lastOffset,
  magic,
  MAGIC_V2,
} from '../protocol/record-batch.ts'
import type { HeaderScan } from './header-scan.ts'
import { EMPTY_SLICE, PooledSlice, type ReadBuffers } from './read-buffers.ts'
import type { LogSlice, ReadOptions } from './types.ts'

const REMEMBERED_READERS = 8
const BASE_OFFSET_BYTES = 8

/** The segment as its reader needs it. */
export interface ReadSegment {
  readonly baseOffset: number
  readonly sizeBytes: number
  file(): DiskFile
  scan(position: number): HeaderScan
  batchIsRight(position: number): boolean
  corrupt(position: number): DiskError
}

interface ReadRequest {
  /** Position of the batch that holds `offset`. */
  readonly start: number
  readonly offset: number
  /** All batches end below it. */
  readonly endOffset: number
  readonly options: ReadOptions
}

export class SegmentReader {
  readonly #buffers: ReadBuffers
  readonly #segment: ReadSegment
  /** Where the last few readers stopped: offset and position. */
  #offsets: number[] = []
  #positions: number[] = []
  #nextSlot = 0

  constructor(buffers: ReadBuffers, segment: ReadSegment) {
    this.#buffers = buffers
    this.#segment = segment
  }

  /** Where the batch at `offset` begins, when a reader stopped before it; else -1. */
  positionOf(offset: number): number {
    const slot = this.#offsets.indexOf(offset)
    return slot < 0 ? -1 : this.#positions[slot]
  }

  #remember(offset: number, position: number): void {
    this.#offsets[this.#nextSlot] = offset
    this.#positions[this.#nextSlot] = position
    this.#nextSlot = (this.#nextSlot + 1) % REMEMBERED_READERS
  }

  /** The file was cut. */
  forget(): void {
    this.#offsets = []
    this.#positions = []
    this.#nextSlot = 0
  }

  /** Whole batches, the last of which ends below `endOffset`. */
  readRange(start: number, end: number, endOffset: number): LogSlice {
    const length = end - start
    const buffer = this.#buffers.take(length)
    this.#readExactly(buffer, length, start)
    return new PooledSlice(this.#buffers, buffer, length, endOffset)
  }

  #readExactly(buffer: Buffer, length: number, position: number): void {
    if (this.#segment.file().read(buffer, 0, length, position) !== length)
      throw this.#segment.corrupt(position)
  }

  /**
   * Reads as much as may be wanted, then finds in memory where the last whole batch ends. `start`: of the batch that holds
   * `offset`. `endOffset`: all batches end below it. Throws DiskError where the first batch cannot be one.
   */
  readFrom(start: number, offset: number, options: ReadOptions, endOffset: number): LogSlice {
    const available = this.#segment.sizeBytes - start
    if (available < BATCH_OVERHEAD) throw this.#segment.corrupt(start)
    const length = Math.min(available, Math.max(options.maxBytes, BATCH_OVERHEAD))
    let buffer = this.#buffers.take(length)
    this.#readExactly(buffer, length, start)
    const extent = this.#extentIn(buffer, length, { start, offset, endOffset, options })
    if (extent.end > length) {
      this.#buffers.give(buffer)
      buffer = this.#buffers.take(extent.end)
      this.#readExactly(buffer, extent.end, start)
    }
    if (extent.end === 0) {
      this.#buffers.give(buffer)
      return EMPTY_SLICE
    }
    this.#remember(extent.nextOffset, start + extent.end)
    return new PooledSlice(this.#buffers, buffer, extent.end, extent.nextOffset)
  }

  /** Of the batches to serve, those at the head of `buffer`; the first may reach beyond it. Throws DiskError. */
  #extentIn(buffer: Buffer, length: number, request: ReadRequest): { end: number; nextOffset: number } {
    const { start, offset, endOffset, options } = request
    const available = this.#segment.sizeBytes - start
    let end = 0
    let nextOffset = this.#segment.baseOffset
    // Of the last batch so far: where it begins, and what had to come.
    let last = 0
    let lastNext = 0
    while (end + BATCH_OVERHEAD <= length) {
      const base = baseOffset(buffer, end)
      const size = batchSize(buffer, end)
      const ends = lastOffset(buffer, end)
      const isBatch = size >= BATCH_OVERHEAD && end + size <= available && magic(buffer, end) === MAGIC_V2
      if (!isBatch || base < nextOffset || ends < base || ends >= endOffset || (end === 0 && ends < offset))
        break
      if (base >= options.upperBoundOffset) return { end, nextOffset }
      if (end + size > options.maxBytes && (end > 0 || !options.minOneBatch)) return { end, nextOffset }
      last = end
      lastNext = nextOffset
      nextOffset = ends + 1
      end += size
    }
    if (end === 0) throw this.#segment.corrupt(start)
    const following =
      end + BASE_OFFSET_BYTES <= length ? baseOffset(buffer, end) : this.#baseOffsetAt(start + end)
    if (following >= nextOffset || this.#isSound(start + last)) return { end, nextOffset }
    if (last === 0) throw this.#segment.corrupt(start)
    return { end: last, nextOffset: lastNext }
  }

  /** The batch after it begins below its end, and one of the two is wrong: whether it is that one. Reads all headers before it. */
  #isSound(position: number): boolean {
    const segment = this.#segment
    let nextOffset = segment.baseOffset
    const scan = segment.scan(0)
    let hasCome = false
    while (!hasCome && scan.next()) {
      hasCome = scan.position >= position
      if (!hasCome) nextOffset = scan.lastOffset + 1
    }
    const follows = hasCome && scan.position === position && scan.baseOffset === nextOffset
    scan.done()
    return follows && segment.batchIsRight(position)
  }

  /** Infinity where no batch can begin. */
  #baseOffsetAt(position: number): number {
    if (position + BATCH_OVERHEAD > this.#segment.sizeBytes) return Infinity
    const bytes = Buffer.allocUnsafe(BASE_OFFSET_BYTES)
    this.#readExactly(bytes, bytes.length, position)
    return baseOffset(bytes, 0)
  }
}
