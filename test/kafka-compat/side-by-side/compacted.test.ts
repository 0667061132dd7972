/** Apache Kafka 3.9's own kafka-dump-log reads a log that Odradek has compacted, its indexes and its checkpoint. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { codecs, kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { kafkaDump } from './dump-log/both-dumps.ts'

const SENDS = 60
const KEYS = 20
const TOPIC = 'compacted'

let broker: TestBroker
let directory: string

const checkpoint = (): number => {
  try {
    const text = readFileSync(join(broker.dataDirectory, 'cleaner-offset-checkpoint'), 'utf8')
    return Number(new RegExp(`^${TOPIC} 0 (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

const activeSegment = (): number => {
  const logs = readdirSync(join(broker.dataDirectory, `${TOPIC}-0`)).filter((name) => name.endsWith('.log'))
  return Math.max(...logs.map((name) => Number.parseInt(name, 10)))
}

beforeAll(async () => {
  const config = { 'log.cleaner.backoff.ms': '200', 'log.index.interval.bytes': '500' }
  broker = await startBroker({ config })
  const client = kafkajsClient(broker.bootstrap, { retry: patient })
  const admin = client.admin()
  await admin.connect()
  const configEntries = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'segment.bytes', value: '8000' },
    { name: 'min.cleanable.dirty.ratio', value: '0.01' },
  ]
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, configEntries }] })
  await admin.disconnect()
  const producer = client.producer({ idempotent: true })
  await producer.connect()
  // A deletion mark that nothing replaces: it gets a delete horizon.
  await producer.send({ topic: TOPIC, messages: [{ key: 'gone', value: null }] })
  for (let send = 0; send < SENDS; send++) {
    const messages = Array.from({ length: 10 }, (_, index) => ({
      key: `key ${(send * 7 + index) % KEYS}`,
      value: index === 9 && send % 3 === 0 ? null : `${send}/${index} `.repeat(10),
    }))
    const compression = send % 2 === 0 ? codecs.none : codecs.gzip
    await producer.send({ topic: TOPIC, compression, messages })
  }
  await producer.disconnect()
  // All that can be: a cleaning that is cut off by the end may have taken what lies below the checkpoint of the one before.
  await eventually('the log is compacted', () => checkpoint() > 0 && checkpoint() === activeSegment())
  expect(await broker.shutDown()).toBe(0)
  directory = join(broker.dataDirectory, `${TOPIC}-0`)
})
afterAll(() => broker?.stop())

const pathsOf = (suffix: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => join(directory, name))

test('kafka-dump-log finds each key once below the checkpoint, in batches that are valid', async () => {
  const { lines } = await kafkaDump(pathsOf('.log'), '--deep-iteration', '--print-data-log')
  const all = [...lines.values()].flat()
  expect(all.some((line) => line.includes('isvalid: false'))).toBe(false)
  const records = all.flatMap((line) => {
    const [, offset, key] = /\| offset: (\d+) .* key: (key \d+)/.exec(line) ?? []
    return offset === undefined ? [] : [{ offset: Number(offset), key }]
  })
  const clean = records.filter(({ offset }) => offset < checkpoint())
  expect(clean.length).toBeGreaterThan(0)
  expect(new Set(clean.map(({ key }) => key)).size).toBe(clean.length)
  expect(records.length).toBeLessThan(SENDS * 10)
  expect(all.some((line) => /deleteHorizonMs: \S*\d{13}/.test(line))).toBe(true)
})

test('kafka-dump-log finds the indexes in agreement with the segments', async () => {
  const indexes = [...pathsOf('.index'), ...pathsOf('.timeindex')]
  const { lines, complaints } = await kafkaDump(indexes)
  expect(complaints).not.toMatch(/ismatch|out of order/)
  expect([...lines.values()].flat().join('\n')).not.toMatch(/ismatch|out of order/)
})
