/** The same requests to Apache Kafka 3.9 and to ours; the replies are compared field by field. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startKafka, startOdradek } from './brokers.ts'
import type { RunningBroker } from './brokers.ts'
import { describeDifferences, differences, isKnown } from './compare.ts'
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
  const started = await Promise.allSettled([
    startKafka().then((broker) => (kafka = broker)),
    startOdradek().then((broker) => (odradek = broker)),
  ])
  for (const each of started) if (each.status === 'rejected') throw each.reason
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
  const observations = await runScenario(scenario, broker.port).catch((error: unknown) => {
    throw new Error(`${broker.name}: ${String(error)}`, { cause: error })
  })
  return observations.map(({ label, outcome, reply }) => ({
    label,
    content: outcome === 'reply' ? normaliser.reply(reply) : outcome,
  }))
}

/** A directory that is to get what both said, for whoever writes a scenario. */
const recordTo = process.env.ODRADEK_BESIDE_RECORD

async function compareBoth(scenario: Scenario): Promise<Difference[]> {
  const [theirs, ours] = await Promise.all([observe(scenario, kafka), observe(scenario, odradek)])
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

describe('Apache Kafka 3.9 and Odradek answer the same', () => {
  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const unexpected = (await compareBoth(scenario)).filter((difference) => {
        const known = knownDifferences.findIndex((each) => isKnown(each, difference))
        if (known !== -1) met.add(known)
        return known === -1
      })
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
