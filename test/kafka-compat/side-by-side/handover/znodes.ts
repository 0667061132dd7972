/** What a ZooKeeper has to know of directories that another broker wrote, as docs/handover.md says it step by step. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, ourDump } from '../dump-log/both-dumps.ts'

export type Znode = readonly [path: string, data: string]

/** Settings that topics have of their own, by topic. */
export type TopicSettings = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What the directories do not tell. */
export interface Told {
  /** By topic. Odradek makes the directory of a partition when it is first used. */
  readonly partitions: Readonly<Record<string, number>>
  readonly settings?: TopicSettings
}

const BROKER_ID = 1
/** As many may have been given out, to producers that have not written yet. */
const PRODUCER_ID_BLOCK = 1000
const PARTITION = /^(.+)-(\d+)$/

interface WrittenTopic {
  readonly id: string
  /** Latest leader epoch by partition. */
  readonly epochs: number[]
}

/** Parents first. Settings of internal topics are Kafka's own. */
export async function znodesOf(
  logDirs: readonly string[],
  { partitions, settings = {} }: Told,
): Promise<Znode[]> {
  const clusterId = /cluster\.id=(\S+)/.exec(readFileSync(join(logDirs[0], 'meta.properties'), 'utf8'))![1]
  const topics = topicsOf(logDirs)
  for (const [name, { epochs }] of topics) epochs.length = Math.max(epochs.length, partitions[name] ?? 0)
  const block = { version: 1, broker: BROKER_ID, block_start: '0' }
  const end = String((await highestProducerId(logDirs)) + PRODUCER_ID_BLOCK)
  return [
    ['/cluster', ''],
    ['/cluster/id', JSON.stringify({ version: '1', id: clusterId })],
    ['/latest_producer_id_block', JSON.stringify({ ...block, block_end: end })],
    ['/config', ''],
    ['/config/topics', ''],
    ['/brokers', ''],
    ['/brokers/topics', ''],
    ...[...topics].flatMap(([name, topic]) => topicZnodes(name, topic, settings[name])),
  ]
}

function topicsOf(logDirs: readonly string[]): Map<string, WrittenTopic> {
  const topics = new Map<string, WrittenTopic>()
  for (const logDir of logDirs) {
    for (const directory of readdirSync(logDir)) {
      const [, name, partition] = PARTITION.exec(directory) ?? []
      if (name === undefined) continue
      const text = (file: string): string => readFileSync(join(logDir, directory, file), 'utf8')
      const id = /topic_id: (\S+)/.exec(text('partition.metadata'))![1]
      if (!topics.has(name)) topics.set(name, { id, epochs: [] })
      const isNew = !existsSync(join(logDir, directory, 'leader-epoch-checkpoint'))
      const epoch = isNew ? 0 : latestEpoch(text('leader-epoch-checkpoint'))
      topics.get(name)!.epochs[Number(partition)] = epoch
    }
  }
  return topics
}

/** Version, count, then a line of epoch and start offset for each. */
function latestEpoch(checkpoint: string): number {
  const [, , ...entries] = checkpoint.trimEnd().split('\n')
  return entries.length === 0 ? 0 : Number(entries.at(-1)!.split(' ')[0])
}

function topicZnodes(name: string, { id, epochs }: WrittenTopic, settings = internalSettings(name)): Znode[] {
  const partitions = Object.fromEntries([...epochs.keys()].map((partition) => [partition, [BROKER_ID]]))
  const topic = { version: 3, partitions, topic_id: id, adding_replicas: {}, removing_replicas: {} }
  const path = `/brokers/topics/${name}`
  const znodes: Znode[] = [
    [`/config/topics/${name}`, JSON.stringify({ version: 1, config: settings })],
    [path, JSON.stringify(topic)],
    [`${path}/partitions`, ''],
  ]
  // Of a partition without a directory there is nothing to tell: the controller makes it, as that of a new topic.
  epochs.forEach((epoch, partition) => {
    // Without a leader: the controller elects one under the next epoch.
    const state = { controller_epoch: 0, leader: -1, version: 1, leader_epoch: epoch, isr: [BROKER_ID] }
    znodes.push([`${path}/partitions/${partition}`, ''])
    znodes.push([`${path}/partitions/${partition}/state`, JSON.stringify(state)])
  })
  return znodes
}

function internalSettings(topic: string): Readonly<Record<string, string>> {
  const compacted = { 'cleanup.policy': 'compact', 'segment.bytes': '104857600' }
  if (topic === '__consumer_offsets') return { ...compacted, 'compression.type': 'producer' }
  if (topic === '__transaction_state') return { ...compacted, 'compression.type': 'uncompressed' }
  return {}
}

/** Ids are handed out anew from the one behind it: an old one would be taken for the producer that had it. */
async function highestProducerId(logDirs: readonly string[]): Promise<number> {
  const { found } = await ourDump(filesBelow(...logDirs))
  const ids = found.flatMap(({ producerId }) => (typeof producerId === 'number' ? [producerId] : []))
  return Math.max(0, ...ids)
}
