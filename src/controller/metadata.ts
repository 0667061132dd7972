/** What the controller tells brokers. The wire requests LeaderAndIsr, UpdateMetadata and StopReplica carry the same. */
import type { BrokerEndpoint } from './znodes.ts'

export interface PartitionState {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** -1: none */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly replicas: readonly number[]
  /** Version of the partition's state znode. */
  readonly partitionEpoch: number
  /** The replicas may be created: there was no such partition before. */
  readonly isNew: boolean
  /** Replicas whose log directory has failed; whoever is told knows itself which brokers are not there. */
  readonly offlineReplicas: readonly number[]
}

/** `error`: NONE, or KAFKA_STORAGE_ERROR of a replica whose log directory has failed. */
export interface PartitionAnswer {
  readonly topic: string
  readonly partition: number
  readonly error: number
}

export interface BrokerInfo {
  readonly id: number
  /** czxid of its registration: grows with every start. */
  readonly epoch: number
  readonly rack: string | null
  readonly endpoints: readonly BrokerEndpoint[]
}

export interface MetadataUpdate {
  readonly controllerId: number
  /** All live brokers: replaces what was known. */
  readonly brokers: readonly BrokerInfo[]
  /** Merged into what was known. */
  readonly partitions: readonly PartitionState[]
  /** Topics that are no more. Applied before `partitions`. */
  readonly deletedTopics: readonly string[]
}

/**
 * The controller's way to one broker. Calls are answered in order. CoordinationError and DiskError: the broker is gone, or
 * cannot do it now; it is told again later.
 */
export interface BrokerChannel {
  /** Become leader or follower of these partitions. The broker must read the topics' configurations first. */
  leaderAndIsr(
    states: readonly PartitionState[],
  ): Promise<readonly PartitionAnswer[]> | readonly PartitionAnswer[]
  updateMetadata(update: MetadataUpdate): Promise<void> | void
  /** Stop hosting them and, with `deleteLogs`, remove what is on disk. Resolves when done. */
  stopReplicas(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    deleteLogs: boolean,
  ): Promise<readonly PartitionAnswer[]> | readonly PartitionAnswer[]
}
