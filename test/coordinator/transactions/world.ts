/** A transaction coordinator in a world of its own: time stands still until told, the log is an array, brokers are told. */
import { NetworkError } from '../../../src/env/network.ts'
import { DEFAULT_TRANSACTION_COORDINATOR_CONFIG } from '../../../src/coordinator/transactions/config.ts'
import type { TransactionCoordinatorConfig } from '../../../src/coordinator/transactions/config.ts'
import type { MarkerAnswers, Markers } from '../../../src/coordinator/transactions/marker-sender.ts'
import { decodeRecord, transactionStates } from '../../../src/coordinator/transactions/records.ts'
import { TransactionCoordinator } from '../../../src/coordinator/transactions/transaction-coordinator.ts'
import type { ProducerAnswer } from '../../../src/coordinator/transactions/transaction-coordinator.ts'
import { CapturedLog, FakeLog, FakeTime, settled } from '../world.ts'

export const ID = 'payments'
export const TIMEOUT_MS = 60_000

/** Brokers that write markers. They do it at once unless told otherwise. */
export class FakeBrokers {
  /** By "topic/partition"; a partition that is not named is led by broker 1; null: by nobody; undefined: there is none. */
  readonly leaders = new Map<string, number | null | undefined>()
  /** Error codes, each for one answer, by "topic/partition". */
  readonly errors = new Map<string, number[]>()
  readonly down = new Set<number>()
  /** Requests are kept until `answerNext`. */
  late = false
  /** Answers that leave out all they were asked. */
  silent = false
  readonly requests: { readonly brokerId: number; readonly markers: Markers }[] = []
  readonly #waiting: (() => void)[] = []

  leaderOf(topic: string, partition: number): number | null | undefined {
    const key = `${topic}/${partition}`
    return this.leaders.has(key) ? this.leaders.get(key) : 1
  }

  send(brokerId: number, markers: Markers): Promise<MarkerAnswers> {
    this.requests.push({ brokerId, markers })
    const answer = (): MarkerAnswers => {
      if (this.down.has(brokerId)) throw new NetworkError('REFUSED', `broker ${brokerId} is down`)
      return this.silent ? [] : markers.map((marker) => this.#written(marker))
    }
    if (!this.late) return Promise.resolve().then(answer)
    return new Promise<void>((resolve) => this.#waiting.push(resolve)).then(answer)
  }

  async answerNext(): Promise<void> {
    this.#waiting.shift()?.()
    await settled()
  }

  /** "commit orders/0 1/0 @5": result, partition, producer id and epoch, coordinator's epoch; in the order they were sent. */
  get sent(): string[] {
    return this.requests.flatMap(({ markers }) => markers.flatMap(described))
  }

  #written({ producerId, topics }: Markers[number]): MarkerAnswers[number] {
    return {
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => {
          return { partitionIndex, errorCode: this.errors.get(`${name}/${partitionIndex}`)?.shift() ?? 0 }
        }),
      })),
    }
  }
}

function described(marker: Markers[number]): string[] {
  const { producerId, producerEpoch, transactionResult, topics, coordinatorEpoch } = marker
  const result = transactionResult ? 'commit' : 'abort'
  return topics.flatMap(({ name, partitionIndexes }) =>
    partitionIndexes.map(
      (index) => `${result} ${name}/${index} ${producerId}/${producerEpoch} @${coordinatorEpoch}`,
    ),
  )
}

export interface WorldOptions {
  readonly config?: Partial<TransactionCoordinatorConfig>
  /** Another world's log: what a new coordinator makes of it. */
  readonly log?: FakeLog
  readonly time?: FakeTime
  readonly brokers?: FakeBrokers
  /** The next producer id. */
  readonly ids?: { next: number | null }
  /** null: the partition is not led. */
  readonly leaderEpoch?: number | null
}

export interface World {
  readonly time: FakeTime
  readonly log: FakeLog
  readonly logger: CapturedLog
  readonly brokers: FakeBrokers
  readonly ids: { next: number | null }
  readonly transactions: TransactionCoordinator
}

/** One partition, led in epoch 5; producer ids from 1 on. */
export function world(options: WorldOptions = {}): World {
  const time = options.time ?? new FakeTime()
  const log = options.log ?? new FakeLog()
  const brokers = options.brokers ?? new FakeBrokers()
  const ids = options.ids ?? { next: 1 }
  const logger = new CapturedLog()
  const transactions = new TransactionCoordinator({
    clock: time,
    timers: time,
    logger,
    log,
    config: {
      ...DEFAULT_TRANSACTION_COORDINATOR_CONFIG,
      stateLogPartitions: log.partitionCount,
      ...options.config,
    },
    brokers,
    newProducerId: () => Promise.resolve(ids.next === null ? null : ids.next++),
    metadata: { partitionCount: () => undefined },
  })
  transactions.start()
  const { leaderEpoch = 5 } = options
  if (leaderEpoch !== null) transactions.onElected(0, leaderEpoch)
  time.advance(0)
  return { time, log, logger, brokers, ids, transactions }
}

export interface Init {
  readonly id?: string
  readonly timeoutMs?: number
  readonly expected?: [producerId: number, producerEpoch: number]
}

export async function init({ transactions }: World, options: Init = {}): Promise<ProducerAnswer> {
  const { id = ID, timeoutMs = TIMEOUT_MS, expected } = options
  const call = {
    timeoutMs,
    expected: expected === undefined ? null : { producerId: expected[0], producerEpoch: expected[1] },
  }
  return transactions.initProducerId(id, call)
}

type ProducerOf = Pick<ProducerAnswer, 'producerId' | 'producerEpoch'>

export interface Version {
  readonly id?: string
  readonly clientVersion?: number
}

/** Partitions as "topic/partition". */
export async function add(
  { transactions }: World,
  { producerId, producerEpoch }: ProducerOf,
  partitions: readonly string[],
  { id = ID, clientVersion = 0 }: Version = {},
): Promise<number> {
  const sets = new Map<string, Set<number>>()
  for (const each of partitions) {
    const [topic, index] = each.split('/')
    sets.set(topic, (sets.get(topic) ?? new Set()).add(Number(index)))
  }
  return transactions.addPartitions(id, { producerId, producerEpoch, partitions: sets, clientVersion })
}

export async function end(
  { transactions }: World,
  { producerId, producerEpoch }: ProducerOf,
  committed: boolean,
  { id = ID, clientVersion = 0 }: Version = {},
): Promise<ProducerAnswer> {
  return transactions.endTransaction(id, { producerId, producerEpoch, committed, clientVersion })
}

/** "Ongoing 1/0 orders/0 orders/1"; an error code where there is none. */
export function state({ transactions }: World, id = ID): string | number {
  const described = transactions.describe(id)
  if (described.errorCode !== 0) return described.errorCode
  const { transactionState, producerId, producerEpoch, topics } = described
  const partitions = topics.flatMap(({ topic, partitions: indexes }) =>
    indexes.map((index) => `${topic}/${index}`),
  )
  return [transactionState, `${producerId}/${producerEpoch}`, ...partitions].join(' ')
}

/** What the log says, oldest first: "Ongoing 1/0 orders/0", "tombstone". */
export function logged({ log }: World): string[] {
  return log.records().map(({ key, value }) => {
    const record = decodeRecord(key!, value)!
    if (record.value === null) return 'tombstone'
    const { transactionStatus, producerId, producerEpoch, transactionPartitions } = record.value
    const partitions = (transactionPartitions ?? []).flatMap(({ topic, partitionIds }) =>
      partitionIds.map((index) => `${topic}/${index}`),
    )
    return [transactionStates[transactionStatus], `${producerId}/${producerEpoch}`, ...partitions].join(' ')
  })
}

export { settled }
