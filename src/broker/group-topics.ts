/** The topics of the cluster as consumer groups see them (coordinator/groups/consumer/topics.ts). */
import type { GroupTopic, GroupTopics } from '../coordinator/groups/consumer/topics.ts'
import { ZERO_UUID } from '../protocol/schema.ts'
import type { MetadataCache, TopicMetadata } from './metadata-cache.ts'

export class ClusterTopics implements GroupTopics {
  readonly #metadata: MetadataCache
  /** By broker id, also of brokers that are away: that one restarts changes no group. */
  readonly #racks = new Map<number, string | null>()

  constructor(metadata: MetadataCache) {
    this.#metadata = metadata
  }

  topic(name: string): GroupTopic | undefined {
    return this.#group(this.#metadata.topic(name))
  }

  topicById(topicId: string): GroupTopic | undefined {
    return this.#group(this.#metadata.topicById(topicId))
  }

  *names(): Generator<string> {
    for (const { name } of this.#metadata.topics()) yield name
  }

  /** Assignments name topics by their ids: one without is none that a consumer group could have. */
  #group(topic: TopicMetadata | undefined): GroupTopic | undefined {
    if (topic === undefined || topic.topicId === ZERO_UUID) return undefined
    const { name, topicId, partitions } = topic
    const racks = (): string[][] =>
      partitions.map(({ replicas }) => replicas.flatMap((brokerId) => this.#rackOf(brokerId) ?? []))
    return { name, topicId, partitionCount: partitions.length, racks }
  }

  #rackOf(brokerId: number): string | null {
    const broker = this.#metadata.broker(brokerId)
    if (broker !== undefined) this.#racks.set(brokerId, broker.rack)
    return this.#racks.get(brokerId) ?? null
  }
}
