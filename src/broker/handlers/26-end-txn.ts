/**
 * EndTxn 0-5: a transaction is committed or aborted; answered when that is decided and stored, before its markers are written.
 * v2 knows PRODUCER_FENCED, v3 is flexible, v4 is of clients that know TRANSACTION_ABORTABLE, v5 of those that go by
 * transaction.version 2: their epoch is bumped, and the answer tells what they go by from then on (KIP-890, part 2).
 */
import { BUMPING_TRANSACTIONS, CLASSIC_TRANSACTIONS } from '../../coordinator/transactions/transaction.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { EndTxnRequest, EndTxnResponse } from '../../protocol/messages/26-end-txn.ts'
import type { RequestContext, Services } from '../services.ts'

const KNOWS_PRODUCER_FENCED = 2
const BUMPS_EPOCH = 5

export async function handleEndTxn(
  { transactions }: Services,
  { transactionalId, producerId, producerEpoch, committed }: EndTxnRequest,
  { apiVersion }: RequestContext,
): Promise<EndTxnResponse> {
  const clientVersion = apiVersion < BUMPS_EPOCH ? CLASSIC_TRANSACTIONS : BUMPING_TRANSACTIONS
  const call = { producerId, producerEpoch, committed, clientVersion }
  const answer = await transactions.endTransaction(transactionalId, call)
  const isUnknown = apiVersion < KNOWS_PRODUCER_FENCED && answer.errorCode === ErrorCode.PRODUCER_FENCED
  return isUnknown ? { errorCode: ErrorCode.INVALID_PRODUCER_EPOCH } : answer
}
