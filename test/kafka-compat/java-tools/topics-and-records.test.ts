import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'

let broker: TestBroker
let tools: KafkaTools
/** How every tool is told where the broker is. */
let at: string[]

beforeAll(async () => {
  ;[broker, tools] = await Promise.all([startBroker(), KafkaTools.start()])
  at = ['--bootstrap-server', broker.bootstrap]
})
afterAll(async () => {
  await tools?.stop()
  await broker?.stop()
})

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

describe('kafka-topics', () => {
  test('creates, lists, describes, widens and deletes a topic', async () => {
    const topic = ['--topic', 'tools-topic']
    const created = await tools.must('kafka-topics', [
      ...[...at, '--create', ...topic, '--partitions', '3', '--replication-factor', '1'],
      ...['--config', 'retention.ms=1000000'],
    ])
    expect(created).toContain('Created topic tools-topic.')
    expect(lines(await tools.must('kafka-topics', [...at, '--list']))).toContain('tools-topic')
    const described = await tools.must('kafka-topics', [...at, '--describe', ...topic])
    expect(described).toMatch(
      /TopicId: [\w-]{22}\s+PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention.ms=1000000/,
    )
    expect(described).toMatch(/Partition: 2\s+Leader: (\d+)\s+Replicas: \1\s+Isr: \1/)

    await tools.must('kafka-topics', [...at, '--alter', ...topic, '--partitions', '5'])
    const widened = await tools.must('kafka-topics', [...at, '--describe', ...topic])
    expect(widened).toMatch(/PartitionCount: 5/)
    expect(widened).toMatch(/Partition: 4\s+Leader: (\d+)\s+Replicas: \1\s+Isr: \1/)

    await tools.must('kafka-topics', [...at, '--delete', ...topic])
    await eventually('the topic is gone', async () => {
      return !lines(await tools.must('kafka-topics', [...at, '--list'])).includes('tools-topic')
    })
  })

  test('says what is wrong: a topic that exists, one that does not, fewer partitions, a wrong name', async () => {
    const outcome = async (...args: string[]): Promise<string> => {
      const { code, stdout } = await tools.run('kafka-topics', [...at, ...args])
      expect(code).toBe(1)
      return stdout
    }
    await tools.must('kafka-topics', [...at, '--create', '--topic', 'once', '--partitions', '2'])
    expect(await outcome('--create', '--topic', 'once')).toContain("Topic 'once' already exists")
    expect(await outcome('--describe', '--topic', 'never')).toContain(
      "Topic 'never' does not exist as expected",
    )
    expect(await outcome('--alter', '--topic', 'once', '--partitions', '1')).toMatch(
      /currently has 2 partition/,
    )
    expect(await outcome('--create', '--topic', 'many', '--replication-factor', '3')).toMatch(
      /[Rr]eplication/,
    )
  })

  test('describes every topic, and only those with partitions in trouble', async () => {
    expect(await tools.must('kafka-topics', [...at, '--describe'])).toContain('Topic: once')
    const troubled = [
      '--under-replicated-partitions',
      '--unavailable-partitions',
      '--under-min-isr-partitions',
    ]
    for (const filter of troubled) {
      expect(await tools.must('kafka-topics', [...at, '--describe', filter])).toBe('')
    }
  })
})

describe('kafka-console-producer and kafka-console-consumer', () => {
  const shown = ['headers', 'key', 'offset', 'partition'].flatMap((what) => [
    '--property',
    `print.${what}=true`,
  ])

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    test(`pass records with keys and headers under codec ${codec}`, async () => {
      const topic = ['--topic', `console-${codec}`]
      const parse = ['--property', 'parse.key=true', '--property', 'parse.headers=true']
      const values = Array.from({ length: 200 }, (_, i) => `value ${i} ${'xyz'.repeat(i)}`)
      const input = values.map((value, i) => `h1:${i},h2:two\tkey${i}\t${value}\n`).join('')
      const produce = [...at, ...topic, ...parse, '--compression-codec', codec]
      await tools.must('kafka-console-producer', produce, input)
      const consume = [...at, ...topic, ...shown, '--from-beginning', '--max-messages', '200']
      const read = await tools.must('kafka-console-consumer', [...consume, '--timeout-ms', '30000'])
      const expected = values.map((value, i) => `Partition:0\tOffset:${i}\th1:${i},h2:two\tkey${i}\t${value}`)
      expect(lines(read)).toEqual(expected)
    })
  }

  test('go on in a group where it stopped', async () => {
    const topic = ['--topic', 'console-group']
    const produce = (text: string) => tools.must('kafka-console-producer', [...at, ...topic], text)
    const consume = async (count: number): Promise<string[]> => {
      const args = [...at, ...topic, '--group', 'console', '--from-beginning', '--timeout-ms', '30000']
      return lines(await tools.must('kafka-console-consumer', [...args, '--max-messages', String(count)]))
    }
    await produce('a\nb\nc\n')
    expect(await consume(2)).toEqual(['a', 'b'])
    expect(await consume(1)).toEqual(['c'])
    await produce('d\n')
    expect(await consume(1)).toEqual(['d'])
  })

  test('read one partition from an offset', async () => {
    const from = ['--topic', 'console-none', '--partition', '0', '--offset', '198', '--max-messages', '2']
    const read = await tools.must('kafka-console-consumer', [...at, ...from, '--timeout-ms', '30000'])
    expect(lines(read).map((line) => line.slice(0, 9))).toEqual(['value 198', 'value 199'])
  })

  test('store each batch as its producer compressed it, in files that Kafka reads', async () => {
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      const file = join(broker.dataDirectory, `console-${codec}-0`, '00000000000000000000.log')
      const dump = await tools.must('kafka-dump-log', ['--files', file, '--deep-iteration'])
      expect(dump).toMatch(new RegExp(`compresscodec: ${codec}.* isvalid: true`))
      expect(dump).not.toContain('isvalid: false')
      expect([...dump.matchAll(/\| offset: (\d+)/g)]).toHaveLength(200)
    }
  })
})

describe('kafka-get-offsets and kafka-delete-records', () => {
  test('tell the first and last offsets and those of a time, and delete up to one', async () => {
    await tools.must('kafka-topics', [...at, '--create', '--topic', 'offsets', '--partitions', '2'])
    const produce = [...at, '--topic', 'offsets', '--property', 'parse.key=true']
    await tools.must('kafka-console-producer', produce, 'a\t1\na\t2\na\t3\na\t4\n')
    const offsets = async (...args: string[]): Promise<string[]> =>
      lines(await tools.must('kafka-get-offsets', [...at, '--topic', 'offsets', ...args]))
    const ends = await offsets()
    const written = ends.find((line) => line.endsWith(':4'))!.split(':')[1]
    const other = written === '0' ? '1' : '0'
    expect(ends.sort()).toEqual([`offsets:${written}:4`, `offsets:${other}:0`].sort())
    expect((await offsets('--time', '-2')).sort()).toEqual(['offsets:0:0', 'offsets:1:0'])
    expect(await offsets('--time', 'max-timestamp')).toEqual([expect.stringContaining(`offsets:${written}:`)])
    expect(await offsets('--time', '0', '--partitions', written)).toEqual([`offsets:${written}:0`])

    const file = join(broker.dataDirectory, '..', 'delete-records.json')
    const partitions = [{ topic: 'offsets', partition: Number(written), offset: 3 }]
    writeFileSync(file, JSON.stringify({ version: 1, partitions }))
    const deleted = await tools.must('kafka-delete-records', [...at, '--offset-json-file', file])
    expect(deleted).toMatch(new RegExp(`partition: offsets-${written}\\s+low_watermark: 3`))
    expect(await offsets('--time', 'earliest', '--partitions', written)).toEqual([`offsets:${written}:3`])
    expect(await offsets('--time', 'latest', '--partitions', written)).toEqual([`offsets:${written}:4`])
  })
})

describe('kafka-producer-perf-test, kafka-consumer-perf-test and kafka-log-dirs', () => {
  test('pass fifty thousand records, which take their room on disk', async () => {
    const properties = [`bootstrap.servers=${broker.bootstrap}`, 'acks=all', 'compression.type=none']
    const load = ['--num-records', '50000', '--record-size', '100', '--throughput', '-1']
    const produce = ['--topic', 'perf', ...load, '--producer-props', ...properties]
    const produced = await tools.must('kafka-producer-perf-test', produce)
    expect(produced).toContain('50000 records sent')
    const consume = [...at, '--topic', 'perf', '--messages', '50000', '--timeout', '30000']
    const [head, row] = lines(await tools.must('kafka-consumer-perf-test', consume))
    const columns = head.split(', ')
    expect(row.split(', ')[columns.indexOf('data.consumed.in.nMsg')]).toBe('50000')

    const told = await tools.must('kafka-log-dirs', [...at, '--describe', '--topic-list', 'perf'])
    const report = JSON.parse(lines(told).at(-1)!)
    const [{ logDirs }] = report.brokers
    const partitions = logDirs.flatMap((logDir: { partitions: object[] }) => logDir.partitions)
    expect(logDirs).toMatchObject([{ error: null }])
    expect(partitions).toMatchObject([{ partition: 'perf-0', offsetLag: 0, isFuture: false }])
    expect(partitions[0].size).toBeGreaterThan(5_000_000)
    expect(partitions[0].size).toBeLessThan(7_000_000)
  })
})

describe('kafka-broker-api-versions', () => {
  test('finds a common version of every API that an ordinary client needs', async () => {
    const table = await tools.must('kafka-broker-api-versions', at)
    const needed = ['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'OffsetCommit', 'OffsetFetch', 'JoinGroup']
    for (const name of needed) expect(table).toMatch(new RegExp(`${name}\\(\\d+\\): .*\\[usable: \\d+\\]`))
  })
})
