/** Clients that know no record batches: Java 0.9 and 0.10, and kcat as it spoke to brokers of 0.8 and 0.9. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { kcat, kcatRead } from '../harness/kcat.ts'
import { cache, repository } from '../harness/paths.ts'
import { mustRun } from '../harness/processes.ts'
import versions from './versions.json' with { type: 'json' }

const CODECS = ['none', 'gzip', 'snappy', 'lz4']
const COUNT = 700
const startedAtMs = Date.now()
let broker: TestBroker

beforeAll(async () => {
  broker = await startBroker({ config: { 'num.partitions': '1' } })
})
afterAll(() => broker?.stop())

interface Line {
  topic: string
  offset: number
  key: string
  value: string
  /** '' where the client knows none. */
  timestamp: string
}

/** Runs OldClient.java on the jars of one version. */
async function oldClient(version: string, args: string[]): Promise<Line[]> {
  const source = join(repository, 'test/kafka-compat/old-clients/java/OldClient.java')
  const jars = join(cache, `kafka-client-${version}`, '*')
  const [mode, ...rest] = args
  const options = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', jars, source, mode, broker.bootstrap]
  const printed = await mustRun('java', [...options, ...rest])
  return printed
    .trim()
    .split('\n')
    .map((line) => {
      const [topic, offset, key, value, timestamp] = line.split('\t')
      return { topic, offset: Number(offset), key, value, timestamp }
    })
}

const keyed = Array.from({ length: COUNT }, (_, index) => ({
  key: `key ${index}`,
  value: `value ${index}${' of the spool'.repeat(index % 50)}`,
}))

const content = (lines: readonly { key: string | null; value: string | null }[]) =>
  lines.map(({ key, value }) => ({ key, value }))

/** As a client of today reads it. */
async function readToday(topic: string) {
  const read = await kcatRead(broker.bootstrap, topic)
  return read.map(({ offset, key, payload, ts, headers }) => ({ offset, key, value: payload, ts, headers }))
}

/** As a client of today writes it, with headers. */
async function writeToday(topic: string, codec: string): Promise<void> {
  const lines = keyed.map(({ key, value }) => `${key}\t${value}\n`)
  const args = ['-P', '-t', topic, '-z', codec, '-K', '\t', '-H', 'a=header', '-X', 'linger.ms=20']
  await kcat(broker.bootstrap, args, lines.join(''))
}

describe.each(versions)('the Java client %s', (version) => {
  const hasTimestamps = !version.startsWith('0.9')
  const written = CODECS.map((codec) => `java-${version}-${codec}`)
  const today = CODECS.map((codec) => `for-java-${version}-${codec}`)

  test('writes what a client of today reads, in every codec', async () => {
    const acked = await oldClient(version, [
      'produce',
      String(COUNT),
      ...CODECS.map((codec, index) => `${written[index]}=${codec}`),
    ])
    expect(acked.length).toBe(COUNT * CODECS.length)
    for (const topic of written) {
      const read = await readToday(topic)
      expect(content(read)).toEqual(keyed)
      expect(read.map(({ offset }) => offset)).toEqual(
        acked.filter((line) => line.topic === topic).map(({ offset }) => offset),
      )
      for (const { ts } of read) {
        if (hasTimestamps) expect(ts).toBeGreaterThanOrEqual(startedAtMs)
        else expect(ts).toBeLessThanOrEqual(0)
      }
    }
  })

  test('reads as a group what a client of today wrote, without its headers, and what it wrote itself', async () => {
    for (const [index, codec] of CODECS.entries()) await writeToday(today[index], codec)
    const topics = [...today, ...written]
    const read = await oldClient(version, [
      'consume',
      `group-${version}`,
      String(COUNT * topics.length),
      ...topics,
    ])
    for (const topic of topics) {
      const lines = read.filter((line) => line.topic === topic)
      expect(content(lines)).toEqual(keyed)
      expect(lines.map(({ offset }) => offset)).toEqual(keyed.map((_, offset) => offset))
    }
    for (const [index, topic] of today.entries()) {
      const sent = await readToday(topic)
      expect(sent[0].headers).toEqual(['a', 'header'])
      if (!hasTimestamps) continue
      const timestamps = read.filter((line) => line.topic === topic).map(({ timestamp }) => Number(timestamp))
      expect(timestamps, CODECS[index]).toEqual(sent.map(({ ts }) => ts))
    }
  })
})

// As of 0.10 it asks the broker for its versions, whatever it is told: it is a client of today then.
describe.each(['0.8.2.1', '0.9.0.1'])('kcat, as with a broker of %s,', (fallback) => {
  const settings = ['api.version.request=false', `broker.version.fallback=${fallback}`]
  const asOld = settings.flatMap((setting) => ['-X', setting])

  test.each(CODECS)(
    'writes and reads under codec %s what a client of today reads and writes',
    async (codec) => {
      const topic = `kcat-${fallback}-${codec}`
      const lines = keyed.map(({ key, value }) => `${key}\t${value}\n`).join('')
      await kcat(
        broker.bootstrap,
        ['-P', '-t', topic, '-z', codec, '-K', '\t', '-X', 'linger.ms=20', ...asOld],
        lines,
      )
      expect(content(await readToday(topic))).toEqual(keyed)
      await writeToday(topic, codec)
      const read = await kcatRead(broker.bootstrap, topic, asOld)
      expect(content(read.map(({ key, payload }) => ({ key, value: payload })))).toEqual([...keyed, ...keyed])
      expect(read.map(({ offset }) => offset)).toEqual(read.map((_, offset) => offset))
      expect(read.every(({ headers }) => headers === undefined)).toBe(true)
    },
  )
})
