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

/** Sequences go from 0 to 2^31 - 1, and begin anew. */
const SEQUENCES = 0x8000_0000

/** A batch that is further behind the last one is taken for one that is ahead. */
const FURTHEST_BEHIND = SEQUENCES / 2

/** How far it is from one sequence on to the other. */
const distance = (from: number, to: number): number => (to - from + SEQUENCES) % SEQUENCES

/** Without a gap. */
export const follows = (lastSequence: number, nextSequence: number): boolean =>
  distance(lastSequence, nextSequence) === 1

export function firstSequenceOf(batch: ProducerBatch): number {
  const first = batch.lastSequence - batch.offsetDelta
  return first < 0 && batch.lastSequence >= 0 ? first + SEQUENCES : first
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
  /** So many sequences up to the last one are known to have been written without a gap. */
  #unbroken = 0

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

  /**
   * It was written, before the batches that are kept: a producer that sends to a new leader while the old one has not
   * answered yet can have more than five batches behind the one that it sends again.
   */
  hasLeftBehind(epoch: number, firstSequence: number, lastSequence: number): boolean {
    if (epoch !== this.epoch || this.batches.length === 0) return false
    const beforeKept = distance(lastSequence, firstSequenceOf(this.batches[0]))
    const size = distance(firstSequence, lastSequence) + 1
    const isBehind = beforeKept > 0 && beforeKept < FURTHEST_BEHIND
    return isBehind && distance(lastSequence, this.lastSequence) + size <= this.#unbroken
  }

  /** Of the oldest batch that is kept. */
  get firstOffsetKept(): number {
    const [oldest] = this.batches
    return oldest.lastOffset - oldest.offsetDelta
  }

  add(batch: ProducedBatch): void {
    this.#setEpoch(batch.producerEpoch)
    this.#addSequences(distance(batch.firstSequence, batch.lastSequence) + 1, batch.firstSequence)
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

  /** Takes from `other`, which was made of the log, what it knows of the batches before the last one, if both end in the same. */
  recall(other: ProducerEntry): void {
    const [own, found] = [this.batches.at(-1), other.batches.at(-1)]
    if (own === undefined || found === undefined || other.epoch !== this.epoch) return
    if (found.lastOffset !== own.lastOffset || found.lastSequence !== own.lastSequence) return
    this.batches.splice(0, this.batches.length, ...other.batches)
    this.#unbroken = other.#unbroken
  }

  #addSequences(count: number, firstSequence: number): void {
    const isNext = this.batches.length > 0 && follows(this.lastSequence, firstSequence)
    this.#unbroken = isNext ? Math.min(this.#unbroken + count, FURTHEST_BEHIND) : count
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
