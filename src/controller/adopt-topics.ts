/**
 * A log directory may come from a broker whose metadata lie elsewhere: an Apache Kafka with a ZooKeeper of its own, or
 * this one after its store was lost. A coordination store in which no controller was ever elected learns the topics from
 * the directories, once. A store that has had a controller knows better than any directory what there is.
 *
 * For the embedded store alone: this broker becomes the only replica of what it adopts.
 */
import type { CoordinationOperation, CoordinationSession } from '../env/coordination.ts'
import type { AdoptedTopic } from './decide/adopt-topics.ts'
import {
  CONTROLLER_EPOCH_PATH,
  TOPICS_PATH,
  encodeConfig,
  encodePartitionState,
  encodeTopic,
  partitionPath,
  partitionStatePath,
  partitionsPath,
  topicConfigPath,
  topicPath,
} from './znodes.ts'

/** No controller was ever elected here. A crash between adoption and election leaves it so, and the rest is done then. */
export async function isNewStore(session: CoordinationSession): Promise<boolean> {
  return (await session.exists(CONTROLLER_EPOCH_PATH)) === null
}

/**
 * Writes the topics that are not there yet, each in one multi. Their partitions have no leader: the election that follows
 * gives them one under the next leader epoch. Rejects with CoordinationError.
 */
export async function writeAdoptedTopics(
  session: CoordinationSession,
  brokerId: number,
  topics: readonly AdoptedTopic[],
  configsOf: (topic: string) => Readonly<Record<string, string>>,
): Promise<void> {
  const known = new Set(await session.children(TOPICS_PATH))
  const fresh = topics.filter(({ name }) => !known.has(name))
  await Promise.all(fresh.map((topic) => session.multi(creationOf(topic, brokerId, configsOf(topic.name)))))
}

function creationOf(
  topic: AdoptedTopic,
  brokerId: number,
  configs: Readonly<Record<string, string>>,
): CoordinationOperation[] {
  const { name, topicId, partitionCount, latestLeaderEpochs } = topic
  const partitions = Array.from({ length: partitionCount }, () => [brokerId])
  const content = encodeTopic({ topicId, partitions, addingReplicas: {}, removingReplicas: {} })
  const operations: CoordinationOperation[] = [
    { type: 'create', path: topicConfigPath(name), data: encodeConfig(configs) },
    { type: 'create', path: topicPath(name), data: content },
    { type: 'create', path: partitionsPath(name), data: null },
  ]
  for (const [partition, latestLeaderEpoch] of latestLeaderEpochs.entries()) {
    if (latestLeaderEpoch === undefined) continue
    const leaderEpoch = Math.max(latestLeaderEpoch, 0)
    const state = { leader: -1, leaderEpoch, isr: [brokerId], controllerEpoch: 0, recovering: false }
    const data = encodePartitionState(state)
    operations.push({ type: 'create', path: partitionPath(name, partition), data: null })
    operations.push({ type: 'create', path: partitionStatePath(name, partition), data })
  }
  return operations
}
