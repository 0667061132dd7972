/**
 * Every file that Odradek writes, read by Apache Kafka 3.9's own kafka-dump-log and by `odradek dump-log`: both find the same
 * batches, records and entries, and nothing wrong. And the other way round: what Kafka wrote, killed in the midst of it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createNodeDisk } from '../../../../src/env/node/disk.ts'
import { codecNames as allCodecs } from '../../../../src/protocol/record-batch.ts'
import { oldSegment, writeCompacted, writeCorpus } from '../../../log/log-corpus.ts'
import { startBroker } from '../../harness/broker.ts'
import type { TestBroker } from '../../harness/broker.ts'
import { codecNames, codecs, kafkajsClient, patient } from '../../harness/kafkajs-client.ts'
import { kcat } from '../../harness/kcat.ts'
import { startKafka } from '../brokers.ts'
import { asKafkaLines, filesBelow, kafkaDump, ofType, ourDump, shortName } from './both-dumps.ts'
import type { Found, KafkaDump, OurDump } from './both-dumps.ts'
import { expectSameOffsets, expectSameTransactions } from './decoded.ts'

const SMALL_SEGMENTS = {
  'log.segment.bytes': '6000',
  'log.index.interval.bytes': '300',
  'log.retention.ms': '-1',
}
/** Keeps timestamps of 2023. */
const FIRST_MS = 1_700_000_000_000

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-dumped-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Under every codec; each send has later timestamps than those before it. */
async function produce(bootstrap: string, sends: readonly number[]): Promise<void> {
  const producer = kafkajsClient(bootstrap, { retry: patient }).producer({ idempotent: true })
  await producer.connect()
  for (const send of sends) {
    for (const codec of codecNames) {
      const messages = Array.from({ length: 15 }, (_, i) => ({
        key: `key ${i}`,
        value: i === 7 ? null : `${send}/${i} `.repeat(1 + ((send * i) % 30)),
        headers: { header: `${i}` },
        timestamp: String(FIRST_MS + send * 1000 + i),
      }))
      await producer.send({ topic: `dumped-${codec}`, compression: codecs[codec], messages })
    }
  }
  await producer.disconnect()
}

async function commitOffsets(bootstrap: string): Promise<void> {
  const consumer = kafkajsClient(bootstrap).consumer({ groupId: 'readers' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'dumped-none', fromBeginning: true })
  const read = new Promise<void>((resolve) => {
    void consumer.run({ eachMessage: async () => resolve() })
  })
  await read
  await consumer.disconnect()
}

/** Message formats 0 and 1, which the broker makes into batches. */
async function produceOldFormats(bootstrap: string): Promise<void> {
  const input = Array.from({ length: 40 }, (_, i) => `k${i}:v${i} ${'.'.repeat(i)}\n`).join('')
  for (const [version, codec] of [
    ['0.9.0', 'none'],
    ['0.9.0', 'gzip'],
    ['0.10.0', 'none'],
    ['0.10.0', 'snappy'],
  ]) {
    const settings = ['-X', 'api.version.request=false', '-X', `broker.version.fallback=${version}`]
    await kcat(bootstrap, ['-P', '-t', 'old-formats', '-K:', '-z', codec, ...settings], input)
  }
}

async function deleteRecords(bootstrap: string): Promise<void> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  // Brings the client the topic's leaders.
  await admin.fetchTopicOffsets('dumped-gzip')
  await admin.deleteTopicRecords({ topic: 'dumped-gzip', partitions: [{ partition: 0, offset: '70' }] })
  await admin.disconnect()
}

/** What a broker wrote that was killed, recovered, went on and was stopped. */
async function brokerDirectory(): Promise<string> {
  const config = { ...SMALL_SEGMENTS, 'offsets.topic.num.partitions': '1' }
  const broker: TestBroker = await startBroker({ config })
  cleanUps.push(() => broker.stop())
  await produce(broker.bootstrap, [0, 1, 2, 3])
  await broker.kill()
  await broker.start()
  await produce(broker.bootstrap, [4, 5, 6])
  await produceOldFormats(broker.bootstrap)
  await deleteRecords(broker.bootstrap)
  await commitOffsets(broker.bootstrap)
  expect(await broker.shutDown()).toBe(0)
  return broker.dataDirectory
}

function expectSame(kafka: KafkaDump, ours: OurDump, paths: readonly string[]): void {
  const lines = asKafkaLines(ours.found)
  for (const path of paths) expect(lines.get(path), shortName(path)).toEqual(kafka.lines.get(path))
}

/** Compaction leaves gaps, of which kafka-dump-log tells; nowhere else may there be one. */
function withoutGaps(complaints: string, allowedIn: string): string {
  return complaints
    .split(/^(?=Non-consecutive offsets in )/m)
    .filter((part) => !part.startsWith('Non-consecutive offsets in ') || !part.includes(allowedIn))
    .join('')
    .trim()
}

describe('what Odradek wrote', () => {
  let paths: string[]
  beforeAll(async () => {
    const [closed, killed, compacted] = [temporaryDirectory(), temporaryDirectory(), temporaryDirectory()]
    await writeCorpus(createNodeDisk(), closed, 'closed')
    await writeCorpus(createNodeDisk(), killed, 'killed')
    await writeCompacted(createNodeDisk(), compacted)
    paths = filesBelow(closed, killed, compacted, await brokerDirectory())
  })
  const ending = (suffix: string, part = ''): string[] =>
    paths.filter((path) => path.endsWith(suffix) && path.includes(part))

  test('every batch, record, entry and producer is the same to both, and none is wrong', async () => {
    const [kafka, ours] = await Promise.all([
      kafkaDump(paths, '--deep-iteration'),
      ourDump(paths, '--deep-iteration'),
    ])
    expect(withoutGaps(kafka.complaints, '/compacted-')).toBe('')
    expect(ours).toMatchObject({ problems: [], code: 0 })
    expectSame(kafka, ours, paths)
    const batches = ofType(ours.found, 'batch')
    expect(new Set(batches.map(({ compression }) => compression))).toEqual(new Set(allCodecs))
    expect(batches.every(({ isValid }) => isValid)).toBe(true)
    for (const type of ['record', 'offsetIndexEntry', 'timeIndexEntry', 'abortedTransaction', 'producer']) {
      expect(ofType(ours.found, type).length, type).toBeGreaterThan(20)
    }
    const markers = ofType(ours.found, 'record').filter(({ control }) => control !== undefined)
    expect(new Set(markers.map(({ control }) => (control as Found).controlType))).toEqual(
      new Set(['ABORT', 'COMMIT']),
    )
    const compacted = batches.filter(({ file }) => file.includes('/compacted-'))
    expect(compacted.some(({ deleteHorizonMs }) => deleteHorizonMs !== null)).toBe(true)
    expect(compacted.filter(({ count }) => count === 0).map(({ producerId }) => producerId)).toEqual([900])
    expect(ofType(ours.found, 'record').some(({ key }) => key === 'gone')).toBe(false)
    const old = batches.filter(({ file }) => file.includes('/old-formats-0/'))
    expect(old.length).toBeGreaterThanOrEqual(4)
    expect(old.every(({ magic }) => magic === 2)).toBe(true)
  })

  test('the indexes are sound', async () => {
    const indexes = [...ending('.index'), ...ending('.timeindex')]
    const [sanity, verified] = await Promise.all([
      kafkaDump(indexes, '--index-sanity-check'),
      kafkaDump(indexes, '--verify-index-only'),
    ])
    const passed = [...sanity.lines.values()].flat().filter((line) => line.endsWith('passed sanity check.'))
    const empty = ofType((await ourDump(indexes)).found, 'indexEnd').filter(({ entries }) => entries === 0)
    // An empty offset index is said to be empty, an empty time index to have passed.
    expect(passed.length).toBeGreaterThanOrEqual(indexes.length - empty.length)
    expect([sanity.complaints, verified.complaints]).toEqual(['', ''])
    expect([...verified.lines.values()].flat()).toEqual([])
    for (const option of ['--index-sanity-check', '--verify-index-only']) {
      expect(await ourDump(indexes, option)).toMatchObject({ problems: [], code: 0 })
    }
  })

  test('keys and values are the same to both', async () => {
    const segments = [
      ...ending('.log', '/dumped-'),
      ...ending('.log', '/codec-'),
      ...ending('.log', '/old-formats-'),
    ]
    const [kafka, ours] = await Promise.all([
      kafkaDump(segments, '--print-data-log', '--skip-record-metadata'),
      ourDump(segments, '--skip-record-metadata'),
    ])
    const lines = [...kafka.lines.values()].flat().filter((line) => line.startsWith('|'))
    const said = ofType(ours.found, 'record').map(({ key, value }) =>
      `| key: ${String(key)}${value === null ? '' : ` payload: ${String(value)}`}`.trimEnd(),
    )
    expect(said.length).toBeGreaterThan(1000)
    expect(said).toEqual(lines)
  })

  test('what groups have stored is the same to both', async () => {
    const segments = ending('.log', '/__consumer_offsets-')
    const [kafka, ours] = await Promise.all([kafkaDump(segments, '--offsets-decoder'), ourDump(segments)])
    expectSameOffsets(kafka, ours)
  })

  test('the states of transactions are the same to both', async () => {
    const segments = ending('.log', '/__transaction_state-')
    const [kafka, ours] = await Promise.all([
      kafkaDump(segments, '--transaction-log-decoder'),
      ourDump(segments),
    ])
    expectSameTransactions(kafka, ours)
  })
})

describe('what brokers wrote before 0.11', () => {
  test('is the same to both', async () => {
    const path = join(temporaryDirectory(), '00000000000000000000.log')
    writeFileSync(path, oldSegment())
    const [kafka, ours] = await Promise.all([
      kafkaDump([path], '--deep-iteration'),
      ourDump([path], '--deep-iteration'),
    ])
    expect(kafka.complaints).toBe('')
    expect(ours).toMatchObject({ problems: [], code: 0 })
    expect(ofType(ours.found, 'record')).toHaveLength(12)
    // Of these kafka-dump-log shows the CRC with each record as well; that of a compressed one's first with all of them.
    const lines = kafka.lines
      .get(path)!
      .map((line) => line.replace(/^(\|.*) isValid: true crc: \d+\}$/, '$1'))
    expect(asKafkaLines(ours.found).get(path)).toEqual(lines)
  })
})

describe('what Apache Kafka 3.9 wrote', () => {
  let logDir: string
  beforeAll(async () => {
    logDir = temporaryDirectory()
    const properties = { ...SMALL_SEGMENTS, 'transaction.state.log.num.partitions': '1' }
    const kafka = await startKafka({ logDir, properties, znodes: [] })
    try {
      const bootstrap = `127.0.0.1:${kafka.port}`
      await produce(bootstrap, [0, 1, 2, 3, 4])
      await transact(bootstrap)
      await commitOffsets(bootstrap)
    } finally {
      // A kill: indexes stay as they were allocated, zeros behind their entries.
      await kafka.stop()
    }
  })

  async function transact(bootstrap: string): Promise<void> {
    const settings = { transactionalId: 'tx', maxInFlightRequests: 1, idempotent: true }
    const producer = kafkajsClient(bootstrap, { retry: patient }).producer(settings)
    await producer.connect()
    for (let round = 0; round < 6; round++) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: 'transactional', messages: [{ key: 'k', value: `${round}` }] })
      await (round % 2 === 0 ? transaction.commit() : transaction.abort())
    }
    await producer.disconnect()
  }

  test('is sound to odradek dump-log, zeros behind the entries included', async () => {
    const { found, problems, code } = await ourDump([logDir], '--print-data-log')
    expect(problems).toEqual([])
    expect(code).toBe(0)
    expect(ofType(found, 'indexEnd').some(({ zeroFillBytes }) => (zeroFillBytes as number) > 1_000_000)).toBe(
      true,
    )
    expect(ofType(found, 'abortedTransaction').length).toBeGreaterThan(1)
  })

  test('is the same to both', async () => {
    // Of an index that is all zeros kafka-dump-log takes the first for an entry.
    const { found } = await ourDump([logDir])
    const blank = new Set(ofType(found, 'indexEnd').flatMap((end) => (end.entries === 0 ? [end.file] : [])))
    const paths = filesBelow(logDir).filter((path) => !blank.has(path))
    const [kafka, ours] = await Promise.all([
      kafkaDump(paths, '--deep-iteration'),
      ourDump(paths, '--deep-iteration'),
    ])
    expectSame(kafka, ours, paths)
    const segments = (topic: string) => paths.filter((path) => path.endsWith('.log') && path.includes(topic))
    const [offsets, transactions] = [segments('/__consumer_offsets-'), segments('/__transaction_state-')]
    expectSameOffsets(await kafkaDump(offsets, '--offsets-decoder'), await ourDump(offsets))
    expectSameTransactions(
      await kafkaDump(transactions, '--transaction-log-decoder'),
      await ourDump(transactions),
    )
  })
})
