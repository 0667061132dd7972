/**
 * What the coordinator of a transaction answers to who adds partitions to it, or asks whether they are in it: its producer, or
 * the brokers that lead them, over the wire or in this process.
 */
import { andThen, type Later } from '../coordinator/later.ts'
import type {
  TopicResult,
  TransactionCoordinator,
} from '../coordinator/transactions/transaction-coordinator.ts'
import { BUMPING_TRANSACTIONS, CLASSIC_TRANSACTIONS } from '../coordinator/transactions/transaction.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { AddPartitionsToTxnRequest } from '../protocol/messages/24-add-partitions-to-txn.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { isInternalTopic } from './topic-names.ts'

export type Addition = AddPartitionsToTxnRequest['transactions'][number]

export interface AdditionParts {
  readonly transactions: Pick<TransactionCoordinator, 'addPartitions' | 'verifyPartitions'>
  readonly metadata: Pick<MetadataCache, 'partition'>
}

/** `isOfBroker`: it asks in the name of a producer, whose transactions have an epoch each unless it is to be verified only. */
export function addOrVerify(
  { transactions, metadata }: AdditionParts,
  addition: Addition,
  isOfBroker: boolean,
): Later<TopicResult[]> {
  const { transactionalId, producerId, producerEpoch, verifyOnly } = addition
  const topics = merged(addition.topics)
  const refused = (topic: string, partition: number): number => {
    // No producer writes there itself.
    if (!isOfBroker && isInternalTopic(topic)) return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    const isKnown = metadata.partition(topic, partition) !== undefined
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
    return transactions.verifyPartitions(transactionalId, producerId, producerEpoch, asked)
  }
  const clientVersion = isOfBroker ? BUMPING_TRANSACTIONS : CLASSIC_TRANSACTIONS
  const call = { producerId, producerEpoch, partitions: topics, clientVersion }
  return andThen(transactions.addPartitions(transactionalId, call), (error) =>
    // What was named twice is answered twice.
    addition.topics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: error })),
    })),
  )
}

function merged(topics: Addition['topics']): Map<string, Set<number>> {
  const all = new Map<string, Set<number>>()
  for (const { name, partitions } of topics) {
    let indexes = all.get(name)
    if (indexes === undefined) all.set(name, (indexes = new Set()))
    for (const index of partitions) indexes.add(index)
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
