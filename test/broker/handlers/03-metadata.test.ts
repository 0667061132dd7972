import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { apiVersionsApi } from '../../../src/protocol/messages/18-api-versions.ts'
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { ZERO_UUID } from '../../../src/protocol/schema.ts'
import { useBroker } from '../use-broker.ts'
import { createTopic, describeTopic } from '../requests.ts'

const broker = useBroker({
  'num.partitions': '3',
  'broker.rack': 'r1',
})

type Asked = { name?: string | null; topicId?: string }

function ask(topics: readonly Asked[] | null, version = 12, options = {}) {
  const request = { allowAutoTopicCreation: false, ...options }
  const named = topics?.map(({ name = null, topicId }) => ({ name, topicId })) ?? null
  return broker.client.request(metadataApi, version, { topics: named, ...request })
}

const summary = (reply: Awaited<ReturnType<typeof ask>>) =>
  reply.topics.map(({ name, errorCode, partitions }) => [name, errorCode, partitions.length])

test('a topic is described with its partitions, leaders and id', async () => {
  await createTopic(broker.client, 'described', {}, 2)
  const reply = await ask([{ name: 'described' }])
  expect(reply).toMatchObject({
    brokers: [{ nodeId: 1, host: '127.0.0.1', port: broker.process.port, rack: 'r1' }],
    clusterId: broker.process.broker.clusterId,
    controllerId: 1,
  })
  const [topic] = reply.topics
  expect(topic).toMatchObject({ errorCode: 0, name: 'described', isInternal: false })
  expect(topic.topicId).not.toBe(ZERO_UUID)
  const replicas = { replicaNodes: [1], isrNodes: [1], offlineReplicas: [] }
  expect(topic.partitions).toEqual(
    [0, 1].map((partitionIndex) => {
      return { errorCode: 0, partitionIndex, leaderId: 1, leaderEpoch: 0, ...replicas }
    }),
  )
})

test('null asks for all topics, and in version 0 an empty list does', async () => {
  await createTopic(broker.client, 'everything')
  const names = async (topics: readonly Asked[] | null, version: number) =>
    (await ask(topics, version)).topics.map(({ name }) => name)
  expect(await names(null, 1)).toContain('everything')
  expect(await names([], 0)).toContain('everything')
  expect(await names([], 1)).toEqual([])
})

test('by id: what is known is named, what is not is UNKNOWN_TOPIC_ID', async () => {
  await createTopic(broker.client, 'by-id')
  const { topicId } = await describeTopic(broker.client, 'by-id')
  expect(summary(await ask([{ topicId }, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }]))).toEqual([
    ['by-id', ErrorCode.NONE, 1],
    [null, ErrorCode.UNKNOWN_TOPIC_ID, 0],
  ])
})

test.each([10, 11])('ids in version %i are refused: clients below 12 must not send them', async (version) => {
  await createTopic(broker.client, 'too-early')
  const { topicId } = await describeTopic(broker.client, 'too-early')
  const reply = await ask([{ name: '', topicId }], version)
  expect(reply.topics[0].errorCode).toBe(ErrorCode.INVALID_REQUEST)
})

test('unknown and impossible names', async () => {
  const names = ['nowhere', 'bad name', '..', '', 'x'.repeat(250)]
  const codes = (await ask(names.map((name) => ({ name })))).topics.map(({ errorCode }) => errorCode)
  const { UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION: invalid } = ErrorCode
  expect(codes).toEqual([UNKNOWN_TOPIC_OR_PARTITION, invalid, invalid, invalid, invalid])
})

test('a topic is made on the way when the client allows it, and the reply names its leaders at once', async () => {
  expect(summary(await ask([{ name: 'on-the-way' }]))).toEqual([
    ['on-the-way', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0],
  ])
  const allowed = { allowAutoTopicCreation: true }
  expect(summary(await ask([{ name: 'on-the-way' }], 12, allowed))).toEqual([
    ['on-the-way', ErrorCode.NONE, 3],
  ])
  // Clients below version 4 cannot say whether they want it.
  expect(summary(await ask([{ name: 'on-the-way-too' }], 3))).toEqual([['on-the-way-too', ErrorCode.NONE, 3]])
})

test('many clients that ask for the same new topic all get the same one', async () => {
  const asks = Array.from({ length: 8 }, () =>
    ask([{ name: 'popular' }], 12, { allowAutoTopicCreation: true }),
  )
  const ids = (await Promise.all(asks)).map(({ topics }) => topics[0].topicId)
  expect(new Set(ids).size).toBe(1)
})

test('what the caller may do is told to those who ask (KIP-430)', async () => {
  await createTopic(broker.client, 'allowed')
  const asked = { includeTopicAuthorizedOperations: true, includeClusterAuthorizedOperations: true }
  const operations = (field: number) => [...Array(32).keys()].filter((bit) => (field >>> bit) & 1)
  const reply = await ask([{ name: 'allowed' }], 10, asked)
  expect(operations(reply.topics[0].topicAuthorizedOperations)).toEqual([3, 4, 5, 6, 7, 8, 10, 11])
  expect(operations(reply.clusterAuthorizedOperations)).toEqual([5, 7, 8, 9, 10, 11, 12])
  const unasked = await ask([{ name: 'allowed' }], 10)
  expect(operations(unasked.topics[0].topicAuthorizedOperations)).toEqual([31])
  expect(operations(unasked.clusterAuthorizedOperations)).toEqual([31])
})

test('a broker that the controller has told nothing yet answers when it has', async () => {
  await createTopic(broker.client, 'told-late')
  const { metadata } = broker.process.broker.parts.services
  const brokers = [...metadata.brokers()].map(({ id, epoch, rack, endpoints }) => {
    const [[listenerName, { host, port }]] = endpoints
    return { id, epoch, rack, endpoints: [{ listenerName, securityProtocol: 'PLAINTEXT', host, port }] }
  })
  const { controllerId } = metadata
  metadata.updateMetadata(controllerId, { brokers: [], partitions: [] })
  let isAnswered = false
  const answer = ask([{ name: 'told-late' }]).then((reply) => {
    isAnswered = true
    return reply
  })
  const other = await broker.process.connect()
  // Whatever else is asked is answered.
  expect((await other.request(apiVersionsApi, 0, {})).errorCode).toBe(ErrorCode.NONE)
  other.close()
  expect(isAnswered).toBe(false)
  metadata.updateMetadata(controllerId, { brokers, partitions: [] })
  expect(summary(await answer)).toEqual([['told-late', ErrorCode.NONE, 1]])
})
