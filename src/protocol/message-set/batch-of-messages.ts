/** A message set of format 0 or 1 becomes one record batch of magic 2. */
import { Codec, compress } from '../compression.ts'
import { bodySize, RecordWriter, type RecordInput } from '../record-batch-build.ts'
import * as header from '../record-batch-header.ts'
import type { MessageSet } from './check-message-set.ts'
import { MessageCursor } from './message.ts'

/**
 * Offsets count from 0, without a producer, as CreateTime: whoever appends it sets offsets and, where the topic wants it,
 * LogAppendTime. No record takes more than its message took, so that one buffer of the messages' size holds them all,
 * however many there are. Throws CompressionError `unavailable`.
 */
export function batchOfMessages(set: MessageSet, codec: number, level?: number): Buffer {
  return build(set, { codec, level, offsetOf: (_cursor, index) => index })
}

/** The same with the offsets that the messages have in a log, gaps and all: `firstOffset` plus what each says of itself. */
export function storedBatchOfMessages(set: MessageSet, firstOffset: number): Buffer {
  const { codec } = set
  return build(set, { codec, level: undefined, offsetOf: (cursor) => firstOffset + cursor.offset })
}

interface BuildOptions {
  readonly codec: number
  readonly level: number | undefined
  /** Ascending. */
  offsetOf(cursor: MessageCursor, index: number): number
}

function build(set: MessageSet, { codec, level, offsetOf }: BuildOptions): Buffer {
  const plain = Buffer.allocUnsafe(header.BATCH_OVERHEAD + set.end - set.start)
  const writer = new RecordWriter(plain, header.BATCH_OVERHEAD)
  const cursor = new MessageCursor(set.bytes, set.start, set.end)
  let baseTimestampMs = -1
  let baseOffset = 0
  let lastOffsetDelta = 0
  for (let index = 0; index < set.count; index++) {
    cursor.next()
    cursor.readParts()
    const timestampMs = set.ownTimestampMs ?? cursor.timestampMs
    const offset = offsetOf(cursor, index)
    if (index === 0) {
      baseTimestampMs = timestampMs
      baseOffset = offset
    }
    lastOffsetDelta = offset - baseOffset
    const record: RecordInput = { timestampMs, key: cursor.key(), value: cursor.value() }
    const timestampDelta = timestampMs - baseTimestampMs
    writer.record(record, bodySize(record, timestampDelta, lastOffsetDelta), timestampDelta, lastOffsetDelta)
  }
  const records = plain.subarray(header.BATCH_OVERHEAD, writer.at)
  const isPlain = codec === Codec.NONE
  const batch = isPlain ? plain.subarray(0, writer.at) : withRoomForHeader(compress(codec, records, level))
  header.writeHeader(batch, {
    sizeBytes: batch.length,
    baseOffset,
    partitionLeaderEpoch: -1,
    attributes: header.attributeBits(codec, {}),
    lastOffsetDelta,
    baseTimestampMs,
    maxTimestampMs: set.maxTimestampMs,
    producerId: header.NO_PRODUCER_ID,
    producerEpoch: -1,
    baseSequence: header.NO_SEQUENCE,
    recordCount: set.count,
  })
  return batch
}

function withRoomForHeader(records: Buffer): Buffer {
  const batch = Buffer.allocUnsafe(header.BATCH_OVERHEAD + records.length)
  records.copy(batch, header.BATCH_OVERHEAD)
  return batch
}
