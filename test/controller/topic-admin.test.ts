import { expect, test } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import type { NewTopic } from '../../src/controller/topic-admin.ts'
import { CrashDisk } from '../coordination/crash-disk.ts'
import { SimCluster, newTopic } from './cluster.ts'
import type { SimBroker } from './cluster.ts'

const OPTIONS = { timeoutMs: 1000, validateOnly: false }

async function oneBroker(): Promise<{ cluster: SimCluster; broker: SimBroker }> {
  const cluster = new SimCluster()
  return { cluster, broker: await cluster.addBroker(1) }
}

const byName = (name: string) => ({ name, topicId: ZERO_UUID })

test('a created topic is there with its id, partitions and configuration', async () => {
  const { cluster, broker } = await oneBroker()
  const configs = [{ name: 'retention.ms', value: '1000' }]
  const [made] = await cluster.until(broker.topics.createTopics([{ ...newTopic('t'), configs }], OPTIONS))
  expect(made).toMatchObject({ name: 't', error: 0, message: null, numPartitions: 2, replicationFactor: 1 })
  expect(broker.metadata.topicById(made.topicId)?.name).toBe('t')
  const config = await cluster.until(broker.session.get('/config/topics/t'))
  expect(JSON.parse(config.data!.toString())).toEqual({ version: 1, config: { 'retention.ms': '1000' } })
  expect(await cluster.until(broker.session.children('/config/changes'))).toEqual([])
})

test('validate-only says what would happen and makes nothing', async () => {
  const { cluster, broker } = await oneBroker()
  const results = await cluster.until(
    broker.topics.createTopics([newTopic('t', 3, 1), newTopic('.')], { timeoutMs: 1000, validateOnly: true }),
  )
  expect(results).toMatchObject([
    { error: 0, numPartitions: 3, replicationFactor: 1, topicId: ZERO_UUID },
    { error: ErrorCode.INVALID_TOPIC_EXCEPTION },
  ])
  expect(await cluster.until(broker.session.children('/brokers/topics'))).toEqual([])
})

const assignment = (...brokers: number[][]): Partial<NewTopic> => {
  return { assignments: brokers.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })) }
}
const refusals: [string, Partial<NewTopic>, keyof typeof ErrorCode][] = [
  ['a topic that exists', { name: 'there' }, 'TOPIC_ALREADY_EXISTS'],
  ['an empty name', { name: '' }, 'INVALID_TOPIC_EXCEPTION'],
  ['the name ..', { name: '..' }, 'INVALID_TOPIC_EXCEPTION'],
  ['a name of 250 characters', { name: 'x'.repeat(250) }, 'INVALID_TOPIC_EXCEPTION'],
  ['a slash in the name', { name: 'a/b' }, 'INVALID_TOPIC_EXCEPTION'],
  ['a name that collides', { name: 'with_dots' }, 'INVALID_TOPIC_EXCEPTION'],
  ['no partitions', { numPartitions: 0 }, 'INVALID_PARTITIONS'],
  ['too many partitions', { numPartitions: 1_000_000 }, 'INVALID_PARTITIONS'],
  ['no replicas', { replicationFactor: 0 }, 'INVALID_REPLICATION_FACTOR'],
  ['more replicas than brokers', { replicationFactor: 2 }, 'INVALID_REPLICATION_FACTOR'],
  ['numbers beside an assignment', { ...assignment([1]), numPartitions: 1 }, 'INVALID_REQUEST'],
  ['an unknown broker', assignment([5]), 'INVALID_REPLICA_ASSIGNMENT'],
  ['a partition without replicas', assignment([]), 'INVALID_REPLICA_ASSIGNMENT'],
  ['a broker twice', assignment([1, 1]), 'INVALID_REPLICA_ASSIGNMENT'],
  ['unequal replicas', assignment([1], []), 'INVALID_REPLICA_ASSIGNMENT'],
  [
    'a gap in the partitions',
    { assignments: [{ partitionIndex: 1, brokerIds: [1] }] },
    'INVALID_REPLICA_ASSIGNMENT',
  ],
  ['a wrong configuration', { configs: [{ name: 'bad', value: '1' }] }, 'INVALID_CONFIG'],
  ['a configuration without value', { configs: [{ name: 'retention.ms', value: null }] }, 'INVALID_CONFIG'],
]

test.each(refusals)('%s is refused', async (_, topic, code) => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('there'), newTopic('with.dots')], OPTIONS))
  const [refused, other] = await cluster.until(
    broker.topics.createTopics([{ ...newTopic('new'), ...topic }, newTopic('another')], OPTIONS),
  )
  expect(refused).toMatchObject({ error: ErrorCode[code], topicId: ZERO_UUID, numPartitions: -1 })
  expect(refused.message).toMatch(/./)
  expect(other.error).toBe(ErrorCode.NONE)
})

test('a manual assignment is kept', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  await cluster.addBroker(2)
  const [made] = await cluster.until(
    one.topics.createTopics([{ ...newTopic('t'), ...assignment([2, 1], [1, 2]) }], OPTIONS),
  )
  expect(made).toMatchObject({ error: 0, numPartitions: 2, replicationFactor: 2 })
  expect(one.metadata.topic('t')!.partitions.map(({ replicas, leader }) => ({ replicas, leader }))).toEqual([
    { replicas: [2, 1], leader: 2 },
    { replicas: [1, 2], leader: 1 },
  ])
})

test('without time to wait the answer is REQUEST_TIMED_OUT, and the topic comes all the same', async () => {
  const { cluster, broker } = await oneBroker()
  const [made] = await cluster.until(
    broker.topics.createTopics([newTopic('t')], { timeoutMs: 0, validateOnly: false }),
  )
  expect(made.error).toBe(ErrorCode.REQUEST_TIMED_OUT)
  await cluster.scheduler.settle()
  expect(broker.metadata.topic('t')!.partitions[0].leader).toBe(1)
})

test('only the controller creates, deletes and grows topics', async () => {
  const cluster = new SimCluster()
  await cluster.addBroker(1)
  const two = await cluster.addBroker(2)
  const results = await cluster.until(
    Promise.all([
      two.topics.createTopics([newTopic('t')], OPTIONS),
      two.topics.deleteTopics([byName('t')], OPTIONS),
      two.topics.createPartitions([{ name: 't', count: 2, assignments: null }], OPTIONS),
    ]),
  )
  expect(results.map(([{ error }]) => error)).toEqual(Array(3).fill(ErrorCode.NOT_CONTROLLER))
  expect(await cluster.until(two.topics.autoCreateTopic('auto'))).toMatchObject({ error: 0 })
  expect(two.metadata.topic('auto')!.partitions.length).toBe(2)
})

test('a deleted topic leaves nothing, and can be created again at once with another id', async () => {
  const { cluster, broker } = await oneBroker()
  const [first] = await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  const [deleted] = await cluster.until(broker.topics.deleteTopics([byName('t')], OPTIONS))
  expect(deleted).toMatchObject({ name: 't', topicId: ZERO_UUID, error: 0 })
  for (const path of ['/brokers/topics/t', '/config/topics/t', '/admin/delete_topics/t'])
    expect(await cluster.until(broker.session.exists(path))).toBeNull()
  expect(broker.callsOf('stopReplicas')).toEqual([
    {
      type: 'stopReplicas',
      from: { controllerId: 1, controllerEpoch: 1 },
      partitions: [0, 1].map((partition) => ({ topic: 't', partition, leaderEpoch: -2, deleteLog: true })),
    },
  ])
  const [second] = await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  expect(second.error).toBe(0)
  expect(second.topicId).not.toBe(first.topicId)
  expect(broker.metadata.topicById(first.topicId)).toBeUndefined()
})

test('topics are deleted by id, and what is unknown is said', async () => {
  const { cluster, broker } = await oneBroker()
  const [made] = await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  const unknownId = 'BBBBBBBBBBBBBBBBBBBBBA'
  const results = await cluster.until(
    broker.topics.deleteTopics(
      [
        { name: null, topicId: made.topicId },
        { name: null, topicId: unknownId },
        byName('none'),
        { name: 't', topicId: made.topicId },
      ],
      OPTIONS,
    ),
  )
  expect(results.map(({ name, error }) => [name, error])).toEqual([
    ['t', ErrorCode.NONE],
    [null, ErrorCode.UNKNOWN_TOPIC_ID],
    ['none', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ['t', ErrorCode.INVALID_REQUEST],
  ])
})

test('deletion can be switched off; markers that come all the same are removed', async () => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  broker.settings.deletionEnabled = () => false
  const [refused] = await cluster.until(broker.topics.deleteTopics([byName('t')], OPTIONS))
  expect(refused.error).toBe(ErrorCode.TOPIC_DELETION_DISABLED)
  await cluster.until(broker.session.create('/admin/delete_topics/t', null))
  await cluster.scheduler.settle()
  expect(await cluster.until(broker.session.children('/admin/delete_topics'))).toEqual([])
  expect(broker.metadata.topic('t')).toBeDefined()
})

test('partitions are added behind the ones that are there', async () => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('t', 2, 1)], OPTIONS))
  const [grown] = await cluster.until(
    broker.topics.createPartitions([{ name: 't', count: 5, assignments: null }], OPTIONS),
  )
  expect(grown).toEqual({ name: 't', error: 0, message: null })
  expect(broker.metadata.topic('t')!.partitions.map(({ index, leader }) => [index, leader])).toEqual(
    [0, 1, 2, 3, 4].map((index) => [index, 1]),
  )
  const last = broker.callsOf('leaderAndIsr').at(-1)!
  expect(last.states!.map(({ partition, isNew }) => [partition, isNew])).toEqual(
    [2, 3, 4].map((i) => [i, true]),
  )
})

test.each([
  ['an unknown topic', { name: 'none', count: 3, assignments: null }, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['the same count', { name: 't', count: 2, assignments: null }, 'INVALID_PARTITIONS'],
  ['a smaller count', { name: 't', count: 1, assignments: null }, 'INVALID_PARTITIONS'],
  ['too few assignments', { name: 't', count: 4, assignments: [[1]] }, 'INVALID_REPLICA_ASSIGNMENT'],
  ['an unknown broker', { name: 't', count: 3, assignments: [[9]] }, 'INVALID_REPLICA_ASSIGNMENT'],
  ['other replication', { name: 't', count: 3, assignments: [[]] }, 'INVALID_REPLICA_ASSIGNMENT'],
] as const)('adding partitions with %s is refused', async (_, request, code) => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('t', 2, 1)], OPTIONS))
  const [refused] = await cluster.until(broker.topics.createPartitions([request], OPTIONS))
  expect(refused.error).toBe(ErrorCode[code])
  expect(broker.metadata.topic('t')!.partitions.length).toBe(2)
})

test('an internal topic has its own settings, fewer replicas on a small cluster, and is made once', async () => {
  const { cluster, broker } = await oneBroker()
  const results = await cluster.until(
    Promise.all([1, 2, 3].map(() => broker.topics.autoCreateTopic('__consumer_offsets'))),
  )
  expect(results.map(({ error }) => error)).toEqual([0, 0, 0])
  const topic = broker.metadata.topic('__consumer_offsets')!
  expect(topic).toMatchObject({ isInternal: true, partitions: { length: 5 } })
  expect(topic.partitions[0].replicas).toEqual([1])
  const config = await cluster.until(broker.session.get('/config/topics/__consumer_offsets'))
  expect(JSON.parse(config.data!.toString()).config).toEqual({
    'cleanup.policy': 'compact',
    'segment.bytes': '104857600',
    'compression.type': 'producer',
  })
  expect(cluster.log.filter((line) => line.includes('fewer replicas'))).toHaveLength(1)
})

test('an internal topic waits for no more replicas than it has', async () => {
  const { cluster, broker } = await oneBroker()
  expect((await cluster.until(broker.topics.autoCreateTopic('__transaction_state'))).error).toBe(0)
  const config = await cluster.until(broker.session.get('/config/topics/__transaction_state'))
  expect(JSON.parse(config.data!.toString()).config).toMatchObject({ 'min.insync.replicas': '1' })
})

test('a full disk refuses a topic, and takes it when there is room again', async () => {
  const disk = new CrashDisk()
  const cluster = new SimCluster({ disk })
  const broker = await cluster.addBroker(1)
  disk.full = true
  const [refused] = await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  expect(refused.error).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
  disk.full = false
  const [made] = await cluster.until(broker.topics.createTopics([newTopic('t')], OPTIONS))
  expect(made.error).toBe(ErrorCode.NONE)
})

test('a session that has ended answers requests with an error, not with an exception', async () => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('there')], OPTIONS))
  void broker.session.close()
  const results = await cluster.until(
    Promise.all([
      broker.topics.createTopics([newTopic('t')], OPTIONS),
      broker.topics.deleteTopics([byName('there')], OPTIONS),
      broker.topics.createPartitions([{ name: 'there', count: 9, assignments: null }], OPTIONS),
      broker.topics.autoCreateTopic('auto').then((result) => [result]),
    ]),
  )
  for (const [{ error }] of results) expect(error).toBe(ErrorCode.UNKNOWN_SERVER_ERROR)
})

test('adding partitions at the same time as another does not lose either', async () => {
  const { cluster, broker } = await oneBroker()
  await cluster.until(broker.topics.createTopics([newTopic('t', 2, 1)], OPTIONS))
  const add = (count: number) =>
    broker.topics.createPartitions([{ name: 't', count, assignments: null }], OPTIONS)
  const [[four], [six]] = await cluster.until(Promise.all([add(4), add(6)]))
  expect([four.error, six.error]).toEqual([ErrorCode.NONE, ErrorCode.NONE])
  expect(broker.metadata.topic('t')!.partitions.length).toBe(6)
})

test('a disk that fills between the topic and its partition states delays the topic, no more', async () => {
  const disk = new CrashDisk()
  const cluster = new SimCluster({ disk })
  const broker = await cluster.addBroker(1)
  const watching = cluster.until(broker.session.children('/brokers/topics', () => (disk.full = true)))
  await watching
  const creating = broker.topics.createTopics([newTopic('t')], { timeoutMs: 10_000, validateOnly: false })
  await cluster.scheduler.advance(500)
  expect(broker.metadata.topic('t')).toBeUndefined()
  disk.full = false
  const [made] = await cluster.until(creating)
  expect(made.error).toBe(ErrorCode.NONE)
})

test('1,000 partitions are made in one multi and shown together', async () => {
  const { cluster, broker } = await oneBroker()
  const [made] = await cluster.until(broker.topics.createTopics([newTopic('big', 1000, 1)], OPTIONS))
  expect(made).toMatchObject({ error: 0, numPartitions: 1000 })
  const stats = await cluster.until(
    Promise.all([0, 999].map((i) => broker.session.exists(`/brokers/topics/big/partitions/${i}/state`))),
  )
  expect(stats[0]!.czxid).toBe(stats[1]!.czxid)
})
