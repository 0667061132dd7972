/** Controllers and topic administration on one embedded store in virtual time, with brokers that only remember. */
import { MetadataCache } from '../../src/broker/metadata-cache.ts'
import { Controller } from '../../src/controller/controller.ts'
import type {
  BrokerAnswer,
  BrokerChannel,
  ControllerIdentity,
  MetadataUpdate,
  PartitionAnswer,
  PartitionState,
  ReplicaToStop,
} from '../../src/controller/metadata.ts'
import { prepareCluster, registerBroker } from '../../src/controller/registration.ts'
import { decodePartitionState, encodeConfig, encodeTopic } from '../../src/controller/znodes.ts'
import { internalTopics } from '../../src/controller/internal-topics.ts'
import { TopicAdmin } from '../../src/controller/topic-admin.ts'
import type { TopicSettings } from '../../src/controller/topic-admin.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { EmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import type { Disk } from '../../src/env/disk.ts'
import { NetworkError } from '../../src/env/network.ts'
import type { NetworkErrorCode } from '../../src/env/network.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { CrashDisk } from '../coordination/crash-disk.ts'

export interface Call {
  readonly type: 'leaderAndIsr' | 'updateMetadata' | 'stopReplicas'
  readonly from: ControllerIdentity
  readonly states?: readonly PartitionState[]
  readonly update?: MetadataUpdate
  readonly partitions?: readonly ReplicaToStop[]
}

export class SimBroker {
  readonly id: number
  readonly session: CoordinationSession
  readonly metadata: MetadataCache
  readonly controller: Controller
  readonly topics: TopicAdmin
  readonly calls: Call[] = []
  /** Partitions (`topic-0`) whose log directory has failed. */
  readonly lost = new Set<string>()
  /** What asking it ends with; null: it answers. */
  fault: NetworkErrorCode | null = null
  /** What it is told it hears when this has come. */
  held: Promise<void> | null = null
  readonly #lostListeners = new Set<() => void>()
  readonly settings: { -readonly [K in keyof TopicSettings]: TopicSettings[K] }

  constructor(cluster: SimCluster, id: number, session: CoordinationSession) {
    const { clock, timers } = cluster.scheduler
    const { random, logger } = cluster
    this.id = id
    this.session = session
    this.metadata = new MetadataCache('cluster', timers)
    this.controller = new Controller({
      session,
      brokerId: id,
      clock,
      timers,
      random,
      logger,
      // What has no process refuses; a controller is always there for itself.
      channelTo: (broker) => (cluster.brokers.get(broker.id) ?? GONE).channel(broker.id === id),
      settings: {
        deletionEnabled: () => this.settings.deletionEnabled(),
        uncleanElectionEnabled: () => cluster.controllerSettings.uncleanElectionEnabled(),
        fastFailoverEnabled: () => cluster.controllerSettings.fastFailoverEnabled(),
        rebalanceEnabled: () => cluster.controllerSettings.rebalanceEnabled(),
        imbalanceCheckIntervalMs: () => cluster.controllerSettings.imbalanceCheckIntervalMs(),
        imbalancePercentage: () => cluster.controllerSettings.imbalancePercentage(),
      },
    })
    const offsets = { partitions: 5, replicationFactor: 3, segmentBytes: 104857600 }
    this.settings = {
      numPartitions: () => 2,
      defaultReplicationFactor: () => 1,
      deletionEnabled: () => true,
      internalTopic: internalTopics({ offsets, transactions: { ...offsets, minInsyncReplicas: 2 } }),
      capInternalReplication: () => true,
    }
    this.topics = new TopicAdmin({
      session,
      random,
      logger,
      metadata: this.metadata,
      controller: this.controller,
      validateTopicConfigs: (configs) => ('bad' in configs ? 'bad is no configuration' : null),
      settings: this.settings,
    })
  }

  channel(isOwn: boolean): BrokerChannel {
    let listener: (() => void) | null = null
    return {
      leaderAndIsr: async (from, states) => {
        this.note({ type: 'leaderAndIsr', from, states }, isOwn)
        return this.answer(states)
      },
      updateMetadata: async (from, update) => {
        if (this.held !== null) await this.held
        this.note({ type: 'updateMetadata', from, update }, isOwn)
        this.metadata.updateMetadata(from.controllerId, update)
        return { error: ErrorCode.NONE }
      },
      stopReplicas: async (from, partitions) => {
        this.note({ type: 'stopReplicas', from, partitions }, isOwn)
        return this.answer(partitions)
      },
      onLost: (run) => {
        if (isOwn) return
        listener = run
        this.#lostListeners.add(run)
      },
      close: () => {
        if (listener !== null) this.#lostListeners.delete(listener)
      },
    }
  }

  /** Its connections end and its port refuses, as when its process is killed. */
  refuse(): void {
    this.fault = 'REFUSED'
    for (const listener of this.#lostListeners) listener()
  }

  private note(call: Call, isOwn: boolean): void {
    if (this.fault !== null && !isOwn) throw new NetworkError(this.fault, 'the broker does not answer')
    this.calls.push(call)
  }

  private answer(partitions: readonly { topic: string; partition: number }[]): BrokerAnswer {
    const answers = partitions.map(({ topic, partition }) => this.answerOf(topic, partition))
    return { error: ErrorCode.NONE, partitions: answers }
  }

  private answerOf(topic: string, partition: number): PartitionAnswer {
    const isLost = this.lost.has(`${topic}-${partition}`)
    return { topic, partition, error: isLost ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE }
  }

  callsOf(type: Call['type']): Call[] {
    return this.calls.filter((call) => call.type === type)
  }
}

const GONE: Pick<SimBroker, 'channel'> = {
  channel: () => {
    const refuse = () => Promise.reject(new NetworkError('REFUSED', 'there is no such broker'))
    return {
      leaderAndIsr: refuse,
      updateMetadata: refuse,
      stopReplicas: refuse,
      onLost: () => undefined,
      close: () => undefined,
    }
  },
}

export class SimCluster {
  readonly scheduler: SimScheduler
  readonly random: SeededRandom
  readonly disk: Disk
  readonly log: string[] = []
  readonly logger = { log: (level: string, message: string) => void this.log.push(`${level} ${message}`) }
  readonly brokers = new Map<number, SimBroker>()
  store: EmbeddedCoordination
  #reader: CoordinationSession | null = null
  readonly controllerSettings = {
    uncleanElectionEnabled: () => false,
    fastFailoverEnabled: () => true,
    rebalanceEnabled: () => false,
    imbalanceCheckIntervalMs: () => 300_000,
    imbalancePercentage: () => 10,
  }

  constructor(options: { seed?: number; disk?: Disk } = {}) {
    this.scheduler = new SimScheduler({ seed: options.seed })
    this.random = new SeededRandom(options.seed ?? 1)
    this.disk = options.disk ?? new CrashDisk()
    const { clock, timers } = this.scheduler
    this.store = createEmbeddedCoordination({
      disk: this.disk,
      clock,
      timers,
      logger: this.logger,
      directory: '/data',
    })
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.until(promise)
  }

  connect(): Promise<CoordinationSession> {
    return this.until(this.store.connect({ sessionTimeoutMs: 6000 }))
  }

  async addBroker(id: number, options: { rack?: string } = {}): Promise<SimBroker> {
    const session = await this.connect()
    await this.until(prepareCluster(session, 'AAAAAAAAAAAAAAAAAAAAAQ'))
    const broker = new SimBroker(this, id, session)
    this.brokers.set(id, broker)
    await this.until(registerBroker(session, registrationOf(id, options.rack)))
    await this.until(broker.controller.start())
    await this.scheduler.settle()
    return broker
  }

  /** The broker that is the controller. */
  get controller(): SimBroker {
    return [...this.brokers.values()].find(({ controller }) => controller.isActive)!
  }

  /** With these replicas, by partition, whatever a request would be refused for. */
  async createTopic(name: string, ...partitions: number[][]): Promise<void> {
    this.#reader ??= await this.connect()
    const topicId = this.random.bytes(16).toString('base64url')
    const topic = encodeTopic({ topicId, partitions, addingReplicas: {}, removingReplicas: {} })
    await this.until(
      this.#reader.multi([
        { type: 'create', path: `/config/topics/${name}`, data: encodeConfig({}) },
        { type: 'create', path: `/brokers/topics/${name}`, data: topic },
      ]),
    )
    await this.scheduler.settle()
  }

  /** What stands in the store of a partition, with the version of its znode. */
  async stateOf(topic: string, partition = 0) {
    const path = `/brokers/topics/${topic}/partitions/${partition}/state`
    this.#reader ??= await this.connect()
    const { data, stat } = await this.until(this.#reader.get(path))
    return { ...decodePartitionState(data)!, partitionEpoch: stat.version }
  }

  /** Its session ends and the broker comes back, before anybody has looked. */
  async bounceBroker(id: number): Promise<SimBroker> {
    const old = this.brokers.get(id)!
    old.refuse()
    const session = await this.connect()
    await this.until(old.controller.stop())
    const gone = old.session.close()
    const broker = new SimBroker(this, id, session)
    this.brokers.set(id, broker)
    await this.until(Promise.all([gone, registerBroker(session, registrationOf(id))]))
    await this.until(broker.controller.start())
    await this.scheduler.settle()
    return broker
  }

  async removeBroker(id: number): Promise<void> {
    const broker = this.brokers.get(id)!
    this.brokers.delete(id)
    broker.refuse()
    await this.until(broker.controller.stop())
    await this.until(broker.session.close())
    await this.scheduler.settle()
  }
}

export const registrationOf = (id: number, rack: string | null = null) => {
  const endpoint = { listenerName: 'PLAINTEXT', host: 'h', port: 9000 + id, securityProtocol: 'PLAINTEXT' }
  return { id, endpoints: [endpoint], rack, timestampMs: 1 }
}

export const newTopic = (name: string, numPartitions = -1, replicationFactor = -1) => {
  return { name, numPartitions, replicationFactor, assignments: [], configs: [] }
}
