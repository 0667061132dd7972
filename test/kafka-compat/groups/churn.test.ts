/**
 * Groups under churn with clients that we did not write: members join, leave, crash and are started again while the broker
 * is restarted and killed, or the coordinator moves. All the time checker.ts judges what all of them see. A short form of it
 * runs by default: groups of three. ODRADEK_GROUPS_SIZES=50,500 chooses others, ODRADEK_GROUPS_KINDS some of specs.ts.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { brokerKind } from '../harness/broker.ts'
import { clusterBed, singleBed } from './beds.ts'
import type { Bed } from './beds.ts'
import { churnPlan, churns } from './churn-run.ts'
import { groupSpec, kindNames, partitionsFor, timesOf } from './specs.ts'
import type { KindName } from './specs.ts'

const list = (name: string): string[] | undefined => process.env[`ODRADEK_GROUPS_${name}`]?.split(',')
const number = (name: string, value: number): number => Number(process.env[`ODRADEK_GROUPS_${name}`] ?? value)

const sizes = list('SIZES')?.map(Number) ?? [3]
const asked = list('KINDS') as KindName[] | undefined
const seed = number('SEED', 1)
const steps = number('STEPS', 7)
/** Members of all groups that run at once: what two cores bear. */
const atOnce = number('AT_ONCE', 60)
/** In the short form each way of giving partitions back is there once when the coordinator moves. */
const shortOfCluster: KindName[] = [
  'java-cooperative',
  'java-consumer-uniform',
  'java-mixed-eager',
  'rdkafka-range',
]

let bed: Bed | undefined
afterEach(async () => {
  await bed?.stop()
  bed = undefined
})

/** The kinds in batches that together are not too many members. */
function batches(kinds: readonly KindName[], size: number): [string, KindName[]][] {
  const perBatch = Math.max(1, Math.floor(atOnce / size))
  const parts: [string, KindName[]][] = []
  for (let i = 0; i < kinds.length; i += perBatch) {
    const names = kinds.slice(i, i + perBatch)
    parts.push([names.join(', '), names])
  }
  return parts
}

async function run(
  names: readonly KindName[],
  size: number,
  faults: readonly [string, string],
): Promise<void> {
  const partitions = partitionsFor(size)
  const specs = names.map((name) => groupSpec(name, size, partitions))
  for (const group of await churns(bed!, specs, churnPlan(size, { seed, steps, faults }))) {
    const { spec, checker } = group
    const told = group.told()
    const anomalies = checker.verdict()
    const where = anomalies.length === 0 ? '' : group.keepHistory()
    expect(anomalies, `${spec.id}, seed ${seed}, all that was seen: ${where}`).toEqual([])
    // It has seen what it judges.
    expect(told.crashed, `${spec.id}: crashes`).toBeGreaterThan(0)
    expect(told.generations, `${spec.id}: generations`).toBeGreaterThan(1)
    expect(told.polls, `${spec.id}: polls`).toBeGreaterThanOrEqual(spec.partitions)
    expect(told.commits, `${spec.id}: commits`).toBeGreaterThan(0)
    if (process.env.ODRADEK_GROUPS_VERBOSE !== undefined)
      process.stderr.write(`${spec.id}: ${JSON.stringify(told)}\n`)
  }
}

describe.each(sizes)('groups of %i', (size) => {
  test.each(batches(asked ?? kindNames, size))(
    'through a restart and a kill -9 of the broker: %s',
    async (_, names) => {
      bed = await singleBed(timesOf(size))
      await run(names, size, ['restart', 'kill'])
    },
    1_800_000,
  )

  // The cluster is ours, in this process.
  const ofCluster = asked ?? (size < 10 ? shortOfCluster : kindNames)
  test.runIf(brokerKind === 'odradek').each(batches(ofCluster, size))(
    'while their coordinator, one of three brokers, dies and stops: %s',
    async (_, names) => {
      bed = await clusterBed(timesOf(size))
      await run(names, size, ['the coordinator dies', 'the coordinator stops'])
    },
    1_800_000,
  )
})
