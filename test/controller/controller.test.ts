import { describe, expect, test } from 'vitest'
import { tellOfFailedLogDir } from '../../src/controller/log-dir-events.ts'
import { generateBrokerId, prepareCluster, registerBroker } from '../../src/controller/registration.ts'
import { BROKER_IDS_PATH, INITIAL_PATHS } from '../../src/controller/znodes.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { SimCluster, newTopic, type SimBroker } from './cluster.ts'

const json = (data: Buffer | null): unknown => JSON.parse(data!.toString())

test('a first broker makes the znodes that Kafka makes, registers, and becomes the controller', async () => {
  const cluster = new SimCluster()
  const broker = await cluster.addBroker(1)
  const { session } = broker
  const read = async (path: string) => cluster.until(session.get(path))
  const empty = INITIAL_PATHS.filter((path) => path !== BROKER_IDS_PATH)
  for (const path of empty) expect((await read(path)).data).toBeNull()
  expect(json((await read('/cluster/id')).data)).toEqual({ version: '1', id: 'AAAAAAAAAAAAAAAAAAAAAQ' })
  expect(json((await read('/controller')).data)).toMatchObject({
    version: 2,
    brokerid: 1,
    kraftControllerEpoch: -1,
  })
  const epoch = await read('/controller_epoch')
  expect([epoch.data!.toString(), epoch.stat.version]).toEqual(['1', 1])
  const registration = await read('/brokers/ids/1')
  const dealtWith = { controller_epoch: 1, broker_epochs: { 1: registration.stat.czxid } }
  expect(json((await read(BROKER_IDS_PATH)).data)).toEqual(dealtWith)
  expect(registration.stat.version).toBe(1)
  expect(json(registration.data)).toEqual({
    version: 5,
    host: 'h',
    port: 9001,
    jmx_port: -1,
    timestamp: '1',
    endpoints: ['PLAINTEXT://h:9001'],
    listener_security_protocol_map: { PLAINTEXT: 'PLAINTEXT' },
    features: {},
  })
  expect(broker.controller).toMatchObject({ isActive: true, epoch: 1 })
  expect(broker.metadata.controllerId).toBe(1)
  expect(broker.metadata.broker(1)).toMatchObject({ epoch: registration.stat.czxid, rack: null })
  expect(broker.metadata.broker(1)!.endpoints.get('PLAINTEXT')).toEqual({ host: 'h', port: 9001 })
})

test('two brokers that prepare the same cluster agree on its id', async () => {
  const cluster = new SimCluster()
  const [one, other] = [await cluster.connect(), await cluster.connect()]
  const ids = await cluster.until(Promise.all([prepareCluster(one, 'one'), prepareCluster(other, 'other')]))
  expect(ids).toEqual(['one', 'one'])
  expect(await cluster.until(generateBrokerId(one, 1000))).toBe(1001)
  expect(await cluster.until(generateBrokerId(other, 1000))).toBe(1002)
})

test('a broker id that another session holds is refused; our own registration is found again', async () => {
  const cluster = new SimCluster()
  const [one, other] = [await cluster.connect(), await cluster.connect()]
  await cluster.until(prepareCluster(one, 'id'))
  const broker = { id: 7, endpoints: [], rack: null, timestampMs: 0 }
  const epoch = await cluster.until(registerBroker(one, broker))
  expect(await cluster.until(registerBroker(one, broker))).toBe(epoch)
  await expect(cluster.until(registerBroker(other, broker))).rejects.toMatchObject({ code: 'NODE_EXISTS' })
})

test('a new topic gets partition states as Kafka writes them, and the broker hears of it once', async () => {
  const cluster = new SimCluster()
  const broker = await cluster.addBroker(1)
  broker.calls.length = 0
  await cluster.until(
    broker.topics.createTopics([newTopic('t', 3, 1)], { timeoutMs: 1000, validateOnly: false }),
  )
  const state = await cluster.until(broker.session.get('/brokers/topics/t/partitions/2/state'))
  expect(json(state.data)).toEqual({ version: 1, leader: 1, leader_epoch: 0, controller_epoch: 1, isr: [1] })
  expect(state.stat.version).toBe(0)
  expect(broker.calls.map(({ type }) => type)).toEqual(['leaderAndIsr', 'updateMetadata'])
  const { topicId } = broker.metadata.topic('t')!
  expect(broker.calls[0].states![2]).toEqual({
    topic: 't',
    topicId,
    partition: 2,
    controllerEpoch: 1,
    leader: 1,
    leaderEpoch: 0,
    isr: [1],
    partitionEpoch: 0,
    replicas: [1],
    addingReplicas: [],
    removingReplicas: [],
    isNew: true,
    recovering: false,
    offlineReplicas: [],
  })
})

test('after a restart the broker hears what is there, then all in one leaderAndIsr and one updateMetadata', async () => {
  const cluster = new SimCluster()
  const first = await cluster.addBroker(1)
  const topics = Array.from({ length: 20 }, (_, i) => newTopic(`t${i}`, 5, 1))
  await cluster.until(first.topics.createTopics(topics, { timeoutMs: 1000, validateOnly: false }))
  const before = first.metadata.topic('t7')
  const reopened = new SimCluster({ disk: cluster.disk })
  const second = await reopened.addBroker(1)
  expect(second.controller.epoch).toBe(2)
  expect(second.calls.map(({ type }) => type)).toEqual(['updateMetadata', 'leaderAndIsr', 'updateMetadata'])
  // The topics as well: a broker that has just started would say to its clients that there are none.
  expect(second.calls[0].update).toMatchObject({ brokers: [{ id: 1 }] })
  expect(second.calls[0].update!.partitions.length).toBe(100)
  expect(second.calls[1].states!.length).toBe(100)
  expect(second.calls[1].states!.every(({ isNew, leaderEpoch }) => !isNew && leaderEpoch === 0)).toBe(true)
  expect(second.metadata.topic('t7')).toEqual(before)
  expect(second.metadata.topicCount).toBe(20)
})

test('topics that another hand wrote into the store are taken up, and get an id if they have none', async () => {
  const cluster = new SimCluster()
  const broker = await cluster.addBroker(1)
  const data = Buffer.from('{"version":1,"partitions":{"1":[1],"0":[1]},"unknown":7}')
  await cluster.until(broker.session.create('/brokers/topics/foreign', data))
  await cluster.scheduler.settle()
  const topic = broker.metadata.topic('foreign')!
  expect(topic.partitions.map(({ leader }) => leader)).toEqual([1, 1])
  expect(topic.topicId).toMatch(/^[\w-]{22}$/)
  const node = json((await cluster.until(broker.session.get('/brokers/topics/foreign'))).data)
  expect(node).toMatchObject({ version: 3, topic_id: topic.topicId, partitions: { 0: [1], 1: [1] } })
  expect(broker.metadata.topicById(topic.topicId)).toBe(topic)
})

test('what a controller left half done, the next one completes', async () => {
  const cluster = new SimCluster()
  const session = await cluster.connect()
  await cluster.until(prepareCluster(session, 'id'))
  const write = (path: string, text: string) => cluster.until(session.create(path, Buffer.from(text)))
  await write(
    '/brokers/topics/t',
    '{"version":3,"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","partitions":{"0":[1],"1":[1],"2":[1]}}',
  )
  await write('/brokers/topics/t/partitions', '')
  await write('/brokers/topics/t/partitions/0', '')
  const old = '{"version":1,"leader":1,"leader_epoch":5,"controller_epoch":0,"isr":[1]}'
  await write('/brokers/topics/t/partitions/0/state', old)
  await write('/brokers/topics/t/partitions/1', '')
  const broker = await cluster.addBroker(1)
  expect(broker.metadata.topic('t')!.partitions.map(({ leaderEpoch }) => leaderEpoch)).toEqual([5, 0, 0])
})

test('a partition whose replicas are all away waits for one of them', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  const data = Buffer.from(
    '{"version":3,"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","partitions":{"0":[2,1],"1":[2]}}',
  )
  await cluster.until(one.session.create('/brokers/topics/t', data))
  await cluster.scheduler.settle()
  expect(one.metadata.topic('t')!.partitions).toMatchObject([{ leader: 1, isr: [1], offlineReplicas: [2] }])
  const two = await cluster.addBroker(2)
  for (const broker of [one, two]) {
    expect(broker.metadata.topic('t')!.partitions).toMatchObject([
      { leader: 1, isr: [1], offlineReplicas: [] },
      { leader: 2, isr: [2], offlineReplicas: [] },
    ])
  }
  expect(
    two
      .callsOf('leaderAndIsr')
      .flatMap(({ states }) => states!.map(({ partition }) => partition))
      .sort(),
  ).toEqual([0, 1])
})

test('when the controller goes, another broker takes over with the next epoch and knows everything', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  const two = await cluster.addBroker(2)
  expect([one.controller.isActive, two.controller.isActive]).toEqual([true, false])
  await cluster.until(
    one.topics.createTopics([newTopic('t', 4, 2)], { timeoutMs: 1000, validateOnly: false }),
  )
  await cluster.removeBroker(1)
  expect(two.controller).toMatchObject({ isActive: true, epoch: 2 })
  expect(two.metadata.controllerId).toBe(2)
  expect([...two.metadata.brokers()].map(({ id }) => id)).toEqual([2])
  expect(two.metadata.topic('t')!.partitions.length).toBe(4)
  expect(two.metadata.topic('t')!.partitions[0].offlineReplicas).toEqual([1])
})

test('a controller that was deposed without knowing writes nothing and resigns', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  const session = await cluster.connect()
  await cluster.until(session.set('/controller_epoch', Buffer.from('9')))
  await cluster.until(session.delete('/controller'))
  const other = Buffer.from('{"version":2,"brokerid":9,"timestamp":"0","kraftControllerEpoch":-1}')
  await cluster.until(
    Promise.all([
      session.create('/controller', other, 'ephemeral'),
      session.create('/brokers/topics/t', Buffer.from('{"version":3,"partitions":{"0":[1]}}')),
    ]),
  )
  await cluster.scheduler.settle()
  expect(one.controller.isActive).toBe(false)
  expect(await cluster.until(session.exists('/brokers/topics/t/partitions'))).toBeNull()
})

test('a deletion that waits for a broker goes on when the broker comes', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  const two = await cluster.addBroker(2)
  await cluster.until(
    one.topics.createTopics([newTopic('t', 2, 2)], { timeoutMs: 1000, validateOnly: false }),
  )
  expect(two.metadata.topic('t')).toBeDefined()
  await cluster.removeBroker(2)
  const [deleted] = await cluster.until(
    one.topics.deleteTopics([{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], { timeoutMs: 500 }),
  )
  // As in Kafka: clients do not see it any more, but its name is not free.
  expect(deleted.error).toBe(0)
  expect(one.metadata.topic('t')).toBeUndefined()
  expect(one.controller.isQueuedForDeletion('t')).toBe(true)
  const back = await cluster.addBroker(2)
  expect(back.callsOf('stopReplicas').flatMap(({ partitions }) => partitions)).toHaveLength(2)
  expect(await cluster.until(one.session.exists('/brokers/topics/t'))).toBeNull()
  expect(one.metadata.topic('t')).toBeUndefined()
})

const stateOf = async (cluster: SimCluster, broker: SimBroker, topic: string) => {
  return json((await cluster.until(broker.session.get(`/brokers/topics/${topic}/partitions/0/state`))).data)
}

async function loseLogDir(cluster: SimCluster, broker: SimBroker, ...partitions: string[]): Promise<void> {
  for (const partition of partitions) broker.lost.add(partition)
  const { timers } = cluster.scheduler
  const world = { session: broker.session, timers, logger: cluster.logger }
  await cluster.until(tellOfFailedLogDir(world, broker.id))
  await cluster.scheduler.settle()
}

describe('a broker that has lost a log directory', () => {
  test('leads nothing of it any more: the next in-sync replica does, and everybody is told', async () => {
    const cluster = new SimCluster()
    const one = await cluster.addBroker(1)
    const two = await cluster.addBroker(2)
    const assignments = [{ partitionIndex: 0, brokerIds: [1, 2] }]
    const topics = ['a', 'b'].map((name) => ({ ...newTopic(name), assignments }))
    await cluster.until(one.topics.createTopics(topics, { timeoutMs: 1000, validateOnly: false }))
    two.calls.length = 0
    await loseLogDir(cluster, one, 'a-0')
    expect(await stateOf(cluster, one, 'a')).toMatchObject({ leader: 2, leader_epoch: 1, isr: [2] })
    expect(await stateOf(cluster, one, 'b')).toMatchObject({ leader: 1, leader_epoch: 0, isr: [1, 2] })
    const told = { topic: 'a', leader: 2, isr: [2], offlineReplicas: [1] }
    expect(two.callsOf('leaderAndIsr')).toMatchObject([{ states: [told] }])
    expect(two.metadata.partition('a', 0)).toMatchObject({ leader: 2, offlineReplicas: [1] })
    expect(two.metadata.partition('b', 0)).toMatchObject({ leader: 1, offlineReplicas: [] })
    expect(await cluster.until(one.session.children('/log_dir_event_notification'))).toEqual([])
  })

  test('leaves a partition without a leader when it had the only in-sync replica, which stays in the set', async () => {
    const cluster = new SimCluster()
    const broker = await cluster.addBroker(1)
    await cluster.until(
      broker.topics.createTopics([newTopic('t', 1, 1)], { timeoutMs: 1000, validateOnly: false }),
    )
    await loseLogDir(cluster, broker, 't-0')
    expect(await stateOf(cluster, broker, 't')).toMatchObject({ leader: -1, leader_epoch: 1, isr: [1] })
    expect(broker.metadata.partition('t', 0)).toMatchObject({ leader: -1, offlineReplicas: [1] })
    const reopened = new SimCluster({ disk: cluster.disk })
    const again = await reopened.addBroker(1)
    expect(again.metadata.partition('t', 0)).toMatchObject({ leader: 1, leaderEpoch: 2, offlineReplicas: [] })
  })

  test('keeps the order to delete a topic that it cannot delete, until it is there anew', async () => {
    const cluster = new SimCluster()
    const broker = await cluster.addBroker(1)
    await cluster.until(
      broker.topics.createTopics([newTopic('t', 1, 1)], { timeoutMs: 1000, validateOnly: false }),
    )
    broker.lost.add('t-0')
    const wanted = { name: 't', topicId: ZERO_UUID }
    await cluster.until(broker.topics.deleteTopics([wanted], { timeoutMs: 1000 }))
    await cluster.scheduler.settle()
    expect(await cluster.until(broker.session.children('/admin/delete_topics'))).toEqual(['t'])
    const reopened = new SimCluster({ disk: cluster.disk })
    const again = await reopened.addBroker(1)
    await reopened.scheduler.settle()
    expect(await reopened.until(again.session.children('/brokers/topics'))).toEqual([])
  })
})
