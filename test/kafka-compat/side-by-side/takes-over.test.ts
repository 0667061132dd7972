/** Apache Kafka 3.9 goes on with a directory that Odradek wrote, and Odradek with what Kafka made of it. */
import { afterEach, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { codecNames, codecs, kafkajsClient } from '../harness/kafkajs-client.ts'
import { kcatRead } from '../harness/kcat.ts'
import { startKafka } from './brokers.ts'
import { znodesOf } from './handover/znodes.ts'

const TOPIC = 'handed-over'
const GROUP = 'half-way'
const properties = { 'log.segment.bytes': '4000', 'offsets.topic.num.partitions': '4', 'broker.id': '1' }

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Twenty records under each codec; the values go on from `from`. Producer ids live in the store, which does not move. */
async function produce(bootstrap: string, from: number): Promise<void> {
  const producer = kafkajsClient(bootstrap).producer()
  await producer.connect()
  for (const [index, codec] of codecNames.entries()) {
    const first = from + 20 * index
    const messages = Array.from({ length: 20 }, (_, i) => ({
      key: 'k',
      value: `${first + i} ${'.'.repeat(99)}`,
    }))
    await producer.send({ topic: TOPIC, compression: codecs[codec], messages })
  }
  await producer.disconnect()
}

async function numbersIn(bootstrap: string): Promise<number[]> {
  return (await kcatRead(bootstrap, TOPIC)).map(({ payload }) => Number(payload!.split(' ')[0]))
}

async function groupOffset(bootstrap: string): Promise<string> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })
  await admin.disconnect()
  return partitions[0].offset
}

async function commit(bootstrap: string, offset: string): Promise<void> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  await admin.setOffsets({ groupId: GROUP, topic: TOPIC, partitions: [{ partition: 0, offset }] })
  await admin.disconnect()
}

test('records, offsets and ids are there on either side', async () => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number)
  const ours = await startBroker({ config: properties })
  cleanUps.push(() => ours.stop())
  await produce(ours.bootstrap, 0)
  await commit(ours.bootstrap, '41')
  expect(await ours.shutDown()).toBe(0)

  const logDir = ours.dataDirectory
  const znodes = await znodesOf([logDir], { partitions: { __consumer_offsets: 4 } })
  const kafka = await startKafka({ logDir, properties, znodes })
  cleanUps.push(() => kafka.stop())
  const bootstrap = `127.0.0.1:${kafka.port}`
  // Its controller opens the topic's partition a little after it makes topics.
  const read = await eventually('Kafka opens the topic', () => numbersIn(bootstrap))
  expect(read).toEqual(numbers(100))
  expect(await groupOffset(bootstrap)).toBe('41')
  await produce(bootstrap, 100)
  await commit(bootstrap, '142')
  await kafka.stop()

  await ours.start()
  expect(await numbersIn(ours.bootstrap)).toEqual(numbers(200))
  expect(await groupOffset(ours.bootstrap)).toBe('142')
  await produce(ours.bootstrap, 200)
  expect(await numbersIn(ours.bootstrap)).toEqual(numbers(300))
})
