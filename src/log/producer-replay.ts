/** Brings the producer state to what it was at an offset: the newest snapshot below it, then the batches in between. */
import * as batch from '../protocol/record-batch.ts'
import { recordProducer } from './produced-batch.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
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

export function replayProducers(request: ReplayRequest): void {
  const { segments, offset, logStartOffset, snapshots, producers } = request
  const snapshot = snapshots.newest(offset, logStartOffset)
  producers.restore(snapshot?.entries ?? [], request.nowMs, request.producerIdExpirationMs)
  const from = snapshot?.offset ?? Math.min(logStartOffset, offset)
  segments.forEach((segment, index) => {
    const endsBelow = index + 1 < segments.length && segments[index + 1].baseOffset <= from
    if (!endsBelow && segment.baseOffset < offset && from < offset) replaySegment(segment, from, request)
  })
}

function replaySegment(segment: Segment, from: number, { offset, producers }: ReplayRequest): void {
  const scan = segment.scanFrom(from)
  while (scan.next()) {
    if (scan.lastOffset < from || scan.producerId < 0) continue
    if (scan.baseOffset >= offset) break
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
