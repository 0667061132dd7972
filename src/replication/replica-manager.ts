/** The partitions of this broker, by name. */
import type { Logger, Timers } from '../env/env.ts'
import { DiskError } from '../env/disk.ts'
import { OfflineLog } from '../log/offline-log.ts'
import type { LogConfig, LogManager, PartitionId, ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { LogDirMoves } from './log-dir-moves.ts'
import { Partition, type PartitionState } from './partition.ts'

export interface LeadershipListener {
  elected(topic: string, partition: number, leaderEpoch: number): void
  resigned(topic: string, partition: number): void
}

/** `error`: NONE or KAFKA_STORAGE_ERROR. */
export interface PartitionAnswer extends PartitionId {
  readonly error: number
}

export class ReplicaManager {
  private readonly brokerId: number
  private readonly logs: LogManager
  private readonly logger: Logger
  private readonly configFor: (topic: string) => LogConfig
  private readonly listener: LeadershipListener
  private readonly moves: LogDirMoves
  private readonly byTopic = new Map<string, Partition[]>()

  constructor(
    brokerId: number,
    logs: LogManager,
    world: {
      logger: Logger
      timers: Timers
      configFor: (topic: string) => LogConfig
      /** replica.alter.log.dirs.io.max.bytes.per.second */
      maxMoveBytesPerSecond: () => number
    },
    listener: LeadershipListener,
  ) {
    this.brokerId = brokerId
    this.logs = logs
    this.logger = world.logger
    this.configFor = world.configFor
    this.listener = listener
    const { logger, timers, maxMoveBytesPerSecond } = world
    this.moves = new LogDirMoves({ logs, logger, timers, maxBytesPerSecond: maxMoveBytesPerSecond })
  }

  /** Undefined when this broker does not host it. */
  get(topic: string, partition: number): Partition | undefined {
    return this.byTopic.get(topic)?.[partition]
  }

  *all(): Iterable<Partition> {
    for (const partitions of this.byTopic.values()) {
      for (const partition of partitions) if (partition) yield partition
    }
  }

  /** High watermark to checkpoint; what is not hosted has none. */
  highWatermarkOf(topic: string, partition: number): number {
    return this.get(topic, partition)?.highWatermark ?? 0
  }

  /**
   * Becomes leader (from the cluster on: or follower) of the partitions that name this broker. Says which of them cannot be
   * served, because their log directory has failed.
   */
  applyLeaderAndIsr(states: readonly PartitionState[]): PartitionAnswer[] {
    const hosted = states.filter(({ replicas }) => replicas.includes(this.brokerId))
    return hosted.map((state) => {
      const { topic, partition } = state
      return { topic, partition, error: this.become(state) }
    })
  }

  private become(state: PartitionState): number {
    const { topic, partition: index } = state
    try {
      const partition = this.get(topic, index) ?? this.host(state)
      const led = partition.isLeader
      if (partition.apply(state)) {
        if (partition.isLeader) this.listener.elected(topic, index, state.leaderEpoch)
        else if (led) this.listener.resigned(topic, index)
      }
      return partition.isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.logger.log('error', 'partition is offline: its log cannot be opened', {
        partition: `${topic}-${index}`,
        error: error.message,
      })
      return ErrorCode.KAFKA_STORAGE_ERROR
    }
  }

  /** Their log directory has failed: they are not served any more, and their coordinators resign. */
  goOffline(partitions: readonly PartitionId[]): void {
    for (const { topic, partition: index } of partitions) {
      const partition = this.get(topic, index)
      if (!partition || partition.isOffline) continue
      const led = partition.isLeader
      this.moves.stop(partition)
      partition.goOffline()
      if (led) this.listener.resigned(topic, index)
    }
  }

  /**
   * Begins to move a partition's log to `path`, one of `log.dirs` that works. The directory where it lies ends a move. False:
   * it is not hosted here, and will be made there when it is. Throws DiskError.
   */
  moveTo(topic: string, index: number, path: string): boolean {
    const partition = this.get(topic, index)
    if (partition?.isOffline) throw new DiskError('IO', path, `${topic}-${index} is offline`)
    const known = this.logs.future(topic, index)
    if (partition && known !== undefined && known.logDirectory !== path) {
      this.moves.stop(partition)
      this.logs.removeFuture(topic, index)
    }
    this.logs.prefer(topic, index, path)
    if (!partition) return false
    if (partition.log.logDirectory === path) return true
    const future = this.logs.future(topic, index) ?? this.logs.createFuture(topic, index, path)
    this.moves.start(partition, future)
    return true
  }

  /** Before the logs are closed. */
  stopMoves(): void {
    this.moves.stopAll()
  }

  /** Says which logs could not be deleted, because their directory has failed. Throws DiskError where a later try may help. */
  stopReplicas(partitions: readonly PartitionId[], deleteLogs: boolean): PartitionAnswer[] {
    return partitions.map(({ topic, partition }) => {
      this.stop(topic, partition)
      return { topic, partition, error: deleteLogs ? this.deleteLog(topic, partition) : ErrorCode.NONE }
    })
  }

  private stop(topic: string, index: number): void {
    const hosted = this.byTopic.get(topic)
    const partition = hosted?.[index]
    if (!partition) return
    const led = partition.isLeader
    this.moves.stop(partition)
    delete hosted![index]
    if (!hosted!.some(Boolean)) this.byTopic.delete(topic)
    partition.close()
    if (led) this.listener.resigned(topic, index)
  }

  private deleteLog(topic: string, index: number): number {
    try {
      this.logs.remove(topic, index)
      return ErrorCode.NONE
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'IO') throw error
      this.logger.log('error', 'a log cannot be deleted', { path: error.path, error: error.message })
      return ErrorCode.KAFKA_STORAGE_ERROR
    }
  }

  /** New settings reach the logs of a topic. */
  topicConfigChanged(topic: string): void {
    const config = this.configFor(topic)
    for (const partition of this.byTopic.get(topic) ?? []) {
      if (!partition) continue
      partition.log.config = config
      const future = this.logs.future(topic, partition.index)
      if (future !== undefined) future.config = config
    }
  }

  allTopicConfigsChanged(): void {
    for (const topic of this.byTopic.keys()) this.topicConfigChanged(topic)
  }

  private host(state: PartitionState): Partition {
    const { topic, partition: index } = state
    const log = this.logOf(state)
    const partition = new Partition(this.brokerId, log, this.logs.checkpointedHighWatermark(topic, index))
    let hosted = this.byTopic.get(topic)
    if (!hosted) this.byTopic.set(topic, (hosted = []))
    hosted[index] = partition
    const future = this.logs.future(topic, index)
    if (future !== undefined && !partition.isOffline) this.moves.start(partition, future)
    return partition
  }

  private logOf(state: PartitionState): ReplicaLog {
    const { topic, partition: index, topicId, isNew } = state
    const config = this.configFor(topic)
    try {
      return this.logs.getOrCreate(topic, index, topicId, config, isNew)
    } catch (error) {
      if (!(error instanceof DiskError) || error.code === 'NO_SPACE') throw error
      const partition = `${topic}-${index}`
      this.logger.log('error', 'a partition is offline', { partition, error: error.message })
      return new OfflineLog(state, config)
    }
  }
}
