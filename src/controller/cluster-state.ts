/** What the active controller knows, and how it is read from the coordination service: many reads, few round trips. */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession, Watch, ZnodeStat } from '../env/coordination.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { LEADER_DURING_DELETE } from './metadata.ts'
import type { BrokerInfo, PartitionAnswer, PartitionState } from './metadata.ts'
import {
  BROKER_IDS_PATH,
  brokerPath,
  decodeBroker,
  decodePartitionState,
  decodeTopic,
  partitionStatePath,
  topicPath,
} from './znodes.ts'
import type { PartitionStateZnode, TopicZnode } from './znodes.ts'

export interface Leadership extends PartitionStateZnode {
  /** Version of the state znode. */
  readonly partitionEpoch: number
}

export interface TopicState {
  readonly topicId: string
  /** Of partition 0, 1, ... */
  replicas: readonly (readonly number[])[]
  /** By partition; undefined: its state has never been written. */
  readonly leadership: (Leadership | undefined)[]
  /** The znode above the partitions is known to exist. */
  hasPartitionsNode: boolean
  /** By partition: replicas whose log directory has failed. */
  readonly offlineReplicas: (readonly number[] | undefined)[]
}

export const newTopicState = (topicId: string, replicas: TopicState['replicas']): TopicState => {
  return { topicId, replicas, leadership: [], hasPartitionsNode: false, offlineReplicas: [] }
}

export class ClusterState {
  readonly brokers = new Map<number, BrokerInfo>()
  readonly topics = new Map<string, TopicState>()
  /** Topics with a deletion marker that have not gone yet. */
  readonly deletions = new Set<string>()

  liveBrokers(): Set<number> {
    return new Set(this.brokers.keys())
  }

  /** Replicas that a broker may be asked to lead: it lives, and the directory of their log does. */
  isOnline(topic: TopicState, partition: number, replica: number): boolean {
    return this.brokers.has(replica) && !topic.offlineReplicas[partition]?.includes(replica)
  }

  /** Takes a broker's answers; gives the partitions whose replica there is offline now and was not before. */
  noteOfflineReplicas(broker: number, answers: readonly PartitionAnswer[]): PartitionAnswer[] {
    return answers.filter(({ topic, partition, error }) => {
      const offlineReplicas = this.topics.get(topic)?.offlineReplicas
      if (offlineReplicas === undefined || error !== ErrorCode.KAFKA_STORAGE_ERROR) return false
      const known = (offlineReplicas[partition] ??= [])
      if (known.includes(broker)) return false
      offlineReplicas[partition] = [...known, broker]
      return true
    })
  }

  /** Nothing is known any more of the directories of brokers that have started anew. */
  forgetOfflineReplicas(brokers: ReadonlySet<number>): void {
    for (const { offlineReplicas } of this.topics.values()) {
      for (const [partition, replicas] of offlineReplicas.entries())
        offlineReplicas[partition] = replicas?.filter((id) => !brokers.has(id))
    }
  }

  /** Partitions with leadership, of the topics named or of all. */
  partitionStates(names: Iterable<string> = this.topics.keys()): PartitionState[] {
    const states: PartitionState[] = []
    for (const topic of names) {
      const state = this.topics.get(topic)
      if (state === undefined || this.deletions.has(topic)) continue
      for (let partition = 0; partition < state.leadership.length; partition++) {
        if (state.leadership[partition] !== undefined)
          states.push(partitionState(topic, state, partition, false))
      }
    }
    return states
  }
}

export function partitionState(
  topic: string,
  state: TopicState,
  partition: number,
  isNew: boolean,
): PartitionState {
  const { leader, leaderEpoch, isr, partitionEpoch, controllerEpoch, recovering } =
    state.leadership[partition]!
  const replicas = state.replicas[partition]
  return {
    topic,
    topicId: state.topicId,
    partition,
    controllerEpoch,
    leader,
    leaderEpoch,
    isr,
    partitionEpoch,
    replicas,
    addingReplicas: [],
    removingReplicas: [],
    isNew,
    recovering,
    offlineReplicas: state.offlineReplicas[partition] ?? [],
  }
}

/** Of a partition whose topic is no more. */
export function goneState(topic: string, state: TopicState, partition: number): PartitionState {
  const { topicId } = state
  return {
    topic,
    topicId,
    partition,
    controllerEpoch: state.leadership[partition]?.controllerEpoch ?? 0,
    leader: LEADER_DURING_DELETE,
    leaderEpoch: 0,
    isr: [],
    partitionEpoch: state.leadership[partition]?.partitionEpoch ?? 0,
    replicas: state.replicas[partition],
    addingReplicas: [],
    removingReplicas: [],
    isNew: false,
    recovering: false,
    offlineReplicas: [],
  }
}

export interface ZnodeContent {
  readonly data: Buffer | null
  readonly stat: ZnodeStat
}

/** null where there is no node; no watch is left then. */
export async function readNode(
  session: CoordinationSession,
  path: string,
  watch?: Watch,
): Promise<ZnodeContent | null> {
  try {
    return await session.get(path, watch)
  } catch (error) {
    if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
    throw error
  }
}

/** Live brokers, their epochs and addresses; leaves a watch on the list and on each. */
export async function readBrokers(session: CoordinationSession, watch: Watch): Promise<BrokerInfo[]> {
  const names = await session.children(BROKER_IDS_PATH, watch)
  const ids = names.map(Number).filter((id) => Number.isSafeInteger(id))
  const nodes = await Promise.all(ids.map((id) => readNode(session, brokerPath(id), watch)))
  return ids.flatMap((id, index) => {
    const node = nodes[index]
    const broker = node === null ? null : decodeBroker(node.data)
    if (node === null || broker === null) return []
    return [{ id, epoch: node.stat.czxid, rack: broker.rack, endpoints: broker.endpoints }]
  })
}

/** The topics' znodes, null for what is gone or unreadable; leaves a watch on each that is there. */
export function readTopics(
  session: CoordinationSession,
  names: readonly string[],
  watch?: Watch,
): Promise<(TopicZnode | null)[]> {
  const read = async (name: string): Promise<TopicZnode | null> => {
    return decodeTopic((await readNode(session, topicPath(name), watch))?.data ?? null)
  }
  return Promise.all(names.map(read))
}

/** Fills in the leadership of all partitions whose state has been written. */
export async function readLeadership(
  session: CoordinationSession,
  topics: Iterable<readonly [string, TopicState]>,
): Promise<void> {
  const reads: Promise<void>[] = []
  const read = async (name: string, topic: TopicState, partition: number): Promise<void> => {
    const node = await readNode(session, partitionStatePath(name, partition))
    const state = decodePartitionState(node?.data ?? null)
    if (node === null || state === null) return
    topic.leadership[partition] = { ...state, partitionEpoch: node.stat.version }
    topic.hasPartitionsNode = true
  }
  for (const [name, topic] of topics)
    for (let partition = 0; partition < topic.replicas.length; partition++)
      reads.push(read(name, topic, partition))
  await Promise.all(reads)
}
