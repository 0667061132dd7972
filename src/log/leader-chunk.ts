/** What a leader is given, made ready for its log: offsets, leader epoch and timestamps are set in place. */
import * as batch from '../protocol/record-batch.ts'
import type { Chunk } from './segment.ts'

export interface Stamp {
  readonly leaderEpoch: number
  /** Of all records. */
  readonly maxTimestampMs: number
  /** -1: the records keep their own timestamps. */
  readonly logAppendTimeMs: number
}

/** Base offset and leader epoch lie outside the CRC; it is computed anew only where the timestamp fields change. */
export function leaderChunk(bytes: Buffer, firstOffset: number, stamp: Stamp): Chunk {
  const { leaderEpoch, maxTimestampMs, logAppendTimeMs } = stamp
  let nextOffset = firstOffset
  let offsetOfMaxTimestamp = -1
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
    const isOnly = batch.batchSize(bytes, at) === bytes.length
    if (logAppendTimeMs >= 0) {
      batch.setMaxTimestampAndType(bytes, at, logAppendTimeMs, batch.LOG_APPEND_TIME)
    } else if (isOnly) {
      batch.setMaxTimestampAndType(bytes, at, maxTimestampMs, batch.CREATE_TIME)
    }
    batch.setBaseOffset(bytes, at, nextOffset)
    batch.setPartitionLeaderEpoch(bytes, at, leaderEpoch)
    nextOffset += batch.lastOffsetDelta(bytes, at) + 1
    if (offsetOfMaxTimestamp < 0 && batch.maxTimestamp(bytes, at) === maxTimestampMs) {
      offsetOfMaxTimestamp = nextOffset - 1
    }
  }
  return { bytes, firstOffset, lastOffset: nextOffset - 1, maxTimestampMs, offsetOfMaxTimestamp }
}
