/** What a batch in memory says to the producer state: its producer's fields, or the marker that it is. */
import * as batch from '../protocol/record-batch.ts'
import type { ProducedBatch } from './producer-entry.ts'
import type { CompletedTransaction, EndMarker, ProducerState } from './producer-state.ts'

const ABORT = 0
const COMMIT = 1

/** null when the batch has no producer id. The base offset must be the final one. */
export function producedBatchAt(bytes: Uint8Array, position: number): ProducedBatch | null {
  const producerId = batch.producerId(bytes, position)
  if (producerId < 0) return null
  return {
    producerId,
    producerEpoch: batch.producerEpoch(bytes, position),
    firstSequence: batch.baseSequence(bytes, position),
    lastSequence: batch.lastSequence(bytes, position),
    firstOffset: batch.baseOffset(bytes, position),
    lastOffset: batch.lastOffset(bytes, position),
    maxTimestampMs: batch.maxTimestamp(bytes, position),
    isTransactional: batch.isTransactional(batch.attributes(bytes, position)),
  }
}

/** null when the control batch ends no transaction (compacted away, or of another kind). The batch must be whole. */
export function endMarkerAt(bytes: Buffer, position: number): EndMarker | null {
  if (batch.recordCount(bytes, position) === 0) return null
  const [record] = batch.decodeRecords(bytes, position)
  const { key, value } = record
  if (key === null || value === null || key.length < 4 || value.length < 6) return null
  const type = key.readInt16BE(2)
  if (type !== ABORT && type !== COMMIT) return null
  return {
    producerId: batch.producerId(bytes, position),
    producerEpoch: batch.producerEpoch(bytes, position),
    coordinatorEpoch: value.readInt32BE(2),
    isAbort: type === ABORT,
    offset: batch.baseOffset(bytes, position),
    timestampMs: record.timestampMs,
  }
}

/** Records what is already in the log. The batch must be whole. Gives the transaction that it ended, if any. */
export function recordProducer(
  state: ProducerState,
  bytes: Buffer,
  position: number,
): CompletedTransaction | null {
  if (batch.isControl(batch.attributes(bytes, position))) {
    const marker = endMarkerAt(bytes, position)
    return marker === null ? null : state.recordMarker(marker)
  }
  const produced = producedBatchAt(bytes, position)
  if (produced !== null) state.record(produced)
  return null
}
