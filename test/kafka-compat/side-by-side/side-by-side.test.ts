/** The same requests to Apache Kafka 3.9 and to ours; the replies are compared field by field. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { startKafka, startOdradek } from './brokers.ts'
import type { RunningBroker } from './brokers.ts'
import { describeDifferences, differences, isKnown } from './compare.ts'
import type { Difference } from './compare.ts'
import { knownDifferences } from './known-differences.ts'
import { Normaliser } from './normalise.ts'
import type { Json, TopicNames } from './normalise.ts'
import { runScenario, step } from './scenario.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'

/** A real Kafka and ours, just started. */
interface Pair {
  readonly kafka: RunningBroker
  readonly odradek: RunningBroker
  readonly startedAtMs: number
  readonly topicNames: { readonly kafka: TopicNames; readonly odradek: TopicNames }
}

interface Run extends Pair {
  readonly pauseMs: number
}

let pair: Pair
/** On the second try, between the steps. */
const PAUSE_MS = 100
const met = new Set<number>()
let scenariosRun = 0

async function startPair(): Promise<Pair> {
  const startedAtMs = Date.now()
  const started = await Promise.allSettled([startKafka(), startOdradek()])
  const brokers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const refused = started.find((each) => each.status === 'rejected')
  if (refused) {
    await Promise.all(brokers.map((broker) => broker.stop()))
    throw refused.reason
  }
  const [kafka, odradek] = brokers
  return { kafka, odradek, startedAtMs, topicNames: { kafka: new Map(), odradek: new Map() } }
}

async function stopPair(stopping: Pair | undefined): Promise<void> {
  await Promise.all([stopping?.kafka.stop(), stopping?.odradek.stop()])
}

beforeAll(async () => {
  pair = await startPair()
}, 120_000)

afterAll(() => stopPair(pair))

interface Seen {
  readonly label: string
  readonly content: Json
}

async function observe(scenario: Scenario, broker: RunningBroker, of: Run): Promise<Seen[]> {
  const normaliser = new Normaliser(broker, of.topicNames[broker.name], of.startedAtMs)
  const observations = await runScenario(scenario, broker.port, of.pauseMs).catch((error: unknown) => {
    throw new Error(`${broker.name}: ${String(error)}`, { cause: error })
  })
  return observations.map(({ label, outcome, reply }) => ({
    label,
    content: outcome === 'reply' ? normaliser.reply(reply) : outcome,
  }))
}

/** A directory that is to get what both said, for whoever writes a scenario. */
const recordTo = process.env.ODRADEK_BESIDE_RECORD

async function compareBoth(scenario: Scenario, of: Run): Promise<Difference[]> {
  const [theirs, ours] = await Promise.all([
    observe(scenario, of.kafka, of),
    observe(scenario, of.odradek, of),
  ])
  if (recordTo !== undefined) {
    const file = join(recordTo, `${scenario.name.replaceAll(/[^\w.-]+/g, '-')}.json`)
    writeFileSync(
      file,
      JSON.stringify(
        theirs.map((each, index) => ({ ...each, odradek: ours[index].content })),
        null,
        1,
      ),
    )
  }
  return theirs.flatMap(({ label, content }, index) =>
    differences(label, content, ours[index].content).map((each) => ({ scenario: scenario.name, ...each })),
  )
}

async function unexpectedDifferences(scenario: Scenario, of: Run): Promise<Difference[]> {
  return (await compareBoth(scenario, of)).filter((difference) => {
    const known = knownDifferences.findIndex((each) => isKnown(each, difference))
    if (known !== -1) met.add(known)
    return known === -1
  })
}

/** The scenarios share `__consumer_offsets`, which the first group makes. */
const groupsAreServed: Scenario = {
  name: 'groups are served',
  steps: [
    step('coordinator', findCoordinatorApi, 0, { key: 'a' }, { until: ({ errorCode }) => errorCode === 0 }),
  ],
}

/**
 * Kafka answers some requests before all that they bring about is in force, and on a busy machine a later step may see
 * the state before. So what differs is asked once more of new brokers, slowly: a real difference stays.
 */
async function asksAgain(scenario: Scenario): Promise<Difference[]> {
  const fresh = await startPair()
  try {
    await Promise.all([fresh.kafka, fresh.odradek].map(({ port }) => runScenario(groupsAreServed, port, 0)))
    return await unexpectedDifferences(scenario, { ...fresh, pauseMs: PAUSE_MS })
  } finally {
    await stopPair(fresh)
  }
}

describe('Apache Kafka 3.9 and Odradek answer the same', () => {
  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const first = await unexpectedDifferences(scenario, { ...pair, pauseMs: 0 }).catch(() => null)
      const unexpected = first?.length === 0 ? first : await asksAgain(scenario)
      scenariosRun++
      expect(describeDifferences(unexpected)).toEqual([])
    })
  }

  test('every known difference is still one', () => {
    if (scenariosRun < scenarios.length) return
    const gone = knownDifferences.filter((_, index) => !met.has(index))
    expect(gone.map(({ scenario, at, reason }) => `${scenario} ${at}: ${reason}`)).toEqual([])
  })
})
