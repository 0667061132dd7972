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
 * killed (kill -9) and started again twice, after a third and two thirds of it. ODRADEK_COMPAT_RECORDS makes it
 * smaller or larger, ODRADEK_COMPAT_KILLS says how often the broker is killed.
 */
const total = Number(process.env.ODRADEK_COMPAT_RECORDS ?? 1_000_000)
const kills = Number(process.env.ODRADEK_COMPAT_KILLS ?? 2)
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
    /** How much was acknowledged when the broker was killed, each time. */
    const killedAt: number[] = []
    let restarting: Promise<void> | undefined
    const restart = async (): Promise<void> => {
      await broker.kill()
      killedAt.push(acknowledged)
      await broker.start()
      restarting = undefined
    }
    let giveUp: (error: Error) => void
    const neverStartedAgain = new Promise<never>((_, reject) => (giveUp = reject))
    const produced = producer.produce(broker.bootstrap, lane, (count) => {
      acknowledged = count
      const due = (lane.count * (killedAt.length + 1)) / (kills + 1)
      if (killedAt.length >= kills || acknowledged < due || restarting !== undefined) return
      restarting = restart()
      restarting.catch(giveUp)
    })
    const consumed = consumer.consume(broker.bootstrap, lane)
    const [, read] = await Promise.race([Promise.all([produced, consumed]), neverStartedAgain])
    await restarting
    expect(read, `seed ${lane.seed}, from ${lane.firstTimestampMs} ms`).toEqual(expectedReport(lane))
    // A quick producer may be through before the last of the kills, but not before the first.
    expect(killedAt[0], 'the broker was killed in the middle').toBeLessThan(lane.count)
  })
})

async function createTopics(lane: Lane): Promise<void> {
  const admin = kafkajsClient(broker.bootstrap).admin()
  await admin.connect()
  const topics = codecNames.map((_, topic) => ({ topic: topicName(lane, topic), numPartitions: PARTITIONS }))
  await admin.createTopics({ topics })
  await admin.disconnect()
}
