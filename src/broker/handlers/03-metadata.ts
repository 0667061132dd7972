/**
 * Metadata 0-12: brokers (with the addresses of the listener that was asked), topics, partitions and their leaders.
 * v0: an empty list means all topics, from v1 null does and empty means none. Unknown topics are created when the client
 * (v4) and auto.create.topics.enable allow it; the reply then names the new topic at once. v12 looks up by topic id.
 * A broker that has just joined a cluster answers when the controller has told it of the cluster.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { MetadataRequest, MetadataResponse } from '../../protocol/messages/03-metadata.ts'
import { ZERO_UUID } from '../../protocol/schema.ts'
import { CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS } from '../authorized-operations.ts'
import type { TopicMetadata } from '../metadata-cache.ts'
import type { RequestContext, Services } from '../services.ts'
import { topicNameFault } from '../topic-names.ts'

type TopicResponse = MetadataResponse['topics'][number]

/** Then it answers that it knows of nothing, as a client would otherwise wait for its own limit. */
const FIRST_WORD_LIMIT_MS = 10_000

export function handleMetadata(
  services: Services,
  request: MetadataRequest,
  context: RequestContext,
): MetadataResponse | Promise<MetadataResponse> {
  const { metadata } = services
  if (metadata.brokerCount > 0) return answered(services, request, context)
  // Kafka answers at once that there is no such topic; librdkafka believes it, and gives up the records it has for it.
  const told = metadata.waitFor(() => metadata.brokerCount > 0, FIRST_WORD_LIMIT_MS)
  return told.then(() => answered(services, request, context))
}

function answered(
  services: Services,
  request: MetadataRequest,
  context: RequestContext,
): MetadataResponse | Promise<MetadataResponse> {
  const { metadata } = services
  const wantsAll = request.topics === null || (context.apiVersion === 0 && request.topics.length === 0)
  if (wantsAll) {
    const all = [...metadata.topics()].map((topic) => described(services, context, request, topic))
    return reply(services, request, context, all)
  }
  const byId = request.topics!.filter(({ topicId }) => topicId !== ZERO_UUID)
  if (context.apiVersion < 12 && (byId.length > 0 || request.topics!.some(({ name }) => name === null))) {
    // Ids came to requests with version 12; a reply below it cannot carry a null name. It tells nothing of the cluster.
    const topics = request.topics!.map(({ name, topicId }) => ({
      ...unknown(ErrorCode.INVALID_REQUEST, name ?? ''),
      topicId,
    }))
    return { brokers: [], topics }
  }
  if (byId.length > 0) {
    const topics = byId.map(({ topicId }) => {
      const topic = metadata.topicById(topicId)
      return topic
        ? described(services, context, request, topic)
        : { ...unknown(ErrorCode.UNKNOWN_TOPIC_ID, null), topicId }
    })
    return reply(services, request, context, topics)
  }
  const names = [...new Set(request.topics!.map(({ name }) => name ?? ''))]
  const missing = names.filter((name) => !metadata.topic(name) && topicNameFault(name) === null)
  const mayCreate = request.allowAutoTopicCreation && services.config.get('auto.create.topics.enable')
  const answer = (errors: ReadonlyMap<string, number>): MetadataResponse => {
    const topics = names.map((name) => {
      const topic = metadata.topic(name)
      if (topic) return described(services, context, request, topic)
      if (topicNameFault(name) !== null) return unknown(ErrorCode.INVALID_TOPIC_EXCEPTION, name)
      return unknown(errors.get(name) ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name)
    })
    return reply(services, request, context, topics)
  }
  if (missing.length === 0 || !mayCreate) return answer(new Map())
  return createMissing(services, missing).then(answer)
}

/** Creates what can be created; gives the errors of the others. */
async function createMissing(services: Services, names: readonly string[]): Promise<Map<string, number>> {
  const errors = new Map<string, number>()
  await Promise.all(
    names.map(async (name) => {
      const { error } = await services.topics.autoCreateTopic(name)
      if (error === ErrorCode.TOPIC_ALREADY_EXISTS) errors.set(name, ErrorCode.LEADER_NOT_AVAILABLE)
      else if (error !== ErrorCode.NONE) errors.set(name, error)
    }),
  )
  return errors
}

function unknown(errorCode: number, name: string | null): TopicResponse {
  return { errorCode, name, topicId: ZERO_UUID, isInternal: false, partitions: [] }
}

function described(
  services: Services,
  context: RequestContext,
  request: MetadataRequest,
  topic: TopicMetadata,
): TopicResponse {
  const partitions = topic.partitions.map((partition) => ({
    errorCode: partitionError(services, context, partition.leader),
    partitionIndex: partition.index,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    offlineReplicas: partition.offlineReplicas,
  }))
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.isInternal,
    partitions,
    topicAuthorizedOperations: request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : NOT_ASKED,
  }
}

/** A leader without the listener that the client uses cannot be reached by it (KIP-103). */
function partitionError(services: Services, context: RequestContext, leader: number): number {
  if (leader < 0) return ErrorCode.LEADER_NOT_AVAILABLE
  const broker = services.metadata.broker(leader)
  if (!broker) return ErrorCode.LEADER_NOT_AVAILABLE
  if (broker.endpoints.has(context.listenerName)) return ErrorCode.NONE
  return context.apiVersion >= 6 ? ErrorCode.LISTENER_NOT_FOUND : ErrorCode.LEADER_NOT_AVAILABLE
}

function reply(
  services: Services,
  request: MetadataRequest,
  context: RequestContext,
  topics: readonly TopicResponse[],
): MetadataResponse {
  const brokers = []
  for (const broker of services.metadata.brokers()) {
    const endpoint = broker.endpoints.get(context.listenerName)
    if (endpoint)
      brokers.push({ nodeId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack })
  }
  return {
    brokers,
    clusterId: services.clusterId,
    controllerId: services.metadata.controllerId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : NOT_ASKED,
  }
}
