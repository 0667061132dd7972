/** The partitions of this broker, by name: what the controller says becomes roles, logs and fetchers. */
import { DiskError } from '../env/disk.ts'
import type { Clock, Logger, Timer, Timers } from '../env/env.ts'
import { OfflineLog } from '../log/offline-log.ts'
import type { LogConfig, LogManager, PartitionId, ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'
import { ZERO_UUID } from '../protocol/schema.ts'
import { IsrChanges } from './isr-changes.ts'
import type { LeaderAddress } from './leader-channel.ts'
import { LeadershipLease } from './leadership-lease.ts'
import { LogDirMoves } from './log-dir-moves.ts'
import { Partition, type PartitionHost } from './partition.ts'
import {
  EPOCH_DURING_DELETE,
  type FollowerFetchers,
  type LeaderAndIsr,
  NO_LEADER_EPOCH,
  type PartitionAnswer,
  type PartitionState,
  type ReplicaToStop,
} from './types.ts'

export interface LeadershipListener {
  elected(topic: string, partition: number, leaderEpoch: number): void
  resigned(topic: string, partition: number): void
}

export interface ReplicaManagerParts {
  readonly brokerId: number
  readonly logs: LogManager
  readonly logger: Logger
  readonly clock: Clock
  readonly timers: Timers
  readonly listener: LeadershipListener
  configFor(topic: string): LogConfig
  /** replica.alter.log.dirs.io.max.bytes.per.second */
  maxMoveBytesPerSecond(): number
  /** Where a live broker takes requests of brokers; undefined: it is not known (yet). */
  leaderAddress(brokerId: number): LeaderAddress | undefined
  /** Whether the broker is in the cluster, as far as is known here. */
  isLive(brokerId: number): boolean
  /** replica.lag.time.max.ms */
  lagTimeMaxMs(): number
  /** Whether consumers are sent to followers, which are then told of high watermarks at once. */
  readsFromFollowers(): boolean
  /** czxid of this broker's registration. */
  brokerEpoch(): number
  /** zookeeper.session.timeout.ms */
  sessionTimeoutMs(): number
  /** replica.fetch.wait.max.ms */
  fetchWaitMaxMs(): number
  /** The coordination service is in reach, as far as is known. */
  isSessionSound(): boolean
  /** Resolves when the coordination service has said whether this broker's session holds. */
  confirmSession(): Promise<'sound' | 'expired'>
  /** AlterPartition, to whoever is the controller. Rejects with NetworkError: it is sent again. */
  alterPartition(request: AlterPartitionRequest): Promise<AlterPartitionResponse>
  /** What follows leaders; a broker that is alone has none. */
  readonly fetchers: FollowerFetchers | null
}

export class ReplicaManager {
  readonly #parts: ReplicaManagerParts
  readonly #moves: LogDirMoves
  readonly #isrChanges: IsrChanges
  readonly #lease: LeadershipLease
  readonly #host: PartitionHost
  readonly #byTopic = new Map<string, Partition[]>()
  readonly #topicNames = new Map<string, string>()
  /** Looks for followers that lag; none until this broker leads any. */
  #lagTimer: Timer | null = null
  #stopped = false
  /** Their leader's address is not known yet. */
  readonly #leaderless = new Set<Partition>()

  constructor(parts: ReplicaManagerParts) {
    this.#parts = parts
    const { logs, logger, timers } = parts
    const maxBytesPerSecond = (): number => parts.maxMoveBytesPerSecond()
    this.#moves = new LogDirMoves({ logs, logger, timers, maxBytesPerSecond })
    this.#isrChanges = new IsrChanges({
      brokerId: parts.brokerId,
      timers,
      logger,
      brokerEpoch: () => parts.brokerEpoch(),
      alterPartition: (request) => parts.alterPartition(request),
    })
    this.#lease = new LeadershipLease({
      clock: parts.clock,
      timers,
      logger,
      sessionTimeoutMs: () => parts.sessionTimeoutMs(),
      fetchWaitMaxMs: () => parts.fetchWaitMaxMs(),
      isSessionSound: () => parts.isSessionSound(),
      confirmSession: () => parts.confirmSession(),
      expired: () => this.sessionExpired(),
    })
    this.#host = {
      brokerId: parts.brokerId,
      clock: parts.clock,
      lagTimeMaxMs: () => parts.lagTimeMaxMs(),
      isLive: (brokerId) => parts.isLive(brokerId),
      isrChanges: this.#isrChanges,
      lease: this.#lease,
      tellsHighWatermark: () => parts.readsFromFollowers(),
    }
  }

  /** Undefined when this broker does not host it. */
  get(topic: string, partition: number): Partition | undefined {
    return this.#byTopic.get(topic)?.[partition]
  }

  /** The name of a topic of which something is hosted here. */
  topicById(topicId: string): string | undefined {
    return this.#topicNames.get(topicId)
  }

  *all(): Iterable<Partition> {
    for (const partitions of this.#byTopic.values()) {
      for (const partition of partitions) if (partition) yield partition
    }
  }

  /** High watermark to checkpoint. Of a log of which the controller has said nothing yet it is what the last checkpoint says. */
  highWatermarkOf(topic: string, partition: number): number {
    const { logs } = this.#parts
    return this.get(topic, partition)?.highWatermark ?? logs.checkpointedHighWatermark(topic, partition)
  }

  /**
   * Becomes leader or follower of partitions, each only in a leader epoch that is newer than the one known. Answers, as Kafka:
   * KAFKA_STORAGE_ERROR (its log directory has failed), INCONSISTENT_TOPIC_ID, STALE_CONTROLLER_EPOCH (the leader epoch is
   * not newer), UNKNOWN_TOPIC_OR_PARTITION (this broker is no replica of it), or NONE.
   */
  applyLeaderAndIsr({ states }: LeaderAndIsr): PartitionAnswer[] {
    return states.map((state) => {
      const { topic, partition } = state
      return { topic, partition, error: this.#apply(state) }
    })
  }

  #apply(state: PartitionState): number {
    const { topic, partition: index } = state
    try {
      const known = this.get(topic, index)
      if (known?.isOffline) return ErrorCode.KAFKA_STORAGE_ERROR
      if (known && !this.#hasTopicId(known, state)) return ErrorCode.INCONSISTENT_TOPIC_ID
      if (state.replicas.length > 1) this.#lease.start()
      const isTold =
        known &&
        (known.awaitsController
          ? state.leaderEpoch < known.leaderEpoch
          : state.leaderEpoch <= known.leaderEpoch)
      if (known && isTold) return this.#notNewer(known, state)
      if (!state.replicas.includes(this.#parts.brokerId)) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      // Overtaken: not an error, as the controller knows better already.
      if (known && state.partitionEpoch < known.partitionEpoch) return ErrorCode.NONE
      const partition = known ?? this.#open(state)
      if (partition.isOffline) return ErrorCode.KAFKA_STORAGE_ERROR
      if (state.leader === this.#parts.brokerId) this.#lead(partition, state)
      else this.#follow(partition, state)
      return ErrorCode.NONE
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#parts.logger.log('error', 'partition is offline: its log cannot be opened', {
        partition: `${topic}-${index}`,
        error: error.message,
      })
      return ErrorCode.KAFKA_STORAGE_ERROR
    }
  }

  /** A request, or a topic, of before there were topic ids goes with all. */
  #hasTopicId(known: Partition, { topicId }: PartitionState): boolean {
    return topicId === ZERO_UUID || known.topicId === ZERO_UUID || known.topicId === topicId
  }

  /** What is known already may be told again to give the topic its first id (KIP-516). */
  #notNewer(known: Partition, state: PartitionState): number {
    const isAdoption = known.topicId === ZERO_UUID && state.topicId !== ZERO_UUID
    if (!isAdoption || state.leaderEpoch !== known.leaderEpoch) return ErrorCode.STALE_CONTROLLER_EPOCH
    this.#logOf(state)
    this.#topicNames.set(state.topicId, state.topic)
    return ErrorCode.NONE
  }

  #lead(partition: Partition, state: PartitionState): void {
    this.#unfollow(partition)
    if (!partition.makeLeader(state)) return
    if (partition.followers.length > 0) this.#watchLag()
    this.#parts.listener.elected(partition.topic, partition.index, state.leaderEpoch)
  }

  #follow(partition: Partition, state: PartitionState): void {
    const led = partition.isLeader
    this.#unfollow(partition)
    if (!partition.makeFollower(state)) return
    if (led) this.#parts.listener.resigned(partition.topic, partition.index)
    this.#startFetching(partition)
  }

  #startFetching(partition: Partition): void {
    if (partition.leader < 0) return
    const address = this.#parts.leaderAddress(partition.leader)
    if (address === undefined) this.#leaderless.add(partition)
    else this.#parts.fetchers?.follow(partition, address)
  }

  #unfollow(partition: Partition): void {
    this.#leaderless.delete(partition)
    this.#parts.fetchers?.unfollow(partition)
  }

  /** Twice within the lag time, as Kafka. */
  #watchLag(): void {
    if (this.#lagTimer !== null || this.#stopped) return
    this.#lagTimer = this.#parts.timers.after(this.#parts.lagTimeMaxMs() / 2, () => {
      this.#lagTimer = null
      for (const partition of this.all()) partition.shrinkIsr()
      this.#watchLag()
    })
  }

  /** Brokers have come or gone: leaders whose address was not known may be among them, or followers that were waited for. */
  brokersChanged(): void {
    for (const partition of this.all()) partition.brokersChanged()
    for (const partition of [...this.#leaderless]) {
      this.#leaderless.delete(partition)
      this.#startFetching(partition)
    }
  }

  /**
   * This broker's session with the coordination service has ended. Others are elected in its place, of whom it may not hear for
   * long where a network is cut: it leads nothing any more until the controller says so.
   */
  sessionExpired(): void {
    for (const partition of this.all()) {
      if (!partition.isLeader) continue
      partition.sessionExpired()
      this.#parts.listener.resigned(partition.topic, partition.index)
    }
  }

  /** Their log directory has failed: they are not served any more, and their coordinators resign. */
  goOffline(partitions: readonly PartitionId[]): void {
    for (const { topic, partition: index } of partitions) {
      const partition = this.get(topic, index)
      if (!partition || partition.isOffline) continue
      const led = partition.isLeader
      this.#moves.stop(partition)
      this.#unfollow(partition)
      partition.goOffline()
      if (led) this.#parts.listener.resigned(topic, index)
    }
  }

  /**
   * Begins to move a partition's log to `path`, one of `log.dirs` that works. The directory where it lies ends a move. False:
   * it is not hosted here, and will be made there when it is. Throws DiskError.
   */
  moveTo(topic: string, index: number, path: string): boolean {
    const { logs } = this.#parts
    const partition = this.get(topic, index)
    if (partition?.isOffline) throw new DiskError('IO', path, `${topic}-${index} is offline`)
    const known = logs.future(topic, index)
    if (partition && known !== undefined && known.logDirectory !== path) {
      this.#moves.stop(partition)
      logs.removeFuture(topic, index)
    }
    logs.prefer(topic, index, path)
    if (!partition) return false
    if (partition.log.logDirectory === path) return true
    const future = logs.future(topic, index) ?? logs.createFuture(topic, index, path)
    this.#moves.start(partition, future)
    return true
  }

  /** Before the logs are closed: nothing is appended to them any more but by producers. */
  stop(): void {
    this.#stopped = true
    this.#lagTimer?.cancel()
    this.#lease.stop()
    this.#isrChanges.stop()
    this.#parts.fetchers?.stop()
    this.#moves.stopAll()
  }

  /**
   * Leads and follows them no more; with `deleteLog` nothing of them is left here. Answers, as Kafka: KAFKA_STORAGE_ERROR,
   * FENCED_LEADER_EPOCH, or NONE, also for what is not hosted. Throws DiskError where a later try may help.
   */
  stopReplicas(replicas: readonly ReplicaToStop[]): PartitionAnswer[] {
    return replicas.map((replica) => {
      const { topic, partition } = replica
      return { topic, partition, error: this.#stopReplica(replica) }
    })
  }

  #stopReplica({ topic, partition: index, leaderEpoch, deleteLog }: ReplicaToStop): number {
    const partition = this.get(topic, index)
    if (partition && !partition.isOffline) {
      const isUnfenced = leaderEpoch === EPOCH_DURING_DELETE || leaderEpoch === NO_LEADER_EPOCH
      if (!isUnfenced && leaderEpoch < partition.leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH
      const led = partition.isLeader
      this.#unfollow(partition)
      partition.stop()
      if (led) this.#parts.listener.resigned(topic, index)
    }
    if (!deleteLog) return partition?.isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
    if (partition) this.#forget(partition)
    return this.#deleteLog(topic, index)
  }

  #forget(partition: Partition): void {
    const { topic, index } = partition
    this.#moves.stop(partition)
    const hosted = this.#byTopic.get(topic)!
    delete hosted[index]
    if (hosted.some(Boolean)) return
    this.#byTopic.delete(topic)
    this.#topicNames.delete(partition.topicId)
  }

  #deleteLog(topic: string, index: number): number {
    try {
      this.#parts.logs.remove(topic, index)
      return ErrorCode.NONE
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'IO') throw error
      this.#parts.logger.log('error', 'a log cannot be deleted', { path: error.path, error: error.message })
      return ErrorCode.KAFKA_STORAGE_ERROR
    }
  }

  /** New settings reach the logs of a topic. */
  topicConfigChanged(topic: string): void {
    const config = this.#parts.configFor(topic)
    for (const partition of this.#byTopic.get(topic) ?? []) {
      if (!partition) continue
      partition.log.config = config
      const future = this.#parts.logs.future(topic, partition.index)
      if (future !== undefined) future.config = config
    }
  }

  allTopicConfigsChanged(): void {
    for (const topic of this.#byTopic.keys()) this.topicConfigChanged(topic)
  }

  #open(state: PartitionState): Partition {
    const { topic, partition: index } = state
    const { logs } = this.#parts
    const log = this.#logOf(state)
    const partition = new Partition(this.#host, log, logs.checkpointedHighWatermark(topic, index))
    let hosted = this.#byTopic.get(topic)
    if (!hosted) this.#byTopic.set(topic, (hosted = []))
    hosted[index] = partition
    this.#topicNames.set(partition.topicId, topic)
    const future = logs.future(topic, index)
    if (future !== undefined && !partition.isOffline) this.#moves.start(partition, future)
    return partition
  }

  #logOf(state: PartitionState): ReplicaLog {
    const { topic, partition: index, isNew } = state
    const config = this.#parts.configFor(topic)
    const { logs } = this.#parts
    const topicId =
      state.topicId === ZERO_UUID ? (logs.get(topic, index)?.topicId ?? ZERO_UUID) : state.topicId
    try {
      return logs.getOrCreate(topic, index, topicId, config, isNew)
    } catch (error) {
      if (!(error instanceof DiskError) || error.code === 'NO_SPACE') throw error
      const partition = `${topic}-${index}`
      this.#parts.logger.log('error', 'a partition is offline', { partition, error: error.message })
      return new OfflineLog(state, config)
    }
  }
}
