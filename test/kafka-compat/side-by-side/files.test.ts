/** Apache Kafka 3.9's own kafka-dump-log reads what Odradek wrote, after a kill -9 and after a clean stop. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { codecNames, codecs, kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { kafka39ClassPath } from '../harness/paths.ts'
import { mustRun } from '../harness/processes.ts'

const SENDS = 12
const RECORDS_PER_SEND = 40
/** The sends before the kill, which leaves the last segment without its indexes. */
const BEFORE_THE_KILL = 7
const GROUP = 'readers'

let broker: TestBroker
let files: string[]

async function fill(from: number, to: number): Promise<void> {
  const producer = kafkajsClient(broker.bootstrap, { retry: patient }).producer({ idempotent: true })
  await producer.connect()
  for (const codec of codecNames) {
    for (let send = from; send < to; send++) {
      const messages = Array.from({ length: RECORDS_PER_SEND }, (_, i) => ({
        key: `key ${i}`,
        value: `${send}/${i} `.repeat(1 + ((send * i) % 50)),
        headers: { header: `${i}` },
        // Strictly growing: every send brings the time index something.
        timestamp: String(1_700_000_000_000 + send * 1000 + i),
      }))
      await producer.send({ topic: `dumped-${codec}`, compression: codecs[codec], messages })
    }
  }
  await producer.disconnect()
}

async function readThroughGroup(): Promise<void> {
  const consumer = kafkajsClient(broker.bootstrap).consumer({ groupId: GROUP })
  await consumer.connect()
  await consumer.subscribe({ topic: 'dumped-none', fromBeginning: true })
  let read = 0
  await consumer.run({
    eachMessage: async () => {
      read++
    },
  })
  await eventually('the group has read the topic', () => read >= SENDS * RECORDS_PER_SEND)
  await consumer.disconnect()
}

beforeAll(async () => {
  const config = {
    'log.segment.bytes': '20000',
    'log.index.interval.bytes': '1000',
    'log.retention.ms': '-1',
    'offsets.topic.num.partitions': '1',
  }
  broker = await startBroker({ config })
  await fill(0, BEFORE_THE_KILL)
  await broker.kill()
  await broker.start()
  await fill(BEFORE_THE_KILL, SENDS)
  await readThroughGroup()
  expect(await broker.shutDown()).toBe(0)
  files = readdirSync(broker.dataDirectory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.startsWith('dumped-') || name.startsWith('__consumer_offsets'))
    .map((name) => join(broker.dataDirectory, name))
})
afterAll(() => broker?.stop())

function dumpLog(paths: string[], ...options: string[]): Promise<string> {
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', kafka39ClassPath()]
  return mustRun('java', [...jvm, 'kafka.tools.DumpLogSegments', '--files', paths.join(','), ...options])
}

const ending = (suffix: string): string[] => files.filter((path) => path.endsWith(suffix)).sort()

describe('kafka-dump-log of Apache Kafka 3.9', () => {
  test('finds every record of every codec, and every batch intact', async () => {
    const segments = ending('.log').filter((path) => !path.includes('__consumer_offsets'))
    expect(segments.length).toBeGreaterThan(codecNames.length + 2)
    const dump = await dumpLog(segments, '--deep-iteration', '--print-data-log')
    expect(dump).not.toContain('isvalid: false')
    expect(dump).not.toContain('Found invalid')
    for (const codec of codecNames) {
      const parts = dump.split(/^Dumping /m).filter((part) => part.includes(`/dumped-${codec}-0/`))
      const offsets = parts.flatMap((part) =>
        [...part.matchAll(/\| offset: (\d+) /g)].map(([, at]) => Number(at)),
      )
      expect(offsets).toEqual(Array.from({ length: SENDS * RECORDS_PER_SEND }, (_, offset) => offset))
      const batches = [...parts.join('').matchAll(/compresscodec: (\w+) /g)].map(([, name]) => name)
      expect(new Set(batches)).toEqual(new Set([codec]))
      expect(batches).toHaveLength(SENDS)
    }
  })

  test('finds the indexes sound, and in agreement with their segments', async () => {
    const indexes = [...ending('.index'), ...ending('.timeindex')]
    expect(indexes.filter((path) => path.includes('/dumped-none-0/')).length).toBeGreaterThan(3)
    const entries = await dumpLog(indexes)
    expect(entries).not.toMatch(/[Mm]ismatch|[Nn]on-secutive|out of order/)
    expect([...entries.matchAll(/^offset: \d+ position: \d+/gm)].length).toBeGreaterThan(10)
    expect([...entries.matchAll(/^timestamp: 17\d+ offset: \d+/gm)].length).toBeGreaterThan(10)
    const sanity = await dumpLog(indexes, '--index-sanity-check')
    expect([...sanity.matchAll(/passed sanity check|is empty/g)]).toHaveLength(indexes.length)
  })

  test('reads the snapshots of producers', async () => {
    const snapshots = ending('.snapshot').filter((path) => path.includes('/dumped-none-0/'))
    expect(snapshots.length).toBeGreaterThan(0)
    const dump = await dumpLog([snapshots.at(-1)!])
    expect(dump).toMatch(/producerId: \d+ producerEpoch: 0 .*lastSequence: \d+ lastOffset: 479/)
  })

  test('decodes what groups have stored', async () => {
    const dump = await dumpLog(
      ending('.log').filter((path) => path.includes('__consumer_offsets')),
      '--offsets-decoder',
    )
    expect(dump).toContain(`"group":"${GROUP}"`)
    expect(dump).toMatch(/"type":"1".*"topic":"dumped-none","partition":0.*"offset":480/)
    expect(dump).toMatch(/"type":"2".*"protocolType":"consumer".*"generation":\d+/)
    expect(dump).not.toMatch(/ERROR|Exception/i)
  })
})

describe('the files beside them', () => {
  test('are named and written as by Kafka', () => {
    const directory = broker.dataDirectory
    const text = (...name: string[]): string => readFileSync(join(directory, ...name), 'utf8')
    expect(text('meta.properties')).toMatch(/^cluster\.id=[\w-]{22}$/m)
    expect(text('meta.properties')).toMatch(/^version=0$/m)
    expect(text('meta.properties')).toMatch(/^broker\.id=\d+$/m)
    expect(text('dumped-none-0', 'partition.metadata')).toMatch(/^version: 0\ntopic_id: [\w-]{22}\n?$/)
    expect(text('dumped-none-0', 'leader-epoch-checkpoint')).toMatch(/^0\n[12]\n0 0\n/)
    for (const name of ['recovery-point-offset-checkpoint', 'replication-offset-checkpoint']) {
      const [version, count, ...rows] = text(name).trimEnd().split('\n')
      expect([version, rows.length]).toEqual(['0', Number(count)])
      expect(rows).toContain('dumped-none 0 480')
    }
    expect(readdirSync(directory)).toContain('.kafka_cleanshutdown')
    const kinds = ['.log', '.index', '.timeindex', '.snapshot']
    for (const path of files.filter((name) => dirname(name).endsWith('dumped-none-0'))) {
      const own = ['partition.metadata', 'leader-epoch-checkpoint'].includes(basename(path))
      expect(
        own || kinds.some((kind) => basename(path) === `${basename(path).slice(0, 20)}${kind}`),
        path,
      ).toBe(true)
      if (!own) expect(basename(path).slice(0, 20)).toMatch(/^\d{20}$/)
    }
  })
})
