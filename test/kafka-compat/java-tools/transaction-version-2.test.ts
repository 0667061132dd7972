/** Transactions of version 2 (KIP-890, part 2), by a Java client of Kafka 4: on one broker, on three, and where it is turned off. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { brokerKind, startBroker, type TestBroker } from '../harness/broker.ts'
import { KafkaTools } from '../harness/java.ts'
import { startLocalCluster } from '../harness/local-cluster.ts'
import { ended } from '../harness/processes.ts'

let tools: KafkaTools
beforeAll(async () => {
  tools = await KafkaTools.start()
})
afterAll(() => tools?.stop())

async function client(action: string, ...rest: string[]): Promise<string[]> {
  return (await tools.must('transactions', [action, ...rest])).trim().split('\n')
}

async function createTopics(bootstrap: string, ...topics: string[]): Promise<void> {
  for (const topic of topics) {
    const shape = ['--create', '--topic', topic, '--partitions', '3']
    await tools.must('kafka-topics', ['--bootstrap-server', bootstrap, ...shape])
  }
}

async function described(bootstrap: string, id: string): Promise<Record<string, string>> {
  const at = ['--bootstrap-server', bootstrap, 'describe', '--transactional-id', id]
  const [head, row] = (await tools.must('kafka-transactions', at)).trim().split('\n')
  const cells = row.trim().split(/\s+/)
  return Object.fromEntries(
    head
      .trim()
      .split(/\s+/)
      .map((name, index) => [name, cells[index]]),
  )
}

/** What every cluster of any size is to do. */
async function copies(bootstrap: string): Promise<void> {
  await createTopics(bootstrap, 'from', 'to')
  expect(await client('write', bootstrap, 'from', 'writer', '30')).toEqual(['written'])
  // Thirty ends have bumped the epoch thirty times; an id's first is 0.
  expect(await described(bootstrap, 'writer')).toMatchObject({
    ProducerEpoch: '30',
    TransactionState: 'CompleteAbort',
  })
  const [told] = await client('copy', bootstrap, 'from', 'to', 'copier', 'readers')
  const [, copied, transactions] = /^(\d+) copied in (\d+)$/.exec(told)!
  expect(copied).toBe('100')
  expect((await described(bootstrap, 'copier')).ProducerEpoch).toBe(transactions)
  const values = await client('read', bootstrap, 'to', '100')
  expect(values.toSorted()).toEqual((await client('read', bootstrap, 'from', '100')).toSorted())
  expect(await client('fence', bootstrap, 'from', 'fenced')).toEqual(['fenced'])
}

describe('on one broker', () => {
  let broker: TestBroker
  beforeAll(async () => {
    const config = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
    broker = await startBroker({ config })
  })
  afterAll(() => broker?.stop())

  test('records and offsets are committed and aborted, and each end bumps the epoch', async () => {
    await copies(broker.bootstrap)
  })

  test('a producer that the clock has overtaken aborts, and goes on', async () => {
    await createTopics(broker.bootstrap, 'late')
    expect(await client('late', broker.bootstrap, 'late', 'late')).toEqual(['InvalidProducerEpochException'])
    expect(await client('read', broker.bootstrap, 'late', '1')).toEqual(['in time'])
    // Aborted by the clock, and committed.
    expect((await described(broker.bootstrap, 'late')).ProducerEpoch).toBe('2')
  })

  test("Kafka's tools show the feature, and records of version 1 in the log of transactions", async () => {
    const features = await tools.must('kafka-features', ['--bootstrap-server', broker.bootstrap, 'describe'])
    expect(features).toMatch(
      /transaction\.version\s+SupportedMinVersion: 0\s+SupportedMaxVersion: 2\s+FinalizedVersionLevel: 2/,
    )
    await broker.shutDown()
    const logs = readdirSync(broker.dataDirectory)
      .filter((name) => name.startsWith('__transaction_state-'))
      .map((name) => join(broker.dataDirectory, name, '00000000000000000000.log'))
    const dump = ['--files', logs.join(','), '--transaction-log-decoder']
    const said = await tools.must('kafka-dump-log', dump)
    const epochs = [...said.matchAll(/payload: .*"producerEpoch":(\d+).*"clientTransactionVersion":2/g)]
    expect(new Set(epochs.map(([, epoch]) => Number(epoch)))).toEqual(
      new Set(Array.from({ length: 31 }, (_, epoch) => epoch)),
    )
    await broker.start()
  })
})

describe('on three brokers', () => {
  // One process of ours is not Kafka's.
  const ours = test.skipIf(brokerKind === 'kafka')
  const directory = mkdtempSync(join(tmpdir(), 'odradek-transactions-'))
  let command: ChildProcess
  let bootstrap = ''
  beforeAll(async () => {
    if (brokerKind === 'kafka') return
    const cluster = await startLocalCluster(directory, '--port', '0')
    command = cluster.process
    bootstrap = cluster.ports.map((port) => `127.0.0.1:${port}`).join(',')
  })
  afterAll(async () => {
    command?.kill('SIGKILL')
    if (command !== undefined) await ended(command)
    rmSync(directory, { recursive: true, force: true })
  })

  ours('records and offsets are committed and aborted, and each end bumps the epoch', async () => {
    await copies(bootstrap)
  })
})

describe('where the broker stays on version 0', () => {
  let broker: TestBroker
  beforeAll(async () => {
    broker = await startBroker({ config: { 'odradek.transaction.version': '0' } })
  })
  afterAll(() => broker?.stop())

  // A setting of ours.
  test.skipIf(brokerKind === 'kafka')('the same client adds partitions itself, in one epoch', async () => {
    await createTopics(broker.bootstrap, 'from', 'to')
    expect(await client('write', broker.bootstrap, 'from', 'writer', '30')).toEqual(['written'])
    expect((await described(broker.bootstrap, 'writer')).ProducerEpoch).toBe('0')
    const [told] = await client('copy', broker.bootstrap, 'from', 'to', 'copier', 'readers')
    expect(told).toMatch(/^100 copied/)
    expect(await client('fence', broker.bootstrap, 'from', 'fenced')).toEqual(['fenced'])
  })
})
