import { afterEach, expect, test } from 'vitest'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { createTopicsApi } from '../../src/protocol/messages/19-create-topics.ts'
import { describeClusterApi } from '../../src/protocol/messages/60-describe-cluster.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { ClusterProcesses } from './cluster-processes.ts'
import { eventually } from './eventually.ts'
import { allValues, batchOf, commitOffset, committedOffset, describeTopic, produce } from './requests.ts'
import type { WireClient } from './wire-client.ts'

let cluster: ClusterProcesses

async function startBrokers(count: number, properties: Properties = {}): Promise<ClusterProcesses> {
  const shutdown = { 'controlled.shutdown.enable': 'true', 'controlled.shutdown.retry.backoff.ms': '50' }
  const brokers = new ClusterProcesses(count, { ...shutdown, ...properties })
  await brokers.startAll()
  return brokers
}

afterEach(async () => {
  await cluster.stopAll()
  expect(cluster.bugs).toEqual([])
})

/** Makes a topic of three replicas through the controller, and waits until each broker knows its leaders. */
async function makeTopic(name: string, numPartitions = 1): Promise<void> {
  const client = await cluster.connect(cluster.controllerId)
  const topic = { name, numPartitions, replicationFactor: 3, assignments: [], configs: [] }
  const reply = await client.request(createTopicsApi, 7, { topics: [topic], timeoutMs: 10_000 })
  expect(reply.topics[0].errorCode).toBe(ErrorCode.NONE)
  const isKnown = (id: number): boolean =>
    cluster
      .broker(id)
      .parts.services.metadata.topic(name)
      ?.partitions.every(({ leader }) => leader > 0) ?? false
  await eventually(() => cluster.ids.every(isKnown), Boolean)
}

const partitionOf = (id: number, topic: string, index = 0) =>
  cluster.broker(id).parts.services.replicas.get(topic, index)!

function leaderOf(topic: string, index = 0): number {
  return cluster.ids.find((id) => partitionOf(id, topic, index)?.isLeader) ?? -1
}

/** The values on every broker's disk, replica by replica. */
async function replicas(topic: string): Promise<string[][]> {
  const logs = cluster.ids.map((id) => partitionOf(id, topic).log)
  const end = logs[0].logEndOffset
  await eventually(
    () => logs.map((log) => log.logEndOffset),
    (ends) => ends.every((one) => one === end),
  )
  return logs.map((log) => {
    const slice = log.read(0, { maxBytes: 1 << 20, upperBoundOffset: end, minOneBatch: true })!
    const text = Buffer.from(slice.bytes).toString('latin1')
    slice.release()
    return [text]
  })
}

test('what acks=all has acknowledged is on every replica, byte for byte', async () => {
  cluster = await startBrokers(3)
  await makeTopic('t')
  const client = await cluster.connect(leaderOf('t'))
  for (const value of ['one', 'two', 'three'])
    expect((await produce(client, 't', batchOf([value]))).errorCode).toBe(ErrorCode.NONE)
  expect(await allValues(client, 't')).toEqual(['one', 'two', 'three'])
  const [first, ...others] = await replicas('t')
  expect(first[0]).toContain('three')
  for (const other of others) expect(other).toEqual(first)
})

test('every broker tells clients the same cluster', async () => {
  cluster = await startBrokers(3)
  await makeTopic('t', 3)
  const views = await Promise.all(
    cluster.ids.map(async (id) => {
      const client = await cluster.connect(id)
      const { brokers, controllerId, clusterId } = await client.request(describeClusterApi, 1, {
        includeClusterAuthorizedOperations: false,
      })
      const addresses = brokers.map(({ brokerId, port }) => `${brokerId} at ${port}`).sort()
      return { addresses, controllerId, clusterId, topic: await describeTopic(client, 't') }
    }),
  )
  expect(views[0].addresses).toEqual(
    cluster.ids.map((id) => `${id} at ${cluster.broker(id).listeners[0].port}`),
  )
  expect(views[0].controllerId).toBe(cluster.controllerId)
  expect(views[1]).toEqual(views[0])
  expect(views[2]).toEqual(views[0])
})

test('a broker that stops hands its leaderships over first, and comes back in sync', async () => {
  cluster = await startBrokers(3)
  await makeTopic('t')
  const leader = leaderOf('t')
  await produce(await cluster.connect(leader), 't', batchOf(['before']))
  await cluster.stop(leader)
  const next = leaderOf('t')
  expect(next).not.toBe(-1)
  const client = await cluster.connect(next)
  await eventually(
    async () => (await produce(client, 't', batchOf(['meanwhile']))).errorCode,
    (error) => error === ErrorCode.NONE,
  )
  await cluster.start(leader)
  await eventually(
    () => partitionOf(next, 't').isr.length,
    (size) => size === 3,
  )
  await produce(client, 't', batchOf(['after']))
  const [first, ...others] = await replicas('t')
  for (const other of others) expect(other).toEqual(first)
  expect(await allValues(client, 't')).toEqual(['before', 'meanwhile', 'after'])
})

for (const isController of [false, true]) {
  const who = isController ? 'the controller' : 'a broker'
  test(`when the session of ${who} expires it registers again, and what it led goes on`, async () => {
    cluster = await startBrokers(3)
    await makeTopic('t', 3)
    const { controllerId } = cluster
    const id = isController ? controllerId : cluster.ids.find((one) => one !== controllerId)!
    const led = [0, 1, 2].find((index) => partitionOf(id, 't', index).isLeader)!
    await produce(await cluster.connect(id), 't', batchOf(['before']), { partition: led })
    const { epoch } = cluster.broker(id)
    await cluster.expireSession(id)
    await eventually(
      () => cluster.broker(id).epoch,
      (now) => now > epoch,
    )
    // A controller that sees a broker go elects another leader; one that is elected after it has come back does not.
    const isSettled = (leader: number): boolean =>
      leader !== -1 && (isController || partitionOf(leader, 't', led).leaderEpoch > 0)
    await eventually(() => leaderOf('t', led), isSettled)
    await eventually(
      () => cluster.controllerId,
      (now) => now !== -1 && now !== (isController ? id : -1),
    )
    await eventually(
      () => partitionOf(leaderOf('t', led), 't', led).isr.length,
      (size) => size === 3,
    )
    const client = await cluster.connect(leaderOf('t', led))
    const { errorCode } = await produce(client, 't', batchOf(['after']), { partition: led })
    expect(errorCode).toBe(ErrorCode.NONE)
    expect(await allValues(client, 't', led)).toEqual(['before', 'after'])
  })
}

test('a controller that stops is followed by another one, which makes topics', async () => {
  cluster = await startBrokers(3)
  const first = cluster.controllerId
  await cluster.stop(first)
  await eventually(
    () => cluster.controllerId,
    (id) => id !== -1,
  )
  await cluster.start(first)
  await makeTopic('made-later')
})

test('CreateTopics on a broker that is not the controller answers NOT_CONTROLLER', async () => {
  cluster = await startBrokers(2)
  const other = cluster.ids.find((id) => id !== cluster.controllerId)!
  const topic = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  const client = await cluster.connect(other)
  const reply = await client.request(createTopicsApi, 7, { topics: [topic], timeoutMs: 1000 })
  expect(reply.topics[0].errorCode).toBe(ErrorCode.NOT_CONTROLLER)
})

test('any broker makes a topic that is asked for and not there, in Metadata', async () => {
  cluster = await startBrokers(2)
  const other = cluster.ids.find((id) => id !== cluster.controllerId)!
  const client = await cluster.connect(other)
  const topics = [{ name: 'wanted', topicId: ZERO_UUID }]
  const ask = async () => {
    const reply = await client.request(metadataApi, 12, { topics, allowAutoTopicCreation: true })
    return reply.topics[0]
  }
  const topic = await eventually(ask, ({ errorCode }) => errorCode === ErrorCode.NONE)
  expect(topic.partitions).toHaveLength(1)
})

test('a session that expires while a broker starts is no reason to end', async () => {
  cluster = await startBrokers(2)
  await cluster.stop(2)
  cluster.expireNextSession()
  await cluster.start(2)
  expect(cluster.lines.filter((line) => line.includes('has expired during the start'))).toHaveLength(1)
  expect(cluster.broker(2).epoch).toBeGreaterThan(0)
})

test('committed offsets survive the coordinator', async () => {
  cluster = await startBrokers(3, {
    'offsets.topic.replication.factor': '3',
    'offsets.topic.num.partitions': '1',
  })
  await makeTopic('t')
  const any = await cluster.connect(1)
  const ask = async (client: WireClient): Promise<number> => commitOffset(client, 'group', 't', 42)
  // The first one makes the topic.
  await ask(any)
  const coordinator = await eventually(
    () => leaderOf('__consumer_offsets'),
    (id) => id !== -1,
  )
  const client = await cluster.connect(coordinator)
  await eventually(
    () => ask(client),
    (error) => error === ErrorCode.NONE,
  )
  await eventually(
    () => partitionOf(coordinator, '__consumer_offsets').isr.length,
    (size) => size === 3,
  )
  await cluster.stop(coordinator)
  const next = await eventually(
    () => leaderOf('__consumer_offsets'),
    (id) => id !== -1,
  )
  const other = await cluster.connect(next)
  const read = (): Promise<number> => committedOffset(other, 'group', 't').catch(() => -2)
  expect(await eventually(read, (offset) => offset >= 0)).toBe(42)
})
