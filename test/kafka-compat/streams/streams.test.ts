/**
 * Kafka Streams: applications that are stopped, killed and started again while records come in, and while their broker is.
 * ODRADEK_STREAMS_ROUNDS (default 1) has the faults of each test so many times; from 2 on the word count is run exactly once too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { kcatRead } from '../harness/kcat.ts'
import { Feed } from './feed.ts'
import type { Message } from './feed.ts'
import { order, wrongInLedger } from './ledger.ts'
import { JavaProcess } from './process.ts'
import { committed, createTopics, endOffsets, inGoodTime, settingsOf, startOffsets } from './topics.ts'
import { line, wrongInCounts } from './words.ts'

const ROUNDS = Number(process.env.ODRADEK_STREAMS_ROUNDS ?? 1)
const LONGEST_TEST_MS = 300_000 + ROUNDS * 300_000
const PARTITIONS = 3
const RECORDS_BETWEEN_FAULTS = 700
const instances: JavaProcess[] = []
const directory = mkdtempSync(join(tmpdir(), 'odradek-streams-'))
let broker: TestBroker

beforeAll(async () => {
  broker = await startBroker({
    config: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500' },
  })
})
afterAll(async () => {
  for (const instance of instances) await instance.stop()
  await broker?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** What an application reads and writes, and what is wrong with it. */
interface Application {
  name: 'word-count' | 'ledger'
  id: string
  input: string
  /** Grows as the application works. */
  progress: string
  outputs: string[]
  make: (index: number) => Message
  wrong: (fed: readonly Message[]) => Promise<string[]>
}

function wordCount(id: string): Application {
  const outputs = [`${id}-counts`, `${id}-counts-by-minute`]
  const wrong: Application['wrong'] = async (lines) => {
    const [counts, byMinute] = await Promise.all(outputs.map((topic) => committed(broker.bootstrap, topic)))
    return wrongInCounts(lines, { counts, byMinute })
  }
  const progress = `${id}-words-repartition`
  return { name: 'word-count', id, input: `${id}-lines`, progress, outputs, make: line, wrong }
}

function ledger(id: string): Application {
  const outputs = [`${id}-entries`, `${id}-branches`]
  const wrong: Application['wrong'] = async (orders) => {
    const [entries, branches] = await Promise.all(outputs.map((topic) => committed(broker.bootstrap, topic)))
    return wrongInLedger(orders, entries, branches)
  }
  return { name: 'ledger', id, input: `${id}-orders`, progress: outputs[0], outputs, make: order, wrong }
}

/** One instance of an application, not started; a name of its own makes it a static member of the group. */
function instanceOf({ name, id }: Application, guarantee: string, instanceId?: string): JavaProcess {
  const settings: Record<string, string> = {
    'bootstrap.servers': broker.bootstrap,
    'application.id': id,
    'client.id': `${id}-${instances.length}`,
    'state.dir': join(directory, `${id}-${instances.length}`),
    'processing.guarantee': guarantee,
    'num.stream.threads': '2',
    'commit.interval.ms': '200',
    'repartition.purge.interval.ms': '1000',
    'consumer.session.timeout.ms': '6000',
    'consumer.heartbeat.interval.ms': '500',
    'producer.transaction.timeout.ms': '5000',
    ...(instanceId === undefined ? {} : { 'consumer.group.instance.id': instanceId }),
  }
  const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const instance = new JavaProcess(['StreamsApp', name, ...given])
  instances.push(instance)
  return instance
}

/** Starts an instance and waits until it has tasks. */
async function start(instance: JavaProcess): Promise<void> {
  await instance.start()
  await instance.says(/state RUNNING \S/)
}

/** Waits until the application has worked through some more records. */
async function goesOn({ progress }: Application): Promise<void> {
  const goal = (await endOffsets(broker.bootstrap, progress)) + RECORDS_BETWEEN_FAULTS
  await inGoodTime(`${goal} records in ${progress}`, async () => {
    return (await endOffsets(broker.bootstrap, progress)) >= goal
  })
}

async function restartBroker(): Promise<void> {
  await broker.kill()
  await broker.start()
}

/** Runs the faults while records come in, then waits until all is worked through: gives what is wrong after a clean stop. */
async function underLoad(
  application: Application,
  instance: JavaProcess,
  faults: () => Promise<void>,
): Promise<string[]> {
  const { input, outputs, make, wrong } = application
  await createTopics(
    broker.bootstrap,
    [input, ...outputs].map((topic) => ({ topic, numPartitions: PARTITIONS })),
  )
  const feed = new Feed(broker.bootstrap, input, make)
  await feed.start()
  await start(instance)
  for (let round = 0; round < ROUNDS; round++) await faults()
  await feed.end()
  const isDone = async (): Promise<boolean> => (await wrong(feed.sent)).length === 0
  await inGoodTime('all is worked through', isDone).catch(() => {}) // what is wrong is said below
  await instance.shutDown()
  return wrong(feed.sent)
}

describe('a word count, at least once', { timeout: LONGEST_TEST_MS }, () => {
  test(
    'counts each word once, stopped and started, over two instances, with a broker that is killed',
    async () => {
      const application = wordCount('word-count')
      const first = instanceOf(application, 'at_least_once', 'first')
      const second = instanceOf(application, 'at_least_once', 'second')
      const wrong = await underLoad(application, first, async () => {
        await goesOn(application)
        await start(second)
        await goesOn(application)
        await restartBroker()
        await goesOn(application)
        await second.shutDown()
        await goesOn(application)
        await first.shutDown()
        await start(first)
      })
      expect(wrong).toEqual([])
    },
    LONGEST_TEST_MS,
  )
})

describe('exactly once', { timeout: LONGEST_TEST_MS }, () => {
  const applications = [ledger('ledger'), ...(ROUNDS > 1 ? [wordCount('word-count-exactly-once')] : [])]

  test.each(applications)(
    '$id is right, with instances and a broker that are killed',
    async (application) => {
      const first = instanceOf(application, 'exactly_once_v2', 'first')
      const second = instanceOf(application, 'exactly_once_v2')
      const wrong = await underLoad(application, first, async () => {
        await goesOn(application)
        await first.kill()
        await start(first)
        await goesOn(application)
        await start(second)
        await goesOn(application)
        await restartBroker()
        await goesOn(application)
        await second.kill()
        await goesOn(application)
      })
      expect(wrong).toEqual([])
    },
    LONGEST_TEST_MS,
  )

  test('was interrupted in the middle of transactions', async () => {
    const all = await kcatRead(broker.bootstrap, 'ledger-entries', ['-X', 'isolation.level=read_uncommitted'])
    expect(all.length).toBeGreaterThan((await committed(broker.bootstrap, 'ledger-entries')).length)
  })

  test('records that a repartition topic has carried over are deleted', async () => {
    const offsets = await startOffsets(broker.bootstrap, 'ledger-accounts-repartition')
    expect(Math.max(...offsets)).toBeGreaterThan(0)
  })
})

describe('the topics that Kafka Streams has made for itself', () => {
  const byTime = { 'message.timestamp.type': 'CreateTime' }
  test.each([
    ['ledger-accounts-changelog', { 'cleanup.policy': 'compact', ...byTime }],
    [
      'word-count-counts-by-minute-changelog',
      { 'cleanup.policy': 'compact,delete', 'retention.ms': '90060000', ...byTime },
    ],
    [
      'ledger-branches-repartition',
      { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'segment.bytes': '52428800', ...byTime },
    ],
  ])('%s is as it was asked for', async (topic, settings) => {
    expect(await settingsOf(broker.bootstrap, topic)).toEqual(settings)
  })
})
