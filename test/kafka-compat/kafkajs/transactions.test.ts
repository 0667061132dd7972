import type { Producer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'

let broker: TestBroker

beforeAll(async () => {
  broker = await startBroker()
})
afterAll(() => broker?.stop())

async function transactional(transactionalId: string): Promise<Producer> {
  const producer = kafkajsClient(broker.bootstrap).producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  return producer
}

async function createTopic(topic: string, numPartitions = 1): Promise<void> {
  const admin = kafkajsClient(broker.bootstrap).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true })
  await admin.disconnect()
}

/** The values that a consumer finds until it has seen `last`; by default it reads what is committed only. */
async function valuesUntil(topic: string, last: string, readUncommitted = false): Promise<string[]> {
  const groupId = `${topic}-${last}-${readUncommitted}`
  const consumer = kafkajsClient(broker.bootstrap).consumer({
    groupId,
    readUncommitted,
    maxWaitTimeInMs: 100,
  })
  const values: string[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.value)) })
  try {
    await eventually(`${last} in ${topic}`, () => values.includes(last))
  } finally {
    await consumer.disconnect()
  }
  return values
}

describe('a kafkajs producer with transactions', () => {
  test('commits some and aborts some: consumers see the former', async () => {
    const topic = 'txn-some'
    await createTopic(topic)
    const producer = await transactional('some')
    for (let i = 0; i < 10; i++) {
      const transaction = await producer.transaction()
      const isAborted = i % 2 === 1
      await transaction.send({ topic, messages: [{ value: `${isAborted ? 'aborted' : 'committed'} ${i}` }] })
      if (isAborted) await transaction.abort()
      else await transaction.commit()
    }
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: 'last' }] })
    await transaction.commit()
    await producer.disconnect()
    const committed = [0, 2, 4, 6, 8].map((i) => `committed ${i}`)
    expect(await valuesUntil(topic, 'last')).toEqual([...committed, 'last'])
    expect(
      (await valuesUntil(topic, 'last', true)).filter((value) => value.startsWith('aborted')),
    ).toHaveLength(5)
  })

  test('writes to several topics and partitions at once', async () => {
    for (const topic of ['txn-one', 'txn-two']) await createTopic(topic, 3)
    const producer = await transactional('several')
    const transaction = await producer.transaction()
    for (const topic of ['txn-one', 'txn-two']) {
      const messages = [0, 1, 2].map((partition) => ({ partition, value: `${topic} ${partition}` }))
      await transaction.send({ topic, messages })
    }
    await transaction.commit()
    await producer.disconnect()
    for (const topic of ['txn-one', 'txn-two']) {
      for (const partition of [0, 1, 2]) await valuesUntil(topic, `${topic} ${partition}`)
    }
  })

  test('commits offsets with what it writes, or neither', async () => {
    const topic = 'txn-offsets'
    await createTopic(topic)
    const producer = await transactional('offsets')
    const admin = kafkajsClient(broker.bootstrap).admin()
    await admin.connect()
    const committed = async () => {
      const [of] = await admin.fetchOffsets({ groupId: 'txn-readers', topics: [topic] })
      return of.partitions[0].offset
    }
    const write = async (offset: string) => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ value: offset }] })
      const topics = [{ topic, partitions: [{ partition: 0, offset }] }]
      await transaction.sendOffsets({ consumerGroupId: 'txn-readers', topics })
      return transaction
    }
    await (await write('5')).commit()
    await eventually('the offset of the first', async () => (await committed()) === '5')
    await (await write('7')).abort()
    await (await write('6')).commit()
    await eventually('the offset of the last', async () => (await committed()) === '6')
    expect(await valuesUntil(topic, '6')).toEqual(['5', '6'])
    await Promise.all([admin.disconnect(), producer.disconnect()])
  })

  test('that comes later fences the one before', async () => {
    const topic = 'txn-fenced'
    await createTopic(topic)
    const old = await transactional('fenced')
    const open = await old.transaction()
    await open.send({ topic, messages: [{ value: 'of a zombie' }] })
    const later = await transactional('fenced')
    const transaction = await later.transaction()
    await transaction.send({ topic, messages: [{ value: 'of the later one' }] })
    await expect(open.commit()).rejects.toThrow()
    await transaction.commit()
    expect(await valuesUntil(topic, 'of the later one')).toEqual(['of the later one'])
    await Promise.all([old.disconnect(), later.disconnect()])
  })
})
