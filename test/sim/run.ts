/** One run: a cluster, clients, a bad day, and peace afterwards. */
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimCluster, type SimClusterOptions } from './cluster.ts'
import { createTopic, SimConsumer, SimProducer, type TopicSpec } from './clients.ts'
import { badDay, powerCuts, type Fault } from './faults.ts'
import { SimCommitter } from './committer.ts'
import { History } from './history.ts'
import { describeError, Invariants } from './invariants.ts'

export interface RunOptions extends SimClusterOptions {
  readonly faultsMs?: number
  readonly faults?: readonly Fault[]
}

export interface RunResult {
  readonly seed: number
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

const TOPIC: TopicSpec = { name: 't', partitions: 2 }
/** After the faults: until every replica is in sync and has the same records. */
const CONVERGENCE_MS = 60_000

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, faultsMs = 6000 } = options
  const cluster = new SimCluster(options)
  const history = new History()
  const invariants = new Invariants(cluster, [TOPIC.name])
  const failures: string[] = []
  let faults: string[] = []
  try {
    await cluster.start()
    cluster.scheduler.afterEach(() => {
      invariants.check()
      if (cluster.bugs.length > 0) throw cluster.bugs[0]
    })
    await cluster.scheduler.until(createTopic(cluster, TOPIC), 20_000)
    const clients = startClients(cluster, history)
    await cluster.scheduler.advance(500)
    const random = new SeededRandom(seed ^ 0xbad)
    faults =
      seed % 4 === 0
        ? await powerCuts(cluster, random, 3, () => isInSync(cluster))
        : await badDay(cluster, random, faultsMs, options.faults)
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
    failures.push(describeError(error))
  }
  cluster.scheduler.afterEach(null)
  return {
    seed,
    failures: [...failures, ...history.complaints],
    acknowledged: history.acknowledgedCount,
    faults,
    checks: invariants.checks,
    virtualMs: cluster.scheduler.elapsedMs,
    traceHash: cluster.traceHash,
    lines: cluster.lines,
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
