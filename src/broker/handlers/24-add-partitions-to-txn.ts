/**
 * AddPartitionsToTxn 0-5: a producer's transaction goes on in more partitions. v2 knows PRODUCER_FENCED, v3 is flexible. From v4
 * on brokers ask, of several transactions at once: to add partitions in a producer's name, or, with verifyOnly, whether they are
 * in its transaction (KIP-890); v5 knows TRANSACTION_ABORTABLE.
 */
import type { TopicResult } from '../../coordinator/transactions/transaction-coordinator.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/24-add-partitions-to-txn.ts'
import { addOrVerify } from '../add-partitions-to-txn.ts'
import type { RequestContext, Services } from '../services.ts'

const FIRST_VERSION_OF_BROKERS = 4
const KNOWS_PRODUCER_FENCED = 2

export async function handleAddPartitionsToTxn(
  services: Services,
  request: AddPartitionsToTxnRequest,
  { apiVersion }: RequestContext,
): Promise<AddPartitionsToTxnResponse> {
  if (apiVersion < FIRST_VERSION_OF_BROKERS) {
    const addition = {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      verifyOnly: false,
      topics: request.v3AndBelowTopics,
    }
    const results = await addOrVerify(services, addition, false)
    const isOld = apiVersion < KNOWS_PRODUCER_FENCED
    return { resultsByTopicV3AndBelow: isOld ? withoutFenced(results) : results }
  }
  const resultsByTransaction = request.transactions.map(async (addition) => ({
    transactionalId: addition.transactionalId,
    topicResults: await addOrVerify(services, addition, true),
  }))
  return { errorCode: ErrorCode.NONE, resultsByTransaction: await Promise.all(resultsByTransaction) }
}

function withoutFenced(topics: readonly TopicResult[]): TopicResult[] {
  return topics.map(({ name, resultsByPartition }) => ({
    name,
    resultsByPartition: resultsByPartition.map(({ partitionIndex, partitionErrorCode: code }) => {
      const isUnknown = code === ErrorCode.PRODUCER_FENCED
      return { partitionIndex, partitionErrorCode: isUnknown ? ErrorCode.INVALID_PRODUCER_EPOCH : code }
    }),
  }))
}
