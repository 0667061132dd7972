/** What a server-side assignor (KIP-848) is asked, and which there are. */
import type { Assignment } from '../assignment.ts'
import { rangeAssignor } from './range.ts'
import { uniformAssignor } from './uniform.ts'

export interface MemberSpec {
  readonly memberId: string
  readonly instanceId: string | null
  /** Of topics that exist. */
  readonly topicIds: readonly string[]
  /** Its target assignment up to now. */
  readonly assignment: Assignment
}

export interface GroupSpec {
  /** In the order of Kafka's own map (member-order.ts). */
  readonly members: readonly MemberSpec[]
  /** All members subscribe to the same topics. */
  readonly homogeneous: boolean
  /** Partitions that are in the target assignment of nobody who was in the group before this change, ascending. */
  readonly unassigned: (topicId: string) => readonly number[]
  readonly partitionCount: (topicId: string) => number
}

/**
 * The new target assignment of each member, in the order of the members. One that is the same object as before has not changed.
 */
export type Assignor = (group: GroupSpec) => readonly Assignment[]

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniformAssignor],
  ['range', rangeAssignor],
])
