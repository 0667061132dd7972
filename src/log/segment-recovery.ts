/** Reads a segment whole, keeps the intact batches at its head, cuts the rest, rebuilds its indexes. */
import { BATCH_OVERHEAD, checkBatch } from '../protocol/record-batch.ts'
import * as batch from '../protocol/record-batch.ts'
import { FileWindow } from './file-window.ts'
import { LogDirError } from './log-dir-error.ts'
import { LOG_SUFFIX } from './file-names.ts'
import { legacyFormatAt } from './legacy-message.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { recordProducer } from './produced-batch.ts'
import type { ProducerState } from './producer-state.ts'
import type { Segment } from './segment.ts'

export interface RecoveryTarget {
  readonly indexIntervalBytes: number
  /** Those from the segment's base on are found anew. null: they are known. */
  readonly epochs: LeaderEpochs | null
  /** State at the segment's base; brought to its end. */
  readonly producers: ProducerState
}

export interface Recovered {
  readonly cutBytes: number
  readonly nextOffset: number
  /** Why it was cut; null when it was whole. */
  readonly reason: string | null
}

/** Throws LogDirError FOREIGN_FORMAT for message formats 0 and 1: valid records that must not be cut. */
export function recoverSegment(segment: Segment, target: RecoveryTarget): Recovered {
  const size = segment.sizeBytes
  const window = new FileWindow(segment.file(), size, BATCH_OVERHEAD)
  segment.indexes.beginRebuild()
  segment.transactions.clear()
  let position = 0
  let lastEntryPosition = 0
  let nextOffset = segment.baseOffset
  let reason: string | null = null
  while (position < size) {
    const available = size - position
    let at = window.hold(position, BATCH_OVERHEAD)
    const claimed = available < BATCH_OVERHEAD ? 0 : batch.batchSize(window.buffer, at)
    if (claimed <= available) at = window.hold(position, claimed)
    reason = reasonToCut(segment, window.buffer, at, { available, nextOffset })
    if (reason === null && batch.baseOffset(window.buffer, at) > nextOffset) {
      // No CRC covers the base: a gap is one only where the next batch does not begin in it.
      at = window.hold(position, Math.min(available, claimed + BATCH_OVERHEAD))
      reason = reasonToDoubt(window.buffer, at, available)
    }
    const { buffer } = window
    if (reason !== null) break
    const lastOffset = batch.lastOffset(buffer, at)
    const maxTimestampMs = batch.recordsMaxTimestamp(buffer, at)
    lastEntryPosition = segment.indexes.rebuildEntry(
      { position, lastOffset, maxTimestampMs },
      lastEntryPosition,
      target.indexIntervalBytes,
    )
    recordBatch(segment, buffer, at, target)
    nextOffset = lastOffset + 1
    position += claimed
  }
  segment.cutTo(position, nextOffset)
  segment.indexes.endRebuild()
  segment.finishIndexes()
  return { cutBytes: size - position, nextOffset, reason }
}

function reasonToCut(
  segment: Segment,
  buffer: Buffer,
  at: number,
  { available, nextOffset }: { available: number; nextOffset: number },
): string | null {
  const bad = available < BATCH_OVERHEAD ? `${available} bytes are no record batch` : null
  const reason = bad ?? checkBatch(buffer, at, available)?.message ?? null
  if (reason !== null) {
    const format = nextOffset === segment.baseOffset ? legacyFormatAt(buffer, at, available) : null
    if (format === null) return reason
    const path = segment.path(LOG_SUFFIX)
    throw new LogDirError(
      'FOREIGN_FORMAT',
      segment.directory,
      `${path} holds message format ${format}, not 2`,
    )
  }
  const baseOffset = batch.baseOffset(buffer, at)
  if (baseOffset < nextOffset) return `offset ${baseOffset} after ${nextOffset - 1}`
  return segment.offsetIndex.canHold(batch.lastOffset(buffer, at)) ? null : `offset ${baseOffset} is too far`
}

/** Of a batch that does not begin where the one before it ends: the one after it must not lie below. */
function reasonToDoubt(buffer: Buffer, at: number, available: number): string | null {
  const size = batch.batchSize(buffer, at)
  const next = at + size
  if (size + BATCH_OVERHEAD > available || batch.magic(buffer, next) !== batch.MAGIC_V2) return null
  const [last, base] = [batch.lastOffset(buffer, at), batch.baseOffset(buffer, next)]
  return base > last ? null : `offset ${base} after ${last}, where none was missing`
}

function recordBatch(segment: Segment, buffer: Buffer, at: number, target: RecoveryTarget): void {
  const epoch = batch.partitionLeaderEpoch(buffer, at)
  if (epoch !== target.epochs?.latestEpoch) target.epochs?.assign(epoch, batch.baseOffset(buffer, at))
  const completed = recordProducer(target.producers, buffer, at)
  if (completed === null || !completed.isAborted) return
  segment.transactions.append(target.producers.abortedEntryOf(completed))
}

/**
 * The offset after the last batch; the base when there is none. Found from the last index entry on; the last batch is looked
 * at whole, for what is appended next follows it. Throws DiskError where it is none.
 */
export function findNextOffset(segment: Segment): number {
  const scan = segment.scanFrom(Number.MAX_SAFE_INTEGER)
  let next = segment.baseOffset
  let lastPosition = -1
  while (scan.next()) {
    next = scan.lastOffset + 1
    lastPosition = scan.position
  }
  scan.done()
  if (scan.position !== segment.sizeBytes) throw segment.corrupt(scan.position)
  if (lastPosition >= 0 && !segment.batchIsRight(lastPosition)) throw segment.corrupt(lastPosition)
  return next
}
