import type { Consumer, ConsumerConfig, Kafka } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'

let broker: TestBroker
let client: Kafka
const open: Consumer[] = []

beforeAll(async () => {
  broker = await startBroker()
  client = kafkajsClient(broker.bootstrap)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((consumer) => consumer.disconnect()))
})
afterAll(() => broker?.stop())

/** A consumer that looks often, and that is disconnected when its test ends. */
async function member(groupId: string, config: Partial<ConsumerConfig> = {}): Promise<Consumer> {
  const consumer = client.consumer({ groupId, maxWaitTimeInMs: 100, heartbeatInterval: 200, ...config })
  open.push(consumer)
  await consumer.connect()
  return consumer
}

async function createTopic(topic: string, numPartitions = 1): Promise<void> {
  const admin = client.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions }] })
  await admin.disconnect()
}

/** Sends the values in order, spread over so many partitions. */
async function send(topic: string, values: string[], partitions = 1): Promise<void> {
  const producer = client.producer()
  await producer.connect()
  await producer.send({ topic, messages: values.map((value, i) => ({ value, partition: i % partitions })) })
  await producer.disconnect()
}

async function committedOffset(groupId: string, topic: string): Promise<string> {
  const admin = client.admin()
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
  await admin.disconnect()
  return partitions[0].offset
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

describe('a group of kafkajs consumers', () => {
  test('shares out the partitions as members join and leave, and reads every record once', async () => {
    const topic = 'shared'
    const partitions = 6
    await createTopic(topic, partitions)
    const read: string[] = []
    const assigned = new Map<Consumer, number[]>()
    const join = async (): Promise<Consumer> => {
      const consumer = await member('sharing')
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        assigned.set(consumer, payload.memberAssignment[topic] ?? [])
      })
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
      return consumer
    }
    const shares = (): number[] => [...assigned.values()].map(({ length }) => length).sort()
    const owned = (): number[] => [...assigned.values()].flat().sort()
    const all = [0, 1, 2, 3, 4, 5]

    await join()
    await eventually('one member owns all', () => shares().join() === '6')
    await send(topic, numbered('one-', 60), partitions)
    const second = await join()
    await eventually('two members own half each', () => shares().join() === '3,3')
    expect(owned()).toEqual(all)
    await send(topic, numbered('two-', 60), partitions)
    await join()
    await eventually('three members own a third each', () => shares().join() === '2,2,2')
    expect(owned()).toEqual(all)
    await send(topic, numbered('three-', 60), partitions)
    await eventually('everything is read', () => new Set(read).size === 180)

    await second.disconnect()
    assigned.delete(second)
    await eventually('the two that are left own half each', () => shares().join() === '3,3')
    expect(owned()).toEqual(all)
    await send(topic, numbered('four-', 60), partitions)
    await eventually('everything is read', () => new Set(read).size === 240)
    const expected = ['one-', 'two-', 'three-', 'four-'].flatMap((prefix) => numbered(prefix, 60))
    expect([...new Set(read)].sort()).toEqual(expected.sort())
  })

  test('goes on where another member of the group stopped, and another group reads it all again', async () => {
    const topic = 'continued'
    await createTopic(topic)
    await send(topic, numbered('a', 10))
    const readWith = async (groupId: string, count: number): Promise<string[]> => {
      const read: string[] = []
      const consumer = await member(groupId)
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
      await eventually(`${count} records`, () => read.length >= count)
      await consumer.disconnect()
      return read
    }
    expect(await readWith('first-group', 10)).toEqual(numbered('a', 10))
    await send(topic, numbered('b', 5))
    expect(await readWith('first-group', 5)).toEqual(numbered('b', 5))
    expect(await readWith('second-group', 15)).toEqual([...numbered('a', 10), ...numbered('b', 5)])
  })

  test('starts at the end where it does not ask for the beginning', async () => {
    const topic = 'from-the-end'
    await createTopic(topic)
    await send(topic, ['before'])
    const read: string[] = []
    const consumer = await member('late-group')
    let fetched = 0
    consumer.on(consumer.events.FETCH, () => void fetched++)
    await consumer.subscribe({ topic, fromBeginning: false })
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
    await eventually('a fetch from the end', () => fetched > 0)
    await send(topic, ['after'])
    await eventually('the record that came later', () => read.length > 0)
    expect(read).toEqual(['after'])
  })

  test('commits by hand, and only what it commits counts', async () => {
    const topic = 'by-hand'
    await createTopic(topic)
    await send(topic, numbered('', 10))
    const read: string[] = []
    const first = await member('by-hand-group')
    await first.subscribe({ topic, fromBeginning: true })
    await first.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        read.push(String(message.value))
        if (message.offset === '3') {
          await first.commitOffsets([{ topic, partition, offset: '4', metadata: 'said by hand' }])
        }
      },
    })
    await eventually('all is read', () => read.length === 10)
    await first.disconnect()
    expect(await committedOffset('by-hand-group', topic)).toBe('4')

    const again: string[] = []
    const second = await member('by-hand-group')
    await second.subscribe({ topic, fromBeginning: true })
    await second.run({ eachMessage: async ({ message }) => void again.push(String(message.value)) })
    await eventually('the rest is read', () => again.length === 6)
    expect(again).toEqual(['4', '5', '6', '7', '8', '9'])
  })

  test('pauses one topic while another goes on, and resumes it', async () => {
    await createTopic('paused')
    await createTopic('going-on')
    const read: string[] = []
    const consumer = await member('pausing')
    await consumer.subscribe({ topics: ['paused', 'going-on'], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
    await send('paused', ['p1'])
    await eventually('the first record', () => read.includes('p1'))
    consumer.pause([{ topic: 'paused' }])
    expect(consumer.paused()).toEqual([{ topic: 'paused', partitions: [0] }])
    await send('paused', ['p2'])
    await send('going-on', numbered('g', 3))
    await eventually('the other topic goes on', () => read.includes('g2'))
    expect(read).not.toContain('p2')
    consumer.resume([{ topic: 'paused' }])
    await eventually('the paused record', () => read.includes('p2'))
  })

  test('seeks back and forth', async () => {
    const topic = 'sought'
    await createTopic(topic)
    await send(topic, numbered('', 10))
    const read: string[] = []
    const consumer = await member('seeking')
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
    await eventually('all is read', () => read.length === 10)
    read.length = 0
    consumer.seek({ topic, partition: 0, offset: '7' })
    await eventually('the end is read again', () => read.length === 3)
    expect(read).toEqual(['7', '8', '9'])
    read.length = 0
    consumer.seek({ topic, partition: 0, offset: '-2' })
    await eventually('all is read again', () => read.length === 10)
    expect(read).toEqual(numbered('', 10))
  })

  test('starts over where its offset is out of range', async () => {
    const topic = 'out-of-range'
    await createTopic(topic)
    await send(topic, numbered('', 3))
    const read: string[] = []
    const consumer = await member('lost-group')
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
    consumer.seek({ topic, partition: 0, offset: '1000' })
    await eventually('all is read', () => read.length >= 3)
    expect(read.slice(-3)).toEqual(numbered('', 3))
  })

  test('subscribes by a regular expression', async () => {
    for (const topic of ['matched-1', 'matched-2', 'not-this-one']) {
      await createTopic(topic)
      await send(topic, [`in ${topic}`])
    }
    const read: string[] = []
    const consumer = await member('matching')
    await consumer.subscribe({ topics: [/^matched-\d$/], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
    await eventually('both are read', () => read.length >= 2)
    expect(read.sort()).toEqual(['in matched-1', 'in matched-2'])
  })

  test('reads batches and resolves offsets within them', async () => {
    const topic = 'in-batches'
    await createTopic(topic)
    await send(topic, numbered('', 20))
    const read: string[] = []
    const consumer = await member('batching')
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat }) => {
        for (const message of batch.messages.slice(0, 7)) {
          read.push(String(message.value))
          resolveOffset(message.offset)
        }
        await commitOffsetsIfNecessary()
        await heartbeat()
      },
    })
    await eventually('all is read', () => read.length >= 20)
    expect(read).toEqual(numbered('', 20))
  })

  test('reads on through a kill -9 and restart of the broker, with its offsets kept', async () => {
    const topic = 'through-a-restart'
    await createTopic(topic)
    await send(topic, numbered('a', 10))
    const read: string[] = []
    const consumer = await member('restarting', { retry: patient, sessionTimeout: 6_000 })
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommitThreshold: 1,
      eachMessage: async ({ message }) => void read.push(String(message.value)),
    })
    await eventually('all is read', () => read.length === 10)
    await eventually('all is committed', async () => (await committedOffset('restarting', topic)) === '10')
    await broker.kill()
    await broker.start()
    expect(await eventually('the offset is back', () => committedOffset('restarting', topic))).toBe('10')
    await send(topic, numbered('b', 10))
    await eventually('the rest is read', () => read.length >= 20, 60_000)
    expect(read).toEqual([...numbered('a', 10), ...numbered('b', 10)])
  })
})
