/**
 * LeaderAndIsr: become leader or follower of these partitions. Sent by the controller alone.
 * Versions: 1 isNew; 2 broker epoch, topics grouped (KIP-380); 3 replicas being added and removed; 5 topic ids, and the answer
 * by topic id (KIP-516); 6 leader recovery state (KIP-704); 7 isKRaftController, which is not served (KIP-866).
 * The live leaders are not looked at: who lives where is what UpdateMetadata says.
 */
import type { PartitionState } from '../../controller/metadata.ts'
import type { LeaderAndIsrRequest, LeaderAndIsrResponse } from '../../protocol/messages/04-leader-and-isr.ts'
import { ZERO_UUID } from '../../protocol/schema.ts'
import type { RequestContext, Services } from '../services.ts'

const TOPIC_IDS_FROM = 5
const GROUPED_FROM = 2

export async function handleLeaderAndIsr(
  services: Services,
  request: LeaderAndIsrRequest,
  context: RequestContext,
): Promise<LeaderAndIsrResponse> {
  const states = statesOf(services, request, context.apiVersion)
  const { error, partitions } = await services.controlPlane.leaderAndIsr(request, states)
  const partitionErrors = partitions.map(({ topic, partition, error: errorCode }) => {
    return { topicName: topic, partitionIndex: partition, errorCode }
  })
  if (context.apiVersion < TOPIC_IDS_FROM) return { errorCode: error, partitionErrors, topics: [] }
  const byTopic = new Map<string, typeof partitionErrors>()
  for (const one of partitionErrors) {
    const of = byTopic.get(one.topicName)
    if (of === undefined) byTopic.set(one.topicName, [one])
    else of.push(one)
  }
  const topics = request.topicStates.flatMap(({ topicName, topicId }) => {
    const of = byTopic.get(topicName)
    return of === undefined ? [] : [{ topicId, partitionErrors: of }]
  })
  return { errorCode: error, partitionErrors: [], topics }
}

type WireState = LeaderAndIsrRequest['ungroupedPartitionStates'][number]

function statesOf(services: Services, request: LeaderAndIsrRequest, version: number): PartitionState[] {
  const stateOf = (topic: string, topicId: string, state: WireState): PartitionState => ({
    topic,
    topicId: topicId === ZERO_UUID ? knownTopicId(services, topic, state.partitionIndex) : topicId,
    partition: state.partitionIndex,
    controllerEpoch: state.controllerEpoch,
    leader: state.leader,
    leaderEpoch: state.leaderEpoch,
    isr: state.isr,
    partitionEpoch: state.partitionEpoch,
    replicas: state.replicas,
    addingReplicas: state.addingReplicas,
    removingReplicas: state.removingReplicas,
    isNew: state.isNew,
    recovering: state.leaderRecoveryState !== 0,
    offlineReplicas: [],
  })
  if (version < GROUPED_FROM)
    return request.ungroupedPartitionStates.map((state) => stateOf(state.topicName, ZERO_UUID, state))
  return request.topicStates.flatMap(({ topicName, topicId, partitionStates }) => {
    return partitionStates.map((state) => stateOf(topicName, topicId, state))
  })
}

/** A controller from before topic ids does not say it; what this broker knows holds. */
function knownTopicId({ metadata, replicas }: Services, topic: string, partition: number): string {
  return replicas.get(topic, partition)?.topicId ?? metadata.topic(topic)?.topicId ?? ZERO_UUID
}
