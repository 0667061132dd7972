/** Brings the producer state to what it was at an offset: the newest snapshot below it, then the batches in between. */
import * as batch from '../protocol/record-batch.ts'
import { recordProducer } from './produced-batch.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import { ProducerState } from './producer-state.ts'
import type { Segment } from './segment.ts'

export interface ReplayRequest {
  /** Oldest first. */
  readonly segments: readonly Segment[]
  readonly offset: number
  readonly logStartOffset: number
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerState
  readonly nowMs: number
  readonly producerIdExpirationMs: number
}

/**
 * So many index entries of the log below a snapshot are looked through for batches that it does not hold: a megabyte at least, and
 * as many batches where these are large.
 */
const ENTRIES_RECALLED = 256
/** Where segments are so small that a few of them do not have as many entries. */
const SEGMENTS_RECALLED = 5

export function replayProducers(request: ReplayRequest): void {
  const { segments, offset, logStartOffset, snapshots, producers } = request
  const snapshot = snapshots.newest(offset, logStartOffset)
  producers.restore(snapshot?.entries ?? [], request.nowMs, request.producerIdExpirationMs)
  if (snapshot !== null && producers.size > 0) recallBatches(request, snapshot.offset)
  const from = snapshot?.offset ?? Math.min(logStartOffset, offset)
  replay(segments, { from, to: offset, producers })
}

interface Range {
  readonly from: number
  readonly to: number
  readonly producers: ProducerState
}

function replay(segments: readonly Segment[], range: Range): void {
  const { from, to } = range
  segments.forEach((segment, index) => {
    const endsBelow = index + 1 < segments.length && segments[index + 1].baseOffset <= from
    if (!endsBelow && segment.baseOffset < to && from < to) replaySegment(segment, range)
  })
}

/**
 * A snapshot holds the last batch of each producer alone, and a producer that had several in flight when the broker was stopped may
 * send any of them again (docs/decisions/0020): what the log has of them is taken from it.
 */
function recallBatches({ segments, logStartOffset, producers }: ReplayRequest, to: number): void {
  const below = segments.filter(({ baseOffset }) => baseOffset < to).slice(-SEGMENTS_RECALLED)
  let from = to
  for (const segment of below.toReversed()) {
    from = segment.offsetIndex.offsetBack(from, ENTRIES_RECALLED)
    if (from > segment.baseOffset) break
  }
  const found = new ProducerState()
  replay(below, { from: Math.max(from, logStartOffset), to, producers: found })
  for (const entry of found.entries()) producers.get(entry.producerId)?.recall(entry)
}

function replaySegment(segment: Segment, { from, to, producers }: Range): void {
  const scan = segment.scanFrom(from)
  while (scan.next()) {
    if (scan.lastOffset < from || scan.producerId < 0) continue
    if (scan.baseOffset >= to) break
    if (batch.isControl(scan.attributes)) {
      const bytes = segment.batchAt(scan.position)
      // A damaged one ends nothing: who reads it is told.
      if (bytes !== null && batch.checkBatch(bytes, 0, bytes.length) === null)
        recordProducer(producers, bytes, 0)
    } else {
      recordProducer(producers, scan.bytes, scan.at)
    }
  }
  scan.done()
}
