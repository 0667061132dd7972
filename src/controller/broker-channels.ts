/**
 * The controller's ways to the brokers. For each life of a broker there is one queue: requests leave in the order in which
 * they were put there, one is under way at a time, and one that fails is repeated until it succeeds or the broker is
 * removed. What waits for a broker that fails is folded (fold-requests.ts). Nobody waits for a broker: what it answers comes back through `answered`.
 */
import { CoordinationError } from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import type { Logger, Timer, Timers } from '../env/env.ts'
import { NetworkError } from '../env/network.ts'
import { foldRequest } from './fold-requests.ts'
import type {
  BrokerAnswer,
  BrokerChannel,
  BrokerInfo,
  ControllerIdentity,
  MetadataUpdate,
  PartitionState,
  ReplicaToStop,
} from './metadata.ts'

export type BrokerRequest =
  | {
      readonly type: 'leaderAndIsr'
      readonly states: readonly PartitionState[]
      readonly leaders: readonly BrokerInfo[]
    }
  | { readonly type: 'updateMetadata'; readonly update: MetadataUpdate }
  | { readonly type: 'stopReplicas'; readonly replicas: readonly ReplicaToStop[] }

export interface BrokerChannelsOptions {
  readonly from: ControllerIdentity
  readonly timers: Timers
  readonly logger: Logger
  readonly channelTo: (broker: BrokerInfo) => BrokerChannel
  /** The broker (in the life that was asked) has answered `request`. */
  readonly answered: (broker: BrokerInfo, request: BrokerRequest, answer: BrokerAnswer) => void
  /** The broker's process is gone, as far as its port can tell. May be said again and again. */
  readonly lost: (broker: BrokerInfo) => void
}

/** As in Kafka's ControllerChannelManager. */
const RETRY_MS = 100

export class BrokerChannels {
  readonly #options: BrokerChannelsOptions
  readonly #queues = new Map<number, BrokerQueue>()

  constructor(options: BrokerChannelsOptions) {
    this.#options = options
  }

  /**
   * Opens the way to a broker. What another life of it has not been told yet is dropped. `hasServed`: its port has been open,
   * so that it is lost when it refuses; a broker of Kafka that is new opens it only after it has registered.
   */
  add(broker: BrokerInfo, { hasServed }: { readonly hasServed: boolean }): void {
    this.remove(broker.id)
    this.#queues.set(broker.id, new BrokerQueue(broker, hasServed, this.#options))
  }

  /** The broker is gone: what it has not been told yet is dropped. */
  remove(brokerId: number): void {
    this.#queues.get(brokerId)?.close()
    this.#queues.delete(brokerId)
  }

  /** To a broker that was not added, nothing is sent. */
  send(brokerId: number, request: BrokerRequest): void {
    this.#queues.get(brokerId)?.push(request)
  }

  /** Resolves when the broker has been told everything, or cannot be told it now, or there is no such broker. */
  async told(brokerId: number): Promise<void> {
    await this.#queues.get(brokerId)?.settled()
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close()
    this.#queues.clear()
  }
}

/** What one life of a broker is still to be told. */
class BrokerQueue {
  readonly #broker: BrokerInfo
  readonly #options: BrokerChannelsOptions
  readonly #channel: BrokerChannel
  readonly #requests: BrokerRequest[] = []
  #hasServed: boolean
  #running = false
  #closed = false
  /** The last attempt failed, and has been logged. */
  #failing = false
  #retry: Timer | null = null
  #waiting: (() => void)[] = []

  constructor(broker: BrokerInfo, hasServed: boolean, options: BrokerChannelsOptions) {
    this.#broker = broker
    this.#hasServed = hasServed
    this.#options = options
    this.#channel = options.channelTo(broker)
    this.#channel.onLost(() => {
      if (!this.#closed) options.lost(broker)
    })
  }

  push(request: BrokerRequest): void {
    if (this.#failing) foldRequest(this.#requests, request)
    else this.#requests.push(request)
    if (!this.#running) void this.#run()
  }

  settled(): Promise<void> {
    if (!this.#running || this.#failing) return Promise.resolve()
    return new Promise((resolve) => void this.#waiting.push(resolve))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#retry?.cancel()
    this.#requests.length = 0
    this.#channel.close()
    this.#settle()
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#requests.length > 0) {
      const [request] = this.#requests
      const answer = await this.#attempt(request)
      if (this.#closed) return
      if (answer === null) return this.#repeatLater()
      this.#failing = false
      this.#hasServed = true
      this.#requests.shift()
      this.#options.answered(this.#broker, request, answer)
    }
    this.#running = false
    this.#settle()
  }

  /** null: it failed, and is to be repeated. */
  async #attempt(request: BrokerRequest): Promise<BrokerAnswer | null> {
    try {
      return await ask(this.#channel, this.#options.from, request)
    } catch (error) {
      if (!isFailureToTell(error)) return this.#bug(error)
      if (this.#closed) return null
      const { logger, lost } = this.#options
      const fields = { broker: this.#broker.id, request: request.type, error: error.message }
      // Every 100 ms would fill the log.
      if (!this.#failing) logger.log('warn', 'a broker could not be told; it is tried again', fields)
      this.#failing = true
      const isRefused = error instanceof NetworkError && error.code === 'REFUSED'
      if (isRefused && this.#hasServed) lost(this.#broker)
      return null
    }
  }

  #repeatLater(): void {
    this.#settle()
    this.#retry = this.#options.timers.after(RETRY_MS, () => void this.#run())
  }

  /** It must reach the process, not end in a promise that nobody looks at. */
  #bug(error: unknown): null {
    this.#options.timers.soon(() => {
      throw error
    })
    return null
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

async function ask(
  channel: BrokerChannel,
  from: ControllerIdentity,
  request: BrokerRequest,
): Promise<BrokerAnswer> {
  if (request.type === 'leaderAndIsr') return channel.leaderAndIsr(from, request.states, request.leaders)
  if (request.type === 'stopReplicas') return channel.stopReplicas(from, request.replicas)
  const { error } = await channel.updateMetadata(from, request.update)
  return { error, partitions: [] }
}

function isFailureToTell(error: unknown): error is NetworkError | CoordinationError | DiskError {
  return error instanceof NetworkError || error instanceof CoordinationError || error instanceof DiskError
}
