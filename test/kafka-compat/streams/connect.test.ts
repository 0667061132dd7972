/**
 * Kafka Connect in distributed mode: lines are appended to files, sources bring them into topics, sinks from there into files,
 * while workers and the broker are killed. The sources write exactly once, the sinks at least once.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { Worker } from './connect.ts'
import { asAdmin, committed, inGoodTime, settingsOf } from './topics.ts'

const ROUNDS = Number(process.env.ODRADEK_STREAMS_ROUNDS ?? 1)
const LONGEST_TEST_MS = 300_000 + ROUNDS * 300_000
const LINES_BETWEEN_FAULTS = 200
const directory = mkdtempSync(join(tmpdir(), 'odradek-connect-'))
const pairs = ['a', 'b']
const written: Record<string, string[]> = { a: [], b: [] }
let broker: TestBroker
let workers: Worker[]
let writing: NodeJS.Timeout

const sourceFile = (pair: string): string => join(directory, `source-${pair}`)
const sinkFile = (pair: string): string => join(directory, `sink-${pair}`)
const topicOf = (pair: string): string => `lines-of-${pair}`

beforeAll(async () => {
  broker = await startBroker({
    config: {
      'auto.create.topics.enable': 'false',
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
    },
  })
  const settings = {
    'bootstrap.servers': broker.bootstrap,
    'group.id': 'connect-cluster',
    'offset.storage.topic': 'connect-offsets',
    'offset.storage.replication.factor': '1',
    'config.storage.topic': 'connect-configs',
    'config.storage.replication.factor': '1',
    'status.storage.topic': 'connect-status',
    'status.storage.replication.factor': '1',
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'exactly.once.source.support': 'enabled',
    'offset.flush.interval.ms': '500',
    'session.timeout.ms': '6000',
    'rebalance.timeout.ms': '10000',
    'heartbeat.interval.ms': '500',
    'scheduled.rebalance.max.delay.ms': '0',
    'plugin.discovery': 'service_load',
    'consumer.isolation.level': 'read_committed',
    'consumer.session.timeout.ms': '6000',
    'consumer.heartbeat.interval.ms': '500',
  }
  workers = [await Worker.of(directory, settings), await Worker.of(directory, settings)]
})
afterAll(async () => {
  clearInterval(writing)
  for (const worker of workers ?? []) await worker.process.stop()
  await broker?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Lines come into both source files all the time. */
function write(): void {
  for (const pair of pairs) {
    const from = written[pair].length
    const lines = Array.from({ length: 5 }, (_, index) => `line ${from + index} of ${pair}`)
    appendFileSync(sourceFile(pair), lines.map((line) => `${line}\n`).join(''))
    written[pair].push(...lines)
  }
}

function connectorsOf(pair: string): Record<string, Record<string, string>> {
  const strings = { 'value.converter': 'org.apache.kafka.connect.storage.StringConverter' }
  return {
    [`source-${pair}`]: {
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector',
      'tasks.max': '1',
      file: sourceFile(pair),
      topic: topicOf(pair),
      'topic.creation.default.replication.factor': '-1',
      'topic.creation.default.partitions': pair === 'a' ? '1' : '3',
      ...(pair === 'a' ? strings : {}),
    },
    [`sink-${pair}`]: {
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
      'tasks.max': '1',
      file: sinkFile(pair),
      topics: topicOf(pair),
      ...(pair === 'a' ? strings : {}),
    },
  }
}

const names = pairs.flatMap((pair) => Object.keys(connectorsOf(pair)))

function sunk(pair: string): string[] {
  if (!existsSync(sinkFile(pair))) return []
  return readFileSync(sinkFile(pair), 'utf8').split('\n').slice(0, -1)
}

/** Lines that have arrived less often than so many times. */
function seldom(pair: string, times: number): string[] {
  const counts = new Map<string, number>()
  for (const line of sunk(pair)) counts.set(line, (counts.get(line) ?? 0) + 1)
  return written[pair].filter((line) => (counts.get(line) ?? 0) < times)
}

/** Waits until as many lines as stand in the source files now have come out at the other end, and some more. */
async function goesOn(): Promise<void> {
  const goals = pairs.map((pair) => written[pair].length + LINES_BETWEEN_FAULTS)
  await inGoodTime('lines go on', () =>
    pairs.every((pair, index) => new Set(sunk(pair)).size >= goals[index]),
  )
}

/** How many connectors and tasks each of these workers has; undefined as long as there are some that do not run on them. */
async function shares(on: Worker[]): Promise<number[] | undefined> {
  const counts = new Map(on.map(({ id }) => [id, 0]))
  for (const name of names) {
    const { connector, tasks } = await on[0].status(name)
    if (tasks.length !== 1) return undefined
    for (const { state, worker_id: id } of [connector, ...tasks]) {
      if (state !== 'RUNNING' || !counts.has(id)) return undefined
      counts.set(id, counts.get(id)! + 1)
    }
  }
  return [...counts.values()]
}

/** Waits until every connector and task runs, evenly shared. */
function allRun(on: Worker[]): Promise<unknown> {
  const even = (2 * names.length) / on.length
  return inGoodTime('all connectors run', async () => (await shares(on))?.every((count) => count === even))
}

const other = (worker: Worker): Worker => workers[1 - workers.indexOf(worker)]

describe('Kafka Connect', { timeout: LONGEST_TEST_MS }, () => {
  test('runs connectors on two workers, which share them evenly', async () => {
    write()
    await workers[0].start()
    for (const pair of pairs)
      for (const [name, config] of Object.entries(connectorsOf(pair)))
        await workers[0].call('PUT', `/connectors/${name}/config`, config)
    writing = setInterval(write, 50)
    await allRun([workers[0]])
    await workers[1].start()
    await allRun(workers)
    await goesOn()
  })

  test('its topics are compacted, as it asked for', async () => {
    const topics = { 'connect-configs': 1, 'connect-offsets': 25, 'connect-status': 5 }
    for (const [topic, partitions] of Object.entries(topics)) {
      expect(await settingsOf(broker.bootstrap, topic)).toEqual({ 'cleanup.policy': 'compact' })
      const { topics: found } = await asAdmin(broker.bootstrap, (admin) =>
        admin.fetchTopicMetadata({ topics: [topic] }),
      )
      expect(found[0].partitions.length).toBe(partitions)
    }
  })

  test('goes on where a worker is killed, comes back, and its broker is killed', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { tasks } = await workers[0].status('source-a')
      const killed = workers.find(({ id }) => id === tasks[0].worker_id)!
      await killed.process.kill()
      await allRun([other(killed)])
      await goesOn()
      await killed.start()
      await allRun(workers)
      await goesOn()
      await broker.kill()
      await broker.start()
      await goesOn()
      await allRun(workers)
    }
  })

  test('reads a file and a topic again from the beginning, when their offsets are taken away', async () => {
    clearInterval(writing)
    await inGoodTime('all lines have arrived', () => seldom('b', 1).length === 0)
    const [worker] = workers
    for (const name of ['source-b', 'sink-b']) {
      await worker.call('PUT', `/connectors/${name}/stop`)
      await inGoodTime(`${name} is stopped`, async () => (await worker.status(name)).tasks.length === 0)
      await worker.call('DELETE', `/connectors/${name}/offsets`)
      await worker.call('PUT', `/connectors/${name}/resume`)
    }
    await allRun(workers)
  })

  test('every line was written once and arrived at least once', async () => {
    clearInterval(writing)
    const times: Record<string, number> = { a: 1, b: 2 }
    for (const pair of pairs) {
      const wanted = Array.from({ length: times[pair] }, () => written[pair]).flat()
      let values: string[] = []
      await inGoodTime('all lines are in the topic', async () => {
        const records = await committed(broker.bootstrap, topicOf(pair))
        const text = (payload: string): string =>
          pair === 'a' ? payload : (JSON.parse(payload).payload as string)
        values = records.map(({ payload }) => text(payload!))
        return values.length >= wanted.length
      })
      // One partition keeps the order of the file.
      if (pair === 'a') expect(values).toEqual(wanted)
      else expect(values.sort()).toEqual(wanted.sort())
      // As often as they stand in the topic, and again where a worker was killed before it had committed.
      await inGoodTime('all lines have arrived', () => seldom(pair, times[pair]).length === 0).catch(() =>
        expect(seldom(pair, times[pair])).toEqual([]),
      )
      const lines = new Set(written[pair])
      expect(sunk(pair).filter((line) => !lines.has(line))).toEqual([])
    }
  })
})
