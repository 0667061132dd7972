import { assert } from '../base/assert.ts'
import { Codec, compress } from './compression.ts'
import * as header from './record-batch-header.ts'
import type { RecordHeader } from './record-batch-decode.ts'
import { putVarint, sizeOfVarint } from './varint.ts'

export interface RecordInput {
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly RecordHeader[]
  /** Where a batch has gaps (compaction); baseOffset + index when left out. Ascending. */
  readonly offset?: number
}

export interface BatchInput {
  readonly records: readonly RecordInput[]
  readonly baseOffset?: number
  readonly codec?: number
  /** Of the codec; its own default when left out. */
  readonly level?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly control?: boolean
  /** -1 when left out: nobody has appended it yet. */
  readonly partitionLeaderEpoch?: number
  readonly timestampType?: header.TimestampType
}

/** A batch of magic 2, in a buffer of its own. Throws CompressionError `unavailable`. */
export function buildBatch(input: BatchInput): Buffer {
  const { records, baseOffset = 0, codec = Codec.NONE } = input
  assert(records.length > 0, 'a batch has at least one record')
  const baseTimestampMs = records[0].timestampMs
  const sizes = records.map((record, index) => {
    const offsetDelta = (record.offset ?? baseOffset + index) - baseOffset
    return bodySize(record, record.timestampMs - baseTimestampMs, offsetDelta)
  })
  const plainBytes = sizes.reduce((sum, size) => sum + sizeOfVarint(size) + size, 0)
  const plain = Buffer.allocUnsafe(header.BATCH_OVERHEAD + plainBytes)
  const writer = new RecordWriter(plain, header.BATCH_OVERHEAD)
  let maxTimestampMs = -1
  let lastOffsetDelta = 0
  for (let index = 0; index < records.length; index++) {
    const record = records[index]
    lastOffsetDelta = (record.offset ?? baseOffset + index) - baseOffset
    writer.record(record, sizes[index], record.timestampMs - baseTimestampMs, lastOffsetDelta)
    maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs)
  }
  const batch = codec === Codec.NONE ? plain : compressed(plain, codec, input.level)
  header.writeHeader(batch, {
    sizeBytes: batch.length,
    baseOffset,
    partitionLeaderEpoch: input.partitionLeaderEpoch ?? -1,
    attributes: header.attributeBits(codec, input),
    lastOffsetDelta,
    baseTimestampMs,
    maxTimestampMs,
    producerId: input.producerId ?? header.NO_PRODUCER_ID,
    producerEpoch: input.producerEpoch ?? -1,
    baseSequence: input.baseSequence ?? header.NO_SEQUENCE,
    recordCount: records.length,
  })
  return batch
}

function compressed(plain: Buffer, codec: number, level: number | undefined): Buffer {
  const records = compress(codec, plain.subarray(header.BATCH_OVERHEAD), level)
  const batch = Buffer.allocUnsafe(header.BATCH_OVERHEAD + records.length)
  records.copy(batch, header.BATCH_OVERHEAD)
  return batch
}

/** The bytes of a record behind its length. */
export function bodySize(record: RecordInput, timestampDelta: number, offsetDelta: number): number {
  let size = 1 + sizeOfVarint(timestampDelta) + sizeOfVarint(offsetDelta)
  size += sizeOfBytes(record.key) + sizeOfBytes(record.value)
  const headers = record.headers ?? []
  size += sizeOfVarint(headers.length)
  for (const { key, value } of headers) {
    const keyBytes = Buffer.byteLength(key)
    size += sizeOfVarint(keyBytes) + keyBytes + sizeOfBytes(value)
  }
  return size
}

const sizeOfBytes = (bytes: Buffer | null): number =>
  bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length

/** Writes records, one after the other. */
export class RecordWriter {
  at: number
  private readonly bytes: Buffer

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  record(record: RecordInput, size: number, timestampDelta: number, offsetDelta: number): void {
    this.varint(size)
    this.bytes[this.at++] = 0
    this.varint(timestampDelta)
    this.varint(offsetDelta)
    this.nullableBytes(record.key)
    this.nullableBytes(record.value)
    const headers = record.headers ?? []
    this.varint(headers.length)
    for (const { key, value } of headers) {
      this.varint(Buffer.byteLength(key))
      this.at += this.bytes.write(key, this.at, 'utf8')
      this.nullableBytes(value)
    }
  }

  private nullableBytes(value: Buffer | null): void {
    if (value === null) return this.varint(-1)
    this.varint(value.length)
    value.copy(this.bytes, this.at)
    this.at += value.length
  }

  private varint(value: number): void {
    this.at = putVarint(this.bytes, this.at, value)
  }
}
