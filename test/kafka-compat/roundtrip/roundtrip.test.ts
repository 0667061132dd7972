import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { codecNames, kafkajsClient } from '../harness/kafkajs-client.ts'
import { java, kafkajs, librdkafka } from './families.ts'
import type { Family } from './families.ts'
import { expectedReport, PARTITIONS, topicName } from './records.ts'
import type { Lane } from './records.ts'

/**
 * One million keyed records in all, with headers, most under 1 KB and some hundreds up to 900 KB, a fifth of
 * them under each codec. Each lane is sent by one family of clients and read by another while the broker is
 * killed (kill -9) and started again in its middle. ODRADEK_COMPAT_RECORDS makes it smaller or larger.
 */
const total = Number(process.env.ODRADEK_COMPAT_RECORDS ?? 1_000_000)
const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? 20_261_123)

let broker: TestBroker

beforeAll(async () => {
  broker = await startBroker()
})
afterAll(() => broker?.stop())

const lanes: [name: string, share: number, producer: Family, consumer: Family][] = [
  ['java-to-librdkafka', 0.4, java, librdkafka],
  ['librdkafka-to-java', 0.4, librdkafka, java],
  ['kafkajs-to-librdkafka', 0.1, kafkajs, librdkafka],
  ['java-to-kafkajs', 0.1, java, kafkajs],
]

describe('a million records pass from one family of clients to another through a kill -9', () => {
  test.each(lanes)('%s: nothing lost, nothing twice, order kept', async (name, share, producer, consumer) => {
    const lane: Lane = {
      name,
      seed: (seed + lanes.findIndex((row) => row[0] === name)) >>> 0,
      count: total * share,
      firstTimestampMs: Date.now(),
    }
    await createTopics(lane)
    let acknowledged = 0
    let acknowledgedAtKill = 0
    let restarted: Promise<void> | undefined
    const produced = producer.produce(broker.bootstrap, lane, (count) => {
      acknowledged = count
      if (acknowledged >= lane.count / 3) restarted ??= restart()
    })
    const restart = async (): Promise<void> => {
      await broker.kill()
      acknowledgedAtKill = acknowledged
      await broker.start()
    }
    const [, read] = await Promise.all([produced, consumer.consume(broker.bootstrap, lane)])
    await restarted
    expect(acknowledgedAtKill, 'the kill came too late').toBeLessThan(lane.count)
    expect(read, `seed ${lane.seed}, from ${lane.firstTimestampMs} ms`).toEqual(expectedReport(lane))
  })
})

async function createTopics(lane: Lane): Promise<void> {
  const admin = kafkajsClient(broker.bootstrap).admin()
  await admin.connect()
  const topics = codecNames.map((_, topic) => ({ topic: topicName(lane, topic), numPartitions: PARTITIONS }))
  await admin.createTopics({ topics })
  await admin.disconnect()
}
