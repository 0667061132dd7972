/** What this coordinator holds of a transactional id beside what is in the log. */
import type { MarkerTask } from './marker-task.ts'
import type { TransactionMetadata, TransactionView } from './transaction.ts'

export class LiveTransaction implements TransactionView {
  readonly transactionalId: string
  metadata: TransactionMetadata
  isPending = false
  hasFailedFence = false
  /** While the markers of its end are written. */
  markers: MarkerTask | null = null

  constructor(transactionalId: string, metadata: TransactionMetadata) {
    this.transactionalId = transactionalId
    this.metadata = metadata
  }
}

/** The transactional ids of one partition of `__transaction_state`. */
export class TransactionPartition {
  readonly index: number
  readonly transactions = new Map<string, LiveTransaction>()

  constructor(index: number) {
    this.index = index
  }
}
