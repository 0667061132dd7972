/** Settings and limits of the group coordinator. */
import type { MigrationPolicy } from './consumer/migration.ts'

/** Settings of one group, where they differ from the broker's. */
export interface GroupSettings {
  /** consumer.session.timeout.ms */
  readonly consumerSessionTimeoutMs?: number
  /** consumer.heartbeat.interval.ms */
  readonly consumerHeartbeatIntervalMs?: number
}

export interface GroupCoordinatorConfig {
  /** group.min.session.timeout.ms */
  readonly groupMinSessionTimeoutMs: number
  /** group.max.session.timeout.ms */
  readonly groupMaxSessionTimeoutMs: number
  /** group.initial.rebalance.delay.ms */
  readonly groupInitialRebalanceDelayMs: number
  /** group.max.size: members of one group. Reached: GROUP_MAX_SIZE_REACHED. */
  readonly groupMaxSize: number
  /** offset.metadata.max.bytes, counted as Kafka does, in UTF-16 units. Longer: OFFSET_METADATA_TOO_LARGE. */
  readonly offsetMetadataMaxBytes: number
  /** offsets.retention.minutes, in milliseconds */
  readonly offsetsRetentionMs: number
  /** offsets.retention.check.interval.ms */
  readonly offsetsRetentionCheckIntervalMs: number
  /** offsets.topic.num.partitions: used until the topic's own count is known. */
  readonly offsetsTopicPartitions: number
  /** group.coordinator.rebalance.protocols: `classic`, `consumer`. */
  readonly rebalanceProtocols: readonly string[]
  /** group.consumer.session.timeout.ms */
  readonly consumerGroupSessionTimeoutMs: number
  /** group.consumer.heartbeat.interval.ms: what members are told. */
  readonly consumerGroupHeartbeatIntervalMs: number
  /** group.consumer.max.size: members of one consumer group. Reached: GROUP_MAX_SIZE_REACHED. */
  readonly consumerGroupMaxSize: number
  /** group.consumer.assignors: `uniform`, `range`; the first is for members that name none. */
  readonly consumerGroupAssignors: readonly string[]
  /** group.consumer.migration.policy */
  readonly consumerGroupMigrationPolicy: MigrationPolicy
  /** group.consumer.regex.refresh.interval.ms */
  readonly consumerGroupRegexRefreshIntervalMs: number
  /** What is set for one group alone (KIP-848's group configurations); undefined: nothing. */
  readonly ofGroup: (groupId: string) => GroupSettings | undefined
  /** Requests that wait while one group's records are stored. Reached: COORDINATOR_LOAD_IN_PROGRESS. */
  readonly maxWaitingRequests: number
  /** Member ids handed out in one group and not used yet. Reached: GROUP_MAX_SIZE_REACHED. */
  readonly maxPendingMembers: number
  /** Groups of one coordinator. Reached: a new group's first request gets COORDINATOR_NOT_AVAILABLE. */
  readonly maxGroups: number
}

/** Kafka 3.9's defaults (of consumer groups 4.1's), and the limits that are this broker's own. */
export const DEFAULT_GROUP_COORDINATOR_CONFIG: GroupCoordinatorConfig = {
  groupMinSessionTimeoutMs: 6_000,
  groupMaxSessionTimeoutMs: 1_800_000,
  groupInitialRebalanceDelayMs: 3_000,
  groupMaxSize: 2_147_483_647,
  offsetMetadataMaxBytes: 4_096,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetsRetentionCheckIntervalMs: 600_000,
  offsetsTopicPartitions: 50,
  rebalanceProtocols: ['classic', 'consumer'],
  consumerGroupSessionTimeoutMs: 45_000,
  consumerGroupHeartbeatIntervalMs: 5_000,
  consumerGroupMaxSize: 2_147_483_647,
  consumerGroupAssignors: ['uniform', 'range'],
  consumerGroupMigrationPolicy: 'bidirectional',
  consumerGroupRegexRefreshIntervalMs: 600_000,
  ofGroup: () => undefined,
  maxWaitingRequests: 10_000,
  maxPendingMembers: 10_000,
  maxGroups: 1_000_000,
}

/** A new member that never got an id by MEMBER_ID_REQUIRED is dropped when its JoinGroup has waited this long. */
export const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000

/** A member id begins with the client id or instance id, cut so that the whole id fits a 16-bit length. */
export const MAX_MEMBER_ID_PREFIX_LENGTH = 8_192

/** Tombstones of one group are written in batches of at most this many bytes of keys. */
export const MAX_TOMBSTONE_BATCH_BYTES = 256 * 1024

/** The protocol type of Kafka's consumers: the coordinator knows how to read which topics they subscribe to. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer'

/** A silent member of this consumer group is gone after this. */
export function consumerSessionTimeoutMs(config: GroupCoordinatorConfig, groupId: string): number {
  return config.ofGroup(groupId)?.consumerSessionTimeoutMs ?? config.consumerGroupSessionTimeoutMs
}

/** What the members of this consumer group are told. */
export function consumerHeartbeatIntervalMs(config: GroupCoordinatorConfig, groupId: string): number {
  return config.ofGroup(groupId)?.consumerHeartbeatIntervalMs ?? config.consumerGroupHeartbeatIntervalMs
}
