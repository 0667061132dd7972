/**
 * The transactional ids that this broker coordinates: one method for each API. Each finds the transaction, lets a decision be
 * made on it, and has the runtime carry it out. A reply that is there at once is returned as it is, any other as a promise.
 */
import type { Timer } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { CoordinatorTopic } from '../coordinator-topic.ts'
import { andThen } from '../later.ts'
import type { Later } from '../later.ts'
import { SlicedWork } from '../slices.ts'
import { addPartitions, checkVerifiable } from './add-partitions.ts'
import type { AddCall } from './add-partitions.ts'
import { describeMissing, describeTransaction, listFilter, listTransaction, unknownStates } from './admin.ts'
import type { DescribedTransaction, ListedTransaction, ListFilters } from './admin.ts'
import { MAX_TOMBSTONE_BATCH_BYTES } from './config.ts'
import { completed, endTransaction, fence, isTimedOut } from './end-transaction.ts'
import type { EndCall } from './end-transaction.ts'
import { initProducerId } from './init-producer-id.ts'
import type { InitCall } from './init-producer-id.ts'
import type { LiveTransaction, TransactionPartition } from './live-transaction.ts'
import { STATE_TOPIC, TransactionRuntime } from './transaction-runtime.ts'
import type { TransactionRuntimeParts } from './transaction-runtime.ts'
import { isIdle, isPreparing, newTransaction, NONE } from './transaction.ts'
import type { Decision, NeedsProducerId, Producer } from './transaction.ts'

export interface TransactionCoordinatorParts extends TransactionRuntimeParts {
  /** An id that no producer has had; null: none is to be had now. */
  newProducerId(): Promise<number | null>
  readonly metadata: {
    /** undefined for a topic that does not exist. */
    partitionCount(topic: string): number | undefined
  }
}

export interface VerifiedTopic {
  readonly name: string
  readonly partitions: readonly number[]
}

/** As AddPartitionsToTxn answers. */
export interface TopicResult {
  readonly name: string
  readonly resultsByPartition: { readonly partitionIndex: number; readonly partitionErrorCode: number }[]
}

export interface ProducerAnswer extends Producer {
  readonly errorCode: number
}

export class TransactionCoordinator {
  readonly #parts: TransactionCoordinatorParts
  readonly #runtime: TransactionRuntime
  readonly #topic: CoordinatorTopic
  #running = false
  #timeoutTimer: Timer | null = null
  #timeouts: SlicedWork | null = null
  #expiryTimer: Timer | null = null
  #expiry: SlicedWork | null = null

  constructor(parts: TransactionCoordinatorParts) {
    this.#parts = parts
    this.#runtime = new TransactionRuntime(parts)
    const configuredPartitions = parts.config.stateLogPartitions
    this.#topic = new CoordinatorTopic({ ...parts, name: STATE_TOPIC, configuredPartitions })
  }

  start(): void {
    this.#running = true
    this.#scheduleTimeouts()
    this.#scheduleExpiry()
  }

  /** From now on: COORDINATOR_NOT_AVAILABLE. */
  stop(): void {
    this.#running = false
    this.#timeoutTimer?.cancel()
    this.#timeouts?.stop()
    this.#expiryTimer?.cancel()
    this.#expiry?.stop()
    this.#runtime.stop()
  }

  /** Creates `__transaction_state` when it is missing. False: it cannot be created now. */
  ensureTopic(): Promise<boolean> {
    return this.#topic.ensure()
  }

  partitionFor(transactionalId: string): number {
    return this.#topic.partitionFor(transactionalId)
  }

  /** This broker leads the partition from this epoch on. Older epochs are ignored. */
  onElected(partition: number, leaderEpoch: number): void {
    this.#runtime.partitions.elected(partition, leaderEpoch)
  }

  onResigned(partition: number, leaderEpoch?: number): void {
    this.#runtime.partitions.resigned(partition, leaderEpoch)
  }

  /** Leaders of partitions may have changed. */
  metadataChanged(): void {
    this.#runtime.markers.metadataChanged()
  }

  async initProducerId(transactionalId: string, call: InitCall): Promise<ProducerAnswer> {
    if (transactionalId === '') return refused(ErrorCode.INVALID_REQUEST)
    const { timeoutMs } = call
    if (timeoutMs <= 0 || timeoutMs > this.#parts.config.transactionMaxTimeoutMs) {
      return refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    }
    const found = this.#find(transactionalId)
    if (typeof found === 'number' && found !== ErrorCode.INVALID_PRODUCER_ID_MAPPING) return refused(found)
    if (typeof found === 'number') {
      const error = await this.#begin(transactionalId, timeoutMs)
      if (error !== ErrorCode.NONE) return refused(error)
    }
    return this.#change(transactionalId, (transaction, newProducerId) =>
      initProducerId(transaction, call, newProducerId, this.#runtime.nowMs),
    )
  }

  /** Gives the error code. */
  addPartitions(transactionalId: string, call: AddCall): Later<number> {
    if (transactionalId === '') return ErrorCode.INVALID_REQUEST
    const found = this.#find(transactionalId)
    if (typeof found === 'number') return found
    const { partition, transaction } = found
    const decision = addPartitions(transaction, call, this.#runtime.nowMs)
    return this.#runtime.carryOut(partition, transaction, decision)
  }

  /** Whether partitions are in a transaction: what their leaders ask before a producer's first append (KIP-890). */
  verifyPartitions(
    transactionalId: string,
    producerId: number,
    producerEpoch: number,
    topics: readonly VerifiedTopic[],
  ): TopicResult[] {
    const found = transactionalId === '' ? ErrorCode.INVALID_REQUEST : this.#find(transactionalId)
    const metadata = typeof found === 'number' ? null : found.transaction.metadata
    const error =
      typeof found === 'number'
        ? found
        : checkVerifiable(found.transaction.metadata, { producerId, producerEpoch })
    const codeOf = (topic: string, index: number): number => {
      if (error !== ErrorCode.NONE) return error
      const isIncluded = metadata?.partitions.get(topic)?.has(index) === true
      return isIncluded ? ErrorCode.NONE : ErrorCode.TRANSACTION_ABORTABLE
    }
    return topics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => {
        return { partitionIndex, partitionErrorCode: codeOf(name, partitionIndex) }
      }),
    }))
  }

  /** Answered when the end is decided and stored; its markers are written after that. */
  async endTransaction(transactionalId: string, call: EndCall): Promise<ProducerAnswer> {
    if (transactionalId === '') return refused(ErrorCode.INVALID_REQUEST)
    return this.#change(transactionalId, (transaction, newProducerId) =>
      endTransaction(transaction, call, newProducerId, this.#runtime.nowMs),
    )
  }

  describe(transactionalId: string): DescribedTransaction {
    if (!this.#running) return describeMissing(transactionalId, ErrorCode.COORDINATOR_NOT_AVAILABLE)
    if (transactionalId === '') return describeMissing(transactionalId, ErrorCode.INVALID_REQUEST)
    const found = this.#find(transactionalId)
    if (typeof found !== 'number') return describeTransaction(found.transaction)
    const isUnknown = found === ErrorCode.INVALID_PRODUCER_ID_MAPPING
    return describeMissing(transactionalId, isUnknown ? ErrorCode.TRANSACTIONAL_ID_NOT_FOUND : found)
  }

  list(filters: ListFilters): {
    errorCode: number
    unknownStateFilters: string[]
    transactionStates: ListedTransaction[]
  } {
    const none = { unknownStateFilters: [], transactionStates: [] }
    if (!this.#running) return { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, ...none }
    const { partitions, nowMs } = this.#runtime
    if (partitions.isLoading) return { errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ...none }
    const passes = listFilter(filters, nowMs)
    const transactionStates: ListedTransaction[] = []
    for (const { transactions } of partitions.allActive()) {
      for (const transaction of transactions.values()) {
        if (passes(transaction)) transactionStates.push(listTransaction(transaction))
      }
    }
    const unknownStateFilters = unknownStates(filters.stateFilters)
    return { errorCode: ErrorCode.NONE, unknownStateFilters, transactionStates }
  }

  /** INVALID_PRODUCER_ID_MAPPING: nobody has used that id. */
  #find(transactionalId: string): { partition: TransactionPartition; transaction: LiveTransaction } | number {
    if (!this.#running) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const index = this.partitionFor(transactionalId)
    const partition = this.#runtime.partitions.activeOrError(index)
    if (typeof partition === 'number') return partition
    // Another one may know better: what is refused here for good might be right there.
    if (!this.#parts.log.leadsSurely(index)) return ErrorCode.NOT_COORDINATOR
    const transaction = partition.transactions.get(transactionalId)
    return transaction === undefined ? ErrorCode.INVALID_PRODUCER_ID_MAPPING : { partition, transaction }
  }

  async #begin(transactionalId: string, timeoutMs: number): Promise<number> {
    const producerId = await this.#parts.newProducerId()
    if (producerId === null) return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    // While waiting the partition may have gone, and somebody else may have come.
    const found = this.#find(transactionalId)
    if (found !== ErrorCode.INVALID_PRODUCER_ID_MAPPING)
      return typeof found === 'number' ? found : ErrorCode.NONE
    const partition = this.#runtime.partitions.activeOrError(this.partitionFor(transactionalId))
    if (typeof partition === 'number') return partition
    const metadata = newTransaction(producerId, timeoutMs, this.#runtime.nowMs)
    const created = this.#runtime.create(partition, transactionalId, metadata)
    return created === undefined ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ErrorCode.NONE
  }

  /** Decides, and again with a new producer id where that needs one. */
  async #change(
    transactionalId: string,
    decide: (transaction: LiveTransaction, newProducerId: number | null) => Decision | NeedsProducerId,
  ): Promise<ProducerAnswer> {
    let newProducerId: number | null = null
    for (;;) {
      const found = this.#find(transactionalId)
      if (typeof found === 'number') return refused(found)
      const { partition, transaction } = found
      const decision = decide(transaction, newProducerId)
      if (decision.type !== 'needs-producer-id') {
        const outcome = this.#runtime.carryOut(partition, transaction, decision)
        const errorCode = typeof outcome === 'number' ? outcome : await outcome
        if (errorCode !== ErrorCode.NONE) return refused(errorCode)
        if (decision.type === 'fence') return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
        return producerAfter(transaction, decision)
      }
      newProducerId = await this.#parts.newProducerId()
      if (newProducerId === null) return refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    }
  }

  #scheduleTimeouts(): void {
    const { timers, config } = this.#parts
    this.#timeoutTimer = timers.after(config.abortTimedOutIntervalMs, () => {
      if (this.#timeouts === null || this.#timeouts.done) {
        this.#timeouts = new SlicedWork(this.#parts, this.#abortTimedOut())
      }
      this.#scheduleTimeouts()
    })
  }

  *#abortTimedOut(): Generator<void> {
    for (const partition of [...this.#runtime.partitions.allActive()]) {
      for (const transaction of partition.transactions.values()) {
        yield
        if (!this.#runtime.isCurrent(partition)) break
        const { nowMs } = this.#runtime
        if (!isTimedOut(transaction, nowMs)) continue
        const { transactionalId } = transaction
        void andThen(this.#runtime.carryOut(partition, transaction, fence(transaction, nowMs)), (error) => {
          const message = 'a transaction that took too long is aborted'
          if (error === ErrorCode.NONE) this.#parts.logger.log('info', message, { transactionalId })
          else this.#parts.logger.log('warn', `${message} later`, { transactionalId, error })
        })
      }
    }
  }

  #scheduleExpiry(): void {
    const { timers, config } = this.#parts
    this.#expiryTimer = timers.after(config.removeExpiredIntervalMs, () => {
      if (this.#expiry === null || this.#expiry.done) {
        this.#expiry = new SlicedWork(this.#parts, this.#removeExpired())
      }
      this.#scheduleExpiry()
    })
  }

  *#removeExpired(): Generator<void> {
    const before = this.#runtime.nowMs - this.#parts.config.transactionalIdExpirationMs
    const isExpired = ({ metadata, isPending }: LiveTransaction): boolean =>
      !isPending && isIdle(metadata) && metadata.lastUpdateMs <= before
    // Between two steps a producer may have come back, or the partition gone.
    const remove = (partition: TransactionPartition, expired: readonly LiveTransaction[]): void => {
      const doomed = this.#runtime.isCurrent(partition) ? expired.filter(isExpired) : []
      if (doomed.length > 0) void this.#runtime.remove(partition, doomed)
    }
    for (const partition of [...this.#runtime.partitions.allActive()]) {
      let expired: LiveTransaction[] = []
      let bytes = 0
      for (const transaction of partition.transactions.values()) {
        if (isExpired(transaction)) {
          expired.push(transaction)
          bytes += transaction.transactionalId.length * 3
        }
        if (bytes >= MAX_TOMBSTONE_BATCH_BYTES) {
          remove(partition, expired)
          expired = []
          bytes = 0
        }
        yield
      }
      remove(partition, expired)
    }
  }
}

const refused = (errorCode: number): ProducerAnswer => ({
  errorCode,
  producerId: NONE,
  producerEpoch: NONE,
})

/** What the producer goes by after an answer without error. The end of its transaction may bring it a new id. */
function producerAfter({ metadata }: LiveTransaction, decision: Decision): ProducerAnswer {
  const stored = decision.type === 'write' ? decision.next : metadata
  const { producerId, producerEpoch } = isPreparing(stored) ? completed(stored, stored.lastUpdateMs) : stored
  return { errorCode: ErrorCode.NONE, producerId, producerEpoch }
}
