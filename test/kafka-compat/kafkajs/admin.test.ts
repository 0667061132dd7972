import kafkajs from 'kafkajs'
import type { Admin, Kafka } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'

const { ConfigResourceTypes } = kafkajs

let broker: TestBroker
let client: Kafka
let admin: Admin

beforeAll(async () => {
  broker = await startBroker()
  client = kafkajsClient(broker.bootstrap)
  admin = client.admin()
  await admin.connect()
})
afterAll(async () => {
  await admin?.disconnect()
  await broker?.stop()
})

async function send(topic: string, values: string[], timestamps: number[] = []): Promise<void> {
  const producer = client.producer()
  await producer.connect()
  const messages = values.map((value, i) => ({ value, partition: 0, timestamp: timestamps[i]?.toString() }))
  await producer.send({ topic, messages })
  await producer.disconnect()
}

/** A member of the group that has read and committed every record of the topic, and is still there. */
async function joinGroup(groupId: string, topic: string, count: number): Promise<() => Promise<void>> {
  const consumer = client.consumer({ groupId, maxWaitTimeInMs: 100 })
  let read = 0
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async () => void read++ })
  await eventually(`${count} records read by ${groupId}`, () => read >= count)
  return () => consumer.disconnect()
}

describe('the kafkajs admin client and topics', () => {
  test('creates topics, lists them, describes them and deletes them', async () => {
    const topics = [{ topic: 'admin-a', numPartitions: 3 }, { topic: 'admin-b' }]
    expect(await admin.createTopics({ topics })).toBe(true)
    expect(await admin.listTopics()).toEqual(expect.arrayContaining(['admin-a', 'admin-b']))
    const { topics: described } = await admin.fetchTopicMetadata({ topics: ['admin-a'] })
    expect(described[0].partitions.map(({ partitionId }) => partitionId).sort()).toEqual([0, 1, 2])
    const leader = described[0].partitions[0].leader
    for (const partition of described[0].partitions) {
      expect(partition).toMatchObject({ partitionErrorCode: 0, replicas: [leader], isr: [leader] })
    }
    await admin.deleteTopics({ topics: ['admin-a', 'admin-b'] })
    await eventually('the topics are gone', async () => {
      const left = await admin.listTopics()
      return !left.includes('admin-a') && !left.includes('admin-b')
    })
  })

  test('is told that a topic is there already', async () => {
    await admin.createTopics({ topics: [{ topic: 'admin-twice' }] })
    expect(await admin.createTopics({ topics: [{ topic: 'admin-twice' }] })).toBe(false)
  })

  test('only checks a topic when it says so', async () => {
    await admin.createTopics({
      validateOnly: true,
      waitForLeaders: false,
      topics: [{ topic: 'admin-checked' }],
    })
    expect(await admin.listTopics()).not.toContain('admin-checked')
  })

  test('is told what is wrong with a topic', async () => {
    const create = (topic: object): Promise<boolean> =>
      admin.createTopics({ topics: [{ topic: 'admin-wrong', ...topic }], waitForLeaders: false })
    const reason = (type: string): object => ({ errors: [expect.objectContaining({ type })] })
    await expect(create({ numPartitions: 0 })).rejects.toMatchObject(reason('INVALID_PARTITIONS'))
    await expect(create({ replicationFactor: 5 })).rejects.toMatchObject(reason('INVALID_REPLICATION_FACTOR'))
    const configEntries = [{ name: 'retention.ms', value: 'soon' }]
    await expect(create({ configEntries })).rejects.toMatchObject(reason('INVALID_CONFIG'))
    await expect(create({ topic: 'a/b' })).rejects.toMatchObject(reason('INVALID_TOPIC_EXCEPTION'))
  })

  test('adds partitions, and cannot take any away', async () => {
    await admin.createTopics({ topics: [{ topic: 'admin-grows', numPartitions: 2 }] })
    await admin.createPartitions({ topicPartitions: [{ topic: 'admin-grows', count: 5 }] })
    await eventually('five partitions', async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: ['admin-grows'] })
      return topics[0].partitions.length === 5
    })
    await expect(
      admin.createPartitions({ topicPartitions: [{ topic: 'admin-grows', count: 3 }] }),
    ).rejects.toMatchObject({ type: 'INVALID_PARTITIONS' })
  })

  test('finds offsets: first, last, and by timestamp', async () => {
    const topic = 'admin-offsets'
    await admin.createTopics({ topics: [{ topic }] })
    await send(topic, ['a', 'b', 'c'], [1_000_000, 2_000_000, 3_000_000])
    expect(await admin.fetchTopicOffsets(topic)).toEqual([{ partition: 0, offset: '3', high: '3', low: '0' }])
    const at = async (timestamp: number): Promise<string> =>
      (await admin.fetchTopicOffsetsByTimestamp(topic, timestamp))[0].offset
    expect(await at(0)).toBe('0')
    expect(await at(1_500_000)).toBe('1')
    expect(await at(3_000_000)).toBe('2')
    expect(await at(3_000_001)).toBe('3') // none that late: kafkajs then asks for the end
  })

  test('deletes records up to an offset', async () => {
    const topic = 'admin-records'
    await admin.createTopics({ topics: [{ topic }] })
    await send(topic, ['a', 'b', 'c', 'd'])
    expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ low: '0', high: '4' }])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ low: '3', high: '4' }])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
    expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ low: '4', high: '4' }])
  })
})

describe('the kafkajs admin client and configurations', () => {
  const describeTopic = async (name: string, configNames?: string[]) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name, configNames }]
    const { resources: described } = await admin.describeConfigs({ resources, includeSynonyms: true })
    return described[0].configEntries
  }

  test('describes the configuration of a topic, with where each value comes from', async () => {
    const configEntries = [{ name: 'retention.ms', value: '12345' }]
    await admin.createTopics({ topics: [{ topic: 'admin-config', configEntries }] })
    const entries = await describeTopic('admin-config')
    const entry = (name: string) => entries.find(({ configName }) => configName === name)
    expect(entry('retention.ms')).toMatchObject({ configValue: '12345', isDefault: false, readOnly: false })
    expect(entry('cleanup.policy')).toMatchObject({ configValue: 'delete', isSensitive: false })
    const names = entries.map(({ configName }) => configName)
    const expected = ['compression.type', 'max.message.bytes', 'min.insync.replicas', 'segment.bytes']
    expect(names).toEqual(expect.arrayContaining(expected))
    expect(await describeTopic('admin-config', ['segment.bytes'])).toHaveLength(1)
  })

  test('describes the configuration of a broker', async () => {
    const { brokers } = await admin.describeCluster()
    const resources = [{ type: ConfigResourceTypes.BROKER, name: String(brokers[0].nodeId) }]
    const { resources: described } = await admin.describeConfigs({ resources, includeSynonyms: false })
    const names = described[0].configEntries.map(({ configName }) => configName)
    expect(names).toEqual(expect.arrayContaining(['log.retention.hours', 'num.partitions', 'log.dirs']))
  })

  test('alters the configuration of a topic, and is told what is wrong with a value', async () => {
    await admin.createTopics({ topics: [{ topic: 'admin-altered' }] })
    const alter = (name: string, value: string) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          { type: ConfigResourceTypes.TOPIC, name: 'admin-altered', configEntries: [{ name, value }] },
        ],
      })
    await alter('cleanup.policy', 'compact')
    await eventually('the altered value', async () => {
      const [entry] = await describeTopic('admin-altered', ['cleanup.policy'])
      return entry.configValue === 'compact'
    })
    await expect(alter('cleanup.policy', 'burn')).rejects.toMatchObject({ type: 'INVALID_CONFIG' })
  })

  test('is told that it asks about a topic that is not there', async () => {
    await expect(describeTopic('admin-nowhere')).rejects.toMatchObject({ type: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })
})

describe('the kafkajs admin client and the cluster', () => {
  test('describes it', async () => {
    const cluster = await admin.describeCluster()
    expect(cluster.brokers).toEqual([{ nodeId: expect.any(Number), host: broker.host, port: broker.port }])
    expect(cluster.controller).toBe(cluster.brokers[0].nodeId)
    expect(cluster.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })
})

describe('the kafkajs admin client and groups', () => {
  test('lists and describes a group, and deletes it once it is empty', async () => {
    await admin.createTopics({ topics: [{ topic: 'admin-grouped', numPartitions: 2 }] })
    await send('admin-grouped', ['a', 'b'])
    const leave = await joinGroup('admin-group', 'admin-grouped', 2)
    const { groups } = await admin.listGroups()
    expect(groups).toContainEqual({ groupId: 'admin-group', protocolType: 'consumer' })
    const { groups: described } = await admin.describeGroups(['admin-group'])
    expect(described[0]).toMatchObject({
      errorCode: 0,
      groupId: 'admin-group',
      protocol: 'RoundRobinAssigner',
      protocolType: 'consumer',
      state: 'Stable',
      members: [{ clientId: 'odradek-compat', clientHost: expect.stringContaining('127.0.0.1') }],
    })
    const assignment = kafkajs.AssignerProtocol.MemberAssignment.decode(
      described[0].members[0].memberAssignment,
    )
    expect(assignment!.assignment).toEqual({ 'admin-grouped': expect.arrayContaining([0, 1]) })
    await expect(admin.deleteGroups(['admin-group'])).rejects.toMatchObject({
      groups: [expect.objectContaining({ groupId: 'admin-group', errorCode: 68 })],
    })

    await leave()
    const { groups: empty } = await admin.describeGroups(['admin-group'])
    expect(empty[0]).toMatchObject({ state: 'Empty', members: [] })
    expect(await admin.deleteGroups(['admin-group'])).toMatchObject([{ groupId: 'admin-group' }])
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).not.toContain('admin-group')
    const { groups: gone } = await admin.describeGroups(['admin-group'])
    expect(gone[0]).toMatchObject({ state: 'Dead', members: [] })
  })

  test('is told that a group it would delete is not there', async () => {
    await expect(admin.deleteGroups(['admin-no-group'])).rejects.toMatchObject({
      groups: [expect.objectContaining({ groupId: 'admin-no-group', errorCode: 69 })],
    })
  })

  test('reads, sets and resets the offsets of an empty group', async () => {
    const topic = 'admin-group-offsets'
    const groupId = 'admin-offset-group'
    await admin.createTopics({ topics: [{ topic }] })
    await send(topic, ['a', 'b', 'c', 'd'])
    const leave = await joinGroup(groupId, topic, 4)
    await leave()
    const offset = async (): Promise<string> =>
      (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions[0].offset
    expect(await offset()).toBe('4')
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '2' }] })
    expect(await offset()).toBe('2')
    await admin.resetOffsets({ groupId, topic, earliest: true })
    const resolved = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true })
    expect(resolved[0].partitions[0].offset).toBe('0')
    await admin.resetOffsets({ groupId, topic, earliest: false })
    const latest = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true })
    expect(latest[0].partitions[0].offset).toBe('4')
    expect(await admin.fetchOffsets({ groupId })).toMatchObject([{ topic }])
  })

  test('finds no offset for a group that never committed one', async () => {
    await admin.createTopics({ topics: [{ topic: 'admin-unread' }] })
    const offsets = await admin.fetchOffsets({ groupId: 'admin-never', topics: ['admin-unread'] })
    expect(offsets).toMatchObject([{ topic: 'admin-unread', partitions: [{ partition: 0, offset: '-1' }] }])
  })
})
