import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../../src/protocol/messages/20-delete-topics.ts'
import { createPartitionsApi } from '../../../src/protocol/messages/37-create-partitions.ts'
import { useBroker } from '../use-broker.ts'
import { allValues, batchOf, createTopic, describeTopic, produce } from '../requests.ts'

const broker = useBroker()

type NewTopic = Parameters<typeof broker.client.request<typeof createTopicsApi>>[2]['topics'][number]

const plain = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }

type Topic = { name: string } & Partial<NewTopic>

async function create(topic: Topic, version = 7, options = {}) {
  const request = { topics: [{ ...plain, ...topic }], ...options }
  return (await broker.client.request(createTopicsApi, version, request)).topics[0]
}

async function remove(name: string): Promise<number> {
  const reply = await broker.client.request(deleteTopicsApi, 5, { topicNames: [name], timeoutMs: 5000 })
  return reply.responses[0].errorCode
}

async function grow(
  topic: { name: string; count: number; assignments?: { brokerIds: number[] }[] },
  validateOnly = false,
) {
  const request = { topics: [{ assignments: null, ...topic }], timeoutMs: 5000, validateOnly }
  return (await broker.client.request(createPartitionsApi, 3, request)).results[0].errorCode
}

test('a topic can be used as soon as its creation is answered', async () => {
  const made = await create({ name: 'fresh', numPartitions: 3 })
  expect(made).toMatchObject({ errorCode: 0, errorMessage: null, numPartitions: 3, replicationFactor: 1 })
  expect((await produce(broker.client, 'fresh', batchOf(['a']), { partition: 2 })).errorCode).toBe(
    ErrorCode.NONE,
  )
  expect((await describeTopic(broker.client, 'fresh')).topicId).toBe(made.topicId)
})

test('defaults, manual assignments and settings are taken', async () => {
  const unset = { numPartitions: -1, replicationFactor: -1 }
  expect(await create({ name: 'defaults', ...unset })).toMatchObject({ errorCode: 0, numPartitions: 1 })
  const assignments = [0, 1].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }))
  expect(await create({ name: 'assigned', ...unset, assignments })).toMatchObject({
    errorCode: 0,
    numPartitions: 2,
  })
  const made = await create({ name: 'set', configs: [{ name: 'retention.ms', value: '1234' }] })
  expect(made.configs!.find(({ name }) => name === 'retention.ms')).toMatchObject({
    value: '1234',
    configSource: 1,
  })
})

test('validate-only says what would be and makes nothing', async () => {
  expect((await create({ name: 'imagined' }, 7, { validateOnly: true })).errorCode).toBe(ErrorCode.NONE)
  expect((await describeTopic(broker.client, 'imagined')).errorCode).toBe(
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  )
})

test.each([
  ['a name with a space', { name: 'bad name' }, ErrorCode.INVALID_TOPIC_EXCEPTION],
  ['no name', { name: '' }, ErrorCode.INVALID_TOPIC_EXCEPTION],
  ['a name of 250 letters', { name: 'x'.repeat(250) }, ErrorCode.INVALID_TOPIC_EXCEPTION],
  ['no partitions', { name: 'x', numPartitions: 0 }, ErrorCode.INVALID_PARTITIONS],
  ['a billion partitions', { name: 'x', numPartitions: 1e9 }, ErrorCode.INVALID_PARTITIONS],
  ['more replicas than brokers', { name: 'x', replicationFactor: 2 }, ErrorCode.INVALID_REPLICATION_FACTOR],
  [
    'a setting that there is not',
    { name: 'x', configs: [{ name: 'no.such', value: '1' }] },
    ErrorCode.INVALID_CONFIG,
  ],
  [
    'a value that cannot be',
    { name: 'x', configs: [{ name: 'retention.ms', value: 'soon' }] },
    ErrorCode.INVALID_CONFIG,
  ],
  [
    'an unknown broker',
    {
      name: 'x',
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [9] }],
    },
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
  ],
])('%s is refused', async (_, topic, errorCode) => {
  const reply = await create(topic)
  expect(reply.errorCode).toBe(errorCode)
  expect(reply.errorMessage).not.toBe('')
})

test('a name is taken once; after deletion it is free at once, and the topic that takes it is empty', async () => {
  const first = await create({ name: 'again' })
  expect((await create({ name: 'again' })).errorCode).toBe(ErrorCode.TOPIC_ALREADY_EXISTS)
  await produce(broker.client, 'again', batchOf(['old']))
  expect(await remove('again')).toBe(ErrorCode.NONE)
  expect(await remove('again')).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect((await produce(broker.client, 'again', batchOf(['lost']))).errorCode).toBe(
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  )
  const second = await create({ name: 'again' })
  expect(second.errorCode).toBe(ErrorCode.NONE)
  expect(second.topicId).not.toBe(first.topicId)
  expect(await allValues(broker.client, 'again')).toEqual([])
  expect((await produce(broker.client, 'again', batchOf(['new']))).baseOffset).toBe(0)
})

test('topics are deleted by id from version 6 on', async () => {
  const { topicId } = await create({ name: 'by-id' })
  const topics = [{ name: null, topicId }]
  const reply = await broker.client.request(deleteTopicsApi, 6, { topics, timeoutMs: 5000 })
  expect(reply.responses[0]).toMatchObject({ name: 'by-id', topicId, errorCode: ErrorCode.NONE })
  const again = await broker.client.request(deleteTopicsApi, 6, { topics, timeoutMs: 5000 })
  expect(again.responses[0].errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_ID)
})

test('partitions are added, and can be used as soon as it is answered', async () => {
  await createTopic(broker.client, 'grown')
  await produce(broker.client, 'grown', batchOf(['kept']))
  expect(await grow({ name: 'grown', count: 3 }, true)).toBe(ErrorCode.NONE)
  expect((await describeTopic(broker.client, 'grown')).partitions).toHaveLength(1)
  expect(await grow({ name: 'grown', count: 3 })).toBe(ErrorCode.NONE)
  expect((await produce(broker.client, 'grown', batchOf(['a']), { partition: 2 })).errorCode).toBe(
    ErrorCode.NONE,
  )
  expect(await allValues(broker.client, 'grown')).toEqual(['kept'])
  expect(await grow({ name: 'grown', count: 2 })).toBe(ErrorCode.INVALID_PARTITIONS)
  expect(await grow({ name: 'grown', count: 3 })).toBe(ErrorCode.INVALID_PARTITIONS)
  expect(await grow({ name: 'nowhere', count: 3 })).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  const assignments = [{ brokerIds: [2] }]
  expect(await grow({ name: 'grown', count: 4, assignments })).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
})
