/** Offsets by timestamp over the segments of a log, exact to the record. */
import { DiskError } from '../env/disk.ts'
import * as batch from '../protocol/record-batch.ts'
import { LOG_SUFFIX } from './file-names.ts'
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

/** The first record with the greatest timestamp of all at or above `fromOffset`. null when none has one. */
export function findMaxTimestamp(segments: readonly Segment[], fromOffset: number): TimestampOffset | null {
  let best: TimestampOffset | null = null
  let newest: Segment | null = null
  for (let index = 0; index < segments.length; index++) {
    const segment = segments[index]
    // Retention has not taken it yet.
    if (index + 1 < segments.length && segments[index + 1].baseOffset <= fromOffset) continue
    if (segment.sizeBytes === 0 || largestMs(segment) <= (best?.timestampMs ?? -1)) continue
    // What a segment knows is of all its records, those below the log start, too.
    if (segment.baseOffset < fromOffset) best = newestFrom(segment, fromOffset)
    else if (newest === null || largestMs(segment) > largestMs(newest)) newest = segment
  }
  return newest === null ? best : firstWithLargest(newest)
}

const largestMs = (segment: Segment): number => segment.largestTimestamp().timestampMs

function firstWithLargest(segment: Segment): TimestampOffset | null {
  const { timestampMs, offset } = segment.largestTimestamp()
  return scanBatches(segment, segment.offsetIndex.lookup(offset), (scan) => {
    if (scan.maxTimestampMs !== timestampMs) return null
    return firstRecord(segment, scan, (record) => record.timestampMs === timestampMs)
  })
}

/** In a segment that the log start lies in, by its batch headers from there on; the batch around it record by record. */
function newestFrom(segment: Segment, fromOffset: number): TimestampOffset | null {
  let best: TimestampOffset | null = null
  scanBatches(segment, segment.offsetIndex.lookup(fromOffset), (scan) => {
    if (scan.lastOffset < fromOffset || scan.maxTimestampMs <= (best?.timestampMs ?? -1)) return null
    const records = recordsAt(segment, scan).filter(({ offset }) => offset >= fromOffset)
    for (const { timestampMs, offset, leaderEpoch } of records) {
      if (timestampMs > (best?.timestampMs ?? -1)) best = { timestampMs, offset, leaderEpoch }
    }
    return null
  })
  return best
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
  matches: (record: TimestampOffset) => boolean,
): TimestampOffset | null {
  const record = recordsAt(segment, scan).find(matches)
  if (record === undefined) return null
  const { timestampMs, offset, leaderEpoch } = record
  return { timestampMs, offset, leaderEpoch }
}

/** Of the scan's batch. Throws DiskError where the file holds what no reader could read. */
function recordsAt(segment: Segment, scan: HeaderScan): TimestampOffset[] {
  const bytes = Buffer.allocUnsafe(scan.sizeBytes)
  segment.file().read(bytes, 0, bytes.length, scan.position)
  const leaderEpoch = batch.partitionLeaderEpoch(bytes, 0)
  try {
    return batch.decodeRecords(bytes).map(({ timestampMs, offset }) => ({ timestampMs, offset, leaderEpoch }))
  } catch (error) {
    if (!(error instanceof batch.CompressionError) && !(error instanceof batch.MalformedRecordError))
      throw error
    const path = segment.path(LOG_SUFFIX)
    throw new DiskError(
      'IO',
      path,
      `${path}: the batch at position ${scan.position} cannot be read: ${error.message}`,
    )
  }
}
