import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'

let directory: string
let broker: TestBroker
let tools: KafkaTools
let logDirs: string[]

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'odradek-log-dirs-'))
  logDirs = ['one', 'two'].map((name) => join(directory, name))
  const config = { 'log.dirs': logDirs.join(','), 'broker.id': '1' }
  ;[broker, tools] = await Promise.all([startBroker({ config }), KafkaTools.start()])
})
afterAll(async () => {
  await tools?.stop()
  await broker?.stop()
  rmSync(directory, { recursive: true, force: true })
})

interface Described {
  readonly partition: string
  readonly size: number
  readonly offsetLag: number
  readonly isFuture: boolean
}

/** Where kafka-log-dirs finds the topic's partition 0. */
async function found(topic: string): Promise<(Described & { readonly logDir: string })[]> {
  const at = ['--bootstrap-server', broker.bootstrap]
  const told = await tools.must('kafka-log-dirs', [...at, '--describe', '--topic-list', topic])
  const report = JSON.parse(told.trim().split('\n').at(-1)!)
  const [{ logDirs: dirs }] = report.brokers
  return dirs.flatMap(({ logDir, partitions }: { logDir: string; partitions: Described[] }) =>
    partitions.filter(({ partition }) => partition === `${topic}-0`).map((one) => ({ ...one, logDir })),
  )
}

const move = async (topic: string, path: string): Promise<string> =>
  (await tools.must('move-replica', [broker.bootstrap, '1', topic, '0', path])).trim()

describe('a partition that the Java admin client moves to another log directory', () => {
  beforeAll(async () => {
    const at = ['--bootstrap-server', broker.bootstrap]
    await tools.must('kafka-topics', [
      ...at,
      '--create',
      '--topic',
      'moves',
      '--config',
      'segment.bytes=1048576',
    ])
    const load = ['--num-records', '50000', '--record-size', '200', '--throughput', '-1']
    const properties = [`bootstrap.servers=${broker.bootstrap}`, 'acks=all']
    await tools.must('kafka-producer-perf-test', [
      '--topic',
      'moves',
      ...load,
      '--producer-props',
      ...properties,
    ])
  })

  test('is there, and all its records are read, also after kill -9', async () => {
    const [before] = await found('moves')
    const to = logDirs.find((logDir) => logDir !== before.logDir)!
    expect(await move('moves', to)).toBe('moving')
    await eventually('the move is done', async () => {
      const [one, ...others] = await found('moves')
      return others.length === 0 && one.logDir === to && !one.isFuture
    })
    expect(await found('moves')).toMatchObject([{ size: before.size, offsetLag: 0, logDir: to }])
    await broker.kill()
    await broker.start()
    const at = ['--bootstrap-server', broker.bootstrap]
    const consume = [...at, '--topic', 'moves', '--messages', '50000', '--timeout', '30000']
    const lines = (await tools.must('kafka-consumer-perf-test', consume)).trim().split('\n')
    const column = lines[0].split(', ').indexOf('data.consumed.in.nMsg')
    expect(lines[1].split(', ')[column]).toBe('50000')
    const dump = ['--files', join(to, 'moves-0', '00000000000000000000.log'), '--deep-iteration']
    expect(await tools.must('kafka-dump-log', dump)).not.toMatch(/isvalid: false|Mismatch|Found/)
  })

  test('is refused a directory that the broker does not have', async () => {
    expect(await move('moves', join(directory, 'three'))).toBe('LogDirNotFoundException')
  })
})
