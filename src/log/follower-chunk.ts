import { DiskError } from '../env/disk.ts'
import * as batch from '../protocol/record-batch.ts'
import type { Chunk } from './segment.ts'

/** What a leader sent, as one append; null when it is nothing. Throws DiskError on data that must not be appended. */
export function followerChunk(bytes: Buffer, logEndOffset: number, directory: string): Chunk | null {
  let lastOffset = logEndOffset - 1
  let maxTimestampMs = -1
  let offsetOfMaxTimestamp = -1
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
    const bad = batch.checkBatch(bytes, at, bytes.length - at)
    if (bad !== null) throw new DiskError('IO', directory, bad.message)
    const baseOffset = batch.baseOffset(bytes, at)
    if (baseOffset <= lastOffset) {
      throw new DiskError('IO', directory, `batch at offset ${baseOffset} follows offset ${lastOffset}`)
    }
    lastOffset = batch.lastOffset(bytes, at)
    if (batch.recordsMaxTimestamp(bytes, at) > maxTimestampMs) {
      maxTimestampMs = batch.recordsMaxTimestamp(bytes, at)
      offsetOfMaxTimestamp = lastOffset
    }
  }
  if (bytes.length === 0) return null
  return {
    bytes,
    firstOffset: batch.baseOffset(bytes, 0),
    lastOffset,
    maxTimestampMs,
    offsetOfMaxTimestamp,
  }
}
