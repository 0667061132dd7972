/** kafkajs with a cluster in this process, whose brokers are killed under it. */
import type { Kafka, Producer } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startCluster, type RunningCluster } from '../../../src/index.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'

const TOPIC = 'orders'
const PARTITIONS = 3

let cluster: RunningCluster
let client: Kafka
const closing: (() => Promise<void>)[] = []

beforeEach(async () => {
  cluster = await startCluster({ topics: [`${TOPIC}:${PARTITIONS}`] })
  client = kafkajsClient(cluster.bootstrapServers, { retry: patient, requestTimeout: 5000 })
})
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
  await cluster.stop()
})

async function newProducer(): Promise<Producer> {
  const producer = client.producer({ idempotent: true, retry: patient })
  closing.push(() => producer.disconnect())
  await producer.connect()
  return producer
}

/** A group's consumer that notes what it gets; what was polled again after a rebalance is noted again. */
async function consume(groupId: string): Promise<Set<string>> {
  const values = new Set<string>()
  const consumer = client.consumer({ groupId, maxWaitTimeInMs: 100, heartbeatInterval: 200, retry: patient })
  closing.push(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => void values.add(String(message.value)) })
  return values
}

/** With acks=all, spread over the partitions. */
async function send(producer: Producer, name: string, count: number): Promise<string[]> {
  const values = Array.from({ length: count }, (_, index) => `${name}-${index}`)
  for (const [index, value] of values.entries())
    await producer.send({ topic: TOPIC, acks: -1, messages: [{ value, partition: index % PARTITIONS }] })
  return values
}

async function leaderOf(partition: number) {
  return eventually('a leader', async () => cluster.leaderOf(TOPIC, partition))
}

test('each broker is killed while records are produced, and comes back: a group reads every one of them', async () => {
  const producer = await newProducer()
  const received = await consume('readers')
  const sent = await send(producer, 'first', 30)
  for (const { id } of cluster.brokers) {
    const broker = cluster.brokers[id - 1]
    const sending = send(producer, `without-${id}`, 30)
    await broker.kill()
    sent.push(...(await sending))
    await broker.start()
  }
  sent.push(...(await send(producer, 'last', 30)))
  await eventually('every record has come', async () => sent.every((value) => received.has(value)))
  expect([...received].sort()).toEqual([...sent].sort())
})

test('a group goes on where it was when its coordinator is killed', async () => {
  const producer = await newProducer()
  const received = await consume('group')
  const sent = await send(producer, 'before', 9)
  await eventually('the first records have come', async () => received.size === sent.length)
  const admin = client.admin()
  closing.push(() => admin.disconnect())
  await admin.connect()
  const described = await admin.describeGroups(['group'])
  const generation = (state: typeof described) => state.groups[0].members.map(({ memberId }) => memberId)
  const coordinator = await eventually('a coordinator', () => coordinatorOf('group'))
  await coordinator.kill()
  sent.push(...(await send(producer, 'after', 9)))
  await eventually('the records after it have come', async () => sent.every((value) => received.has(value)))
  // The same member: it has not had to join again.
  expect(generation(await admin.describeGroups(['group']))).toEqual(generation(described))
})

test('a leader that is stopped hands over: producing goes on without an error to the application', async () => {
  const producer = await newProducer()
  const received = await consume('steady')
  const sent = await send(producer, 'before', 9)
  const leader = await leaderOf(0)
  const sending = send(producer, 'meanwhile', 60)
  await leader.stop()
  sent.push(...(await sending))
  await eventually('every record has come', async () => sent.every((value) => received.has(value)))
  expect(received.size).toBe(sent.length)
})

/** Java's String.hashCode, without its sign, over the partitions of the offsets topic. */
async function coordinatorOf(groupId: string) {
  const admin = client.admin()
  await admin.connect()
  const [{ partitions }] = (await admin.fetchTopicMetadata({ topics: ['__consumer_offsets'] })).topics
  await admin.disconnect()
  let hash = 0
  for (const unit of groupId) hash = (Math.imul(31, hash) + unit.charCodeAt(0)) | 0
  return cluster.leaderOf('__consumer_offsets', Math.abs(hash) % partitions.length)
}
