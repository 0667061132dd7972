/** InitProducerId for a transactional id. Source: coordinators.md 6; KIP-360 for callers that name their id and epoch. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { fence } from './end-transaction.ts'
import {
  answer,
  isExhausted,
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

export interface InitCall {
  readonly timeoutMs: number
  /** What the caller goes by already, if it says so: it wants to go on after an error. */
  readonly expected: Producer | null
}

/** `newProducerId` null: there is none at hand. Where the answer is `fence`, the caller has to ask again. */
export function initProducerId(
  view: TransactionView,
  call: InitCall,
  newProducerId: number | null,
  nowMs: number,
): Decision | NeedsProducerId {
  const { metadata } = view
  const { expected, timeoutMs } = call
  if (view.isPending) return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  if (expected !== null && !isOfThisId(metadata, expected)) return answer(ErrorCode.PRODUCER_FENCED)
  if (metadata.state === 'PrepareCommit' || metadata.state === 'PrepareAbort') {
    return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  }
  if (metadata.state === 'Ongoing') return fence(view, nowMs)
  const begin = (producer: Producer, lastProducerEpoch: number): Decision =>
    write({
      ...metadata,
      ...producer,
      previousProducerId: metadata.producerId,
      lastProducerEpoch,
      timeoutMs,
      state: 'Empty',
      partitions: NO_PARTITIONS,
      startMs: NONE,
      lastUpdateMs: nowMs,
    })
  const { producerId, producerEpoch, lastProducerEpoch } = metadata
  const isCurrent = expected === null || producerEpoch === NONE || expected.producerEpoch === producerEpoch
  if (isCurrent && isExhausted(producerEpoch)) {
    if (newProducerId === null) return NEEDS_PRODUCER_ID
    return begin({ producerId: newProducerId, producerEpoch: 0 }, expected === null ? NONE : producerEpoch)
  }
  if (isCurrent) {
    return begin({ producerId, producerEpoch: producerEpoch + 1 }, expected === null ? NONE : producerEpoch)
  }
  // Its first try was stored, and the answer lost. Nobody else has come since: that would have forgotten the last epoch.
  const isRetry = expected.producerEpoch === lastProducerEpoch && producerEpoch < LAST_EPOCH
  return isRetry ? begin({ producerId, producerEpoch }, lastProducerEpoch) : answer(ErrorCode.PRODUCER_FENCED)
}

/** Of a producer whose epochs were used up, and whose answer was lost, the id before will do. */
function isOfThisId(metadata: TransactionMetadata, expected: Producer): boolean {
  if (metadata.producerEpoch === NONE || expected.producerId === metadata.producerId) return true
  return expected.producerId === metadata.previousProducerId && isExhausted(expected.producerEpoch)
}
