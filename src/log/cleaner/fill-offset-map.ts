/** Reads the dirty part of a log into the offset map, until its end or until the map is full. Kafka: buildOffsetMap. */
import * as batch from '../../protocol/record-batch.ts'
import { endMarkerAt } from '../produced-batch.ts'
import type { Segment } from '../segment.ts'
import { CleanedTransactions } from './cleaned-transactions.ts'
import type { Compaction } from './compaction.ts'
import type { OffsetMap } from './offset-map.ts'
import type { Pause } from './pause.ts'
import { SegmentBatches } from './segment-batches.ts'

/** Between two pauses. */
const RECORDS_AT_ONCE = 512

export function* fillOffsetMap(compaction: Compaction): Generator<Pause, void> {
  const { log, map, firstDirtyOffset, endOffset } = compaction
  const { segments } = log
  const transactions = new CleanedTransactions()
  transactions.expect(log.abortedBetween(firstDirtyOffset, endOffset))
  for (const [index, segment] of segments.entries()) {
    if (segment.baseOffset >= endOffset) return
    const nextBase = segments[index + 1]?.baseOffset ?? endOffset
    if (nextBase <= firstDirtyOffset) continue
    const isFull = yield* fillFrom(segment, compaction, transactions)
    if (isFull) return
    // The segment may end in a hole.
    map.lastOffset = Math.max(map.lastOffset, nextBase - 1)
  }
}

/** True when the map is full. */
function* fillFrom(
  segment: Segment,
  compaction: Compaction,
  transactions: CleanedTransactions,
): Generator<Pause, boolean> {
  const { map, firstDirtyOffset, stats } = compaction
  // Not by the index alone: an entry that leads too far would leave keys out.
  const scan = segment.scanFrom(firstDirtyOffset)
  scan.done()
  const batches = new SegmentBatches(segment, scan.position, compaction.windowBytes)
  while (batches.next()) {
    const { bytes, at } = batches
    stats.mapBytesRead += batches.sizeBytes
    const lastOffset = batch.lastOffset(bytes, at)
    if (!isPassedOver(bytes, at, transactions) && lastOffset >= firstDirtyOffset) {
      const fits = yield* putKeys(bytes, at, map, firstDirtyOffset)
      if (!fits) return true
    }
    map.lastOffset = Math.max(map.lastOffset, lastOffset)
    yield
  }
  return false
}

/** Markers and aborted records replace nothing. */
function isPassedOver(bytes: Buffer, at: number, transactions: CleanedTransactions): boolean {
  const bits = batch.attributes(bytes, at)
  const producerId = batch.producerId(bytes, at)
  if (!batch.isControl(bits)) {
    return transactions.meetBatch(producerId, batch.lastOffset(bytes, at), batch.isTransactional(bits))
  }
  const marker = endMarkerAt(bytes, at)
  if (marker !== null) transactions.meetMarker(producerId, marker.offset, marker.isAbort)
  return true
}

/** False: the map is full. */
function* putKeys(
  bytes: Buffer,
  at: number,
  map: OffsetMap,
  firstDirtyOffset: number,
): Generator<Pause, boolean> {
  const recordCount = batch.recordCount(bytes, at)
  if (recordCount === 0) return true
  const baseOffset = batch.baseOffset(bytes, at)
  const plain = batch.plainRecords(bytes, at, batch.anyRecord.maxDecompressedBytes)
  const cursor = new batch.RecordCursor(plain.bytes, plain.start, plain.end)
  for (let index = 0; index < recordCount; index++) {
    if (index % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) yield
    cursor.next()
    const offset = baseOffset + cursor.offsetDelta
    if (cursor.keyBytes < 0 || offset < firstDirtyOffset) continue
    if (!map.put(plain.bytes, cursor.keyAt, cursor.keyBytes, offset)) return false
  }
  return true
}
