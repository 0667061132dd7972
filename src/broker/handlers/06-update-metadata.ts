/**
 * UpdateMetadata: what every broker knows of the cluster. Sent by the controller alone.
 * Versions: 1 endpoints; 2 rack; 3 listener names; 4 offline replicas (KIP-112); 5 broker epoch, topics grouped (KIP-380); 7
 * topic ids (KIP-516); 8 isKRaftController, which is not served (KIP-866).
 * Brokers come without their epochs: no version has them.
 */
import type { BrokerInfo, PartitionState } from '../../controller/metadata.ts'
import { SECURITY_PROTOCOLS, type BrokerEndpoint } from '../../controller/znodes.ts'
import type {
  UpdateMetadataRequest,
  UpdateMetadataResponse,
} from '../../protocol/messages/06-update-metadata.ts'
import { MalformedMessageError } from '../../protocol/reader.ts'
import { ZERO_UUID } from '../../protocol/schema.ts'
import type { RequestContext, Services } from '../services.ts'

const GROUPED_FROM = 5
const LISTENER_NAMES_FROM = 3

export async function handleUpdateMetadata(
  services: Services,
  request: UpdateMetadataRequest,
  context: RequestContext,
): Promise<UpdateMetadataResponse> {
  const brokers = request.liveBrokers.map((broker) => brokerOf(broker, context.apiVersion))
  const partitions = statesOf(services, request, context.apiVersion)
  const { error } = await services.controlPlane.updateMetadata(request, { brokers, partitions })
  return { errorCode: error }
}

type WireBroker = UpdateMetadataRequest['liveBrokers'][number]
type WireState = UpdateMetadataRequest['ungroupedPartitionStates'][number]

function brokerOf(broker: WireBroker, version: number): BrokerInfo {
  const { id, rack, v0Host: host, v0Port: port } = broker
  const only = { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host, port }
  const endpoints = broker.endpoints.map((endpoint): BrokerEndpoint => {
    const securityProtocol = SECURITY_PROTOCOLS[endpoint.securityProtocol]
    if (securityProtocol === undefined)
      throw new MalformedMessageError(`security protocol ${endpoint.securityProtocol}`)
    // A listener had the name of its protocol before it could have another (KIP-103).
    const listenerName = version >= LISTENER_NAMES_FROM ? endpoint.listener : securityProtocol
    return { listenerName, securityProtocol, host: endpoint.host, port: endpoint.port }
  })
  return { id, epoch: -1, rack, endpoints: version === 0 ? [only] : endpoints }
}

function statesOf(services: Services, request: UpdateMetadataRequest, version: number): PartitionState[] {
  const stateOf = (topic: string, topicId: string, state: WireState): PartitionState => ({
    topic,
    topicId: topicId === ZERO_UUID ? (services.metadata.topic(topic)?.topicId ?? ZERO_UUID) : topicId,
    partition: state.partitionIndex,
    controllerEpoch: state.controllerEpoch,
    leader: state.leader,
    leaderEpoch: state.leaderEpoch,
    isr: state.isr,
    partitionEpoch: state.zkVersion,
    replicas: state.replicas,
    addingReplicas: [],
    removingReplicas: [],
    isNew: false,
    recovering: false,
    offlineReplicas: state.offlineReplicas,
  })
  if (version < GROUPED_FROM)
    return request.ungroupedPartitionStates.map((state) => stateOf(state.topicName, ZERO_UUID, state))
  return request.topicStates.flatMap(({ topicName, topicId, partitionStates }) => {
    return partitionStates.map((state) => stateOf(topicName, topicId, state))
  })
}
