/**
 * Which transactions a pass over a log is in the middle of: says which batches are of aborted ones, and which end markers
 * have nothing left that they end. Kafka: CleanedTransactionMetadata.
 */
import type { AbortedTransactionEntry } from '../transaction-index.ts'

interface OpenAborted {
  readonly entry: AbortedTransactionEntry
  /** A batch of it was met in this pass. */
  wasMet: boolean
}

export class CleanedTransactions {
  readonly #openCommitted = new Set<number>()
  readonly #openAborted = new Map<number, OpenAborted>()
  /** Not begun yet, by first offset. */
  #ahead: AbortedTransactionEntry[] = []

  /** Aborted transactions of the part that comes next; one may be added twice. */
  expect(entries: readonly AbortedTransactionEntry[]): void {
    if (entries.length === 0) return
    this.#ahead = [...this.#ahead, ...entries].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  #beginUpTo(offset: number): void {
    let begun = 0
    while (begun < this.#ahead.length && this.#ahead[begun].firstOffset <= offset) {
      const entry = this.#ahead[begun++]
      if (!this.#openAborted.has(entry.producerId)) {
        this.#openAborted.set(entry.producerId, { entry, wasMet: false })
      }
    }
    if (begun > 0) this.#ahead.splice(0, begun)
  }

  /** Of a data batch with a producer: whether its transaction was aborted. */
  meetBatch(producerId: number, lastOffset: number, isTransactional: boolean): boolean {
    this.#beginUpTo(lastOffset)
    if (!isTransactional) return false
    const aborted = this.#openAborted.get(producerId)
    if (aborted === undefined) {
      this.#openCommitted.add(producerId)
      return false
    }
    aborted.wasMet = true
    return true
  }

  /**
   * Of an end marker: whether nothing of its transaction was met, so that it may go; else, for an abort, the entry that the
   * transaction index must go on holding.
   */
  meetMarker(
    producerId: number,
    offset: number,
    isAbort: boolean,
  ): { isOfNothing: boolean; aborted: AbortedTransactionEntry | null } {
    this.#beginUpTo(offset)
    if (!isAbort) return { isOfNothing: !this.#openCommitted.delete(producerId), aborted: null }
    const open = this.#openAborted.get(producerId)
    this.#openAborted.delete(producerId)
    if (open === undefined || !open.wasMet) return { isOfNothing: true, aborted: null }
    return { isOfNothing: false, aborted: open.entry }
  }
}
