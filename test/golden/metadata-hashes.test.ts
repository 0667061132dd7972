/** The hashes by which a consumer group sees that its topics have changed, against Kafka's own (generate.sh). */
import { expect, test } from 'vitest'
import { groupHash, topicHash } from '../../src/coordinator/groups/consumer/topics.ts'
import { readGolden } from './golden-data.ts'

interface Golden {
  racks: string[]
  topics: {
    topic: string
    topicId: string
    partitions: number
    replicas: number
    hash: string
    group: string
  }[]
}

const [golden] = readGolden<Golden[]>('metadata-hashes.json')!

test('topics, with racks and without, and groups of up to 48 topics have the hashes that Kafka computes', () => {
  const hashes = new Map<string, string>()
  for (const { topic: name, topicId, partitions, replicas, hash, group } of golden.topics) {
    const racks = Array.from({ length: partitions }, (_, i) => {
      const brokers = replicas === 3 ? [i % 6, (i + 1) % 6, (i + 4) % 6] : [i % 2]
      return brokers.map((broker) => golden.racks[broker]).filter((rack) => rack !== '-')
    })
    expect(
      topicHash({ name, topicId, partitionCount: partitions, racks: () => racks }),
      `${name}, ${partitions} partitions`,
    ).toBe(hash)
    hashes.set(name, hash)
    expect(groupHash(hashes), `${hashes.size} topics`).toBe(group)
  }
})
