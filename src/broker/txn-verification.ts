/**
 * Whether a producer's transaction includes the partitions that it writes to: its coordinator is asked before the first record
 * (KIP-890, part 1), so that none is appended to a transaction that nobody will end. For clients of transaction.version 2 the
 * coordinator has the partitions added (part 2).
 */
import { andThen, type Later } from '../coordinator/later.ts'
import { DiskError } from '../env/disk.ts'
import type { Clock, Timers } from '../env/env.ts'
import type { VerificationGuard } from '../log/verifications.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { Partition } from '../replication/partition.ts'
import type { CoordinatorAnswer, TopicResults, TxnCoordinatorChannel } from './txn-coordinator-channel.ts'

export interface Transaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
}

export interface FirstBatch {
  readonly partition: Partition
  readonly sequence: number
}

/** Not NONE: nothing is to be appended. `guard` is for the append (AppendOptions). */
export interface Verified {
  readonly error: number
  readonly guard: VerificationGuard | null | undefined
}

/** What the version of a producer's request tells of it: `adds-by-writing` is transaction.version 2. */
export type TransactionClient = 'old' | 'knows-abortable' | 'adds-by-writing'

export interface TxnVerificationParts {
  readonly clock: Clock
  readonly timers: Timers
  /** transaction.partition.verification.enable. Partitions are added all the same. */
  readonly isEnabled: () => boolean
  /** add.partitions.to.txn.retry.backoff.ms */
  readonly retryBackoffMs: number
  /** add.partitions.to.txn.retry.backoff.max.ms, request.timeout.ms at most: for how long it is tried again. */
  readonly retryMaxMs: number
  readonly channel: Pick<TxnCoordinatorChannel, 'ask'>
}

const NOT_ASKED: Verified = { error: ErrorCode.NONE, guard: undefined }
const IS_OPEN: Verified = { error: ErrorCode.NONE, guard: null }

export class TxnVerification {
  readonly #parts: TxnVerificationParts

  constructor(parts: TxnVerificationParts) {
    this.#parts = parts
  }

  /**
   * As `verify`, but while the end of the transaction before is under way, as it often is when the next begins, partitions are
   * to be added a little later: for the producer to send all records once more would cost more.
   */
  verifyPatiently(
    transaction: Transaction,
    batches: readonly FirstBatch[],
    client: TransactionClient,
  ): Later<readonly Verified[]> {
    const { clock, timers, retryBackoffMs, retryMaxMs } = this.#parts
    if (client !== 'adds-by-writing') return this.verify(transaction, batches, client)
    const sinceMs = clock.monotonicMs()
    const tryOnce = (): Later<readonly Verified[]> =>
      andThen(this.verify(transaction, batches, client), (verified) => {
        const isBusy = verified.some(({ error }) => error === ErrorCode.CONCURRENT_TRANSACTIONS)
        if (!isBusy || clock.monotonicMs() - sinceMs >= retryMaxMs) return verified
        return new Promise<void>((resolve) => timers.after(retryBackoffMs, resolve)).then(tryOnce)
      })
    return tryOnce()
  }

  /** In the order of `batches`; at once where the coordinator need not be asked, or is in this process. */
  verify(
    transaction: Transaction,
    batches: readonly FirstBatch[],
    client: TransactionClient,
  ): Later<readonly Verified[]> {
    const isAdding = client === 'adds-by-writing'
    if (!isAdding && !this.#parts.isEnabled()) return batches.map(() => NOT_ASKED)
    const verified = batches.map((batch) => begin(transaction, batch, isAdding))
    const asked = batches.filter(
      (_, index) => verified[index].error === ErrorCode.NONE && verified[index].guard,
    )
    if (asked.length === 0) return verified
    const { transactionalId, producerId, producerEpoch } = transaction
    const topics = byTopic(asked.map(({ partition }) => partition))
    const question = { transactionalId, producerId, producerEpoch, verifyOnly: !isAdding, topics }
    return andThen(this.#parts.channel.ask(question), (answer) =>
      verified.map((each, index) => {
        if (!asked.includes(batches[index])) return each
        return { error: errorFor(answer, batches[index].partition, client), guard: each.guard }
      }),
    )
  }
}

function begin(
  { producerId, producerEpoch }: Transaction,
  { partition, sequence }: FirstBatch,
  isBumping: boolean,
): Verified {
  const refused = partition.checkLeaderEpoch(-1)
  if (refused !== ErrorCode.NONE) return { error: refused, guard: null }
  if (!partition.leadsSurely) return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, guard: null }
  try {
    const guard = partition.log.startVerification({ producerId, producerEpoch, sequence, isBumping })
    if (guard === 'fenced') return { error: ErrorCode.INVALID_PRODUCER_EPOCH, guard: null }
    return guard === null ? IS_OPEN : { error: ErrorCode.NONE, guard }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    return { error: ErrorCode.KAFKA_STORAGE_ERROR, guard: null }
  }
}

function byTopic(partitions: readonly Partition[]): { name: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topic, index } of partitions) {
    const known = topics.get(topic)
    if (known === undefined) topics.set(topic, [index])
    else known.push(index)
  }
  return [...topics].map(([name, indexes]) => ({ name, partitions: indexes }))
}

/** What the producer is told (Kafka's AddPartitionsToTxnManager). */
function errorFor(answer: CoordinatorAnswer, partition: Partition, client: TransactionClient): number {
  // Its coordinator is too old to be asked: it is let in, as before KIP-890, but where nobody else has it added.
  if (answer === 'unsupported')
    return client === 'adds-by-writing' ? ErrorCode.TRANSACTION_ABORTABLE : ErrorCode.NONE
  if ('error' in answer) {
    // Between brokers: no client is to see it.
    if (answer.error === ErrorCode.CLUSTER_AUTHORIZATION_FAILED) return ErrorCode.INVALID_TXN_STATE
    return answer.error
  }
  const error = errorOf(answer.topics, partition)
  if (error === ErrorCode.PRODUCER_FENCED) return ErrorCode.INVALID_PRODUCER_EPOCH
  if (error === ErrorCode.TRANSACTION_ABORTABLE && client === 'old') return ErrorCode.INVALID_TXN_STATE
  return error
}

function errorOf(topics: TopicResults, { topic, index }: Partition): number {
  const found = topics
    .find(({ name }) => name === topic)
    ?.resultsByPartition.find(({ partitionIndex }) => partitionIndex === index)
  return found?.partitionErrorCode ?? ErrorCode.NETWORK_EXCEPTION
}
