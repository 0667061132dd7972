/** DescribeTransactions and ListTransactions (KIP-664, KIP-994). */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { DescribeTransactionsResponse } from '../../protocol/messages/65-describe-transactions.ts'
import type { ListTransactionsResponse } from '../../protocol/messages/66-list-transactions.ts'
import type { LiveTransaction } from './live-transaction.ts'
import { transactionStates } from './records.ts'

export type DescribedTransaction = DescribeTransactionsResponse['transactionStates'][number]
export type ListedTransaction = ListTransactionsResponse['transactionStates'][number]

export interface ListFilters {
  readonly stateFilters: readonly string[]
  readonly producerIdFilters: readonly number[]
  /** Milliseconds; below 0: any. */
  readonly durationFilter: number
}

/** One that Kafka passes through in memory only; filters may name it all the same. */
const NAMED_ONLY = 'PrepareEpochFence'

/** While markers are written, the partitions are those that have none yet. */
export function describeTransaction({
  transactionalId,
  metadata,
  markers,
}: LiveTransaction): DescribedTransaction {
  const partitions = markers === null ? metadata.partitions : markers.left
  return {
    errorCode: ErrorCode.NONE,
    transactionalId,
    transactionState: metadata.state,
    transactionTimeoutMs: metadata.timeoutMs,
    transactionStartTimeMs: metadata.startMs,
    producerId: metadata.producerId,
    producerEpoch: metadata.producerEpoch,
    topics: [...partitions].map(([topic, indexes]) => ({ topic, partitions: [...indexes] })),
  }
}

export function describeMissing(transactionalId: string, errorCode: number): DescribedTransaction {
  return {
    errorCode,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  }
}

export function listTransaction({ transactionalId, metadata }: LiveTransaction): ListedTransaction {
  return { transactionalId, producerId: metadata.producerId, transactionState: metadata.state }
}

export function unknownStates(stateFilters: readonly string[]): string[] {
  const known: readonly string[] = transactionStates
  return [...new Set(stateFilters)].filter((name) => !known.includes(name) && name !== NAMED_ONLY)
}

export function listFilter(filters: ListFilters, nowMs: number): (transaction: LiveTransaction) => boolean {
  const states = new Set(filters.stateFilters)
  const producerIds = new Set(filters.producerIdFilters)
  const { durationFilter: durationMs } = filters
  return ({ metadata: { state, producerId, startMs } }) =>
    (states.size === 0 || states.has(state)) &&
    (producerIds.size === 0 || producerIds.has(producerId)) &&
    (durationMs < 0 || nowMs - startMs > durationMs)
}
