/** What the controller tells brokers. The wire requests LeaderAndIsr, UpdateMetadata and StopReplica carry the same. */
import type { BrokerEndpoint } from './znodes.ts'

export const NO_LEADER = -1
/** The leader of a partition whose topic is being deleted: brokers forget such a partition (UpdateMetadata). */
export const LEADER_DURING_DELETE = -2
/** The leader epoch of a replica that goes because its topic does: it is fenced by no leader epoch (StopReplica). */
export const EPOCH_DURING_DELETE = -2

/** Who says it. A broker that has heard a later controller answers STALE_CONTROLLER_EPOCH and changes nothing. */
export interface ControllerIdentity {
  readonly controllerId: number
  readonly controllerEpoch: number
}

export interface PartitionState {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Of the controller that wrote this state, which may be one before the one that tells of it. */
  readonly controllerEpoch: number
  /** NO_LEADER, or (UpdateMetadata alone) LEADER_DURING_DELETE; else a broker's id. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  /** Version of the partition's state znode. */
  readonly partitionEpoch: number
  /** The preferred leader first. While the partition is reassigned: with those that are added, and those to be removed. */
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
  /** The replicas may be created: there was no such partition (or no such replica of it) before. */
  readonly isNew: boolean
  /** The leader was elected uncleanly and has not recovered yet (KIP-704). */
  readonly recovering: boolean
  /** Replicas that are not there: their broker is gone, or their log directory has failed. */
  readonly offlineReplicas: readonly number[]
}

export interface ReplicaToStop {
  readonly topic: string
  readonly partition: number
  /** -1: not known; EPOCH_DURING_DELETE */
  readonly leaderEpoch: number
  /** Remove what is on disk, too. */
  readonly deleteLog: boolean
}

/** `error`: a Kafka error code; KAFKA_STORAGE_ERROR of a replica whose log directory has failed. */
export interface PartitionAnswer {
  readonly topic: string
  readonly partition: number
  readonly error: number
}

/** `error` is about the request as a whole (STALE_BROKER_EPOCH, STALE_CONTROLLER_EPOCH); then `partitions` is empty. */
export interface BrokerAnswer {
  readonly error: number
  readonly partitions: readonly PartitionAnswer[]
}

export interface BrokerInfo {
  readonly id: number
  /** czxid of its registration: grows with every start. */
  readonly epoch: number
  readonly rack: string | null
  readonly endpoints: readonly BrokerEndpoint[]
}

export interface MetadataUpdate {
  /** All live brokers: replaces what was known. */
  readonly brokers: readonly BrokerInfo[]
  /** Merged into what was known. One with LEADER_DURING_DELETE is forgotten, and its topic with the last of them. */
  readonly partitions: readonly PartitionState[]
}

/**
 * The controller's way to one life of one broker (`BrokerInfo.epoch`). Every call is one attempt: it rejects with
 * NetworkError, or with CoordinationError or DiskError where the broker in this process cannot do it now, and is then
 * repeated by `BrokerChannels`. One call is under way at a time.
 */
export interface BrokerChannel {
  /**
   * Become leader or follower of these partitions. The broker must read the topics' configurations first. `leaders` are
   * the live brokers that `states` name as leaders.
   */
  leaderAndIsr(
    from: ControllerIdentity,
    states: readonly PartitionState[],
    leaders: readonly BrokerInfo[],
  ): Promise<BrokerAnswer>
  updateMetadata(from: ControllerIdentity, update: MetadataUpdate): Promise<{ readonly error: number }>
  /** Stop hosting them. Resolves when done. */
  stopReplicas(from: ControllerIdentity, replicas: readonly ReplicaToStop[]): Promise<BrokerAnswer>
  /**
   * Runs `listener` each time the connection has ended and the broker's port refuses another: its process is gone. The
   * channel finds out by itself, also while nothing is asked. Never, where there is no connection.
   */
  onLost(listener: () => void): void
  /** What is under way rejects, or its answer is not looked at. */
  close(): void
}
