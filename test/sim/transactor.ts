/** A producer of transactions over two partitions and a group's offset, and readers of what it has committed. */
import { NetworkError } from '../../src/env/network.ts'
import { errorName, ErrorCode } from '../../src/protocol/error-codes.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../src/protocol/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../src/protocol/messages/28-txn-offset-commit.ts'
import { buildBatch } from '../../src/protocol/record-batch-build.ts'
import type { Peer, PeerAddress } from '../../src/server/peer.ts'
import { errorOf, SimClient, type TopicSpec } from './clients.ts'
import type { SimCluster } from './cluster.ts'
import { committedRecords, offsetBehind } from './committed-reads.ts'
import type { TransactionHistory } from './transaction-history.ts'

const RETRY_MS = 50
const GROUP = 'followers'
const TRANSACTIONAL_ID = 'copier'
const TIMEOUT_MS = 60_000
const [OF_GROUP, OF_TRANSACTIONS] = [0, 1]

interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

/** What a producer of Kafka's tries again. */
export const RETRIABLE = new Set<number>([
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.UNSTABLE_OFFSET_COMMIT,
])

class Refused extends Error {}
/**
 * A leader that has been replaced may ask a coordinator that has been, too, before either has heard of it: that one knows an
 * older epoch. Kafka's producers abort the transaction then, and go on.
 */
class Fenced extends Refused {}

export class SimTransactor {
  readonly client: SimClient
  readonly #topic: TopicSpec
  readonly #history: TransactionHistory
  readonly #coordinators: (PeerAddress | null)[] = [null, null]
  /** It goes by transaction.version 2: leaders add partitions, ends bump the epoch (KIP-890). */
  readonly #isBumping: boolean
  #sequences: number[] = []
  #finishing = false

  constructor(cluster: SimCluster, topic: TopicSpec, history: TransactionHistory) {
    this.client = new SimClient(cluster, 'transactor')
    this.#isBumping = cluster.seed % 2 === 1
    this.#topic = topic
    this.#history = history
  }

  finish(): void {
    this.#finishing = true
  }

  /** Gives the group's offset when all is over: the number of the last transaction that was committed. */
  async run(): Promise<number> {
    let identity = await this.#init()
    for (let number = 0; !this.#finishing; number++) {
      const next = await this.#transact(identity, number)
      // Now and then it comes back as another process would: what was open is aborted.
      identity = next === null || this.client.chance(0.1) ? await this.#init() : next
      await this.client.sleep(this.client.integer(100))
    }
    await this.#init()
    const offset = await this.#committedOffset()
    this.client.close()
    return offset
  }

  /** What it goes by afterwards; null: the transaction could not be ended. */
  async #transact(identity: Identity, number: number): Promise<Identity | null> {
    const commits = this.client.chance(0.7)
    let isEnding = false
    try {
      if (!this.#isBumping) await this.#add(identity)
      for (let partition = 0; partition < this.#topic.partitions; partition++)
        await this.#produce(identity, number, partition)
      await this.#commitOffset(identity, number)
      // As if the process had died here.
      if (this.client.chance(0.1)) {
        this.#history.end(number, 'aborted')
        return null
      }
      isEnding = true
      const next = await this.#end(identity, commits)
      this.#history.end(number, commits ? 'committed' : 'aborted')
      this.#log(`${number} is ${commits ? 'committed' : 'aborted'}`)
      return next
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#log(`${number}: ${error.message}`)
      const isExplained =
        error instanceof Fenced || (this.#isBumping && isEnding && this.#askedOldCoordinator())
      if (!isExplained) this.#history.complain(`transaction ${number}: ${error.message}`)
      this.#history.end(number, isEnding && commits ? 'unknown' : 'aborted')
      return null
    }
  }

  async #end(identity: Identity, committed: boolean): Promise<Identity> {
    const request = { transactionalId: TRANSACTIONAL_ID, ...identity, committed }
    let next = identity
    await this.#untilDone(OF_TRANSACTIONS, async (peer) => {
      const { errorCode, producerId, producerEpoch } = await peer.call(
        endTxnApi,
        this.#isBumping ? 5 : 3,
        request,
      )
      if (this.#isBumping) next = { producerId, producerEpoch }
      return errorCode
    })
    if (this.#isBumping) this.#sequences.fill(0)
    return next
  }

  /**
   * A coordinator that has been replaced, and does not know yet, knows nothing of what leaders have added at the next one: it
   * may refuse to end that, as Kafka's (docs/decisions/0015 and 0019).
   */
  #askedOldCoordinator(): boolean {
    const leaders = this.client.cluster.nodes.flatMap(({ host, broker }) => {
      const partition = broker?.parts.services.replicas.get('__transaction_state', 0)
      return partition?.isLeader === true ? [{ host, epoch: partition.leaderEpoch }] : []
    })
    const newest = leaders.reduce((one, other) => (other.epoch > one.epoch ? other : one))
    return newest.host !== this.#coordinators[OF_TRANSACTIONS]?.host
  }

  #log(text: string): void {
    this.client.cluster.log(this.client.name, text)
  }

  async #init(): Promise<Identity> {
    let identity: Identity | null = null
    const request = { transactionalId: TRANSACTIONAL_ID, transactionTimeoutMs: TIMEOUT_MS }
    await this.#untilDone(OF_TRANSACTIONS, async (peer) => {
      const { errorCode, producerId, producerEpoch } = await peer.call(initProducerIdApi, 3, request)
      identity = { producerId, producerEpoch }
      return errorCode
    })
    this.#sequences = Array.from({ length: this.#topic.partitions }, () => 0)
    this.#log(`is ${JSON.stringify(identity)}`)
    return identity!
  }

  async #add({ producerId, producerEpoch }: Identity): Promise<void> {
    const partitions = Array.from({ length: this.#topic.partitions }, (_, index) => index)
    const request = {
      v3AndBelowTransactionalId: TRANSACTIONAL_ID,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: this.#topic.name, partitions }],
    }
    await this.#untilDone(OF_TRANSACTIONS, async (peer) => {
      const { resultsByTopicV3AndBelow: topics } = await peer.call(addPartitionsToTxnApi, 3, request)
      const codes = topics[0].resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode)
      return codes.find((code) => code !== ErrorCode.NONE) ?? ErrorCode.NONE
    })
  }

  async #produce(identity: Identity, number: number, partition: number): Promise<void> {
    const { name } = this.#topic
    const batches = 1 + this.client.integer(2)
    for (let count = 0; count < batches; count++) {
      const value = `${number}/${partition}/${count}`
      this.#history.send(number, `${name}-${partition}`, value)
      const records = buildBatch({
        records: [{ timestampMs: this.client.process.clock.nowMs(), key: null, value: Buffer.from(value) }],
        ...identity,
        baseSequence: this.#sequences[partition]++,
        transactional: true,
      })
      await this.#deliver(partition, records)
    }
  }

  async #deliver(partition: number, records: Buffer): Promise<void> {
    const topicData = [{ name: this.#topic.name, partitionData: [{ index: partition, records }] }]
    const request = { transactionalId: TRANSACTIONAL_ID, acks: -1, timeoutMs: 1000, topicData }
    for (;;) {
      const error = await errorOf(async () => {
        const leader = await this.client.leader(this.#topic.name, partition)
        if (leader === null) return ErrorCode.LEADER_NOT_AVAILABLE
        return (await leader.call(produceApi, this.#isBumping ? 12 : 9, request)).responses[0]
          .partitionResponses[0].errorCode
      })
      if (error === ErrorCode.NONE) return
      if (error === ErrorCode.INVALID_PRODUCER_EPOCH) throw new Fenced('Produce: INVALID_PRODUCER_EPOCH')
      if (!RETRIABLE.has(error)) throw new Refused(`Produce: ${errorName(error)}`)
      this.client.forgetLeader(this.#topic.name, partition)
      await this.client.sleep(RETRY_MS)
    }
  }

  async #commitOffset(identity: Identity, number: number): Promise<void> {
    const transaction = { transactionalId: TRANSACTIONAL_ID, ...identity, groupId: GROUP }
    if (!this.#isBumping) {
      await this.#untilDone(
        OF_TRANSACTIONS,
        async (peer) => (await peer.call(addOffsetsToTxnApi, 3, transaction)).errorCode,
      )
    }
    const partitions = [{ partitionIndex: 0, committedOffset: number, committedMetadata: null }]
    const request = { ...transaction, topics: [{ name: this.#topic.name, partitions }] }
    await this.#untilDone(OF_GROUP, async (peer) => {
      return (await peer.call(txnOffsetCommitApi, this.#isBumping ? 5 : 3, request)).topics[0].partitions[0]
        .errorCode
    })
  }

  /** -1: there is none. */
  async #committedOffset(): Promise<number> {
    let committed = -1
    const topics = [{ name: this.#topic.name, partitionIndexes: [0] }]
    await this.#untilDone(OF_GROUP, async (peer) => {
      const answer = await peer.call(offsetFetchApi, 7, { groupId: GROUP, topics, requireStable: true })
      if (answer.errorCode !== ErrorCode.NONE) return answer.errorCode
      const [{ committedOffset, errorCode }] = answer.topics![0].partitions
      committed = committedOffset
      return errorCode
    })
    return committed
  }

  /** Until a coordinator says NONE. Throws Refused where it says what no client tries again. */
  async #untilDone(kind: number, ask: (peer: Peer) => Promise<number>): Promise<void> {
    for (;;) {
      const error = await errorOf(async () => {
        const peer = await this.#coordinator(kind)
        return peer === null ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ask(peer)
      })
      if (error === ErrorCode.NONE) return
      if (!RETRIABLE.has(error)) throw new Refused(errorName(error))
      this.#coordinators[kind] = null
      await this.client.sleep(RETRY_MS)
    }
  }

  async #coordinator(kind: number): Promise<Peer | null> {
    let address = this.#coordinators[kind]
    if (address === null) {
      const key = kind === OF_GROUP ? GROUP : TRANSACTIONAL_ID
      const found = await this.client.anyone().call(findCoordinatorApi, 3, { key, keyType: kind })
      if (found.errorCode !== ErrorCode.NONE) return null
      address = { host: found.host!, port: found.port! }
      this.#coordinators[kind] = address
    }
    return this.client.peer(address)
  }
}

/** Reads what is committed in a partition, again and again. */
export class SimCommittedReader {
  readonly client: SimClient
  readonly #topic: TopicSpec
  readonly #history: TransactionHistory
  #finishing = false

  constructor(cluster: SimCluster, name: string, topic: TopicSpec, history: TransactionHistory) {
    this.client = new SimClient(cluster, name)
    this.#topic = topic
    this.#history = history
  }

  finish(): void {
    this.#finishing = true
  }

  async run(partition: number): Promise<void> {
    let offset = 0
    while (!this.#finishing) offset = await this.#poll(partition, offset)
    this.client.close()
  }

  async #poll(partition: number, offset: number): Promise<number> {
    const { name: topic } = this.#topic
    try {
      const leader = await this.client.leader(topic, partition)
      const answer = await leader?.call(fetchApi, 11, {
        maxWaitMs: 200,
        minBytes: 1,
        maxBytes: 1 << 20,
        isolationLevel: 1,
        topics: [{ topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: 1 << 16 }] }],
      })
      const found = answer?.responses[0]?.partitions[0]
      if (found?.errorCode === ErrorCode.NONE) {
        const records = committedRecords(found.records, found.abortedTransactions ?? [])
        for (const { offset: at, value } of records)
          if (at >= offset) this.#history.read(`${topic}-${partition}`, at, value)
        return this.client.chance(0.05) ? 0 : offsetBehind(found.records, offset)
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
    this.client.forgetLeader(topic, partition)
    await this.client.sleep(RETRY_MS)
    return offset
  }
}
