/** The markers that one transaction's end still needs. */
import type { PartitionSet } from './transaction.ts'

export interface TransactionEnd {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly committed: boolean
  /** Leader epoch of the partition of `__transaction_state`: an older coordinator's markers are refused. */
  readonly coordinatorEpoch: number
  readonly partitions: PartitionSet
  /** It was begun by another coordinator, or before a restart: partitions may not be known here yet. */
  readonly isResumed: boolean
}

export class MarkerTask {
  readonly end: TransactionEnd
  /** Every partition has its marker, or needs none. */
  readonly done: () => void
  readonly #left: Map<string, Set<number>>
  #isOver = false

  constructor(end: TransactionEnd, done: () => void) {
    this.end = end
    this.done = done
    this.#left = new Map([...end.partitions].map(([topic, indexes]) => [topic, new Set(indexes)]))
  }

  /** Partitions without a marker. */
  get left(): PartitionSet {
    return this.#left
  }

  /** Given up, or done. */
  get isOver(): boolean {
    return this.#isOver
  }

  giveUp(): void {
    this.#isOver = true
  }

  marked(topic: string, partition: number): void {
    const indexes = this.#left.get(topic)
    if (indexes === undefined) return
    indexes.delete(partition)
    if (indexes.size === 0) this.#left.delete(topic)
  }

  /** Calls `done` when nothing is left, once. */
  settle(): void {
    if (this.#isOver || this.#left.size > 0) return
    this.#isOver = true
    this.done()
  }
}
