/**
 * A batch of magic 2 whose keys and values are put in place by whoever has them: no object is made of a record. For many small
 * ones, as coordinators write: uncompressed, all with one timestamp, without headers and without null.
 */
import { assert } from '../base/assert.ts'
import { Codec } from './compression.ts'
import * as header from './record-batch-header.ts'
import { putVarint, sizeOfVarint } from './varint.ts'

/** Attributes, timestamp delta and header count: all are 0. */
const ZERO_BYTES = 3
/** Of a record: those, and four varints of up to five bytes. */
const MAX_FRAME_BYTES = ZERO_BYTES + 4 * 5

/** Of a producer's transaction. */
export interface TransactionalProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

export class BatchFiller {
  /** Where the record that was begun last has its key and its value. */
  bytes: Buffer
  keyAt = 0
  valueAt = 0
  #end: number = header.BATCH_OVERHEAD
  #count = 0

  /** `expectedBytes`: of all records. There is room for more. */
  constructor(expectedBytes: number) {
    this.bytes = Buffer.allocUnsafe(header.BATCH_OVERHEAD + expectedBytes)
  }

  /** Begins a record: as many bytes are to be put at `keyAt` and `valueAt` before the next one. */
  next(keyBytes: number, valueBytes: number): void {
    const offsetDelta = this.#count++
    const sizes = sizeOfVarint(offsetDelta) + sizeOfVarint(keyBytes) + sizeOfVarint(valueBytes)
    this.#reserve(MAX_FRAME_BYTES + keyBytes + valueBytes)
    const { bytes } = this
    let at = putVarint(bytes, this.#end, ZERO_BYTES + sizes + keyBytes + valueBytes)
    bytes[at++] = 0
    bytes[at++] = 0
    at = putVarint(bytes, at, offsetDelta)
    this.keyAt = putVarint(bytes, at, keyBytes)
    this.valueAt = putVarint(bytes, this.keyAt + keyBytes, valueBytes)
    this.#end = this.valueAt + valueBytes
    bytes[this.#end++] = 0
  }

  finish(timestampMs: number, producer: TransactionalProducer | null = null): Buffer {
    assert(this.#count > 0, 'a batch has at least one record')
    const batch = this.bytes.subarray(0, this.#end)
    header.writeHeader(batch, {
      sizeBytes: batch.length,
      baseOffset: 0,
      partitionLeaderEpoch: -1,
      attributes: header.attributeBits(Codec.NONE, { transactional: producer !== null }),
      lastOffsetDelta: this.#count - 1,
      baseTimestampMs: timestampMs,
      maxTimestampMs: timestampMs,
      producerId: producer?.producerId ?? header.NO_PRODUCER_ID,
      producerEpoch: producer?.producerEpoch ?? -1,
      baseSequence: producer?.baseSequence ?? header.NO_SEQUENCE,
      recordCount: this.#count,
    })
    return batch
  }

  #reserve(size: number): void {
    const { bytes } = this
    if (this.#end + size <= bytes.length) return
    this.bytes = Buffer.allocUnsafe(Math.max(2 * bytes.length, this.#end + size))
    bytes.copy(this.bytes, 0, 0, this.#end)
  }
}
