/** What a server-side assignor (KIP-848) is asked, and which there are. */
import type { Assignment } from '../assignment.ts'
import { rangeAssignor } from './range.ts'
import { uniformAssignor } from './uniform.ts'

export interface MemberSpec {
  readonly instanceId: string | null
  /** Of topics that exist. */
  readonly topicIds: readonly string[]
  /** Its target assignment up to now. */
  readonly assignment: Assignment
}

export interface GroupSpec {
  /** By member id, in the order of Kafka's own map (java-order.ts). */
  readonly members: ReadonlyMap<string, MemberSpec>
  /** All members subscribe to the same topics. */
  readonly homogeneous: boolean
  /** Is it in the target assignment of anybody who was in the group before this change? */
  readonly isAssigned: (topicId: string, partition: number) => boolean
  readonly partitionCount: (topicId: string) => number
}

/** The new target assignment by member id; who is not in it gets nothing. */
export type Assignor = (group: GroupSpec) => ReadonlyMap<string, Assignment>

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniformAssignor],
  ['range', rangeAssignor],
])
