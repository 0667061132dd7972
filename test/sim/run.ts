/** One run: a cluster, clients, a bad day, and peace afterwards. */
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { NEWCOMER } from './ambushes.ts'
import { createTopic, type TopicSpec } from './clients.ts'
import { SimCluster, type SimClusterOptions } from './cluster.ts'
import { ANY_FAULTS, badDay, powerCuts } from './faults.ts'
import { describeError, Invariants } from './invariants.ts'
import { loads, type LoadName } from './loads.ts'

export interface RunOptions extends SimClusterOptions {
  readonly faultsMs?: number
  /** Only those of this name, and no power cuts. */
  readonly onlyFault?: string
  readonly load?: LoadName
}

export interface RunResult {
  readonly seed: number
  /** More was lost than anybody promises to survive: it has been ended there. */
  readonly isVoid: boolean
  /** What went wrong; empty: nothing. */
  readonly failures: readonly string[]
  readonly acknowledged: number
  readonly faults: readonly string[]
  readonly checks: number
  readonly virtualMs: number
  readonly traceHash: number
  /** What the brokers logged. */
  readonly lines: readonly string[]
}

class VoidError extends Error {}

/** After the faults: until every replica is in sync and has the same records. */
const CONVERGENCE_MS = 60_000

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, faultsMs = 5000 } = options
  const plan = loads[options.load ?? 'plain']
  const cluster = new SimCluster({ ...options, properties: { ...propertiesOf(seed), ...plan.properties } })
  const { topics } = plan
  const invariants = new Invariants(
    cluster,
    topics.map(({ name }) => name),
  )
  const load = plan.make(cluster, invariants)
  const failures: string[] = []
  let faults: string[] = []
  let isVoid = false
  try {
    await cluster.start()
    cluster.scheduler.afterEach(() => {
      cluster.look()
      invariants.check()
      if (cluster.bugs.length > 0) throw cluster.bugs[0]
      if (cluster.ledger.isVoid) throw new VoidError()
    })
    for (const topic of topics) await cluster.scheduler.until(createTopic(cluster, topic), 20_000)
    load.start()
    await cluster.scheduler.advance(500)
    const random = new SeededRandom(seed ^ 0xbad)
    const onlyFault = options.onlyFault ?? (seed % 4 === 1 ? NEWCOMER : undefined)
    const chosen = ANY_FAULTS.filter(({ name }) => name === (onlyFault ?? name))
    faults =
      seed % 4 === 0 && onlyFault === undefined
        ? await powerCuts(cluster, random, 3, () => isInSync(cluster, topics))
        : await badDay(cluster, random, faultsMs, chosen)
    await cluster.until(() => isInSync(cluster, topics), CONVERGENCE_MS, 'every replica is in sync again')
    await cluster.scheduler.until(load.finish(), CONVERGENCE_MS)
    await cluster.until(
      () => isEqual(cluster, topics, invariants),
      CONVERGENCE_MS,
      'all replicas have the same records',
    )
    load.judge()
  } catch (error) {
    isVoid = error instanceof VoidError
    if (!isVoid) failures.push(describeError(error))
  }
  cluster.scheduler.afterEach(null)
  return {
    seed,
    isVoid,
    failures: [...failures, ...load.complaints],
    acknowledged: load.acknowledged,
    faults,
    checks: invariants.checks,
    virtualMs: cluster.scheduler.elapsedMs,
    traceHash: cluster.traceHash,
    lines: cluster.lines,
  }
}

/** Some clusters roll their segments all the time, some are impatient with followers. */
function propertiesOf(seed: number): Properties {
  return {
    ...(seed % 3 === 0 ? { 'log.segment.bytes': '2000' } : {}),
    ...(seed % 5 === 0 ? { 'replica.lag.time.max.ms': '400' } : {}),
  }
}

function partitionsOf(cluster: SimCluster, topics: readonly TopicSpec[]) {
  return topics.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, index) => ({
      name: `${name}-${index}`,
      replicas: cluster.nodes.map(({ broker }) => broker?.parts.services.replicas.get(name, index)),
    })),
  )
}

/** Every partition has a leader, who counts every replica as in sync. */
function isInSync(cluster: SimCluster, topics: readonly TopicSpec[]): boolean {
  return partitionsOf(cluster, topics).every(({ replicas }) => {
    const leader = replicas
      .filter((partition) => partition?.isLeader)
      .sort((one, other) => other!.leaderEpoch - one!.leaderEpoch)[0]
    return leader !== undefined && leader.isr.length === cluster.nodes.length
  })
}

function isEqual(cluster: SimCluster, topics: readonly TopicSpec[], invariants: Invariants): boolean {
  return partitionsOf(cluster, topics).every(({ name, replicas }) => {
    const end = invariants.committedEnd(name)
    return replicas.every(
      (each) => each?.highWatermark === end && each.log.logEndOffset === end && each.lastStableOffset === end,
    )
  })
}
