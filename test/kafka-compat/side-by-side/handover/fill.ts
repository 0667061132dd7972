/** What the brokers are filled with before a directory is handed over: a topic for each thing that has to survive it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Message } from 'kafkajs'
import { produceApi } from '../../../../src/protocol/messages/00-produce.ts'
import { WireClient } from '../../../broker/wire-client.ts'
import { eventually } from '../../harness/conditions.ts'
import { codecNames, codecs, kafkajsClient, patient } from '../../harness/kafkajs-client.ts'
import { batchOf, produceBody } from '../scenarios/data.ts'
import type { Asked } from './contents.ts'
import type { Told, TopicSettings } from './znodes.ts'

/** Both brokers: segments and indexes are small, what runs by a timer runs often. */
export const PROPERTIES: Readonly<Record<string, string>> = {
  'broker.id': '1',
  'log.segment.bytes': '4000',
  'log.index.interval.bytes': '400',
  'offsets.topic.num.partitions': '4',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.num.partitions': '2',
  'log.retention.check.interval.ms': '300',
  'log.initial.task.delay.ms': '300',
  'log.cleaner.backoff.ms': '100',
}

const HOUR_MS = 3_600_000
/** Producers whose records are old are forgotten: these are young. */
const START_MS = Date.now() - HOUR_MS / 2

const SETTINGS: TopicSettings = {
  aged: { 'retention.ms': String(HOUR_MS) },
  compacted: { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' },
}

/** What both brokers are filled with. */
export const ASKED: Asked = {
  topics: { codecs: 4, cut: 1, aged: 1, compacted: 2, sequenced: 1, unwritten: 2 },
  groups: ['readers', 'by-hand'],
  timestampsMs: [0, 1, 777, 1500, 2007, 3003, 10_000].map((afterMs) => START_MS + afterMs),
}

/** What Kafka is told of the topics. */
export const TOLD: Told = {
  partitions: { ...ASKED.topics, __consumer_offsets: Number(PROPERTIES['offsets.topic.num.partitions']) },
  settings: SETTINGS,
}

export async function createTopics(bootstrap: string, asked: Asked): Promise<void> {
  const admin = kafkajsClient(bootstrap, { retry: patient }).admin()
  await admin.connect()
  const topics = Object.entries(asked.topics).map(([topic, numPartitions]) => {
    const own = SETTINGS[topic] ?? {}
    const configEntries = Object.entries(own).map(([name, value]) => ({ name, value }))
    return { topic, numPartitions, replicationFactor: 1, configEntries }
  })
  await admin.createTopics({ topics })
  await admin.disconnect()
}

/** Every topic but `sequenced`, and what groups have committed. */
export async function fillAll(bootstrap: string, logDirs: readonly string[]): Promise<void> {
  await Promise.all([
    produceCodecs(bootstrap, [0, 1, 2]),
    produceAndDelete(bootstrap),
    produceAged(bootstrap),
    produceCompacted(bootstrap, logDirs),
  ])
  await commitOffsets(bootstrap, 17)
}

/** Under every codec, into every partition, by an idempotent producer: null keys, null values, headers, long and short ones. */
export async function produceCodecs(bootstrap: string, sends: readonly number[]): Promise<void> {
  const producer = kafkajsClient(bootstrap, { retry: patient }).producer({ idempotent: true })
  await producer.connect()
  for (const send of sends) {
    for (const codec of codecNames) {
      const messages = Array.from({ length: 40 }, (_, i): Message => {
        const value = i % 9 === 5 ? null : `${send} ${codec} ${i} `.repeat(1 + ((send * 7 + i) % 25))
        const headers = i % 3 === 0 ? { one: `${i}`, empty: '' } : {}
        const timestamp = String(START_MS + send * 1000 + i)
        return { key: i % 4 === 0 ? null : `key ${i}`, value, headers, timestamp, partition: i % 4 }
      })
      await producer.send({ topic: 'codecs', compression: codecs[codec], messages })
    }
  }
  await producer.disconnect()
}

/** `count` values that fill two segments or so, from the timestamp on. */
async function produceLong(bootstrap: string, topic: string, firstMs: number, count = 12): Promise<void> {
  const producer = kafkajsClient(bootstrap, { retry: patient }).producer({ idempotent: true })
  await producer.connect()
  for (let i = 0; i < count; i++) {
    const message = { key: 'k', value: `${i} ${'.'.repeat(1000)}`, timestamp: String(firstMs + i) }
    await producer.send({ topic, messages: [message] })
  }
  await producer.disconnect()
}

/** Gives a topic records of which only those from offset 5 on are left. */
async function produceAndDelete(bootstrap: string): Promise<void> {
  await produceLong(bootstrap, 'cut', START_MS)
  const admin = kafkajsClient(bootstrap, { retry: patient }).admin()
  await admin.connect()
  // Brings the client the topic's leader.
  await admin.fetchTopicOffsets('cut')
  await admin.deleteTopicRecords({ topic: 'cut', partitions: [{ partition: 0, offset: '5' }] })
  await admin.disconnect()
}

/** Records of which retention leaves those that are young enough, in segments of their own. */
async function produceAged(bootstrap: string): Promise<void> {
  await produceLong(bootstrap, 'aged', START_MS - 2 * HOUR_MS, 9)
  await produceLong(bootstrap, 'aged', START_MS, 9)
  const admin = kafkajsClient(bootstrap, { retry: patient }).admin()
  await admin.connect()
  await eventually('retention has deleted', async () => {
    const [{ low }] = await admin.fetchTopicOffsets('aged')
    return Number(low) >= 9 - 3
  })
  await admin.disconnect()
}

/**
 * Few keys, many values, some keys deleted; and in each send one that comes once, so that no segment is cleaned to nothing:
 * Kafka, asked by timestamp, takes such a segment for as young as its file and finds nothing in it. Waits until the cleaner has been through all but the last segment. */
async function produceCompacted(bootstrap: string, logDirs: readonly string[]): Promise<void> {
  const producer = kafkajsClient(bootstrap, { retry: patient }).producer({ idempotent: true })
  await producer.connect()
  for (let send = 0; send < 24; send++) {
    const messages = Array.from({ length: 20 }, (_, i): Message => {
      const value = send % 8 === 3 && i % 5 === 0 ? null : `${send} ${i} ${'.'.repeat(i * 3)}`
      const timestamp = String(START_MS + send * 100 + i)
      return {
        key: i < 18 ? `key ${i}` : `only ${send}`,
        value,
        timestamp,
        partition: i % 2,
        headers: { send: `${send}` },
      }
    })
    const codec = codecNames[send % codecNames.length]
    await producer.send({ topic: 'compacted', compression: codecs[codec], messages })
  }
  await producer.disconnect()
  await eventually('the cleaner has cleaned', () =>
    [0, 1].every((partition) => isCleaned(logDirs, partition)),
  )
}

/** By the checkpoint: the first offset that is not clean is that of the segment that is written to. */
function isCleaned(logDirs: readonly string[], partition: number): boolean {
  for (const logDir of logDirs) {
    const directory = `compacted-${partition}`
    if (!readdirSync(logDir).includes(directory)) continue
    const segments = readdirSync(join(logDir, directory)).filter((name) => name.endsWith('.log'))
    const active = Number(segments.sort().at(-1)!.slice(0, 20))
    const checkpoint = readFileSync(join(logDir, 'cleaner-offset-checkpoint'), 'utf8')
    return active > 0 && checkpoint.split('\n').includes(`compacted ${partition} ${active}`)
  }
  return false
}

/** A member of a group that commits what it has read, and offsets that were set by hand. */
export async function commitOffsets(bootstrap: string, byHand: number): Promise<void> {
  const client = kafkajsClient(bootstrap, { retry: patient })
  const consumer = client.consumer({ groupId: 'readers', maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topic: 'codecs', fromBeginning: true })
  const read = new Set<number>()
  await consumer.run({
    eachBatch: async ({ batch }) => {
      read.add(batch.partition)
    },
  })
  await eventually('the group reads every partition', () => read.size === 4)
  await consumer.disconnect()
  const admin = client.admin()
  await admin.connect()
  const partitions = [0, 1, 2].map((partition) => ({ partition, offset: String(byHand + partition) }))
  await admin.setOffsets({ groupId: 'by-hand', topic: 'codecs', partitions })
  await admin.disconnect()
}

/** One producer that goes on over every hand-over: id, epoch and sequence numbers are its own. */
const SEQUENCED = { producerId: 500, producerEpoch: 3 }
const SEQUENCED_BATCH = 5

/** Gives the error code and base offset of what the producer sent as its batch `index`, from 0. */
export async function sendSequenced(
  port: number,
  index: number,
): Promise<{ errorCode: number; baseOffset: number }> {
  const client = await WireClient.connect(port)
  try {
    const values = Array.from({ length: SEQUENCED_BATCH }, (_, i) => `${index}/${i} ${'.'.repeat(300)}`)
    const baseSequence = index * SEQUENCED_BATCH
    const shape = { ...SEQUENCED, baseSequence, timestampMs: START_MS + 10 * baseSequence }
    const reply = await client.request(produceApi, 9, produceBody('sequenced', batchOf(values, shape)))
    const { errorCode, baseOffset } = reply.responses[0].partitionResponses[0]
    return { errorCode, baseOffset }
  } finally {
    client.close()
  }
}

/** Kafka only. Transactions of two producers at once, every third aborted, with the offsets of a group. */
export async function transact(bootstrap: string, count: number): Promise<void> {
  const client = kafkajsClient(bootstrap, { retry: patient })
  const producers = ['one', 'two'].map((transactionalId) => {
    return client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
  })
  for (const producer of producers) await producer.connect()
  for (let index = 0; index < count; index++) {
    const open = []
    for (const producer of producers) open.push(await producer.transaction())
    for (const [number, transaction] of open.entries()) {
      const timestamp = String(START_MS + index * 100)
      const value = `${index}/${number} `.repeat(1 + ((index * 13) % 60))
      const messages = [0, 1].map((partition) => ({ key: 'k', value, partition, timestamp }))
      await transaction.send({ topic: 'transactional', messages, compression: codecs.gzip })
      const partitions = [{ partition: number, offset: String(index) }]
      await transaction.sendOffsets({
        consumerGroupId: 'in-transactions',
        topics: [{ topic: 'codecs', partitions }],
      })
    }
    for (const [number, transaction] of open.entries()) {
      await ((index + number) % 3 === 0 ? transaction.abort() : transaction.commit())
    }
  }
  for (const producer of producers) await producer.disconnect()
}

/** A transaction that nobody ends within the quarter of an hour that Kafka allows at most. */
export async function leaveTransactionOpen(bootstrap: string): Promise<void> {
  const settings = { transactionalId: 'open', idempotent: true, transactionTimeout: 900_000 }
  const producer = kafkajsClient(bootstrap, { retry: patient }).producer(settings)
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'transactional', messages: [{ key: 'k', value: 'open', partition: 0 }] })
  await producer.disconnect()
}
