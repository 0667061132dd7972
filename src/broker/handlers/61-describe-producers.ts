/** DescribeProducers 0 (KIP-664): what a replica knows of its producers, idle ones and open transactions too. Followers answer as well. */
import { DiskError } from '../../env/disk.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../protocol/messages/61-describe-producers.ts'
import { repeatsOfRequest, unlessSeen } from '../mentions.ts'
import type { Services } from '../services.ts'
import { topicNameFault } from '../topic-names.ts'

type PartitionResponse = DescribeProducersResponse['topics'][number]['partitions'][number]

export function handleDescribeProducers(
  services: Services,
  request: DescribeProducersRequest,
): DescribeProducersResponse {
  const repeats = repeatsOfRequest()
  const seen = new Map<string, Set<number>>()
  const topics = request.topics.map(({ name, partitionIndexes }) => {
    const fault = topicNameFault(name)
    const before = seen.get(name) ?? new Set()
    seen.set(name, before)
    const partitions = unlessSeen(partitionIndexes, before, repeats).map((index) => {
      if (fault !== null) return refused(index, ErrorCode.INVALID_TOPIC_EXCEPTION, fault)
      return describe(services, name, index)
    })
    return { name, partitions }
  })
  return { topics }
}

function describe(services: Services, topic: string, partitionIndex: number): PartitionResponse {
  if (services.metadata.topic(topic) === undefined)
    return refused(
      partitionIndex,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      'This server does not host this topic-partition.',
    )
  const partition = services.replicas.get(topic, partitionIndex)
  if (partition === undefined) {
    const exists = services.metadata.partition(topic, partitionIndex) !== undefined
    return refused(
      partitionIndex,
      exists ? ErrorCode.NOT_LEADER_OR_FOLLOWER : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    )
  }
  try {
    return { partitionIndex, errorCode: ErrorCode.NONE, activeProducers: producersOf(partition.log) }
  } catch (problem) {
    if (!(problem instanceof DiskError)) throw problem
    return refused(partitionIndex, ErrorCode.KAFKA_STORAGE_ERROR)
  }
}

function producersOf(log: { producers(): Iterable<Producer> }): PartitionResponse['activeProducers'] {
  return Array.from(log.producers(), (producer) => ({
    producerId: producer.producerId,
    producerEpoch: producer.epoch,
    lastSequence: producer.lastSequence,
    lastTimestamp: producer.lastTimestampMs,
    coordinatorEpoch: producer.coordinatorEpoch,
    currentTxnStartOffset: producer.transactionFirstOffset,
  }))
}

interface Producer {
  readonly producerId: number
  readonly epoch: number
  readonly lastSequence: number
  readonly lastTimestampMs: number
  readonly coordinatorEpoch: number
  readonly transactionFirstOffset: number
}

function refused(
  partitionIndex: number,
  errorCode: number,
  errorMessage: string | null = null,
): PartitionResponse {
  return { partitionIndex, errorCode, errorMessage, activeProducers: [] }
}
