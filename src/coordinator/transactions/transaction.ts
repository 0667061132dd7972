/**
 * One transactional id's state as the log tells it, and as decisions see it. Source: coordinators.md 6; KIP-98, KIP-360,
 * KIP-890.
 */
import { transactionStates } from './records.ts'
import type { TransactionLogValue } from './records.ts'

export type TransactionState = (typeof transactionStates)[number]

/** Of producer ids and epochs. */
export const NONE = -1

/** `transaction.version` of the clients before KIP-890, and of those that have their epoch bumped by every transaction. */
export const CLASSIC_TRANSACTIONS = 0
export const BUMPING_TRANSACTIONS = 2

/** Never given to a producer, so that there is always one epoch more to fence it with. */
export const LAST_EPOCH = 32_767

export type PartitionSet = ReadonlyMap<string, ReadonlySet<number>>
export const NO_PARTITIONS: PartitionSet = new Map()

/** Never changed, only replaced. */
export interface TransactionMetadata {
  readonly producerId: number
  /** The one before the last change; -1: none. */
  readonly previousProducerId: number
  /** What a producer whose epochs are used up gets when its transaction is complete; -1: none. */
  readonly nextProducerId: number
  /** -1 before the first InitProducerId is written. */
  readonly producerEpoch: number
  /** The one before a bump that its producer had asked for; -1: none, or not known after a load. */
  readonly lastProducerEpoch: number
  readonly timeoutMs: number
  readonly state: TransactionState
  readonly partitions: PartitionSet
  /** -1: none has begun. */
  readonly startMs: number
  readonly lastUpdateMs: number
  /** `transaction.version` that the client went by: 0 or 2. */
  readonly clientVersion: number
}

/** What a decision goes by. */
export interface TransactionView {
  readonly metadata: TransactionMetadata
  /** A change is being written, or markers are: nothing else may change it. */
  readonly isPending: boolean
  /** An epoch that was to fence the producer may not be in the log; it was given to nobody, and will do. */
  readonly hasFailedFence: boolean
}

export interface Producer {
  readonly producerId: number
  readonly producerEpoch: number
}

/** What to do. `write`: the answer comes once `next` is stored. */
export type Decision =
  | { readonly type: 'answer'; readonly errorCode: number }
  | { readonly type: 'write'; readonly next: TransactionMetadata }
  /**
   * As `write`, but who has asked is to ask again. `fencedEpoch`: from now on the producer is refused, whether or not `next` is
   * stored; null: once it is stored.
   */
  | { readonly type: 'fence'; readonly fencedEpoch: number | null; readonly next: TransactionMetadata }

/** It cannot be decided without a new producer id: decide again with one. */
export const NEEDS_PRODUCER_ID = { type: 'needs-producer-id' } as const
export type NeedsProducerId = typeof NEEDS_PRODUCER_ID

export const answer = (errorCode: number): Decision => ({ type: 'answer', errorCode })
export const write = (next: TransactionMetadata): Decision => ({ type: 'write', next })

/** A transactional id that nobody has used. */
export function newTransaction(producerId: number, timeoutMs: number, nowMs: number): TransactionMetadata {
  return {
    producerId,
    previousProducerId: NONE,
    nextProducerId: NONE,
    producerEpoch: NONE,
    lastProducerEpoch: NONE,
    timeoutMs,
    state: 'Empty',
    partitions: NO_PARTITIONS,
    startMs: NONE,
    lastUpdateMs: nowMs,
    clientVersion: CLASSIC_TRANSACTIONS,
  }
}

/** The producer gets no epoch beyond this one. */
export function isExhausted(producerEpoch: number): boolean {
  return producerEpoch >= LAST_EPOCH - 1
}

export function isPreparing({ state }: TransactionMetadata): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort'
}

/** Between transactions: it can be forgotten. */
export function isIdle({ state }: TransactionMetadata): boolean {
  return state === 'Empty' || state === 'CompleteCommit' || state === 'CompleteAbort'
}

export function includesAll(partitions: PartitionSet, wanted: PartitionSet): boolean {
  for (const [topic, indexes] of wanted) {
    const known = partitions.get(topic)
    for (const index of indexes) if (known?.has(index) !== true) return false
  }
  return true
}

export function union(some: PartitionSet, others: PartitionSet): PartitionSet {
  const all = new Map<string, ReadonlySet<number>>(some)
  for (const [topic, indexes] of others) all.set(topic, new Set([...(some.get(topic) ?? []), ...indexes]))
  return all
}

export function toLogValue(metadata: TransactionMetadata): TransactionLogValue {
  const { state } = metadata
  const topics = [...metadata.partitions].map(([topic, indexes]) => ({ topic, partitionIds: [...indexes] }))
  return {
    producerId: metadata.producerId,
    producerEpoch: metadata.producerEpoch,
    transactionTimeoutMs: metadata.timeoutMs,
    transactionStatus: transactionStates.indexOf(state),
    transactionPartitions: state === 'Empty' ? null : topics,
    transactionLastUpdateTimestampMs: metadata.lastUpdateMs,
    transactionStartTimestampMs: metadata.startMs,
    previousProducerId: metadata.previousProducerId,
    nextProducerId: metadata.nextProducerId,
    clientTransactionVersion: metadata.clientVersion,
    nextProducerEpoch: NONE,
  }
}

/** null: of a state that is never written. */
export function fromLogValue(value: TransactionLogValue): TransactionMetadata | null {
  const state = transactionStates[value.transactionStatus] as TransactionState | undefined
  if (state === undefined || state === 'Dead') return null
  const topics = value.transactionPartitions ?? []
  return {
    producerId: value.producerId,
    previousProducerId: value.previousProducerId,
    nextProducerId: value.nextProducerId,
    producerEpoch: value.producerEpoch,
    lastProducerEpoch: NONE,
    timeoutMs: value.transactionTimeoutMs,
    state,
    partitions: topics.reduce<PartitionSet>(
      (all, { topic, partitionIds }) => union(all, new Map([[topic, new Set(partitionIds)]])),
      NO_PARTITIONS,
    ),
    startMs: value.transactionStartTimestampMs,
    lastUpdateMs: value.transactionLastUpdateTimestampMs,
    clientVersion:
      value.clientTransactionVersion >= BUMPING_TRANSACTIONS ? BUMPING_TRANSACTIONS : CLASSIC_TRANSACTIONS,
  }
}
