/** What clients do in a run, and what must have come of it. */
import type { Properties } from '../../src/broker/config/broker-config.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import { batchSize, lastOffset } from '../../src/protocol/record-batch-header.ts'
import { SimConsumer, SimProducer, type TopicSpec } from './clients.ts'
import type { SimCluster } from './cluster.ts'
import { committedRecords } from './committed-reads.ts'
import { SimCommitter } from './committer.ts'
import { Groups, SINK, WITH_GROUPS } from './groups.ts'
import { History } from './history.ts'
import type { Invariants } from './invariants.ts'
import { TransactionHistory } from './transaction-history.ts'
import { SimCommittedReader, SimTransactor } from './transactor.ts'

const TOPIC: TopicSpec = { name: 't', partitions: 2 }
const SOURCE: TopicSpec = { name: 't', partitions: 3 }

/** So that the coordinator of transactions is as safe as the records are. */
const WITH_TRANSACTIONS: Properties = {
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
}

export interface Load {
  start(): void
  /** Comes to an end with what it has begun. */
  finish(): Promise<void>
  /** When all replicas have the same. */
  judge(): void
  readonly complaints: readonly string[]
  /** How much was done. */
  readonly acknowledged: number
}

interface LoadPlan {
  readonly topics: readonly TopicSpec[]
  readonly properties: Properties
  make(cluster: SimCluster, invariants: Invariants): Load
}

export type LoadName = 'plain' | 'transactions' | 'groups'

export const loads: Readonly<Record<LoadName, LoadPlan>> = {
  plain: { topics: [TOPIC], properties: {}, make: plainLoad },
  transactions: { topics: [TOPIC], properties: WITH_TRANSACTIONS, make: transactionsLoad },
  groups: {
    topics: [SOURCE, SINK],
    properties: { ...WITH_TRANSACTIONS, ...WITH_GROUPS },
    make: groupsLoad,
  },
}

/** Some producers wait for each answer, some send on. */
const aheadOf = (seed: number): number => (seed % 3 === 2 ? 4 : 1)

function plainLoad(cluster: SimCluster, invariants: Invariants): Load {
  const history = new History()
  const common = { topic: TOPIC, history }
  const producers = [
    new SimProducer(cluster, 'idempotent', { ...common, isIdempotent: true, ahead: aheadOf(cluster.seed) }),
    new SimProducer(cluster, 'plain', { ...common, isIdempotent: false }),
  ]
  const consumers = [
    new SimConsumer(cluster, 'reader-0', TOPIC, history),
    new SimConsumer(cluster, 'reader-1', TOPIC, history),
  ]
  const committer = new SimCommitter(cluster, history)
  let done: Promise<unknown> = Promise.resolve()
  return {
    start: () => {
      done = Promise.all([
        committer.run(),
        ...producers.map((producer) => producer.run()),
        ...consumers.map((consumer, partition) => consumer.run(partition)),
      ])
    },
    finish: async () => {
      for (const client of [...producers, ...consumers, committer]) client.finish()
      await done
    },
    judge: () => judgeAll(history, TOPIC, invariants),
    get complaints() {
      return history.complaints
    },
    get acknowledged() {
      return history.acknowledgedCount
    },
  }
}

function transactionsLoad(cluster: SimCluster): Load {
  const history = new TransactionHistory()
  const transactor = new SimTransactor(cluster, TOPIC, history)
  const readers = Array.from({ length: TOPIC.partitions }, (_, partition) => {
    return new SimCommittedReader(cluster, `reader-${partition}`, TOPIC, history)
  })
  let offset = Promise.resolve(-1)
  let reading: Promise<unknown> = Promise.resolve()
  let last = -1
  return {
    start: () => {
      offset = transactor.run()
      reading = Promise.all(readers.map((reader, partition) => reader.run(partition)))
    },
    finish: async () => {
      for (const client of [transactor, ...readers]) client.finish()
      last = await offset
      await reading
    },
    judge: () => {
      for (const [broker, final] of visible(cluster, TOPIC)) {
        history.judge(broker, final)
        history.judgeOffset(last, final)
      }
    },
    get complaints() {
      return history.complaints
    },
    get acknowledged() {
      return history.committedCount
    },
  }
}

function groupsLoad(cluster: SimCluster, invariants: Invariants): Load {
  const history = new History()
  const transactions = new TransactionHistory()
  const groups = new Groups({ cluster, source: SOURCE, history, transactions })
  const nameOf = (partition: number): string => `${SOURCE.name}-${partition}`
  return {
    start: () => groups.start(),
    finish: () => groups.finish((partition) => invariants.committedEnd(nameOf(partition))),
    judge: () => {
      judgeAll(history, SOURCE, invariants)
      const source = (partition: number) => invariants.committed(nameOf(partition))
      groups.judgeReaders(source)
      for (const [broker, final] of visible(cluster, SINK)) groups.judge(broker, source, final)
    },
    get complaints() {
      return [...history.complaints, ...groups.complaints, ...transactions.complaints]
    },
    get acknowledged() {
      return groups.commitCount
    },
  }
}

function judgeAll(history: History, topic: TopicSpec, invariants: Invariants): void {
  for (let index = 0; index < topic.partitions; index++) {
    const name = `${topic.name}-${index}`
    history.judge(name, invariants.committed(name))
  }
}

/** Of each broker: what it would give a reader of committed records, by partition and offset. */
function visible(cluster: SimCluster, topic: TopicSpec): Map<string, Map<string, Map<number, string>>> {
  const all = new Map<string, Map<string, Map<number, string>>>()
  for (const { host, broker } of cluster.nodes) {
    const final = new Map<string, Map<number, string>>()
    for (let index = 0; index < topic.partitions; index++) {
      const { log, lastStableOffset } = broker!.parts.services.replicas.get(topic.name, index)!
      const aborted = log.abortedTransactions(0, lastStableOffset)
      const records = committedRecords(allBytes(log, lastStableOffset), aborted)
      final.set(`${topic.name}-${index}`, new Map(records.map((record) => [record.offset, record.value])))
    }
    all.set(host, final)
  }
  return all
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
