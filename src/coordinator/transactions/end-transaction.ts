/**
 * How a transaction ends: EndTxn, the abort of one that a newer producer or the clock overtakes, and what follows when all
 * markers are written. Source: coordinators.md 6; Kafka 4.1 for transaction.version 2 (KIP-890).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import {
  answer,
  BUMPING_TRANSACTIONS,
  isExhausted,
  isPreparing,
  LAST_EPOCH,
  NEEDS_PRODUCER_ID,
  NO_PARTITIONS,
  NONE,
  write,
} from './transaction.ts'
import type {
  Decision,
  NeedsProducerId,
  Producer,
  TransactionMetadata,
  TransactionView,
} from './transaction.ts'

export interface EndCall extends Producer {
  readonly committed: boolean
  /** 2 from EndTxn 5 on. */
  readonly clientVersion: number
}

/** `newProducerId` null: there is none at hand. */
export function endTransaction(
  view: TransactionView,
  call: EndCall,
  newProducerId: number | null,
  nowMs: number,
): Decision | NeedsProducerId {
  return call.clientVersion >= BUMPING_TRANSACTIONS
    ? endBumping(view, call, newProducerId, nowMs)
    : endClassic(view, call, nowMs)
}

function endClassic(view: TransactionView, call: EndCall, nowMs: number): Decision {
  const { metadata } = view
  if (metadata.producerId !== call.producerId) return answer(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
  if (metadata.producerEpoch !== call.producerEpoch) return answer(ErrorCode.PRODUCER_FENCED)
  if (view.isPending) return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  switch (metadata.state) {
    case 'Ongoing':
      return write({
        ...prepared(metadata, call.committed, nowMs),
        previousProducerId: metadata.producerId,
        clientVersion: call.clientVersion,
      })
    case call.committed ? 'CompleteCommit' : 'CompleteAbort':
      return answer(ErrorCode.NONE)
    case call.committed ? 'PrepareCommit' : 'PrepareAbort':
      return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
    default:
      return answer(ErrorCode.INVALID_TXN_STATE)
  }
}

/**
 * The end of each transaction bumps the epoch, so that the same epoch is the next transaction, the one before a retry. To abort
 * without having written anything is fine, and bumps the epoch as well. While an end is under way nobody is told more than that:
 * its producer may go by an id already that takes effect with it.
 */
function endBumping(
  view: TransactionView,
  call: EndCall,
  newProducerId: number | null,
  nowMs: number,
): Decision | NeedsProducerId {
  const { metadata } = view
  if (view.isPending || isPreparing(metadata)) return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  const isCurrent = metadata.producerId === call.producerId && metadata.producerEpoch === call.producerEpoch
  const { state } = metadata
  if (isCurrent) {
    if (state === 'Ongoing') return bumped(metadata, call.committed, newProducerId, nowMs)
    if (call.committed) return answer(ErrorCode.INVALID_TXN_STATE)
    return bumped({ ...metadata, startMs: nowMs }, false, newProducerId, nowMs)
  }
  const isOfBefore = isRetryAfterNewId(metadata, call)
  if (metadata.producerId !== call.producerId && !isOfBefore) {
    return answer(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
  }
  const isComplete = state === 'CompleteCommit' || state === 'CompleteAbort'
  const isRetry = isComplete && (isOfBefore || isRetryAfterBump(metadata, call))
  if (!isRetry) return answer(ErrorCode.PRODUCER_FENCED)
  const isDone = state === (call.committed ? 'CompleteCommit' : 'CompleteAbort')
  return answer(isDone ? ErrorCode.NONE : ErrorCode.INVALID_TXN_STATE)
}

/** Also of who was overtaken by an abort, and asks for one: it goes on in the epoch of that. The last epoch is nobody's. */
function isRetryAfterBump(metadata: TransactionMetadata, call: Producer): boolean {
  return (
    metadata.producerId === call.producerId &&
    metadata.producerEpoch === call.producerEpoch + 1 &&
    metadata.producerEpoch < LAST_EPOCH
  )
}

function isRetryAfterNewId(metadata: TransactionMetadata, call: Producer): boolean {
  const wasLast = call.producerEpoch === LAST_EPOCH - 1
  return wasLast && metadata.previousProducerId === call.producerId && metadata.producerEpoch === 0
}

function bumped(
  metadata: TransactionMetadata,
  committed: boolean,
  newProducerId: number | null,
  nowMs: number,
): Decision | NeedsProducerId {
  const needsId = isExhausted(metadata.producerEpoch)
  if (needsId && newProducerId === null) return NEEDS_PRODUCER_ID
  return write({
    ...prepared(metadata, committed, nowMs),
    previousProducerId: metadata.producerId,
    nextProducerId: needsId ? newProducerId! : NONE,
    producerEpoch: metadata.producerEpoch + 1,
    lastProducerEpoch: metadata.producerEpoch,
    clientVersion: BUMPING_TRANSACTIONS,
  })
}

/**
 * An open transaction is aborted in an epoch that its producer does not have. Where the end of a transaction bumps the epoch
 * that is the one that the end of this brings, as in Kafka 4.1.1: its producer may still take it, until another begins.
 */
export function fence({ metadata, hasFailedFence }: TransactionView, nowMs: number): Decision {
  const nextEpoch = Math.min(metadata.producerEpoch + 1, LAST_EPOCH)
  const next = { ...prepared(metadata, false, nowMs), previousProducerId: metadata.producerId }
  if (metadata.clientVersion >= BUMPING_TRANSACTIONS) {
    const bump = { producerEpoch: nextEpoch, lastProducerEpoch: metadata.producerEpoch }
    return { type: 'fence', fencedEpoch: null, next: { ...next, ...bump } }
  }
  const fencedEpoch = hasFailedFence ? metadata.producerEpoch : nextEpoch
  return {
    type: 'fence',
    fencedEpoch,
    next: { ...next, producerEpoch: fencedEpoch, lastProducerEpoch: NONE },
  }
}

/** It has been open for longer than its producer has asked for. */
export function isTimedOut({ metadata, isPending }: TransactionView, nowMs: number): boolean {
  return !isPending && metadata.state === 'Ongoing' && metadata.startMs + metadata.timeoutMs < nowMs
}

/** Every partition has its marker. */
export function completed(metadata: TransactionMetadata, nowMs: number): TransactionMetadata {
  const hasNewId = metadata.nextProducerId !== NONE
  return {
    ...metadata,
    producerId: hasNewId ? metadata.nextProducerId : metadata.producerId,
    producerEpoch: hasNewId ? 0 : metadata.producerEpoch,
    previousProducerId: metadata.producerId,
    nextProducerId: NONE,
    state: metadata.state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort',
    partitions: NO_PARTITIONS,
    lastUpdateMs: nowMs,
  }
}

function prepared(metadata: TransactionMetadata, committed: boolean, nowMs: number): TransactionMetadata {
  return { ...metadata, state: committed ? 'PrepareCommit' : 'PrepareAbort', lastUpdateMs: nowMs }
}
