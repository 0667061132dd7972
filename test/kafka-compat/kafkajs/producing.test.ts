import type { KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { codecNames, codecs, kafkajsClient } from '../harness/kafkajs-client.ts'

let broker: TestBroker

beforeAll(async () => {
  broker = await startBroker()
})
afterAll(() => broker?.stop())

/** Reads a topic of one partition from its start with a group of its own, until it has so many records. */
async function readTopic(topic: string, count: number): Promise<KafkaMessage[]> {
  const consumer = kafkajsClient(broker.bootstrap).consumer({
    groupId: `reader-of-${topic}`,
    maxWaitTimeInMs: 100,
  })
  const messages: KafkaMessage[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => void messages.push(message) })
  try {
    await eventually(`${count} records of ${topic}`, () => messages.length >= count)
  } finally {
    await consumer.disconnect()
  }
  return messages
}

/** What a test compares of a record. */
function content({ key, value, headers }: KafkaMessage): unknown {
  const text = Object.entries(headers ?? {}).map(([name, bytes]) => [name, String(bytes)])
  return { key: key && key.toString(), value: value && value.toString(), headers: Object.fromEntries(text) }
}

describe('a kafkajs producer', () => {
  for (const codec of codecNames) {
    test(`sends records with keys, headers and nulls under codec ${codec}, and they come back as they were`, async () => {
      const topic = `codec-${codec}`
      const producer = kafkajsClient(broker.bootstrap).producer()
      await producer.connect()
      const messages = [
        { key: 'a', value: 'first', headers: { one: '1', two: 'zwei' } },
        { key: null, value: 'without a key', headers: {} },
        { key: 'tombstone', value: null, headers: {} },
        { key: 'ü', value: 'é'.repeat(40_000), headers: { '': 'empty name' } },
        ...Array.from({ length: 400 }, (_, i) => ({
          key: `k${i}`,
          value: `value ${i} `.repeat(i),
          headers: {},
        })),
      ]
      const metadata = await producer.send({ topic, messages, compression: codecs[codec], acks: -1 })
      await producer.disconnect()
      expect(metadata).toMatchObject([{ topicName: topic, partition: 0, errorCode: 0, baseOffset: '0' }])

      const received = await readTopic(topic, messages.length)
      expect(received.map(content)).toEqual(messages)
      expect(received.map(({ offset }) => offset)).toEqual(messages.map((_, i) => String(i)))
    })
  }

  test('gets the base offset of each of its sends', async () => {
    const producer = kafkajsClient(broker.bootstrap).producer()
    await producer.connect()
    const offsets: string[] = []
    for (const count of [1, 3, 2]) {
      const messages = Array.from({ length: count }, () => ({ value: 'x' }))
      const [sent] = await producer.send({ topic: 'base-offsets', messages, acks: 1 })
      offsets.push(sent.baseOffset!)
    }
    await producer.disconnect()
    expect(offsets).toEqual(['0', '1', '4'])
  })

  test('can ask for no answer at all', async () => {
    const producer = kafkajsClient(broker.bootstrap).producer()
    await producer.connect()
    await producer.send({ topic: 'no-answer', messages: [{ value: 'first' }], acks: 1 })
    await producer.send({ topic: 'no-answer', messages: [{ value: 'second' }], acks: 0 })
    await producer.send({ topic: 'no-answer', messages: [{ value: 'third' }], acks: 1 })
    await producer.disconnect()
    const received = await readTopic('no-answer', 3)
    expect(received.map(({ value }) => String(value))).toEqual(['first', 'second', 'third'])
  })

  test('keeps the order of many sends when it is idempotent', async () => {
    const producer = kafkajsClient(broker.bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (let i = 0; i < 50; i++) {
      await producer.send({ topic: 'idempotent', messages: [{ value: `${i}a` }, { value: `${i}b` }] })
    }
    await producer.disconnect()
    const received = await readTopic('idempotent', 100)
    const expected = Array.from({ length: 50 }, (_, i) => [`${i}a`, `${i}b`]).flat()
    expect(received.map(({ value }) => String(value))).toEqual(expected)
  })

  test('sends a batch over several topics and partitions in one call', async () => {
    const client = kafkajsClient(broker.bootstrap)
    const admin = client.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 'batch-wide', numPartitions: 3 }] })
    const producer = client.producer()
    await producer.connect()
    const messages = [0, 1, 2].map((partition) => ({ value: `to ${partition}`, partition }))
    const sent = await producer.sendBatch({
      topicMessages: [
        { topic: 'batch-wide', messages },
        { topic: 'batch-narrow', messages: [{ value: 'x' }] },
      ],
    })
    await producer.disconnect()
    const places = sent.map(({ topicName, partition }) => `${topicName}-${partition}`).sort()
    expect(places).toEqual(['batch-narrow-0', 'batch-wide-0', 'batch-wide-1', 'batch-wide-2'])
    const ends = await admin.fetchTopicOffsets('batch-wide')
    expect(ends.map(({ high }) => high)).toEqual(['1', '1', '1'])
    await admin.disconnect()
  })

  test('keeps the timestamps it gives', async () => {
    const producer = kafkajsClient(broker.bootstrap).producer()
    await producer.connect()
    const times = ['1700000000000', '1700000000001', '1600000000000']
    const messages = times.map((timestamp) => ({ value: 'x', timestamp }))
    await producer.send({ topic: 'timestamps', messages })
    await producer.disconnect()
    const received = await readTopic('timestamps', 3)
    expect(received.map(({ timestamp }) => timestamp)).toEqual(times)
  })

  test('sends one record of nearly a megabyte, and is told when one is over the limit', async () => {
    const producer = kafkajsClient(broker.bootstrap).producer()
    await producer.connect()
    const value = Buffer.alloc(1_000_000, 'large ')
    await producer.send({ topic: 'large', messages: [{ value }] })
    const tooLarge = Buffer.alloc(1_100_000, 'larger')
    await expect(producer.send({ topic: 'large', messages: [{ value: tooLarge }] })).rejects.toMatchObject({
      type: 'MESSAGE_TOO_LARGE',
    })
    await producer.disconnect()
    const received = await readTopic('large', 1)
    expect(received[0].value!.equals(value)).toBe(true)
  })

  test('is told when a topic has a name Kafka does not allow', async () => {
    const producer = kafkajsClient(broker.bootstrap, { retry: { retries: 2 } }).producer()
    await producer.connect()
    await expect(
      producer.send({ topic: 'no spaces allowed', messages: [{ value: 'x' }] }),
    ).rejects.toMatchObject({ cause: { type: 'INVALID_TOPIC_EXCEPTION' } })
    await producer.disconnect()
  })
})
