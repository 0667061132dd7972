/** How the parts of the group coordinator that answer requests of their own find a group, and what they do it with. */
import type { GroupCoordinatorConfig } from './config.ts'
import type { ConsumerGroups } from './consumer/consumer-groups.ts'
import type { GroupRuntime } from './group-runtime.ts'
import type { GroupPartition } from './replay.ts'

export interface GroupAccess {
  readonly config: GroupCoordinatorConfig
  readonly metadata: {
    /** undefined for a topic that does not exist. */
    partitionCount(topic: string): number | undefined
  }
  readonly runtime: GroupRuntime
  readonly consumers: ConsumerGroups
  /** The partition that holds a group, or the error code why it cannot be asked. */
  readonly partitionOf: (groupId: string) => GroupPartition | number
  /** As that, also of the group with the empty name. */
  readonly anyPartitionOf: (groupId: string) => GroupPartition | number
}
