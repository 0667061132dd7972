import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { kcat, kcatOutcome, kcatRead } from '../harness/kcat.ts'

let broker: TestBroker
const scratch = mkdtempSync(join(tmpdir(), 'odradek-compat-kcat-'))

beforeAll(async () => {
  broker = await startBroker({ config: { 'num.partitions': '1' } })
})
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true })
  await broker?.stop()
})

describe('kcat and metadata', () => {
  test('lists brokers and topics', async () => {
    await kcat(broker.bootstrap, ['-P', '-t', 'listed'], 'x\n')
    const metadata = JSON.parse(await kcat(broker.bootstrap, ['-L', '-J']))
    const [{ id }] = metadata.brokers
    expect(metadata.brokers).toEqual([{ id, name: broker.bootstrap }])
    expect(metadata.controllerid).toBe(id)
    expect(metadata.topics).toContainEqual({
      topic: 'listed',
      partitions: [{ partition: 0, leader: id, replicas: [{ id }], isrs: [{ id }] }],
    })
  })

  test('says of a topic that is not there that it is unknown, when it may not be created', async () => {
    const args = ['-L', '-J', '-t', 'nowhere', '-X', 'allow.auto.create.topics=false']
    const metadata = JSON.parse(await kcat(broker.bootstrap, args))
    expect(metadata.topics).toMatchObject([
      { topic: 'nowhere', error: expect.stringMatching(/Unknown topic/) },
    ])
  })
})

describe('kcat produces and consumes', () => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    test(`under codec ${codec}`, async () => {
      const topic = `kcat-${codec}`
      const lines = Array.from({ length: 5_000 }, (_, i) => `value ${i} ${'abc'.repeat(i % 50)}`)
      const args = ['-P', '-t', topic, '-z', codec, '-X', 'linger.ms=50', '-X', 'acks=all']
      await kcat(broker.bootstrap, args, `${lines.join('\n')}\n`)
      const read = await kcatRead(broker.bootstrap, topic)
      expect(read.map(({ payload }) => payload)).toEqual(lines)
      expect(read.map(({ offset }) => offset)).toEqual(lines.map((_, i) => i))
    })
  }

  test('keys, headers, empty and null values', async () => {
    const headers = ['-H', 'one=1', '-H', 'two=zwei', '-H', 'one=again', '-H', 'null']
    await kcat(broker.bootstrap, ['-P', '-t', 'shapes', '-K', ':', ...headers], 'key:value\n')
    await kcat(broker.bootstrap, ['-P', '-t', 'shapes', '-K', ':', '-Z'], 'tombstone:\n:no key\n')
    await kcat(broker.bootstrap, ['-P', '-t', 'shapes', '-K', ':'], 'empty:\n')
    const read = await kcatRead(broker.bootstrap, 'shapes')
    expect(read.map(({ key, payload, headers }) => ({ key, payload, headers }))).toEqual([
      { key: 'key', payload: 'value', headers: ['one', '1', 'two', 'zwei', 'one', 'again', 'null', null] },
      { key: 'tombstone', payload: null, headers: undefined },
      { key: null, payload: 'no key', headers: undefined },
      { key: 'empty', payload: '', headers: undefined },
    ])
  })

  test('with enable.idempotence', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`)
    const args = ['-P', '-t', 'idempotent', '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=100']
    await kcat(broker.bootstrap, args, `${lines.join('\n')}\n`)
    const read = await kcatRead(broker.bootstrap, 'idempotent')
    expect(read.map(({ payload }) => payload)).toEqual(lines)
  })

  test('records of nearly a megabyte', async () => {
    const files = [1, 2, 3].map((n) => {
      const file = join(scratch, `large-${n}`)
      writeFileSync(file, String(n).repeat(990_000 + n))
      return file
    })
    await kcat(broker.bootstrap, ['-P', '-t', 'large', ...files])
    const read = await kcatRead(broker.bootstrap, 'large')
    expect(read.map(({ payload }) => payload!.length)).toEqual([990_001, 990_002, 990_003])
  })

  test('and is told when a record is larger than the broker takes', async () => {
    const file = join(scratch, 'too-large')
    writeFileSync(file, Buffer.alloc(1_500_000, 'x'))
    const args = ['-P', '-t', 'too-large', '-X', 'message.max.bytes=2000000', file]
    const { code, stderr } = await kcatOutcome(broker.bootstrap, args)
    expect(stderr).toMatch(/Message size too large/)
    expect(code).not.toBe(0)
    expect(await kcatRead(broker.bootstrap, 'too-large')).toEqual([])
  })

  test('to and from one partition of several', async () => {
    const wide = await startBroker({ config: { 'num.partitions': '4' } })
    try {
      for (const partition of ['0', '1', '2', '3']) {
        await kcat(wide.bootstrap, ['-P', '-t', 'wide', '-p', partition], `to ${partition}\n`)
      }
      const third = await kcatRead(wide.bootstrap, 'wide', ['-p', '2'])
      expect(third.map(({ payload, partition }) => ({ payload, partition }))).toEqual([
        { payload: 'to 2', partition: 2 },
      ])
      expect(await kcatRead(wide.bootstrap, 'wide')).toHaveLength(4)
    } finally {
      await wide.stop()
    }
  })
})

describe('kcat and offsets', () => {
  const topic = 'timed'
  let times: number[]

  beforeAll(async () => {
    for (const value of ['a', 'b', 'c']) {
      await kcat(broker.bootstrap, ['-P', '-t', topic], `${value}\n`)
      await new Promise((resolve) => setTimeout(resolve, 5)) // records of different milliseconds
    }
    times = (await kcatRead(broker.bootstrap, topic)).map(({ ts }) => ts)
  })

  test('finds offsets by timestamp', async () => {
    const query = async (timestamp: number): Promise<string> =>
      (await kcat(broker.bootstrap, ['-Q', '-t', `${topic}:0:${timestamp}`])).trim()
    expect(await query(-2)).toBe(`${topic} [0] offset 0`)
    expect(await query(-1)).toBe(`${topic} [0] offset 3`)
    expect(await query(times[0])).toBe(`${topic} [0] offset 0`)
    expect(await query(times[1])).toBe(`${topic} [0] offset 1`)
    expect(await query(times[1] + 1)).toBe(`${topic} [0] offset 2`)
    expect(await query(times[2] + 1)).toMatch(/\[0\] offset (-1|3)$/)
  })

  test('reads from a timestamp, between two timestamps, from an offset and from before the end', async () => {
    const read = async (...from: string[]): Promise<string> => {
      const found = await kcatRead(broker.bootstrap, topic, from)
      return found.map(({ payload }) => payload).join('')
    }
    expect(await read('-o', `s@${times[1]}`)).toBe('bc')
    expect(await read('-o', `s@${times[0]}`, '-o', `e@${times[2]}`)).toBe('ab')
    expect(await read('-o', '1')).toBe('bc')
    expect(await read('-o', '-1')).toBe('c')
    expect(await read('-o', 'beginning', '-c', '2')).toBe('ab')
  })
})
