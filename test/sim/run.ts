/** One run: a cluster, clients, a bad day, and peace afterwards. */
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import { batchSize, lastOffset } from '../../src/protocol/record-batch-header.ts'
import { SimCluster, type SimClusterOptions } from './cluster.ts'
import { NEWCOMER } from './ambushes.ts'
import { createTopic, SimConsumer, SimProducer, type TopicSpec } from './clients.ts'
import { committedRecords } from './committed-reads.ts'
import { ANY_FAULTS, badDay, powerCuts } from './faults.ts'
import { SimCommitter } from './committer.ts'
import { History } from './history.ts'
import { describeError, Invariants } from './invariants.ts'
import { TransactionHistory } from './transaction-history.ts'
import { SimCommittedReader, SimTransactor } from './transactor.ts'

export interface RunOptions extends SimClusterOptions {
  readonly faultsMs?: number
  /** Only those of this name, and no power cuts. */
  readonly onlyFault?: string
  /** Clients that write in transactions, in place of the others. */
  readonly transactions?: boolean
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

/** So that the coordinator of transactions is as safe as the records are. */
const WITH_TRANSACTIONS: Properties = {
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
}

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, faultsMs = 5000, transactions = false } = options
  const properties = { ...propertiesOf(seed), ...(transactions ? WITH_TRANSACTIONS : {}) }
  const cluster = new SimCluster({ ...options, properties })
  const history = new History()
  const transacted = new TransactionHistory()
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
    const clients = transactions ? startTransactions(cluster, transacted) : startClients(cluster, history)
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
    const offset = await cluster.scheduler.until(clients.done, CONVERGENCE_MS)
    await cluster.until(
      () => isEqual(cluster, invariants),
      CONVERGENCE_MS,
      'all replicas have the same records',
    )
    if (transactions) judgeTransactions(cluster, transacted, offset ?? -1)
    else judge(history, invariants)
  } catch (error) {
    isVoid = error instanceof VoidError
    if (!isVoid) failures.push(describeError(error))
  }
  cluster.scheduler.afterEach(null)
  return {
    seed,
    isVoid,
    failures: [...failures, ...history.complaints, ...transacted.complaints],
    acknowledged: history.acknowledgedCount + transacted.committedCount,
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
  ]).then(() => null)
  return {
    done,
    finish: (): void => {
      for (const client of [...producers, ...consumers, committer]) client.finish()
    },
  }
}

function startTransactions(cluster: SimCluster, history: TransactionHistory) {
  const transactor = new SimTransactor(cluster, TOPIC, history)
  const readers = Array.from({ length: TOPIC.partitions }, (_, partition) => {
    return new SimCommittedReader(cluster, `reader-${partition}`, TOPIC, history)
  })
  const all = [transactor.run(), ...readers.map((reader, partition) => reader.run(partition))] as const
  return {
    done: Promise.all(all).then(([offset]) => offset as number),
    finish: (): void => {
      for (const client of [transactor, ...readers]) client.finish()
    },
  }
}

function judge(history: History, invariants: Invariants): void {
  for (let index = 0; index < TOPIC.partitions; index++) {
    const name = `${TOPIC.name}-${index}`
    history.judge(name, invariants.committed(name))
  }
}

/** What each replica would give a reader of committed records. */
function judgeTransactions(cluster: SimCluster, history: TransactionHistory, offset: number): void {
  for (const { id, broker } of cluster.nodes) {
    const final = new Map<string, Map<number, string>>()
    for (let index = 0; index < TOPIC.partitions; index++) {
      const { log, lastStableOffset } = broker!.parts.services.replicas.get(TOPIC.name, index)!
      const aborted = log.abortedTransactions(0, lastStableOffset)
      const records = committedRecords(allBytes(log, lastStableOffset), aborted)
      final.set(`${TOPIC.name}-${index}`, new Map(records.map((record) => [record.offset, record.value])))
    }
    history.judge(`broker ${id}`, final)
    history.judgeOffset(offset, final)
  }
}

/** A read ends with a segment. */
function allBytes(log: ReplicaLog, upperBoundOffset: number): Buffer {
  const parts: Buffer[] = []
  let offset = log.logStartOffset
  while (offset < upperBoundOffset) {
    const slice = log.read(offset, { maxBytes: 1 << 20, upperBoundOffset, minOneBatch: true })!
    const bytes = Buffer.from(slice.bytes)
    slice.release()
    parts.push(bytes)
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) offset = lastOffset(bytes, at) + 1
  }
  return Buffer.concat(parts)
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
    const isAtEnd = (each: (typeof replicas)[number]): boolean =>
      each?.highWatermark === end && each.log.logEndOffset === end && each.lastStableOffset === end
    if (!replicas.every(isAtEnd)) return false
  }
  return true
}
