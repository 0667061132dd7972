/** What a partition knows about one producer id (KIP-98): its epoch and its last batches. */
const BATCHES_KEPT = 5

export interface ProducerBatch {
  readonly lastSequence: number
  readonly lastOffset: number
  readonly offsetDelta: number
  readonly timestampMs: number
}

/** Fields of a batch that concern its producer. */
export interface ProducedBatch {
  readonly producerId: number
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly maxTimestampMs: number
  readonly isTransactional: boolean
}

export function firstSequenceOf(batch: ProducerBatch): number {
  const first = batch.lastSequence - batch.offsetDelta
  return first < 0 && batch.lastSequence >= 0 ? first + 0x8000_0000 : first
}

export class ProducerEntry {
  readonly producerId: number
  /** -1 when there was no batch yet. */
  epoch = -1
  coordinatorEpoch = -1
  lastTimestampMs = -1
  /** -1 when no transaction is open. */
  transactionFirstOffset = -1
  /** Oldest first. */
  readonly batches: ProducerBatch[] = []

  constructor(producerId: number) {
    this.producerId = producerId
  }

  get lastSequence(): number {
    return this.batches.at(-1)?.lastSequence ?? -1
  }

  /** Among the last five batches, the one with exactly these sequence numbers. */
  duplicateOf(epoch: number, firstSequence: number, lastSequence: number): ProducerBatch | undefined {
    if (epoch !== this.epoch) return undefined
    return this.batches.find(
      (batch) => batch.lastSequence === lastSequence && firstSequenceOf(batch) === firstSequence,
    )
  }

  add(batch: ProducedBatch): void {
    this.#setEpoch(batch.producerEpoch)
    if (this.batches.length === BATCHES_KEPT) this.batches.shift()
    this.batches.push({
      lastSequence: batch.lastSequence,
      lastOffset: batch.lastOffset,
      offsetDelta: batch.lastOffset - batch.firstOffset,
      timestampMs: batch.maxTimestampMs,
    })
    this.lastTimestampMs = batch.maxTimestampMs
    if (batch.isTransactional && this.transactionFirstOffset < 0) {
      this.transactionFirstOffset = batch.firstOffset
    }
  }

  /** A commit or abort marker. */
  endTransaction(marker: { producerEpoch: number; coordinatorEpoch: number; timestampMs: number }): void {
    this.#setEpoch(marker.producerEpoch)
    this.coordinatorEpoch = marker.coordinatorEpoch
    this.lastTimestampMs = marker.timestampMs
    this.transactionFirstOffset = -1
  }

  #setEpoch(epoch: number): void {
    if (epoch === this.epoch) return
    this.epoch = epoch
    this.batches.length = 0
  }
}
