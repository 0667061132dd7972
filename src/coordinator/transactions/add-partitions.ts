/** AddPartitionsToTxn and AddOffsetsToTxn, and what partition leaders ask before a first append. Source: coordinators.md 6. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { answer, BUMPING_TRANSACTIONS, includesAll, isPreparing, union, write } from './transaction.ts'
import type { Decision, PartitionSet, Producer, TransactionMetadata, TransactionView } from './transaction.ts'

export interface AddCall extends Producer {
  readonly partitions: PartitionSet
  /** 2 where a partition's leader adds it in the producer's name (KIP-890). */
  readonly clientVersion: number
}

export function addPartitions(view: TransactionView, call: AddCall, nowMs: number): Decision {
  const { metadata } = view
  const isBusy = view.isPending || isPreparing(metadata)
  // Its producer may go by an id already that takes effect with the end that is under way.
  if (isBusy && call.clientVersion >= BUMPING_TRANSACTIONS) return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  const error = checkProducer(metadata, call)
  if (error !== ErrorCode.NONE) return answer(error)
  if (isBusy) return answer(ErrorCode.CONCURRENT_TRANSACTIONS)
  const isOngoing = metadata.state === 'Ongoing'
  if (isOngoing && includesAll(metadata.partitions, call.partitions)) return answer(ErrorCode.NONE)
  return write({
    ...metadata,
    previousProducerId: metadata.producerId,
    state: 'Ongoing',
    partitions: union(metadata.partitions, call.partitions),
    startMs: isOngoing ? metadata.startMs : nowMs,
    lastUpdateMs: nowMs,
    clientVersion: call.clientVersion,
  })
}

/** The error of all partitions, or NONE: each for itself is in the transaction or is not. A change that is being written does
 * not matter: what is not in it yet is not in it, and the append itself is checked once more. */
export function checkVerifiable(metadata: TransactionMetadata, producer: Producer): number {
  const error = checkProducer(metadata, producer)
  if (error !== ErrorCode.NONE) return error
  return isPreparing(metadata) ? ErrorCode.CONCURRENT_TRANSACTIONS : ErrorCode.NONE
}

function checkProducer(metadata: TransactionMetadata, { producerId, producerEpoch }: Producer): number {
  if (metadata.producerId !== producerId) return ErrorCode.INVALID_PRODUCER_ID_MAPPING
  if (metadata.producerEpoch !== producerEpoch) return ErrorCode.PRODUCER_FENCED
  return ErrorCode.NONE
}
