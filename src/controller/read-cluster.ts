/** How what the controller knows is read from the coordination service: many reads, few round trips. */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession, Watch, ZnodeStat } from '../env/coordination.ts'
import { leadershipOf } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import type { BrokerInfo } from './metadata.ts'
import {
  BROKER_IDS_PATH,
  brokerPath,
  decodeBroker,
  decodeConfig,
  decodePartitionState,
  decodeTopic,
  partitionStatePath,
  topicConfigPath,
  topicPath,
} from './znodes.ts'
import type { TopicZnode } from './znodes.ts'

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

/** Registered brokers, their epochs and addresses; leaves a watch on the list and on each. */
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

/** The topic's znode, null for what is gone or unreadable; leaves a watch if it is there. */
export async function readTopic(
  session: CoordinationSession,
  name: string,
  watch?: Watch,
): Promise<TopicZnode | null> {
  return decodeTopic((await readNode(session, topicPath(name), watch))?.data ?? null)
}

/** Takes over the states of partitions as they have been written; undefined where none has been. Gives the zxids of the writes. */
export async function readLeadership(
  session: CoordinationSession,
  partitions: readonly PartitionRef[],
): Promise<Map<PartitionRef, number>> {
  const writtenZxids = new Map<PartitionRef, number>()
  const read = async (ref: PartitionRef): Promise<void> => {
    const { topic, topicState, partition } = ref
    const node = await readNode(session, partitionStatePath(topic, partition))
    const state = decodePartitionState(node?.data ?? null)
    if (node !== null && state !== null) {
      topicState.leadership[partition] = { ...state, partitionEpoch: node.stat.version }
      topicState.hasPartitionsNode = true
      writtenZxids.set(ref, node.stat.mzxid)
    } else if (leadershipOf(ref) !== undefined) topicState.leadership[partition] = undefined
  }
  await Promise.all(partitions.map(read))
  return writtenZxids
}

/** What topics say of one setting in their own configuration; undefined where they do not. */
export async function readTopicSetting(
  session: CoordinationSession,
  topics: readonly string[],
  setting: string,
): Promise<Map<string, string | undefined>> {
  const nodes = await Promise.all(topics.map((topic) => readNode(session, topicConfigPath(topic))))
  return new Map(topics.map((topic, i) => [topic, decodeConfig(nodes[i]?.data ?? null)?.[setting]]))
}
