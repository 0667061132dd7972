/** Simple clients over the protocol's messages: producers that try again, and consumers. Each is a process of its own. */
import { NetworkError } from '../../src/env/network.ts'
import { SimProcess } from '../../src/env/sim/process.ts'
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { createTopicsApi } from '../../src/protocol/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { buildBatch } from '../../src/protocol/record-batch-build.ts'
import { batchSize } from '../../src/protocol/record-batch-header.ts'
import { decodeRecords } from '../../src/protocol/record-batch-decode.ts'
import { Peer, type PeerAddress } from '../../src/server/peer.ts'
import type { SimCluster } from './cluster.ts'
import type { History } from './history.ts'

const REQUEST_TIMEOUT_MS = 1500
const RETRY_MS = 50
const NO_PRODUCER = { id: -1, epoch: -1 }

/** What every client has: connections by address, and who leads. */
export class SimClient {
  readonly name: string
  readonly cluster: SimCluster
  readonly process: SimProcess
  isOver = false
  readonly #peers = new Map<string, Peer>()
  /** By `topic-partition`. */
  readonly #leaders = new Map<string, PeerAddress | null>()
  /** The latest heard of. */
  readonly #epochs = new Map<string, number>()
  #asked = 0

  constructor(cluster: SimCluster, name: string) {
    this.cluster = cluster
    this.name = name
    const { scheduler } = cluster
    let seed = cluster.seed
    for (const letter of name) seed = (seed * 31 + letter.charCodeAt(0)) | 0
    this.process = new SimProcess({ scheduler, seed })
    this.#network = cluster.network.of(this.process, name)
  }

  readonly #network

  /** Whether it goes to whom the last broker that it asked calls leader. */
  forgetsEpochs = false

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.process.timers.after(delayMs, resolve))
  }

  chance(probability: number): boolean {
    return this.process.random.next() < probability
  }

  integer(limit: number): number {
    return Math.floor(this.process.random.next() * limit)
  }

  peer(address: PeerAddress): Peer {
    const name = `${address.host}:${address.port}`
    let peer = this.#peers.get(name)
    if (peer === undefined) {
      const { clock, timers } = this.process
      peer = new Peer({ clock, timers, network: this.#network }, address, {
        clientId: this.name,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        connectTimeoutMs: 500,
        maxResponseBytes: 8 << 20,
      })
      this.#peers.set(name, peer)
    }
    return peer
  }

  /** One of the brokers, another one each time. */
  anyone(): Peer {
    const { bootstrap } = this.cluster
    return this.peer(bootstrap[this.#asked++ % bootstrap.length])
  }

  /** Null: nobody leads, or nobody could say who does. */
  async leader(topic: string, partition: number): Promise<Peer | null> {
    const name = `${topic}-${partition}`
    const known = this.#leaders.get(name)
    if (known) return this.peer(known)
    try {
      const { brokers, topics } = await this.anyone().call(metadataApi, 9, {
        topics: [{ name: topic }],
        allowAutoTopicCreation: false,
      })
      for (const { partitionIndex, leaderId, leaderEpoch } of topics[0]?.partitions ?? []) {
        const each = `${topic}-${partitionIndex}`
        // One that is cut off may still call itself leader (KIP-320); clients of before do not look.
        if (!this.forgetsEpochs && leaderEpoch < (this.#epochs.get(each) ?? -1)) continue
        this.#epochs.set(each, leaderEpoch)
        const broker = brokers.find(({ nodeId }) => nodeId === leaderId)
        this.#leaders.set(each, broker ? { host: broker.host, port: broker.port } : null)
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
    const found = this.#leaders.get(name)
    return found ? this.peer(found) : null
  }

  forgetLeader(topic: string, partition: number): void {
    this.#leaders.set(`${topic}-${partition}`, null)
  }

  close(): void {
    this.isOver = true
    for (const peer of this.#peers.values()) peer.close()
    this.process.kill()
  }
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
}

/** Makes a topic, and tries again until it is there. */
export async function createTopic(cluster: SimCluster, topic: TopicSpec): Promise<void> {
  const client = new SimClient(cluster, `maker-of-${topic.name}`)
  for (;;) {
    try {
      const { topics } = await client.anyone().call(createTopicsApi, 5, {
        topics: [
          {
            name: topic.name,
            numPartitions: topic.partitions,
            replicationFactor: cluster.nodes.length,
            assignments: [],
            configs: [],
          },
        ],
        timeoutMs: 1000,
        validateOnly: false,
      })
      const { errorCode } = topics[0]
      if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) break
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
    await client.sleep(100)
  }
  client.close()
}

export interface ProducerOptions {
  readonly topic: TopicSpec
  readonly history: History
  readonly isIdempotent: boolean
  /** At most, between two batches of a partition. */
  readonly pauseMs?: number
  /** At most so many batches of a partition are under way at once. */
  readonly ahead?: number
}

interface Batch {
  readonly values: readonly string[]
  readonly baseSequence: number
}

/** Null: nobody answered. */
type Outcome = { readonly error: number; readonly baseOffset: number } | null

/** Sends numbered records with acks=all to each partition until it is told to finish. */
export class SimProducer {
  readonly client: SimClient
  readonly #options: ProducerOptions
  #finishing = false
  #count = 0
  #producer = NO_PRODUCER

  constructor(cluster: SimCluster, name: string, options: ProducerOptions) {
    this.client = new SimClient(cluster, name)
    this.#options = options
  }

  /** Resolves when what was begun is acknowledged after `finish`. */
  async run(): Promise<void> {
    if (this.#options.isIdempotent) this.#producer = await this.#initProducer()
    const partitions = Array.from({ length: this.#options.topic.partitions }, (_, index) => index)
    await Promise.all(partitions.map((partition) => this.#produce(partition)))
    this.client.close()
  }

  finish(): void {
    this.#finishing = true
  }

  async #initProducer(): Promise<{ id: number; epoch: number }> {
    for (;;) {
      try {
        const request = { transactionalId: null, transactionTimeoutMs: 0 }
        const answer = await this.client.anyone().call(initProducerIdApi, 3, request)
        if (answer.errorCode === ErrorCode.NONE) return { id: answer.producerId, epoch: answer.producerEpoch }
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error
      }
      await this.client.sleep(RETRY_MS)
    }
  }

  async #produce(partition: number): Promise<void> {
    const { isIdempotent, pauseMs = 200, ahead = 1 } = this.#options
    let sequence = 0
    while (!this.#finishing) {
      // The first alone: a broker that knows nothing of a producer takes whatever comes first for its beginning.
      const count = sequence === 0 ? 1 : 1 + this.client.integer(ahead)
      const batches = Array.from({ length: count }, () => {
        const values = this.#values()
        const batch = { values, baseSequence: isIdempotent ? sequence : -1 }
        sequence += values.length
        return batch
      })
      if (ahead > 1) await this.#deliverTogether(partition, batches)
      else await this.#deliver(partition, batches[0])
      await this.client.sleep(this.client.integer(pauseMs))
    }
  }

  #values(): string[] {
    const { history, isIdempotent } = this.#options
    return Array.from({ length: 1 + this.client.integer(3) }, () => {
      const number = this.#count++
      const value = `${this.client.name}:${number}`
      history.send(value, { producer: this.client.name, isIdempotent, number })
      return value
    })
  }

  /** None waits for the one before; those that fail are sent again one after the other, as Kafka's producers do. */
  async #deliverTogether(partition: number, batches: readonly Batch[]): Promise<void> {
    const outcomes = await Promise.all(batches.map((batch) => this.#attempt(partition, this.#batch(batch))))
    const failed = batches.filter((batch, index) => {
      const outcome = outcomes[index]
      const isBehindAnother = index > 0 && outcome?.error === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
      return isBehindAnother || !this.#isDone(partition, batch, outcome)
    })
    for (const batch of failed) await this.#deliver(partition, batch)
  }

  #batch({ values, baseSequence }: Batch): Buffer {
    return buildBatch({
      records: values.map((value) => ({
        timestampMs: this.client.process.clock.nowMs(),
        key: null,
        value: Buffer.from(value),
      })),
      producerId: this.#producer.id,
      producerEpoch: this.#producer.epoch,
      baseSequence,
    })
  }

  /** Until it is acknowledged. */
  async #deliver(partition: number, batch: Batch): Promise<void> {
    while (!this.#isDone(partition, batch, await this.#attempt(partition, this.#batch(batch)))) {
      this.client.forgetLeader(this.#options.topic.name, partition)
      await this.client.sleep(RETRY_MS)
    }
  }

  /** Whether it is acknowledged, or refused for good. */
  #isDone(partition: number, { values }: Batch, outcome: Outcome): boolean {
    const { topic, history } = this.#options
    if (outcome === null) return false
    const { error, baseOffset } = outcome
    if (error === ErrorCode.NONE) {
      values.forEach((value, index) => {
        history.acknowledge(`${topic.name}-${partition}`, value, baseOffset + index)
      })
      return true
    }
    if (error === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) return true
    if (RETRIABLE.has(error)) return false
    history.complain(`${this.client.name} got ${errorName(error)} for ${values.join()}`)
    this.client.cluster.log(this.client.name, `${errorName(error)} ${topic.name}-${partition}`)
    return true
  }

  async #attempt(partition: number, records: Buffer): Promise<Outcome> {
    const leader = await this.client.leader(this.#options.topic.name, partition)
    if (leader === null) return null
    try {
      const { responses } = await leader.call(produceApi, 9, {
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: this.#options.topic.name, partitionData: [{ index: partition, records }] }],
      })
      const [{ errorCode, baseOffset }] = responses[0].partitionResponses
      return { error: errorCode, baseOffset }
    } catch (error) {
      if (error instanceof NetworkError) return null
      throw error
    }
  }
}

/** What a producer of Kafka's tries again (RetriableException). */
const RETRIABLE = new Set<number>([
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
])

/** Reads a partition from its beginning, again and again, from whoever leads it. */
export class SimConsumer {
  readonly client: SimClient
  readonly #topic: TopicSpec
  readonly #history: History
  #finishing = false

  constructor(cluster: SimCluster, name: string, topic: TopicSpec, history: History) {
    this.client = new SimClient(cluster, name)
    this.#topic = topic
    this.#history = history
  }

  async run(partition: number): Promise<void> {
    let offset = 0
    this.client.forgetsEpochs = this.client.chance(0.5)
    while (!this.#finishing) offset = await this.#poll(partition, offset)
    this.client.close()
  }

  finish(): void {
    this.#finishing = true
  }

  async #poll(partition: number, offset: number): Promise<number> {
    const leader = await this.client.leader(this.#topic.name, partition)
    try {
      const answer = await leader?.call(fetchApi, 11, {
        maxWaitMs: 200,
        minBytes: 1,
        maxBytes: 1 << 20,
        topics: [
          {
            topic: this.#topic.name,
            partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: 1 << 16 }],
          },
        ],
      })
      const found = answer?.responses[0]?.partitions[0]
      if (found?.errorCode === ErrorCode.NONE) {
        // Metadata are asked for again now and then, of any broker: one that is out of date sends a client back to an old leader.
        if (this.client.chance(0.1)) this.client.forgetLeader(this.#topic.name, partition)
        return this.#read(partition, offset, found.records)
      }
      if (found?.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
        // Read once, an offset exists: many clients would begin anew.
        this.#history.complain(`${this.client.name} was told that ${offset} is out of range`)
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
    this.client.forgetLeader(this.#topic.name, partition)
    await this.client.sleep(RETRY_MS)
    return offset
  }

  async #read(partition: number, offset: number, records: Buffer | null): Promise<number> {
    let next = offset
    for (const { offset: at, value } of recordsOf(records)) {
      if (at < offset) continue
      this.#history.read(`${this.#topic.name}-${partition}`, at, value)
      next = at + 1
    }
    // Now and then from the beginning: what was there must still be.
    return this.client.chance(0.05) ? 0 : next
  }
}

/** The records of whole batches, one after the other. */
export function recordsOf(bytes: Buffer | null): { offset: number; value: string }[] {
  const records: { offset: number; value: string }[] = []
  if (bytes === null) return records
  for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
    for (const { offset, value } of decodeRecords(bytes, at)) {
      records.push({ offset, value: value?.toString() ?? '' })
    }
  }
  return records
}

/** What was answered; REQUEST_TIMED_OUT where nobody has. */
export async function errorOf(ask: () => Promise<number>): Promise<number> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error
    return ErrorCode.REQUEST_TIMED_OUT
  }
}
