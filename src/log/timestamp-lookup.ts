/** Offsets by timestamp over the segments of a log, exact to the record. */
import * as batch from '../protocol/record-batch.ts'
import { HeaderScan } from './header-scan.ts'
import type { Segment } from './segment.ts'
import type { TimestampOffset } from './types.ts'

/** First record at or above `fromOffset` with timestamp >= the given one; null when there is none. */
export function findByTimestamp(
  segments: readonly Segment[],
  timestampMs: number,
  fromOffset: number,
): TimestampOffset | null {
  for (const segment of segments) {
    if (segment.sizeBytes === 0 || segment.largestTimestamp().timestampMs < timestampMs) continue
    // Everything at or below the entry's offset has a timestamp at or below the entry's.
    const entry = segment.timeIndex.lookup(timestampMs)
    const position = segment.offsetIndex.lookup(Math.max(entry.offset, fromOffset))
    const found = scanBatches(segment, position, (scan) => {
      if (scan.maxTimestampMs < timestampMs || scan.lastOffset < fromOffset) return null
      return firstRecord(segment, scan, (record) => {
        return record.timestampMs >= timestampMs && record.offset >= fromOffset
      })
    })
    if (found !== null) return found
  }
  return null
}

/** The first record with the greatest timestamp of all. null when no record has one. */
export function findMaxTimestamp(segments: readonly Segment[], fromOffset: number): TimestampOffset | null {
  let newest: Segment | null = null
  for (const segment of segments) {
    if (segment.sizeBytes === 0 || segment.largestTimestamp().timestampMs < 0) continue
    const best = newest === null ? -1 : newest.largestTimestamp().timestampMs
    if (segment.largestTimestamp().timestampMs > best) newest = segment
  }
  if (newest === null) return null
  const segment = newest
  const { timestampMs, offset } = segment.largestTimestamp()
  return scanBatches(segment, segment.offsetIndex.lookup(offset), (scan) => {
    if (scan.maxTimestampMs !== timestampMs || scan.lastOffset < fromOffset) return null
    return firstRecord(segment, scan, (record) => record.timestampMs === timestampMs)
  })
}

function scanBatches(
  segment: Segment,
  position: number,
  look: (scan: HeaderScan) => TimestampOffset | null,
): TimestampOffset | null {
  const scan = new HeaderScan(segment.file(), position, segment.sizeBytes)
  try {
    while (scan.next()) {
      const found = look(scan)
      if (found !== null) return found
    }
    return null
  } finally {
    scan.done()
  }
}

function firstRecord(
  segment: Segment,
  scan: HeaderScan,
  matches: (record: batch.Record) => boolean,
): TimestampOffset | null {
  const bytes = Buffer.allocUnsafe(scan.sizeBytes)
  segment.file().read(bytes, 0, bytes.length, scan.position)
  const record = batch.decodeRecords(bytes).find(matches)
  if (record === undefined) return null
  const { timestampMs, offset } = record
  return { timestampMs, offset, leaderEpoch: batch.partitionLeaderEpoch(bytes, 0) }
}
