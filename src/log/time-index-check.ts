/** Whether a time index ends as its segment does: what decides which segments are searched, and which are old. */
import type { HeaderScan } from './header-scan.ts'
import type { TimeIndexEntry } from './time-index.ts'

export interface IndexedSegment {
  readonly timeIndex: { lastEntry(): TimeIndexEntry }
  scanFrom(offset: number): HeaderScan
}

/**
 * The batch that holds the last entry's offset has its timestamp, and none from the last entry of the offset index on has a
 * greater one (a batch without records has none, though Kafka counts its header's): a few headers are read. Throws DiskError.
 */
export function timeIndexEndsRight(segment: IndexedSegment): boolean {
  const { timestampMs, offset } = segment.timeIndex.lastEntry()
  const holder = timestampMs < 0 ? timestampMs : timestampOfHolder(segment, offset)
  if (holder !== timestampMs) return false
  const scan = segment.scanFrom(Number.MAX_SAFE_INTEGER)
  let largestMs = -1
  while (scan.next()) largestMs = Math.max(largestMs, scan.recordsMaxTimestampMs)
  scan.done()
  return largestMs <= timestampMs
}

/** The greatest timestamp of the batch that holds `offset`; null where none does. */
function timestampOfHolder(segment: IndexedSegment, offset: number): number | null {
  const scan = segment.scanFrom(offset)
  let found: number | null = null
  while (scan.next()) {
    if (scan.lastOffset < offset) continue
    if (scan.baseOffset <= offset) found = scan.maxTimestampMs
    break
  }
  scan.done()
  return found
}
