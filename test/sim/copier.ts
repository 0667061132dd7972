/**
 * Consume, transform, produce (KIP-447): what is read of a group's partitions is written in a transaction, with the group's
 * offsets. An instance that another one has taken the place of goes on as long as nobody tells it.
 */
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../src/protocol/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../src/protocol/messages/28-txn-offset-commit.ts'
import { buildBatch } from '../../src/protocol/record-batch-build.ts'
import type { Peer } from '../../src/server/peer.ts'
import { errorOf, type TopicSpec } from './clients.ts'
import { OF_GROUP, OF_TRANSACTIONS, RETRY_MS, type Answer } from './group-client.ts'
import type { Commit } from './group-history.ts'
import { GroupWork, REFUSALS, type Records, type WorkOptions } from './group-work.ts'
import type { Assignment } from './membership.ts'
import type { TransactionHistory } from './transaction-history.ts'
import { RETRIABLE } from './transactor.ts'

const PAUSE_MS = 150

/** Somebody else has its transactional id now, or its transaction took too long. */
class Fenced extends Error {}
/** The transaction cannot be committed. */
class Aborted extends Error {}

const FENCING = new Set<number>([
  ErrorCode.PRODUCER_FENCED,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.INVALID_PRODUCER_ID_MAPPING,
  ErrorCode.INVALID_TXN_STATE,
])

interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

export interface CopierOptions extends WorkOptions {
  readonly transactionalId: string
  readonly timeoutMs: number
  readonly sink: TopicSpec
  readonly transactions: TransactionHistory
  readonly owners: TransactionalIds
}

/** Who has a transactional id, and since when. */
export class TransactionalIds {
  readonly #owners = new Map<string, { copier: Copier; identity: Identity; sinceMs: number }>()

  /** Who stood still when it was answered hears of it after its successor has: that one has it still. */
  taken(
    transactionalId: string,
    copier: Copier,
    { identity, sinceMs }: { identity: Identity; sinceMs: number },
  ): void {
    const before = this.#owners.get(transactionalId)?.identity
    const isLate = before?.producerId === identity.producerId && before.producerEpoch > identity.producerEpoch
    if (!isLate) this.#owners.set(transactionalId, { copier, identity, sinceMs })
  }

  /** Another one had it already at `atMs`. */
  isAnothers(transactionalId: string, copier: Copier, atMs: number): boolean {
    const owner = this.#owners.get(transactionalId)
    return owner !== undefined && owner.copier !== copier && owner.sinceMs < atMs
  }
}

export class Copier extends GroupWork {
  protected readonly requiresStable = true
  readonly #copies: CopierOptions
  #identity: Identity | null = null
  #sequences: number[] = []

  constructor(options: CopierOptions) {
    super(options)
    this.#copies = options
  }

  protected async work(assignment: Assignment, read: Records): Promise<boolean> {
    const { client } = this.options
    try {
      const identity = (this.#identity ??= await this.#init())
      const isDone = await this.#transact(identity, assignment, read)
      if (!isDone) this.#identity = null
      await client.sleep(client.integer(PAUSE_MS))
      return isDone
    } catch (error) {
      if (!(error instanceof Fenced)) throw error
      client.cluster.log(client.name, error.message)
      this.isOver = true
      return false
    }
  }

  async #init(): Promise<Identity> {
    const { transactionalId, timeoutMs, owners } = this.#copies
    let identity: Identity = { producerId: -1, producerEpoch: -1 }
    const request = { transactionalId, transactionTimeoutMs: timeoutMs }
    await this.#untilDone(OF_TRANSACTIONS, async (peer) => {
      const { errorCode, producerId, producerEpoch } = await peer.call(initProducerIdApi, 3, request)
      identity = { producerId, producerEpoch }
      return errorCode
    })
    owners.taken(transactionalId, this, { identity, sinceMs: this.options.client.nowMs })
    this.#sequences = Array.from({ length: this.#copies.sink.partitions }, () => 0)
    this.options.client.cluster.log(this.options.client.name, `is ${JSON.stringify(identity)}`)
    return identity
  }

  /** False: what was written does not count, and it is all to be done again. */
  async #transact(identity: Identity, assignment: Assignment, read: Records): Promise<boolean> {
    const { transactions, transactionalId, owners } = this.#copies
    const { client, history } = this.options
    const { partition, nextOffset } = read
    const number = transactions.begin()
    const commit = history.begin(assignment, assignment.generation, partition, nextOffset)
    let endsSinceMs = Infinity
    try {
      await this.#write(identity, number, read)
      await this.take()
      await this.#commitOffset(identity, assignment, commit)
      if (client.chance(0.1)) throw new Aborted('it changes its mind')
      endsSinceMs = client.nowMs
      await this.#end(identity, true)
      transactions.end(number, 'committed')
      history.acknowledged(commit)
      return true
    } catch (error) {
      if (!(error instanceof Aborted || error instanceof Fenced)) throw error
      client.cluster.log(client.name, `transaction ${number}: ${error.message}`)
      const isEnding = endsSinceMs !== Infinity
      // Whoever is fenced before it ends its transaction cannot commit it.
      const isFenced = isEnding && owners.isAnothers(transactionalId, this, endsSinceMs)
      transactions.end(number, isEnding && !isFenced ? 'unknown' : 'aborted')
      if (!isEnding) history.refused(commit)
      if (error instanceof Fenced || isEnding) throw new Fenced(error.message)
      await this.#end(identity, false)
      return false
    }
  }

  /** Into each partition of the sink the same. */
  async #write(identity: Identity, number: number, { partition, records }: Records): Promise<void> {
    const { sink, transactionalId, transactions } = this.#copies
    const partitions = Array.from({ length: sink.partitions }, (_, index) => index)
    const request = {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: identity.producerId,
      v3AndBelowProducerEpoch: identity.producerEpoch,
      v3AndBelowTopics: [{ name: sink.name, partitions }],
    }
    await this.#untilDone(OF_TRANSACTIONS, async (peer) => {
      const { resultsByTopicV3AndBelow: topics } = await peer.call(addPartitionsToTxnApi, 3, request)
      const codes = topics[0].resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode)
      return codes.find((code) => code !== ErrorCode.NONE) ?? ErrorCode.NONE
    })
    const { client } = this.options
    const values = records.map(({ offset }) => `${partition}/${offset}#${number}`)
    for (const index of partitions) {
      for (const value of values) transactions.send(number, `${sink.name}-${index}`, value)
      const batch = buildBatch({
        records: values.map((value) => ({
          ...{ timestampMs: client.process.clock.nowMs(), key: null, value: Buffer.from(value) },
        })),
        ...identity,
        baseSequence: this.#sequences[index],
        transactional: true,
      })
      this.#sequences[index] += values.length
      await this.#deliver(index, batch)
    }
  }

  async #deliver(index: number, records: Buffer): Promise<void> {
    const { sink, transactionalId } = this.#copies
    const { client } = this.options
    const topicData = [{ name: sink.name, partitionData: [{ index, records }] }]
    const request = { transactionalId, acks: -1, timeoutMs: 1000, topicData }
    for (;;) {
      const error = await errorOf(async () => {
        const leader = await client.leader(sink.name, index)
        if (leader === null) return ErrorCode.LEADER_NOT_AVAILABLE
        return (await leader.call(produceApi, 9, request)).responses[0].partitionResponses[0].errorCode
      })
      if (error === ErrorCode.NONE) return
      client.cluster.log(client.name, `is told ${errorName(error)} by a leader`)
      if (!RETRIABLE.has(error)) this.#refused('Produce', error)
      client.forgetLeader(sink.name, index)
      await client.sleep(RETRY_MS)
    }
  }

  async #commitOffset(identity: Identity, assignment: Assignment, commit: Commit): Promise<void> {
    const { transactionalId } = this.#copies
    const { history, topic } = this.options
    const transaction = { transactionalId, ...identity, groupId: history.groupId }
    await this.#untilDone(
      OF_TRANSACTIONS,
      async (peer) => (await peer.call(addOffsetsToTxnApi, 3, transaction)).errorCode,
    )
    const partitions = [
      { partitionIndex: commit.partition, committedOffset: commit.offset, committedMetadata: null },
    ]
    const { memberId, instanceId, generation } = assignment
    const request = {
      ...transaction,
      ...{ memberId, groupInstanceId: instanceId, generationId: generation },
      topics: [{ name: topic.name, partitions }],
    }
    const { sentMs } = await this.#untilDone(OF_GROUP, async (peer) => {
      return (await peer.call(txnOffsetCommitApi, 3, request)).topics[0].partitions[0].errorCode
    })
    history.accepted({ ...commit, sentMs })
  }

  async #end(identity: Identity, committed: boolean): Promise<void> {
    const { transactionalId, owners } = this.#copies
    const request = { transactionalId, ...identity, committed }
    const { sentMs, isSure } = await this.#untilDone(
      OF_TRANSACTIONS,
      async (peer) => (await peer.call(endTxnApi, 3, request)).errorCode,
    )
    // A coordinator that is none any more may say again what it has said before.
    if (committed && isSure && owners.isAnothers(transactionalId, this, sentMs))
      this.options.history.complain(`${this.options.client.name} has ended a transaction as a zombie`)
  }

  /** Until a coordinator says NONE. */
  async #untilDone(kind: number, ask: (peer: Peer) => Promise<number>): Promise<Answer<number>> {
    const { client } = this.options
    for (;;) {
      const answer = await client.ask(kind, ask)
      if (answer?.value === ErrorCode.NONE) return answer
      if (answer !== null) client.cluster.log(client.name, `is told ${errorName(answer.value)}`)
      if (answer !== null && !RETRIABLE.has(answer.value)) this.#refused('a coordinator', answer.value)
      await client.lookAgain(kind)
    }
  }

  #refused(who: string, error: number): never {
    const text = `${who} says ${errorName(error)}`
    if (FENCING.has(error)) throw new Fenced(text)
    if (!REFUSALS.has(error)) this.options.history.complain(`${this.options.client.name}: ${text}`)
    throw new Aborted(text)
  }
}
