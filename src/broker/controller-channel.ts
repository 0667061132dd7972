/**
 * This broker's way to the controller, whoever it is: the one that UpdateMetadata has named last. In this process it is a
 * function call, else a connection with negotiated versions (Kafka's NodeToControllerChannelManager). A connection is always
 * open, asked or not, for its end and the refusal of the port are how a controller that has been killed is known at once.
 */
import type { AllocatedProducerIds } from '../controller/producer-id-blocks.ts'
import type { ControlledShutdownResult } from '../controller/controlled-shutdown.ts'
import { NetworkError } from '../env/network.ts'
import { controlledShutdownApi } from '../protocol/messages/07-controlled-shutdown.ts'
import {
  alterPartitionApi,
  type AlterPartitionRequest,
  type AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'
import { allocateProducerIdsApi } from '../protocol/messages/67-allocate-producer-ids.ts'
import { ZERO_UUID } from '../protocol/schema.ts'
import { Peer, type PeerAddress, type PeerEnv } from '../server/peer.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { WatchedPeer } from './watched-peer.ts'

/** The controller in this process. Answers NOT_CONTROLLER where another one is. */
export interface LocalController {
  alterPartition(request: AlterPartitionRequest, version: number): Promise<AlterPartitionResponse>
  controlledShutdown(brokerId: number, brokerEpoch: number): Promise<ControlledShutdownResult>
  allocateProducerIds(brokerId: number, brokerEpoch: number): Promise<AllocatedProducerIds>
  /** The process of the controller is gone. */
  controllerLost(brokerId: number): void
}

export interface ControllerChannelOptions {
  readonly env: PeerEnv
  readonly brokerId: number
  readonly brokerEpoch: () => number
  readonly metadata: Pick<MetadataCache, 'controllerId' | 'broker' | 'onChange'>
  readonly controller: LocalController
  /** Where brokers take requests of brokers. */
  readonly listenerName: string
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
}

/** Topics go by name up to here (AlterPartition). */
const LAST_VERSION_BY_NAME = 1
const CONTROLLED_SHUTDOWN_VERSION = 3
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024

interface Connected {
  readonly controllerId: number
  readonly address: PeerAddress
  readonly peer: Peer
  readonly watched: WatchedPeer
}

export class ControllerChannel {
  readonly #options: ControllerChannelOptions
  #connected: Connected | null = null
  #stopped = false

  constructor(options: ControllerChannelOptions) {
    this.#options = options
    options.metadata.onChange(({ brokersChanged, controllerChanged }) => {
      if (brokersChanged || controllerChanged) this.#connection()
    })
  }

  /** One attempt. Rejects with NetworkError: whoever asked asks again. */
  async alterPartition(request: AlterPartitionRequest): Promise<AlterPartitionResponse> {
    const hasIds = request.topics.every(({ topicId }) => topicId !== '' && topicId !== ZERO_UUID)
    const highest = hasIds ? alterPartitionApi.versions[1] : LAST_VERSION_BY_NAME
    if (this.#isLocal()) return this.#options.controller.alterPartition(request, highest)
    const { peer } = this.#remote()
    const version = Math.min(highest, await peer.negotiate(alterPartitionApi))
    return peer.call(alterPartitionApi, version, request)
  }

  /** One attempt. Rejects with NetworkError. */
  async allocateProducerIds(): Promise<AllocatedProducerIds> {
    const { brokerId, brokerEpoch, controller } = this.#options
    if (this.#isLocal()) return controller.allocateProducerIds(brokerId, brokerEpoch())
    const { peer } = this.#remote()
    const version = await peer.negotiate(allocateProducerIdsApi)
    const answer = await peer.call(allocateProducerIdsApi, version, { brokerId, brokerEpoch: brokerEpoch() })
    return { error: answer.errorCode, firstId: answer.producerIdStart, count: answer.producerIdLen }
  }

  /** One attempt, in the version of Kafka 3.9, which asks for none before. Rejects with NetworkError. */
  async controlledShutdown(): Promise<ControlledShutdownResult> {
    const { brokerId, brokerEpoch, controller } = this.#options
    if (this.#isLocal()) return this.#inTime(controller.controlledShutdown(brokerId, brokerEpoch()))
    const { peer } = this.#remote()
    const request = { brokerId, brokerEpoch: brokerEpoch() }
    const answer = await peer.call(controlledShutdownApi, CONTROLLED_SHUTDOWN_VERSION, request)
    const remaining = answer.remainingPartitions.map(({ topicName, partitionIndex }) => {
      return { topic: topicName, partition: partitionIndex }
    })
    return { error: answer.errorCode, remaining }
  }

  /** Without the coordination service the controller in this process answers nothing: a broker must be able to stop then. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    const { env, requestTimeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      const timer = env.timers.after(requestTimeoutMs, () => {
        reject(
          new NetworkError('TIMED_OUT', `no answer of this broker's controller in ${requestTimeoutMs} ms`),
        )
      })
      void answer.finally(() => timer.cancel()).then(resolve, reject)
    })
  }

  /** What is under way rejects, and so does what comes after it. */
  stop(): void {
    this.#stopped = true
    this.#connected?.watched.close()
    this.#connected = null
  }

  #isLocal(): boolean {
    const { metadata, brokerId } = this.#options
    return metadata.controllerId === brokerId
  }

  #remote(): Connected {
    const connected = this.#connection()
    if (connected === null) throw new NetworkError('UNREACHABLE', 'the controller is not known')
    return connected
  }

  /** null: there is none to be had. */
  #connection(): Connected | null {
    const { metadata, listenerName } = this.#options
    const { controllerId } = metadata
    const address = this.#isLocal() ? undefined : metadata.broker(controllerId)?.endpoints.get(listenerName)
    const known = this.#connected
    const isSame =
      known !== null &&
      known.controllerId === controllerId &&
      known.address.host === address?.host &&
      known.address.port === address.port
    if (isSame) return known
    known?.watched.close()
    this.#connected = address === undefined || this.#stopped ? null : this.#connect(controllerId, address)
    return this.#connected
  }

  #connect(controllerId: number, address: PeerAddress): Connected {
    const { env, brokerId, controller, requestTimeoutMs, connectTimeoutMs } = this.#options
    const peer = new Peer(env, address, {
      clientId: String(brokerId),
      requestTimeoutMs,
      connectTimeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    const watched = new WatchedPeer(peer, env.timers)
    watched.onLost(() => controller.controllerLost(controllerId))
    watched.watch()
    return { controllerId, address, peer, watched }
  }
}
