/** One internal topic (`__consumer_offsets`, `__transaction_state`) as its coordinator uses it. */
export interface CoordinatorLog {
  /** Creates the topic when it is missing; resolves to its partition count. Rejects when it cannot be created now. */
  ensureTopic(): Promise<number>
  /**
   * Appends one batch. The write happens in the call, so the order of calls is the order in the log. `error` is a Kafka
   * error code; nothing was written when it is not 0. `committed` resolves to a Kafka error code once the high watermark
   * has passed the batch (0), or will not in time; null: it has passed already. Promises of one partition resolve in order.
   */
  append(partition: number, batch: Buffer, wishes?: AppendWishes): AppendResult
  /** False: another broker may coordinate the partition by now, and this one has not heard of it. */
  leadsSurely(partition: number): boolean
  /** Whole batches from the log start to the log end, in order; each buffer is borrowed until the next iteration. */
  read(partition: number): Iterable<Buffer>
}

export interface AppendWishes {
  /** How long the in-sync set may take, where it is not the topic's own time. */
  readonly timeoutMs?: number
  /** Of a transactional batch, where the coordinator of transactions has been asked: null: there was no need. */
  readonly guard?: AppendGuard | null
}

/** The log's (VerificationGuard): which object it is counts. */
export interface AppendGuard {
  readonly producerId: number
}

export interface AppendResult {
  readonly error: number
  /** Offset of the batch's first record. */
  readonly baseOffset: number
  readonly committed: Promise<number> | null
}
