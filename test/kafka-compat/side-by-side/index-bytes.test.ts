/**
 * What Apache Kafka 3.9 wrote is given to a log of ours batch by batch; afterwards both directories hold the same files
 * with the same bytes: segments, offset, time and transaction indexes, leader epochs, and producer snapshots, whose entries
 * Kafka writes in the order of a hash table.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createNodeDisk } from '../../../src/env/node/disk.ts'
import { produceApi } from '../../../src/protocol/messages/00-produce.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { batchSize, codecNames } from '../../../src/protocol/record-batch.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { baseConfig, openLogs } from '../../log/log-fixture.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'
import { startKafka } from './brokers.ts'
import { batchOf, produceBody, recentMs } from './scenarios/data.ts'

const TOPIC = 'indexed'
const SEGMENT_BYTES = 10_000
const INDEX_INTERVAL_BYTES = 700

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Gives the topic's id. */
async function createTopic(client: WireClient): Promise<string> {
  const configs = Object.entries({
    'segment.bytes': SEGMENT_BYTES,
    'index.interval.bytes': INDEX_INTERVAL_BYTES,
    'retention.ms': -1,
  }).map(([name, value]) => ({ name, value: String(value) }))
  const topic = { name: TOPIC, numPartitions: 1, replicationFactor: 1, assignments: [], configs }
  return (await client.request(createTopicsApi, 7, { topics: [topic] })).topics[0].topicId
}

/** Batches of many sizes, under every codec, whose timestamps go to and fro; some of three idempotent producers. */
async function produceBatches(client: WireClient, count: number): Promise<void> {
  const sequences = [0, 0, 0]
  for (let index = 0; index < count; index++) {
    const values = Array.from({ length: 1 + (index % 7) }, (_, i) =>
      `${index}/${i} `.repeat(1 + ((index * i) % 40)),
    )
    const producer = index % 5
    const identity =
      producer > 2
        ? {}
        : { producerId: 7_000 + producer, producerEpoch: 2, baseSequence: sequences[producer] }
    if (producer <= 2) sequences[producer] += values.length
    const timestampMs = recentMs + index * 100 - (index % 4) * 250
    const records = batchOf(values, { codec: index % codecNames.length, timestampMs, ...identity })
    const reply = await client.request(produceApi, 9, produceBody(TOPIC, records))
    expect(reply.responses[0].partitionResponses[0].errorCode).toBe(0)
  }
}

/** Transactions, every third aborted, two of them open at once. */
async function produceTransactions(bootstrap: string, count: number): Promise<void> {
  const client = kafkajsClient(bootstrap)
  const producers = ['one', 'two'].map((transactionalId) =>
    client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 }),
  )
  for (const producer of producers) await producer.connect()
  for (let index = 0; index < count; index++) {
    const open = []
    for (const producer of producers) open.push(await producer.transaction())
    for (const [number, transaction] of open.entries()) {
      const messages = [{ key: 'k', value: `${index}/${number} `.repeat(1 + (index % 60)) }]
      await transaction.send({ topic: TOPIC, messages })
    }
    for (const [number, transaction] of open.entries()) {
      await ((index + number) % 3 === 0 ? transaction.abort() : transaction.commit())
    }
  }
  for (const producer of producers) await producer.disconnect()
}

/** Every batch of a partition directory, in order. */
function batchesIn(directory: string): Buffer[] {
  const batches: Buffer[] = []
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith('.log')) continue
    const bytes = readFileSync(join(directory, name))
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
      batches.push(bytes.subarray(at, at + batchSize(bytes, at)))
    }
  }
  return batches
}

function filesIn(directory: string): Record<string, string> {
  const contentOf = (name: string): string => {
    const bytes = readFileSync(join(directory, name))
    return name.endsWith('.snapshot') ? inOrder(bytes) : bytes.toString('hex')
  }
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, contentOf(name)]),
  )
}

/** A snapshot without its CRC, the entries sorted: version and count, then 46 bytes for each producer. */
function inOrder(snapshot: Buffer): string {
  const text = (from: number, length: number): string => snapshot.toString('hex', from, from + length)
  const count = snapshot.readInt32BE(6)
  expect(snapshot.length).toBe(10 + 46 * count)
  const entries = Array.from({ length: count }, (_, index) => text(10 + 46 * index, 46))
  return [text(0, 2), text(6, 4), ...entries.sort()].join(' ')
}

test('the same batches give the same files, byte for byte', async () => {
  const kafka = await startKafka()
  cleanUps.push(() => kafka.stop())
  const client = await WireClient.connect(kafka.port)
  const topicId = await createTopic(client)
  await produceBatches(client, 200)
  await produceTransactions(`127.0.0.1:${kafka.port}`, 40)
  client.close()
  await kafka.shutDown()

  const theirs = join(kafka.logDir, `${TOPIC}-0`)
  const ours = mkdtempSync(join(tmpdir(), 'odradek-index-bytes-'))
  cleanUps.push(() => rmSync(ours, { recursive: true }))
  const config = { ...baseConfig, segmentBytes: SEGMENT_BYTES, indexIntervalBytes: INDEX_INTERVAL_BYTES }
  const { manager } = openLogs({ disk: createNodeDisk(), directory: ours, config })
  const log = manager.getOrCreate(TOPIC, 0, topicId, config)
  const batches = batchesIn(theirs)
  for (const bytes of batches) log.appendAsFollower(Buffer.from(bytes))
  await manager.stop()

  const [expected, found] = [filesIn(theirs), filesIn(join(ours, `${TOPIC}-0`))]
  const kinds = new Set(Object.keys(expected).map((name) => name.replace(/^\d+/, '')))
  expect([...kinds].sort()).toEqual(
    [
      '.index',
      '.log',
      '.snapshot',
      '.timeindex',
      '.txnindex',
      'leader-epoch-checkpoint',
      'partition.metadata',
    ].sort(),
  )
  expect(batches.length).toBeGreaterThan(300)
  expect(Object.keys(expected).filter((name) => name.endsWith('.log')).length).toBeGreaterThan(4)
  expect(Object.keys(found)).toEqual(Object.keys(expected))
  for (const [name, bytes] of Object.entries(expected)) expect(found[name], name).toBe(bytes)
})
