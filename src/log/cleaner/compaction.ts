/**
 * One cleaning of one log: reads the dirty part into an offset map, then writes all segments below the map's end anew,
 * a group at a time, and swaps each group in. A generator: see pause.ts. Ended early it leaves no files; groups that
 * were swapped in before stay so. Kafka: Cleaner.doClean.
 */
import * as batch from '../../protocol/record-batch.ts'
import { OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX } from '../file-names.ts'
import { endMarkerAt } from '../produced-batch.ts'
import type { Segment } from '../segment.ts'
import { filterBatch, type BatchFate, type BatchRules } from './batch-filter.ts'
import type { CleanableLog, LastRecord } from './cleanable-log.ts'
import { CleanedSegment } from './cleaned-segment.ts'
import { CleanedTransactions } from './cleaned-transactions.ts'
import type { CleanerStats } from './cleaner-stats.ts'
import { fillOffsetMap } from './fill-offset-map.ts'
import type { OffsetMap } from './offset-map.ts'
import type { Pause } from './pause.ts'
import { SegmentBatches } from './segment-batches.ts'
import { groupSegments } from './segment-groups.ts'

export interface Compaction {
  readonly log: CleanableLog
  /** Empty; made for [firstDirtyOffset, endOffset). */
  readonly map: OffsetMap
  readonly firstDirtyOffset: number
  /** Base of the first segment that is not cleaned. */
  readonly endOffset: number
  readonly nowMs: number
  /** Read at once. */
  readonly windowBytes: number
  readonly stats: CleanerStats
}

/** Gives the offset up to which the log is clean then. Throws DiskError, MalformedRecordError and CompressionError. */
export function* compact(compaction: Compaction): Generator<Pause, number> {
  const { log, map, stats } = compaction
  yield* fillOffsetMap(compaction)
  const cleanTo = map.lastOffset + 1
  const segments = log.segments.filter(({ baseOffset }) => baseOffset < cleanTo)
  const grouped = segments.map((segment) => ({
    segment,
    baseOffset: segment.baseOffset,
    sizeBytes: segment.sizeBytes,
    offsetIndexBytes: log.disk.stat(segment.path(OFFSET_INDEX_SUFFIX))?.size ?? 0,
    timeIndexBytes: log.disk.stat(segment.path(TIME_INDEX_SUFFIX))?.size ?? 0,
  }))
  const transactions = new CleanedTransactions()
  for (const group of groupSegments(grouped, compaction.endOffset, log.config)) {
    const old = group.map(({ segment }) => segment)
    yield* cleanGroup(compaction, old, transactions)
  }
  stats.logsCleaned++
  return cleanTo
}

function* cleanGroup(
  compaction: Compaction,
  old: readonly Segment[],
  transactions: CleanedTransactions,
): Generator<Pause, void> {
  const { log, stats } = compaction
  const { indexIntervalBytes } = log.config
  const { baseOffset } = old[0]
  const cleaned = new CleanedSegment(log.disk, log.directory, { baseOffset, indexIntervalBytes })
  let isSwapped = false
  try {
    const lastRecords = log.lastRecordsOfProducers()
    for (const segment of old) {
      yield* cleanInto({ compaction, cleaned, transactions, lastRecords }, segment)
    }
    yield cleaned.finish(old[old.length - 1].modifiedMs())
    stats.bytesWritten += cleaned.sizeBytes
    log.replaceSegments(old)
    isSwapped = true
  } finally {
    if (!isSwapped) cleaned.abandon()
  }
  yield
}

interface Pass {
  readonly compaction: Compaction
  readonly cleaned: CleanedSegment
  readonly transactions: CleanedTransactions
  readonly lastRecords: ReadonlyMap<number, LastRecord>
}

function* cleanInto(pass: Pass, segment: Segment): Generator<Pause, void> {
  const { compaction, cleaned, transactions } = pass
  const { log, map, nowMs, stats } = compaction
  const { deleteRetentionMs } = log.config
  const rules: BatchRules = { map, nowMs, deleteRetentionMs }
  const next = log.segments.find(({ baseOffset }) => baseOffset > segment.baseOffset)
  transactions.expect(log.abortedBetween(segment.baseOffset, next?.baseOffset ?? compaction.endOffset))
  const batches = new SegmentBatches(segment, 0, compaction.windowBytes)
  while (batches.next()) {
    const { bytes, at, sizeBytes } = batches
    const fate = fateOf(bytes, at, pass)
    const remains = yield* filterBatch(bytes, at, fate, rules)
    stats.bytesRead += sizeBytes
    stats.recordsRead += remains.recordsRead
    stats.recordsKept += remains.recordsKept
    const lastOffset = batch.lastOffset(bytes, at)
    if (remains.kind === 'whole') {
      const maxTimestampMs = batch.recordsMaxTimestamp(bytes, at)
      cleaned.append(bytes, at, { sizeBytes, lastOffset, maxTimestampMs })
    } else if (remains.kind === 'rewritten') {
      const rewritten = remains.bytes
      const maxTimestampMs = batch.recordsMaxTimestamp(rewritten, 0)
      cleaned.append(rewritten, 0, { sizeBytes: rewritten.length, lastOffset, maxTimestampMs })
    }
    yield
  }
}

function fateOf(
  bytes: Buffer,
  at: number,
  { compaction, cleaned, transactions, lastRecords }: Pass,
): BatchFate {
  const bits = batch.attributes(bytes, at)
  const producerId = batch.producerId(bytes, at)
  const isLastOfProducer = isLast(bytes, at, lastRecords.get(producerId))
  if (!batch.isControl(bits)) {
    const lastOffset = batch.lastOffset(bytes, at)
    const dropsRecords = transactions.meetBatch(producerId, lastOffset, batch.isTransactional(bits))
    return { dropsRecords, isLastOfProducer, isMarkerOfNothing: false }
  }
  const marker = endMarkerAt(bytes, at)
  if (marker === null) {
    // Emptied by an earlier cleaning, or of a kind that ends nothing.
    return { dropsRecords: false, isLastOfProducer, isMarkerOfNothing: false }
  }
  const { isOfNothing, aborted } = transactions.meetMarker(producerId, marker.offset, marker.isAbort)
  if (aborted !== null) cleaned.appendAborted(aborted)
  const horizonHasPassed = batch.hasDeleteHorizon(bits) && batch.baseTimestamp(bytes, at) <= compaction.nowMs
  // Kafka leaves the empty batch of a producer's last marker; with its record it still says the epoch that fences.
  const dropsRecords = isOfNothing && horizonHasPassed && !isLastOfProducer
  return { dropsRecords, isLastOfProducer, isMarkerOfNothing: isOfNothing }
}

function isLast(bytes: Buffer, at: number, last: LastRecord | undefined): boolean {
  if (last === undefined) return false
  if (last.lastDataOffset >= 0) return batch.lastOffset(bytes, at) === last.lastDataOffset
  return batch.isControl(batch.attributes(bytes, at)) && batch.producerEpoch(bytes, at) === last.producerEpoch
}
