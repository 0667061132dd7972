/** The partitions of this broker, by name. */
import type { Logger } from '../env/env.ts'
import { DiskError } from '../env/disk.ts'
import type { LogConfig, LogManager } from '../log/types.ts'
import { Partition, type PartitionState } from './partition.ts'

export interface LeadershipListener {
  elected(topic: string, partition: number, leaderEpoch: number): void
  resigned(topic: string, partition: number): void
}

export class ReplicaManager {
  private readonly brokerId: number
  private readonly logs: LogManager
  private readonly logger: Logger
  private readonly configFor: (topic: string) => LogConfig
  private readonly listener: LeadershipListener
  private readonly byTopic = new Map<string, Partition[]>()

  constructor(
    brokerId: number,
    logs: LogManager,
    world: { logger: Logger; configFor: (topic: string) => LogConfig },
    listener: LeadershipListener,
  ) {
    this.brokerId = brokerId
    this.logs = logs
    this.logger = world.logger
    this.configFor = world.configFor
    this.listener = listener
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

  /** Becomes leader (from the cluster on: or follower) of the partitions that name this broker. */
  applyLeaderAndIsr(states: readonly PartitionState[]): void {
    for (const state of states) {
      if (!state.replicas.includes(this.brokerId)) continue
      try {
        const partition = this.get(state.topic, state.partition) ?? this.host(state)
        const led = partition.isLeader
        if (!partition.apply(state)) continue
        if (partition.isLeader) this.listener.elected(state.topic, state.partition, state.leaderEpoch)
        else if (led) this.listener.resigned(state.topic, state.partition)
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        const at = `${state.topic}-${state.partition}`
        this.logger.log('error', 'partition is offline: its log cannot be opened', {
          partition: at,
          error: error.message,
        })
      }
    }
  }

  stopReplicas(partitions: readonly { topic: string; partition: number }[], deleteLogs: boolean): void {
    for (const { topic, partition: index } of partitions) {
      const hosted = this.byTopic.get(topic)
      const partition = hosted?.[index]
      if (partition) {
        const led = partition.isLeader
        delete hosted[index]
        if (!hosted.some(Boolean)) this.byTopic.delete(topic)
        partition.close()
        if (led) this.listener.resigned(topic, index)
      }
      if (deleteLogs) this.logs.remove(topic, index)
    }
  }

  /** New settings reach the logs of a topic. */
  topicConfigChanged(topic: string): void {
    const config = this.configFor(topic)
    for (const partition of this.byTopic.get(topic) ?? []) if (partition) partition.log.config = config
  }

  allTopicConfigsChanged(): void {
    for (const topic of this.byTopic.keys()) this.topicConfigChanged(topic)
  }

  private host(state: PartitionState): Partition {
    const { topic, partition: index, topicId } = state
    const log = this.logs.getOrCreate(topic, index, topicId, this.configFor(topic))
    const partition = new Partition(this.brokerId, log, this.logs.checkpointedHighWatermark(topic, index))
    let hosted = this.byTopic.get(topic)
    if (!hosted) this.byTopic.set(topic, (hosted = []))
    hosted[index] = partition
    return partition
  }
}
