/**
 * Clients in groups, in place of the others: a producer fills a topic, a group of members reads it, and another group copies
 * it in transactions, by the classic protocol or by KIP-848's, as the seed has it.
 */
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { ClassicMember } from './classic-member.ts'
import { SimProducer, type TopicSpec } from './clients.ts'
import type { SimCluster } from './cluster.ts'
import { ConsumerMember } from './consumer-member.ts'
import { Copier, TransactionalIds } from './copier.ts'
import { COORDINATOR_IS_GONE, GroupClient, OF_GROUP } from './group-client.ts'
import { GroupHistory } from './group-history.ts'
import { GroupSlot, type Instance } from './group-slots.ts'
import { PlainWork } from './group-work.ts'
import type { History } from './history.ts'
import type { TransactionHistory } from './transaction-history.ts'
import { SimCommittedReader } from './transactor.ts'

export const SINK: TopicSpec = { name: 'u', partitions: 2 }
const TIMEOUTS = { sessionTimeoutMs: 700, rebalanceTimeoutMs: 1000 }
/** Of the classic protocol: whoever works for longer is left behind. */
const SHORT_REBALANCE_TIMEOUT_MS = 400
const TRANSACTION_TIMEOUT_MS = 1500
const READERS = 3
/** Of the producer. */
const PAUSE_MS = 600
const COPIERS = 2

/** What lasts minutes lasts a second. */
export const WITH_GROUPS: Properties = {
  'group.min.session.timeout.ms': '100',
  'group.consumer.min.session.timeout.ms': '100',
  'group.consumer.session.timeout.ms': String(TIMEOUTS.sessionTimeoutMs),
  'group.consumer.min.heartbeat.interval.ms': '50',
  'group.consumer.heartbeat.interval.ms': '150',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '300',
}

export interface GroupsOptions {
  readonly cluster: SimCluster
  readonly source: TopicSpec
  readonly history: History
  readonly transactions: TransactionHistory
}

interface GroupSpec {
  readonly history: GroupHistory
  readonly isConsumerProtocol: boolean
  readonly slots: GroupSlot[]
}

export class Groups {
  readonly #options: GroupsOptions
  readonly #producer: SimProducer
  readonly #readers: SimCommittedReader[]
  readonly #groups: GroupSpec[]
  readonly #owners = new TransactionalIds()
  #producing: Promise<unknown> = Promise.resolve()
  #reading: Promise<unknown> = Promise.resolve()

  constructor(options: GroupsOptions) {
    this.#options = options
    const { cluster, source, history, transactions } = options
    this.#producer = new SimProducer(cluster, 'source', {
      ...{ topic: source, history, isIdempotent: true, pauseMs: PAUSE_MS },
    })
    this.#readers = Array.from({ length: SINK.partitions }, (_, partition) => {
      return new SimCommittedReader(cluster, `reader-${partition}`, SINK, transactions)
    })
    this.#groups = [this.#group('readers', READERS, false), this.#group('copiers', COPIERS, true)]
  }

  get complaints(): string[] {
    return this.#groups.flatMap(({ history }) => history.complaints)
  }

  get commitCount(): number {
    return this.#groups.reduce((sum, { history }) => sum + history.commitCount, 0)
  }

  start(): void {
    for (const slot of this.#groups.flatMap(({ slots }) => slots)) void slot.run()
    const reading = this.#readers.map((reader, partition) => reader.run(partition))
    this.#producing = this.#producer.run()
    this.#reading = Promise.all(reading)
  }

  /** Nothing more is produced, nobody goes, and each group comes to the end of each partition. */
  async finish(endOf: (partition: number) => number): Promise<void> {
    this.#producer.finish()
    for (const { slots } of this.#groups) for (const slot of slots) slot.settle()
    await this.#producing
    await this.#comeToTheEnd(endOf)
    await this.#reading
  }

  async #comeToTheEnd(endOf: (partition: number) => number): Promise<void> {
    const { cluster, source } = this.#options
    for (const { history, slots } of this.#groups) {
      const client = new GroupClient(cluster, `observer-of-${history.groupId}`, history.groupId)
      for (let partition = 0; partition < source.partitions; partition++) {
        for (;;) {
          const offset = await fetchStable(client, history, source.name, partition)
          // A group that has read nothing has no offset.
          if (offset !== null && Math.max(offset, 0) === endOf(partition)) break
          await client.sleep(100)
        }
      }
      client.close()
      await Promise.all(slots.map((slot) => slot.close()))
    }
    for (const reader of this.#readers) reader.finish()
  }

  /** Each record of the source has been processed. */
  judgeReaders(source: (partition: number) => ReadonlyMap<number, string>): void {
    const [{ history }] = this.#groups
    for (let partition = 0; partition < this.#options.source.partitions; partition++)
      history.judge(partition, source(partition).keys())
  }

  /** `source` and `sink`: records by offset, of each partition, as a replica has them committed. */
  judge(
    replica: string,
    source: (partition: number) => ReadonlyMap<number, string>,
    sink: ReadonlyMap<string, ReadonlyMap<number, string>>,
  ): void {
    this.#options.transactions.judge(replica, sink)
    for (const [name, records] of sink) this.#judgeCopies(`${replica}, ${name}`, records, source)
  }

  /** Each record of the source has been copied once. */
  #judgeCopies(
    where: string,
    records: ReadonlyMap<number, string>,
    source: (partition: number) => ReadonlyMap<number, string>,
  ): void {
    const { transactions } = this.#options
    const copies = new Map<string, number>()
    for (const value of records.values()) {
      const [of] = value.split('#')
      copies.set(of, (copies.get(of) ?? 0) + 1)
    }
    for (let partition = 0; partition < this.#options.source.partitions; partition++) {
      for (const offset of source(partition).keys()) {
        const count = copies.get(`${partition}/${offset}`) ?? 0
        if (count !== 1)
          transactions.complain(
            `${where}: record ${offset} of partition ${partition} is there ${count} times`,
          )
      }
    }
  }

  #group(groupId: string, size: number, copies: boolean): GroupSpec {
    const { cluster } = this.#options
    const random = new SeededRandom(cluster.seed * 7919 + (copies ? 1 : 0))
    const history = new GroupHistory(groupId, TIMEOUTS, () => cluster.scheduler.elapsedMs)
    const isConsumerProtocol = random.next() < 0.5
    const slots = Array.from({ length: size }, (_, index) => {
      const name = `${groupId}-${index}`
      const instanceId = random.next() < 0.4 ? name : null
      const start = (life: number): Instance =>
        this.#instance({ history, isConsumerProtocol }, { name, life, instanceId, copies })
      return new GroupSlot({ cluster, start, random: new SeededRandom(random.integer(2 ** 31)) })
    })
    return { history, isConsumerProtocol, slots }
  }

  #instance(
    { history, isConsumerProtocol }: Omit<GroupSpec, 'slots'>,
    {
      name,
      life,
      instanceId,
      copies,
    }: { name: string; life: number; instanceId: string | null; copies: boolean },
  ): Instance {
    const { cluster, source: topic, transactions } = this.#options
    // Now and then another one, as a new process of an application has: what its predecessor left open ends by its timeout.
    const transactionalId = copies ? (life % 3 === 0 ? `${name}~${life}` : name) : ''
    const client = new GroupClient(cluster, `${name}.${life}`, history.groupId, transactionalId)
    const memberOptions = {
      ...TIMEOUTS,
      ...{ topic, instanceId, heartbeatMs: 150, retryMs: 50 },
    }
    const membership = isConsumerProtocol
      ? new ConsumerMember(client, history, memberOptions)
      : new ClassicMember(client, history, {
          ...memberOptions,
          rebalanceTimeoutMs: SHORT_REBALANCE_TIMEOUT_MS,
        })
    const options = { client, membership, history, topic, isConsumerProtocol }
    const work = copies
      ? new Copier({
          ...{ ...options, transactionalId, transactions, timeoutMs: TRANSACTION_TIMEOUT_MS },
          ...{ sink: SINK, owners: this.#owners },
        })
      : new PlainWork(options)
    return { client, membership, work }
  }
}

/** Null: it is to be asked again. */
async function fetchStable(
  client: GroupClient,
  history: GroupHistory,
  topic: string,
  partition: number,
): Promise<number | null> {
  const groups = [{ groupId: history.groupId, topics: [{ name: topic, partitionIndexes: [partition] }] }]
  const request = { groups, requireStable: true }
  const answer = await client.ask(OF_GROUP, (peer) => peer.call(offsetFetchApi, 9, request))
  if (answer === null) return null
  const [group] = answer.value.groups
  const found = group.topics[0]?.partitions[0]
  const error = group.errorCode === ErrorCode.NONE ? found.errorCode : group.errorCode
  if (COORDINATOR_IS_GONE.has(error)) await client.lookAgain(OF_GROUP)
  if (error !== ErrorCode.NONE || !answer.isSure) return null
  history.fetched(partition, found.committedOffset, answer)
  return found.committedOffset
}
