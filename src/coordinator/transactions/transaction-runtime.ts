/**
 * Carries out what decisions ask for: writes the next state, takes it over once it is committed, has markers written and writes
 * that they are. Loading a partition is the same replay. Decisions themselves are in the files beside it and touch nothing.
 */
import type { Clock, Logger, Timers } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { MalformedMessageError } from '../../protocol/reader.ts'
import * as batch from '../../protocol/record-batch.ts'
import { CoordinatedPartitions } from '../coordinated-partitions.ts'
import type { CoordinatorLog } from '../coordinator-log.ts'
import { andThen } from '../later.ts'
import type { Later } from '../later.ts'
import { writeCommitted } from '../write-committed.ts'
import type { TransactionCoordinatorConfig } from './config.ts'
import { completed } from './end-transaction.ts'
import { LiveTransaction, TransactionPartition } from './live-transaction.ts'
import { MarkerSender } from './marker-sender.ts'
import type { MarkerBrokers } from './marker-sender.ts'
import { MarkerTask } from './marker-task.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import type { TransactionRecord } from './records.ts'
import { storeError } from '../store-error.ts'
import { fromLogValue, isPreparing, NONE, toLogValue } from './transaction.ts'
import type { Decision, TransactionMetadata } from './transaction.ts'

export interface TransactionRuntimeParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly log: CoordinatorLog
  readonly config: TransactionCoordinatorConfig
  readonly brokers: MarkerBrokers
}

export const STATE_TOPIC = '__transaction_state'
/** Between tries to write that a transaction is complete. */
const COMPLETION_BACKOFF_MS = 100

export class TransactionRuntime {
  readonly partitions: CoordinatedPartitions<TransactionPartition>
  readonly markers: MarkerSender
  readonly #parts: TransactionRuntimeParts

  constructor(parts: TransactionRuntimeParts) {
    this.#parts = parts
    this.markers = new MarkerSender(parts)
    this.partitions = new CoordinatedPartitions({
      ...parts,
      topic: STATE_TOPIC,
      owner: {
        create: (partition) => new TransactionPartition(partition),
        replayBatch: (state, bytes, position) => this.#replayBatch(state, bytes, position),
        restore: (state) => this.#restore(state),
        unloaded: (state) => this.#unload(state),
      },
    })
  }

  /** Since the Unix epoch: as the records have it. */
  get nowMs(): number {
    return this.#parts.clock.nowMs()
  }

  /** undefined when the coordinator has as many as it may. */
  create(
    partition: TransactionPartition,
    transactionalId: string,
    metadata: TransactionMetadata,
  ): LiveTransaction | undefined {
    let count = 0
    for (const { transactions } of this.partitions.allActive()) count += transactions.size
    if (count >= this.#parts.config.maxTransactionalIds) return undefined
    const transaction = new LiveTransaction(transactionalId, metadata)
    partition.transactions.set(transactionalId, transaction)
    return transaction
  }

  /** Gives the error code for who has asked. */
  carryOut(partition: TransactionPartition, transaction: LiveTransaction, decision: Decision): Later<number> {
    if (decision.type === 'answer') return decision.errorCode
    const fencedEpoch = decision.type === 'fence' ? decision.fencedEpoch : null
    if (fencedEpoch !== null) {
      const { metadata } = transaction
      transaction.metadata = { ...metadata, producerEpoch: fencedEpoch, lastProducerEpoch: NONE }
    }
    return andThen(this.#store(partition, transaction, decision.next), (error) => {
      if (error === ErrorCode.NONE) this.#complete(partition, transaction, false)
      else if (fencedEpoch !== null) transaction.hasFailedFence = true
      // Nobody has heard of it.
      else if (transaction.metadata.producerEpoch === NONE) this.#forget(partition, transaction)
      return error
    })
  }

  /** Forgets ids for good. Resolves when that is stored, or is not: then they stay. */
  remove(partition: TransactionPartition, transactions: readonly LiveTransaction[]): Later<void> {
    for (const transaction of transactions) transaction.isPending = true
    const records = transactions.map(({ transactionalId }) => ({ transactionalId, value: null }))
    const outcome = this.#write(partition, records, () => {
      for (const transaction of transactions) this.#forget(partition, transaction)
    })
    return andThen(outcome, (error) => {
      for (const transaction of transactions) transaction.isPending = false
      if (error === ErrorCode.NONE) return
      const count = transactions.length
      this.#parts.logger.log('warn', 'transactional ids could not be removed', { count, error })
    })
  }

  stop(): void {
    this.partitions.stop()
    this.markers.stop()
  }

  #forget(partition: TransactionPartition, { transactionalId }: LiveTransaction): void {
    partition.transactions.delete(transactionalId)
  }

  /** It is still the one that is served: nothing is to be written for any other. */
  isCurrent(partition: TransactionPartition): boolean {
    return this.partitions.active(partition.index) === partition
  }

  #store(
    partition: TransactionPartition,
    transaction: LiveTransaction,
    next: TransactionMetadata,
  ): Later<number> {
    transaction.isPending = true
    const record = { transactionalId: transaction.transactionalId, value: toLogValue(next) }
    const outcome = this.#write(partition, [record], () => {
      transaction.metadata = next
    })
    return andThen(outcome, (error) => {
      transaction.isPending = false
      return storeError(error)
    })
  }

  #write(
    partition: TransactionPartition,
    records: readonly TransactionRecord[],
    apply: () => void,
  ): Later<number> {
    return writeCommitted(this.#parts.log, {
      partition: partition.index,
      records: records.map(encodeRecord),
      timestampMs: this.nowMs,
      isCurrent: () => this.isCurrent(partition),
      apply,
    })
  }

  /** Where its end is decided, the rest follows by itself; nothing changes it meanwhile. */
  #complete(partition: TransactionPartition, transaction: LiveTransaction, isResumed: boolean): void {
    const { metadata, transactionalId } = transaction
    if (!isPreparing(metadata)) return
    transaction.isPending = true
    const { producerId, producerEpoch, partitions } = metadata
    const committed = metadata.state === 'PrepareCommit'
    const coordinatorEpoch = this.partitions.leaderEpoch(partition.index)
    const end = {
      transactionalId,
      producerId,
      producerEpoch,
      committed,
      coordinatorEpoch,
      partitions,
      isResumed,
    }
    const task = new MarkerTask(end, () => this.#writeCompletion(partition, transaction))
    transaction.markers = task
    this.markers.add(task)
  }

  #writeCompletion(partition: TransactionPartition, transaction: LiveTransaction): void {
    if (!this.isCurrent(partition)) return
    transaction.hasFailedFence = false
    const next = completed(transaction.metadata, this.nowMs)
    void andThen(this.#store(partition, transaction, next), (error) => {
      if (error === ErrorCode.NONE) {
        transaction.markers = null
        return
      }
      transaction.isPending = true
      const { transactionalId } = transaction
      this.#parts.logger.log('info', 'the end of a transaction is not stored yet', { transactionalId, error })
      this.#parts.timers.after(COMPLETION_BACKOFF_MS, () => this.#writeCompletion(partition, transaction))
    })
  }

  #replayBatch(partition: TransactionPartition, bytes: Buffer, position: number): void {
    if (batch.isControl(batch.attributes(bytes, position))) return
    for (const { key, value, offset } of batch.decodeRecords(bytes, position)) {
      const record = key === null ? null : this.#decode(key, value, offset)
      if (record === null) continue
      const { transactionalId } = record
      const metadata = record.value && fromLogValue(record.value)
      if (metadata === null) partition.transactions.delete(transactionalId)
      else partition.transactions.set(transactionalId, new LiveTransaction(transactionalId, metadata))
    }
  }

  /** A record that cannot be read costs itself, not the others. */
  #decode(key: Buffer, value: Buffer | null, offset: number): TransactionRecord | null {
    try {
      return decodeRecord(key, value)
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error
      this.#parts.logger.log('warn', 'a transaction record is skipped', { offset, reason: error.message })
      return null
    }
  }

  /** Ends that were decided by whoever led the partition before are carried out by who leads it now. */
  *#restore(partition: TransactionPartition): Generator<void> {
    const ending: LiveTransaction[] = []
    for (const transaction of partition.transactions.values()) {
      transaction.isPending = isPreparing(transaction.metadata)
      if (transaction.isPending) ending.push(transaction)
      yield
    }
    this.#parts.timers.soon(() => {
      if (!this.isCurrent(partition)) return
      for (const transaction of ending) this.#complete(partition, transaction, true)
    })
  }

  #unload(partition: TransactionPartition): void {
    for (const { markers } of partition.transactions.values()) markers?.giveUp()
  }
}
