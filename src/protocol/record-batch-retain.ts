/** Batches that compaction has taken records out of: same offsets, producer and codec, fewer records or none. */
import { compress } from './compression.ts'
import * as header from './record-batch-header.ts'
import { RecordCursor } from './record-walk.ts'
import { putVarint, sizeOfVarint } from './varint.ts'

export interface RetainedRecords {
  /** The batch's records as plain bytes. */
  readonly plain: Uint8Array
  /** Pairs: where a stretch of retained records begins and ends in `plain`. Ascending, and not empty. */
  readonly stretches: readonly number[]
  readonly count: number
  /** Smallest index first. */
  readonly firstTimestampDelta: number
  readonly maxTimestampDelta: number
}

/** -1: a record that says so itself has no timestamp. */
const NO_TIMESTAMP = -1

/**
 * The batch at `position` with only these records. `deleteHorizonMs`: when its tombstones or marker may go (KIP-534); -1
 * keeps the batch's own, or none. Throws CompressionError `unavailable`.
 */
export function retainRecords(
  bytes: Buffer,
  position: number,
  retained: RetainedRecords,
  deleteHorizonMs: number,
): Buffer {
  const bits = header.attributes(bytes, position)
  const oldBaseMs = header.baseTimestamp(bytes, position)
  const isLogAppendTime = header.timestampTypeOf(bits) === header.LOG_APPEND_TIME
  const keepsBase = deleteHorizonMs < 0 && (header.hasDeleteHorizon(bits) || isLogAppendTime)
  const firstMs = oldBaseMs + retained.firstTimestampDelta
  const baseTimestampMs = deleteHorizonMs >= 0 ? deleteHorizonMs : keepsBase ? oldBaseMs : firstMs
  const records = joinStretches(retained, oldBaseMs - baseTimestampMs)
  const codec = header.codecOf(bits)
  const body = compress(codec, records)
  const batch = Buffer.allocUnsafe(header.BATCH_OVERHEAD + body.length)
  body.copy(batch, header.BATCH_OVERHEAD)
  header.writeHeader(batch, {
    ...headerOf(bytes, position),
    sizeBytes: batch.length,
    attributes: deleteHorizonMs >= 0 ? header.withDeleteHorizon(bits) : bits,
    baseTimestampMs,
    maxTimestampMs: isLogAppendTime
      ? header.maxTimestamp(bytes, position)
      : Math.max(NO_TIMESTAMP, oldBaseMs + retained.maxTimestampDelta),
    recordCount: retained.count,
  })
  return batch
}

/** What is left of a batch for its producer's sequence alone. */
export function withoutRecords(bytes: Buffer, position: number): Buffer {
  const bits = header.attributes(bytes, position)
  const batch = Buffer.allocUnsafe(header.BATCH_OVERHEAD)
  header.writeHeader(batch, {
    ...headerOf(bytes, position),
    sizeBytes: batch.length,
    attributes: header.attributeBits(0, {
      timestampType: header.timestampTypeOf(bits),
      transactional: header.isTransactional(bits),
      control: header.isControl(bits),
    }),
    baseTimestampMs: NO_TIMESTAMP,
    maxTimestampMs: header.maxTimestamp(bytes, position),
    recordCount: 0,
  })
  return batch
}

/** What every rewriting keeps. */
function headerOf(bytes: Buffer, position: number) {
  return {
    baseOffset: header.baseOffset(bytes, position),
    partitionLeaderEpoch: header.partitionLeaderEpoch(bytes, position),
    lastOffsetDelta: header.lastOffsetDelta(bytes, position),
    producerId: header.producerId(bytes, position),
    producerEpoch: header.producerEpoch(bytes, position),
    baseSequence: header.baseSequence(bytes, position),
  }
}

/** `shiftMs` is added to every timestamp delta. */
function joinStretches({ plain, stretches }: RetainedRecords, shiftMs: number): Buffer {
  const parts: Uint8Array[] = []
  for (let index = 0; index < stretches.length; index += 2) {
    const [start, end] = [stretches[index], stretches[index + 1]]
    if (shiftMs === 0) parts.push(plain.subarray(start, end))
    else parts.push(...shiftTimestamps(plain, start, end, shiftMs))
  }
  return Buffer.concat(parts)
}

function* shiftTimestamps(
  plain: Uint8Array,
  start: number,
  end: number,
  shiftMs: number,
): Generator<Uint8Array> {
  const cursor = new RecordCursor(plain, start, end)
  while (cursor.at < end) {
    cursor.next()
    const delta = cursor.timestampDelta + shiftMs
    // Length, attributes and delta are written anew; what follows the old delta stays as it is.
    const rest = plain.subarray(cursor.offsetDeltaAt, cursor.at)
    const length = 1 + sizeOfVarint(delta) + rest.length
    const head = new Uint8Array(sizeOfVarint(length) + 1 + sizeOfVarint(delta))
    const attributesAt = putVarint(head, 0, length)
    putVarint(head, attributesAt + 1, delta)
    yield head
    yield rest
  }
}
