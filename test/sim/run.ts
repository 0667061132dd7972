/** One run: a cluster, clients, a bad day, and peace afterwards. */
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimCluster, type SimClusterOptions } from './cluster.ts'
import { NEWCOMER } from './ambushes.ts'
import { createTopic, SimConsumer, SimProducer, type TopicSpec } from './clients.ts'
import { ANY_FAULTS, badDay, powerCuts } from './faults.ts'
import { SimCommitter } from './committer.ts'
import { History } from './history.ts'
import { describeError, Invariants } from './invariants.ts'

export interface RunOptions extends SimClusterOptions {
  readonly faultsMs?: number
  /** Only those of this name, and no power cuts. */
  readonly onlyFault?: string
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

const TOPIC: TopicSpec = { name: 't', partitions: 2 }
/** After the faults: until every replica is in sync and has the same records. */
const CONVERGENCE_MS = 60_000

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, faultsMs = 5000 } = options
  const cluster = new SimCluster({ ...options, properties: propertiesOf(seed) })
  const history = new History()
  const invariants = new Invariants(cluster, [TOPIC.name])
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
    await cluster.scheduler.until(createTopic(cluster, TOPIC), 20_000)
    const clients = startClients(cluster, history)
    await cluster.scheduler.advance(500)
    const random = new SeededRandom(seed ^ 0xbad)
    const onlyFault = options.onlyFault ?? (seed % 4 === 1 ? NEWCOMER : undefined)
    const chosen = ANY_FAULTS.filter(({ name }) => name === (onlyFault ?? name))
    faults =
      seed % 4 === 0 && onlyFault === undefined
        ? await powerCuts(cluster, random, 3, () => isInSync(cluster))
        : await badDay(cluster, random, faultsMs, chosen)
    await cluster.until(() => isInSync(cluster), CONVERGENCE_MS, 'every replica is in sync again')
    clients.finish()
    await cluster.scheduler.until(clients.done, CONVERGENCE_MS)
    await cluster.until(
      () => isEqual(cluster, invariants),
      CONVERGENCE_MS,
      'all replicas have the same records',
    )
    for (let index = 0; index < TOPIC.partitions; index++) {
      const name = `${TOPIC.name}-${index}`
      history.judge(name, invariants.committed(name))
    }
  } catch (error) {
    isVoid = error instanceof VoidError
    if (!isVoid) failures.push(describeError(error))
  }
  cluster.scheduler.afterEach(null)
  return {
    seed,
    isVoid,
    failures: [...failures, ...history.complaints],
    acknowledged: history.acknowledgedCount,
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

function startClients(cluster: SimCluster, history: History) {
  const common = { topic: TOPIC, history }
  const producers = [
    new SimProducer(cluster, 'idempotent', { ...common, isIdempotent: true }),
    new SimProducer(cluster, 'plain', { ...common, isIdempotent: false }),
  ]
  const consumers = [
    new SimConsumer(cluster, 'reader-0', TOPIC, history),
    new SimConsumer(cluster, 'reader-1', TOPIC, history),
  ]
  const committer = new SimCommitter(cluster, history)
  const done = Promise.all([
    committer.run(),
    ...producers.map((producer) => producer.run()),
    ...consumers.map((consumer, partition) => consumer.run(partition)),
  ])
  return {
    done,
    finish: (): void => {
      for (const client of [...producers, ...consumers, committer]) client.finish()
    },
  }
}

function partitionsOf(cluster: SimCluster, index: number) {
  return cluster.nodes.map(({ broker }) => broker?.parts.services.replicas.get(TOPIC.name, index))
}

/** Every partition has a leader, who counts every replica as in sync. */
function isInSync(cluster: SimCluster): boolean {
  for (let index = 0; index < TOPIC.partitions; index++) {
    const leader = partitionsOf(cluster, index)
      .filter((partition) => partition?.isLeader)
      .sort((one, other) => other!.leaderEpoch - one!.leaderEpoch)[0]
    if (!leader || leader.isr.length !== cluster.nodes.length) return false
  }
  return true
}

function isEqual(cluster: SimCluster, invariants: Invariants): boolean {
  for (let index = 0; index < TOPIC.partitions; index++) {
    const end = invariants.committedEnd(`${TOPIC.name}-${index}`)
    const replicas = partitionsOf(cluster, index)
    if (!replicas.every((each) => each?.highWatermark === end && each.log.logEndOffset === end)) return false
  }
  return true
}
