/** Offsets by timestamp over the segments of a log, exact to the record. */
import { DiskError } from '../env/disk.ts'
import * as batch from '../protocol/record-batch.ts'
import { LOG_SUFFIX } from './file-names.ts'
import type { HeaderScan } from './header-scan.ts'
import type { Segment } from './segment.ts'
import type { TimeIndexEntry } from './time-index.ts'
import type { TimestampOffset } from './types.ts'

/** First record at or above `fromOffset` with timestamp >= the given one; null when there is none. */
export function findByTimestamp(
  segments: readonly Segment[],
  timestampMs: number,
  fromOffset: number,
): TimestampOffset | null {
  for (const [index, segment] of segments.entries()) {
    if (segment.sizeBytes === 0 || segment.largestTimestamp().timestampMs < timestampMs) continue
    const search = {
      segment,
      endOffset: segments[index + 1]?.baseOffset ?? Infinity,
      timestampMs,
      fromOffset,
    }
    let found = searchSegment(search, segment.timeIndex.lookup(timestampMs))
    if (found === 'wrong entry') {
      const isMended = segment.indexes.mend()
      found = searchSegment(search, isMended ? segment.timeIndex.lookup(timestampMs) : null)
    }
    if (found === 'wrong entry') throw segment.corrupt(0)
    if (found !== null) return found
  }
  return null
}

interface TimestampSearch {
  readonly segment: Segment
  /** Of the segment. */
  readonly endOffset: number
  readonly timestampMs: number
  readonly fromOffset: number
}

/**
 * Everything at or below the offset of `entry` has a timestamp at or below the entry's. null: search it all. 'wrong entry'
 * where the batch that holds its offset has another timestamp.
 */
function searchSegment(
  { segment, endOffset, timestampMs, fromOffset }: TimestampSearch,
  entry: TimeIndexEntry | null,
): TimestampOffset | 'wrong entry' | null {
  const entryOffset = entry?.offset ?? segment.baseOffset
  let isChecked = entry === null || entry.timestampMs < 0 || entryOffset < fromOffset
  return scanBatches(segment, Math.max(entryOffset, fromOffset), (scan) => {
    if (!isChecked && scan.lastOffset >= entryOffset) {
      isChecked = true
      if (scan.baseOffset > entryOffset || scan.maxTimestampMs !== entry!.timestampMs) return 'wrong entry'
    }
    if (scan.lastOffset >= endOffset) throw segment.corrupt(scan.position)
    if (scan.maxTimestampMs < timestampMs || scan.lastOffset < fromOffset) return null
    return firstRecord(segment, scan, (record) => {
      return record.timestampMs >= timestampMs && record.offset >= fromOffset
    })
  })
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
  return scanBatches(segment, offset, (scan) => {
    if (scan.maxTimestampMs !== timestampMs) return null
    return firstRecord(segment, scan, (record) => record.timestampMs === timestampMs)
  })
}

/** In a segment that the log start lies in, by its batch headers from there on; the batch around it record by record. */
function newestFrom(segment: Segment, fromOffset: number): TimestampOffset | null {
  let best: TimestampOffset | null = null
  scanBatches(segment, fromOffset, (scan) => {
    if (scan.lastOffset < fromOffset || scan.maxTimestampMs <= (best?.timestampMs ?? -1)) return null
    const records = recordsAt(segment, scan).filter(({ offset }) => offset >= fromOffset)
    for (const { timestampMs, offset, leaderEpoch } of records) {
      if (timestampMs > (best?.timestampMs ?? -1)) best = { timestampMs, offset, leaderEpoch }
    }
    return null
  })
  return best
}

/** From at or before the batch that holds `offset` on, until `look` gives something. Throws DiskError. */
function scanBatches<T>(segment: Segment, offset: number, look: (scan: HeaderScan) => T | null): T | null {
  const scan = segment.scanFrom(offset)
  try {
    while (scan.next()) {
      const found = look(scan)
      if (found === null) continue
      // Were its base offset damaged, the next batch would seldom lie behind it.
      if (!scan.next() && scan.position !== segment.sizeBytes) throw segment.corrupt(scan.position)
      return found
    }
    if (scan.position !== segment.sizeBytes) throw segment.corrupt(scan.position)
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
  const bytes = segment.batchAt(scan.position)
  const fault = bytes === null ? null : batch.checkBatch(bytes, 0, bytes.length)
  if (bytes === null || fault !== null) throw segment.corrupt(scan.position)
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
