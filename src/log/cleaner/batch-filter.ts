/**
 * What is left of one batch after a cleaning. Kafka: Cleaner.cleanInto and MemoryRecords.filterTo, for magic 2.
 * A generator, because a batch may hold a hundred thousand records: it stops every few hundred of them.
 */
import * as batch from '../../protocol/record-batch.ts'
import type { Pause } from './pause.ts'
import type { OffsetMap } from './offset-map.ts'

/** Between two pauses. A look into the map takes half a microsecond. */
const RECORDS_AT_ONCE = 512

export interface BatchRules {
  readonly map: OffsetMap
  /** When the cleaning began; what has a delete horizon at or below it goes. */
  readonly nowMs: number
  readonly deleteRetentionMs: number
}

export interface BatchFate {
  /** It holds nothing that anyone may read: aborted data, a marker whose time has come. */
  readonly dropsRecords: boolean
  /** It is its producer's last one: without records it stays for its sequence or epoch. */
  readonly isLastOfProducer: boolean
  /** An end marker with nothing left that it ends. */
  readonly isMarkerOfNothing: boolean
}

export type Remains =
  /** The batch as it is. */
  | { readonly kind: 'whole'; readonly recordsRead: number; readonly recordsKept: number }
  | {
      readonly kind: 'rewritten'
      readonly bytes: Buffer
      readonly recordsRead: number
      readonly recordsKept: number
    }
  | { readonly kind: 'nothing'; readonly recordsRead: number; readonly recordsKept: number }

/** The batch at `position` has been checked. Throws MalformedRecordError and CompressionError. */
export function* filterBatch(
  bytes: Buffer,
  position: number,
  fate: BatchFate,
  rules: BatchRules,
): Generator<Pause, Remains> {
  const bits = batch.attributes(bytes, position)
  const recordsRead = batch.recordCount(bytes, position)
  const retained = fate.dropsRecords ? null : yield* retainedRecords(bytes, position, rules)
  if (retained === null || retained.count === 0) {
    if (!fate.isLastOfProducer) return { kind: 'nothing', recordsRead, recordsKept: 0 }
    if (recordsRead === 0) return { kind: 'whole', recordsRead, recordsKept: 0 }
    const empty = batch.withoutRecords(bytes, position)
    return { kind: 'rewritten', bytes: empty, recordsRead, recordsKept: 0 }
  }
  const waitsForHorizon = retained.hasTombstone || fate.isMarkerOfNothing
  const getsHorizon = waitsForHorizon && !batch.hasDeleteHorizon(bits)
  const recordsKept = retained.count
  if (recordsKept === recordsRead && !getsHorizon) return { kind: 'whole', recordsRead, recordsKept }
  // KIP-534: counted from the first cleaning that meets it.
  const horizonMs = getsHorizon ? rules.nowMs + rules.deleteRetentionMs : -1
  const rewritten = batch.retainRecords(bytes, position, retained, horizonMs)
  return { kind: 'rewritten', bytes: rewritten, recordsRead, recordsKept }
}

interface Retained extends batch.RetainedRecords {
  readonly hasTombstone: boolean
}

function* retainedRecords(
  bytes: Buffer,
  position: number,
  rules: BatchRules,
): Generator<Pause, Retained | null> {
  const recordCount = batch.recordCount(bytes, position)
  // Without records there is not even what a codec would have written.
  if (recordCount === 0) return null
  const bits = batch.attributes(bytes, position)
  const baseOffset = batch.baseOffset(bytes, position)
  const keepsAll = batch.isControl(bits)
  const tombstonesExpired =
    batch.hasDeleteHorizon(bits) && rules.nowMs >= batch.baseTimestamp(bytes, position)
  const plain = batch.plainRecords(bytes, position, batch.anyRecord.maxDecompressedBytes)
  const cursor = new batch.RecordCursor(plain.bytes, plain.start, plain.end)
  const stretches: number[] = []
  let count = 0
  let hasTombstone = false
  let firstTimestampDelta = 0
  let maxTimestampDelta = -Infinity
  for (let index = 0; index < recordCount; index++) {
    if (index % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) yield
    const start = cursor.at
    cursor.next()
    const isTombstone = cursor.valueBytes < 0
    const stays =
      keepsAll || isNewest(cursor, plain.bytes, baseOffset, rules.map, isTombstone && tombstonesExpired)
    if (!stays) continue
    if (count++ === 0) firstTimestampDelta = cursor.timestampDelta
    maxTimestampDelta = Math.max(maxTimestampDelta, cursor.timestampDelta)
    hasTombstone ||= isTombstone && !keepsAll
    if (stretches.length > 0 && stretches[stretches.length - 1] === start) stretches.pop()
    else stretches.push(start)
    stretches.push(cursor.at)
  }
  return { plain: plain.bytes, stretches, count, hasTombstone, firstTimestampDelta, maxTimestampDelta }
}

/** Kafka: Cleaner.shouldRetainRecord. */
function isNewest(
  cursor: batch.RecordCursor,
  bytes: Buffer,
  baseOffset: number,
  map: OffsetMap,
  isExpiredTombstone: boolean,
): boolean {
  const offset = baseOffset + cursor.offsetDelta
  if (offset > map.lastOffset) return true
  // Without a key it can never be replaced, and would stay for ever.
  if (cursor.keyBytes < 0 || isExpiredTombstone) return false
  return offset >= map.get(bytes, cursor.keyAt, cursor.keyBytes)
}
