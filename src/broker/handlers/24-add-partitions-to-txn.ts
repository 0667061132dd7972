/**
 * AddPartitionsToTxn 0-5: a producer's transaction goes on in more partitions. v2 knows PRODUCER_FENCED, v3 is flexible. From v4
 * on brokers ask, of several transactions at once: to add partitions in a producer's name, or, with verifyOnly, whether they are
 * in its transaction (KIP-890); v5 knows TRANSACTION_ABORTABLE.
 */
import type { TopicResult } from '../../coordinator/transactions/transaction-coordinator.ts'
import { BUMPING_TRANSACTIONS, CLASSIC_TRANSACTIONS } from '../../coordinator/transactions/transaction.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/24-add-partitions-to-txn.ts'
import type { RequestContext, Services } from '../services.ts'
import { isInternalTopic } from '../topic-names.ts'

type Addition = AddPartitionsToTxnRequest['transactions'][number]

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
    return { resultsByTopicV3AndBelow: await addOne(services, addition, apiVersion) }
  }
  const resultsByTransaction = request.transactions.map(async (addition) => ({
    transactionalId: addition.transactionalId,
    topicResults: await addOne(services, addition, apiVersion),
  }))
  return { errorCode: ErrorCode.NONE, resultsByTransaction: await Promise.all(resultsByTransaction) }
}

async function addOne(services: Services, addition: Addition, apiVersion: number): Promise<TopicResult[]> {
  const { transactionalId, producerId, producerEpoch, verifyOnly } = addition
  const topics = merged(addition.topics)
  const isOfBroker = apiVersion >= FIRST_VERSION_OF_BROKERS
  const refused = (topic: string, partition: number): number => {
    // No producer writes there itself.
    if (!isOfBroker && isInternalTopic(topic)) return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    const isKnown = services.metadata.partition(topic, partition) !== undefined
    return isKnown ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  }
  const isRefused = [...topics].some(([topic, indexes]) =>
    [...indexes].some((index) => refused(topic, index) !== ErrorCode.NONE),
  )
  // All, or none.
  if (isRefused) {
    return results(topics, (topic, index) => refused(topic, index) || ErrorCode.OPERATION_NOT_ATTEMPTED)
  }
  if (verifyOnly) {
    const asked = [...topics].map(([name, indexes]) => ({ name, partitions: [...indexes] }))
    return services.transactions.verifyPartitions(transactionalId, producerId, producerEpoch, asked)
  }
  const error = await services.transactions.addPartitions(transactionalId, {
    producerId,
    producerEpoch,
    partitions: topics,
    clientVersion: isOfBroker ? BUMPING_TRANSACTIONS : CLASSIC_TRANSACTIONS,
  })
  const isUnknown = apiVersion < KNOWS_PRODUCER_FENCED && error === ErrorCode.PRODUCER_FENCED
  const code = isUnknown ? ErrorCode.INVALID_PRODUCER_EPOCH : error
  // What was named twice is answered twice.
  return addition.topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: code })),
  }))
}

function merged(topics: Addition['topics']): Map<string, Set<number>> {
  const all = new Map<string, Set<number>>()
  for (const { name, partitions } of topics) {
    all.set(name, new Set([...(all.get(name) ?? []), ...partitions]))
  }
  return all
}

function results(
  topics: ReadonlyMap<string, ReadonlySet<number>>,
  codeOf: (topic: string, partition: number) => number,
): TopicResult[] {
  return [...topics].map(([name, indexes]) => ({
    name,
    resultsByPartition: [...indexes].map((partitionIndex) => {
      return { partitionIndex, partitionErrorCode: codeOf(name, partitionIndex) }
    }),
  }))
}
