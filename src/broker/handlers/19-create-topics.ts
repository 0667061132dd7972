/**
 * CreateTopics 0-7: checks, writes, and waits up to timeoutMs until the partitions have leaders. v1 brings validateOnly and
 * error messages, v4 -1 for the broker's defaults, v5 the topic's settings in the reply (KIP-525), v7 its id.
 * Not here: policies (create.topic.policy.class.name) and controller mutation quotas.
 */
import type { NewTopic } from '../../controller/topic-admin.ts'
import { CLUSTER_METADATA_TOPIC } from '../../controller/topic-names.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../protocol/messages/19-create-topics.ts'
import { ZERO_UUID } from '../../protocol/schema.ts'
import { describeTopic } from '../config/describe-configs.ts'
import type { RequestContext, Services } from '../services.ts'

type TopicResponse = CreateTopicsResponse['topics'][number]

export async function handleCreateTopics(
  services: Services,
  request: CreateTopicsRequest,
  context: RequestContext,
): Promise<CreateTopicsResponse> {
  const { timeoutMs, validateOnly } = request
  const refused = new Map<NewTopic, string>()
  for (const topic of request.topics) {
    if (topic.name === CLUSTER_METADATA_TOPIC)
      refused.set(topic, `Creation of internal topic ${CLUSTER_METADATA_TOPIC} is prohibited.`)
    else if (request.topics.some((other) => other !== topic && other.name === topic.name))
      refused.set(topic, 'Found multiple entries for this topic.')
  }
  const wanted = request.topics.filter((topic) => !refused.has(topic))
  const made = await services.topics.createTopics(wanted, { timeoutMs, validateOnly })
  const topics = request.topics.map((topic): TopicResponse => {
    const message = refused.get(topic)
    if (message !== undefined) return failed(topic.name, ErrorCode.INVALID_REQUEST, message)
    const result = made[wanted.indexOf(topic)]
    if (result.error !== ErrorCode.NONE)
      return { ...failed(topic.name, result.error, result.message), topicId: result.topicId }
    return {
      name: topic.name,
      topicId: result.topicId,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      topicConfigErrorCode: ErrorCode.NONE,
      numPartitions: result.numPartitions,
      replicationFactor: result.replicationFactor,
      configs: context.apiVersion < 5 ? [] : described(services, result.configs),
    }
  })
  return { topics }
}

function failed(name: string, errorCode: number, errorMessage: string | null): TopicResponse {
  const nothing = { numPartitions: -1, replicationFactor: -1, configs: [] }
  return { name, topicId: ZERO_UUID, errorCode, errorMessage, topicConfigErrorCode: 0, ...nothing }
}

/** All settings in force for the topic, its own and the broker's. */
function described(services: Services, configs: Readonly<Record<string, string>>): TopicResponse['configs'] {
  const options = { synonyms: false, documentation: false, names: null }
  return describeTopic(services.config, configs, options).map((config) => ({
    name: config.name,
    value: config.value,
    readOnly: config.readOnly,
    configSource: config.configSource ?? -1,
    isSensitive: config.isSensitive,
  }))
}
