/**
 * AddOffsetsToTxn 0-4: a transaction will commit a group's offsets: the group's partition of `__consumer_offsets` goes into it.
 * v2 knows PRODUCER_FENCED, v3 is flexible, v4 is of clients that know TRANSACTION_ABORTABLE.
 */
import { CLASSIC_TRANSACTIONS } from '../../coordinator/transactions/transaction.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
} from '../../protocol/messages/25-add-offsets-to-txn.ts'
import type { RequestContext, Services } from '../services.ts'
import { OFFSETS_TOPIC } from '../topic-names.ts'

const KNOWS_PRODUCER_FENCED = 2

export async function handleAddOffsetsToTxn(
  { groups, transactions }: Services,
  { transactionalId, producerId, producerEpoch, groupId }: AddOffsetsToTxnRequest,
  { apiVersion }: RequestContext,
): Promise<AddOffsetsToTxnResponse> {
  const partitions = new Map([[OFFSETS_TOPIC, new Set([groups.partitionFor(groupId)])]])
  const call = { producerId, producerEpoch, partitions, clientVersion: CLASSIC_TRANSACTIONS }
  const error = await transactions.addPartitions(transactionalId, call)
  const isUnknown = apiVersion < KNOWS_PRODUCER_FENCED && error === ErrorCode.PRODUCER_FENCED
  return { errorCode: isUnknown ? ErrorCode.INVALID_PRODUCER_EPOCH : error }
}
