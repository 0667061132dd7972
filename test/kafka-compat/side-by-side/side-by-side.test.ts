/** The same requests to Apache Kafka 3.9 and to ours; the replies are compared field by field. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startKafka, startOdradek } from './brokers.ts'
import type { RunningBroker } from './brokers.ts'
import { describeDifference, differences, isKnown } from './compare.ts'
import type { Difference } from './compare.ts'
import { knownDifferences } from './known-differences.ts'
import { Normaliser } from './normalise.ts'
import type { Json, TopicNames } from './normalise.ts'
import { runScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'

let kafka: RunningBroker
let odradek: RunningBroker
const startedAtMs = Date.now()
const topicNames = { kafka: new Map() as TopicNames, odradek: new Map() as TopicNames }
const met = new Set<number>()
let scenariosRun = 0

beforeAll(async () => {
  ;[kafka, odradek] = await Promise.all([startKafka(), startOdradek()])
}, 120_000)

afterAll(async () => {
  await Promise.all([kafka?.stop(), odradek?.stop()])
})

interface Seen {
  readonly label: string
  readonly content: Json
}

async function observe(scenario: Scenario, broker: RunningBroker): Promise<Seen[]> {
  const normaliser = new Normaliser(broker, topicNames[broker.name], startedAtMs)
  const observations = await runScenario(scenario, broker.port)
  return observations.map(({ label, api, outcome, reply }) => ({
    label,
    content: outcome === 'reply' ? normaliser.reply(api, reply) : outcome,
  }))
}

async function compareBoth(scenario: Scenario): Promise<Difference[]> {
  const [theirs, ours] = await Promise.all([observe(scenario, kafka), observe(scenario, odradek)])
  return theirs.flatMap(({ label, content }, index) =>
    differences(label, content, ours[index].content).map((each) => ({ scenario: scenario.name, ...each })),
  )
}

describe('Apache Kafka 3.9 and Odradek answer the same', () => {
  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const unexpected: string[] = []
      for (const difference of await compareBoth(scenario)) {
        const known = knownDifferences.findIndex((each) => isKnown(each, difference))
        if (known === -1) unexpected.push(describeDifference(difference))
        else met.add(known)
      }
      scenariosRun++
      expect(unexpected).toEqual([])
    })
  }

  test('every known difference is still one', () => {
    if (scenariosRun < scenarios.length) return
    const gone = knownDifferences.filter((_, index) => !met.has(index))
    expect(gone.map(({ scenario, at, reason }) => `${scenario} ${at}: ${reason}`)).toEqual([])
  })
})
