/**
 * The controller's way to a broker of another process, or of another kind: the versions that a controller of Kafka 3.9 sends,
 * without asking for any before (its ControllerChannelManager). It watches over the connection: when it ends and the broker's
 * port refuses another, the process is gone.
 */
import type {
  BrokerAnswer,
  BrokerChannel,
  BrokerInfo,
  ControllerIdentity,
  MetadataUpdate,
  PartitionState,
  ReplicaToStop,
} from '../controller/metadata.ts'
import { SECURITY_PROTOCOLS } from '../controller/znodes.ts'
import { leaderAndIsrApi } from '../protocol/messages/04-leader-and-isr.ts'
import { stopReplicaApi } from '../protocol/messages/05-stop-replica.ts'
import { updateMetadataApi } from '../protocol/messages/06-update-metadata.ts'
import { Peer, type PeerEnv } from '../server/peer.ts'
import { WatchedPeer } from './watched-peer.ts'

const LEADER_AND_ISR_VERSION = 7
const UPDATE_METADATA_VERSION = 8
const STOP_REPLICA_VERSION = 4
/** Answers name partitions and their errors: this is a million of them. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024

export interface RemoteChannelSettings {
  /** Of the controller: its own requests name it. */
  readonly brokerId: number
  /** Where brokers take requests of brokers. */
  readonly listenerName: string
  /** controller.socket.timeout.ms */
  readonly socketTimeoutMs: number
  readonly connectTimeoutMs: number
}

export class RemoteChannel implements BrokerChannel {
  readonly #broker: BrokerInfo
  readonly #settings: RemoteChannelSettings
  readonly #peer: Peer
  readonly #watched: WatchedPeer

  /** `broker` has an endpoint of the listener. */
  constructor(env: PeerEnv, broker: BrokerInfo, settings: RemoteChannelSettings) {
    this.#broker = broker
    this.#settings = settings
    const { brokerId, listenerName, socketTimeoutMs, connectTimeoutMs } = settings
    this.#peer = new Peer(env, endpointOf(broker, listenerName), {
      clientId: String(brokerId),
      requestTimeoutMs: socketTimeoutMs,
      connectTimeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    this.#watched = new WatchedPeer(this.#peer, env.timers)
  }

  async leaderAndIsr(
    from: ControllerIdentity,
    states: readonly PartitionState[],
    leaders: readonly BrokerInfo[],
  ): Promise<BrokerAnswer> {
    const ids = new Map(states.map(({ topic, topicId }) => [topicId, topic]))
    const { listenerName } = this.#settings
    const request = {
      ...this.#head(from),
      type: 0,
      topicStates: byTopic(states).map(({ topicName, topicId, of }) => {
        return { topicName, topicId, partitionStates: of.map(leaderAndIsrState) }
      }),
      liveLeaders: leaders.map((leader) => {
        const { host, port } = endpointOf(leader, listenerName)
        return { brokerId: leader.id, hostName: host, port }
      }),
    }
    const answer = await this.#peer.call(leaderAndIsrApi, LEADER_AND_ISR_VERSION, request)
    const partitions = answer.topics.flatMap(({ topicId, partitionErrors }) => {
      const topic = ids.get(topicId)
      if (topic === undefined) return []
      return partitionErrors.map(({ partitionIndex, errorCode }) => {
        return { topic, partition: partitionIndex, error: errorCode }
      })
    })
    return { error: answer.errorCode, partitions }
  }

  async updateMetadata(from: ControllerIdentity, update: MetadataUpdate): Promise<{ error: number }> {
    const request = {
      ...this.#head(from),
      topicStates: byTopic(update.partitions).map(({ topicName, topicId, of }) => {
        return { topicName, topicId, partitionStates: of.map(updateMetadataState) }
      }),
      liveBrokers: update.brokers.map(({ id, rack, endpoints }) => ({
        id,
        rack,
        endpoints: endpoints.map(({ listenerName, securityProtocol, host, port }) => {
          return {
            listener: listenerName,
            securityProtocol: SECURITY_PROTOCOLS.indexOf(securityProtocol),
            host,
            port,
          }
        }),
      })),
    }
    const { errorCode } = await this.#peer.call(updateMetadataApi, UPDATE_METADATA_VERSION, request)
    return { error: errorCode }
  }

  async stopReplicas(from: ControllerIdentity, replicas: readonly ReplicaToStop[]): Promise<BrokerAnswer> {
    const topics = new Map<string, ReplicaToStop[]>()
    for (const replica of replicas) {
      const of = topics.get(replica.topic)
      if (of === undefined) topics.set(replica.topic, [replica])
      else of.push(replica)
    }
    const topicStates = [...topics].map(([topicName, of]) => ({
      topicName,
      partitionStates: of.map(({ partition, leaderEpoch, deleteLog }) => {
        return { partitionIndex: partition, leaderEpoch, deletePartition: deleteLog }
      }),
    }))
    const request = { ...this.#head(from), topicStates }
    const answer = await this.#peer.call(stopReplicaApi, STOP_REPLICA_VERSION, request)
    const partitions = answer.partitionErrors.map(({ topicName, partitionIndex, errorCode }) => {
      return { topic: topicName, partition: partitionIndex, error: errorCode }
    })
    return { error: answer.errorCode, partitions }
  }

  onLost(listener: () => void): void {
    this.#watched.onLost(listener)
  }

  close(): void {
    this.#watched.close()
  }

  #head({ controllerId, controllerEpoch }: ControllerIdentity) {
    return { controllerId, controllerEpoch, isKRaftController: false, brokerEpoch: this.#broker.epoch }
  }
}

/** Where a broker takes requests of brokers; port -1, which nothing answers, for one without such a listener. */
export function endpointOf(broker: BrokerInfo, listenerName: string): { host: string; port: number } {
  const found = broker.endpoints.find((endpoint) => endpoint.listenerName === listenerName)
  return found ?? { host: '', port: -1 }
}

function byTopic(
  states: readonly PartitionState[],
): { topicName: string; topicId: string; of: PartitionState[] }[] {
  const topics = new Map<string, { topicName: string; topicId: string; of: PartitionState[] }>()
  for (const state of states) {
    const known = topics.get(state.topic)
    if (known === undefined)
      topics.set(state.topic, { topicName: state.topic, topicId: state.topicId, of: [state] })
    else known.of.push(state)
  }
  return [...topics.values()]
}

/** What both requests say of a partition. */
function leadershipState({ partition, controllerEpoch, leader, leaderEpoch, isr, replicas }: PartitionState) {
  return {
    partitionIndex: partition,
    controllerEpoch,
    leader,
    leaderEpoch,
    isr: [...isr],
    replicas: [...replicas],
  }
}

function leaderAndIsrState(state: PartitionState) {
  return {
    ...leadershipState(state),
    partitionEpoch: state.partitionEpoch,
    addingReplicas: [...state.addingReplicas],
    removingReplicas: [...state.removingReplicas],
    isNew: state.isNew,
    leaderRecoveryState: state.recovering ? 1 : 0,
  }
}

function updateMetadataState(state: PartitionState) {
  return {
    ...leadershipState(state),
    zkVersion: state.partitionEpoch,
    offlineReplicas: [...state.offlineReplicas],
  }
}
