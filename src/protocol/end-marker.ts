/** The control batch that ends a transaction in a partition (KIP-98). */
import { buildBatch } from './record-batch.ts'

export interface EndMarkerInput {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly isAbort: boolean
}

/** Key: int16 version 0, int16 type (0 abort, 1 commit). Value: int16 version 0, int32 coordinator epoch. */
export function endMarkerBatch(marker: EndMarkerInput, timestampMs: number): Buffer {
  const { producerId, producerEpoch, coordinatorEpoch, isAbort } = marker
  const key = Buffer.alloc(4)
  key.writeInt16BE(isAbort ? 0 : 1, 2)
  const value = Buffer.alloc(6)
  value.writeInt32BE(coordinatorEpoch, 2)
  return buildBatch({
    records: [{ timestampMs, key, value }],
    producerId,
    producerEpoch,
    transactional: true,
    control: true,
  })
}
