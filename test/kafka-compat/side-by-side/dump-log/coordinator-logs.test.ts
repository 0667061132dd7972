/**
 * The same life of groups and transactions on Apache Kafka 3.9 and on ours: Kafka's own kafka-dump-log, with its decoders of
 * offsets and of transactions, finds the same records in what their coordinators have stored, in the same batches.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startKafka, startOdradek } from '../brokers.ts'
import type { BrokerName, RunningBroker } from '../brokers.ts'
import { runScenario } from '../scenario.ts'
import { filesBelow, kafkaDump, ourDump } from './both-dumps.ts'
import type { KafkaDump, OurDump } from './both-dumps.ts'
import { coordinatorLife, WARM_UP } from './coordinator-life.ts'
import { expectSameOffsets, expectSameTransactions } from './decoded.ts'
import { historiesIn, producersIn } from './histories.ts'
import type { Histories } from './histories.ts'

const PROPERTIES = {
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.num.partitions': '1',
  'group.min.session.timeout.ms': '100',
  'offsets.retention.check.interval.ms': '200',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
}

interface Logs {
  readonly offsets: KafkaDump
  readonly transactions: KafkaDump
  readonly ours: { readonly offsets: OurDump; readonly transactions: OurDump }
}

const logs = {} as Record<BrokerName, Logs>
const directory = mkdtempSync(join(tmpdir(), 'odradek-coordinated-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Lives the life, stops the broker and reads its two logs. */
async function live(broker: RunningBroker): Promise<void> {
  try {
    await runScenario(coordinatorLife, broker.port, 0)
    await broker.shutDown()
    const files = filesBelow(broker.logDir).filter((path) => path.endsWith('.log'))
    const [offsets, transactions] = ['__consumer_offsets-0', '__transaction_state-0'].map((name) =>
      files.filter((path) => path.includes(`/${name}/`)),
    )
    logs[broker.name] = {
      offsets: await kafkaDump(offsets, '--offsets-decoder'),
      transactions: await kafkaDump(transactions, '--transaction-log-decoder'),
      ours: { offsets: await ourDump(offsets), transactions: await ourDump(transactions) },
    }
  } finally {
    await broker.stop()
  }
}

/** Kafka tidies up five times a second here, and once in a dozen lives does it in the midst of something: what stays, is ours. */
const LIVES = 3

beforeAll(async () => {
  for (let i = 0; i < LIVES; i++) {
    await live(
      await startKafka({ logDir: join(directory, `kafka-${i}`), properties: PROPERTIES, znodes: [] }),
    )
    await live(await startOdradek(PROPERTIES))
    const areEqual = (['offsets', 'transactions'] as const).every((log) =>
      isDeepStrictEqual(historiesOf('odradek', log), historiesOf('kafka', log)),
    )
    if (areEqual) return
  }
})

function historiesOf(name: BrokerName, log: 'offsets' | 'transactions'): Histories {
  const { [log]: dump, transactions } = logs[name]
  const { [WARM_UP]: _, ...histories } = historiesIn(dump, producersIn(transactions))
  return histories
}

test('groups and their offsets have the same history', () => {
  const kafka = historiesOf('kafka', 'offsets')
  expect(historiesOf('odradek', 'offsets')).toEqual(kafka)
  const stored = Object.values(kafka).flat()
  expect(stored.filter(({ value }) => value === null).length).toBeGreaterThan(5)
  expect(new Set(stored.map(({ batch }) => batch.isTransactional))).toEqual(new Set(['true', 'false']))
})

test('transactions have the same history', () => {
  const kafka = historiesOf('kafka', 'transactions')
  expect(historiesOf('odradek', 'transactions')).toEqual(kafka)
  const states = new Set(
    Object.values(kafka).flatMap((own) => own.map(({ value }) => (value as { state: string }).state)),
  )
  expect([...states].sort()).toEqual([
    'CompleteAbort',
    'CompleteCommit',
    'Empty',
    'Ongoing',
    'PrepareAbort',
    'PrepareCommit',
  ])
})

test.each(['kafka', 'odradek'] as const)(
  'of %s odradek dump-log decodes the same as kafka-dump-log',
  (name) => {
    const { offsets, transactions, ours } = logs[name]
    expectSameOffsets(offsets, ours.offsets)
    expectSameTransactions(transactions, ours.transactions)
  },
)
