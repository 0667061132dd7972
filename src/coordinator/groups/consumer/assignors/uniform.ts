/**
 * The uniform assignor, Kafka's default: everybody gets as many partitions as the others, or one more, and keeps of what it
 * had as much as that allows. Here for members who all subscribe to the same topics; heterogeneous.ts for the others.
 * Source: UniformHomogeneousAssignmentBuilder.java (4.1).
 */
import { assert } from '../../../../base/assert.ts'
import { NOTHING } from '../assignment.ts'
import type { Assignment } from '../assignment.ts'
import { inJavaOrder, partitionsInJavaOrder, uuidHash } from '../java-order.ts'
import type { GroupSpec } from './assignor.ts'
import { heterogeneousAssignment, topicsOf } from './heterogeneous.ts'
import type { Draft } from './heterogeneous.ts'

type FreePartition = readonly [topicId: string, partition: number]

export function uniformAssignor(group: GroupSpec): readonly Assignment[] {
  if (group.members.length === 0) return []
  return group.homogeneous ? homogeneousAssignment(group) : heterogeneousAssignment(group)
}

function homogeneousAssignment(group: GroupSpec): readonly Assignment[] {
  const [anyMember] = group.members
  const topicIds = inJavaOrder(anyMember.topicIds, uuidHash, 'presized')
  if (topicIds.length === 0) return group.members.map(() => NOTHING)
  const free: FreePartition[] = []
  let total = 0
  for (const topicId of topicIds) {
    for (const partition of group.unassigned(topicId)) free.push([topicId, partition])
    total += group.partitionCount(topicId)
  }
  const { kept, wanting } = keepWithinQuota(group, new Set(topicIds), total, free)
  let next = 0
  for (const { member, wants } of wanting) {
    const taken = free.slice(next, next + wants)
    next += taken.length
    if (taken.length > 0) kept[member] = withMore(kept[member], taken)
  }
  assert(next === free.length, 'partitions were left unassigned')
  return kept
}

function withMore(assignment: Assignment, taken: readonly FreePartition[]): Assignment {
  const draft: Draft = new Map([...assignment].map(([topicId, partitions]) => [topicId, new Set(partitions)]))
  for (const [topicId, partition] of taken) {
    const partitions = draft.get(topicId)
    if (partitions === undefined) draft.set(topicId, new Set([partition]))
    else partitions.add(partition)
  }
  return topicsOf(draft)
}

/** Takes from each member what is above its quota or no longer subscribed to, and says who may take how many more. */
function keepWithinQuota(
  group: GroupSpec,
  topicIds: ReadonlySet<string>,
  total: number,
  free: FreePartition[],
) {
  const size = group.members.length
  const least = Math.floor(total / size)
  let extras = total % size
  let left = size
  const kept: Assignment[] = []
  /** By their place in the group. */
  const wanting: { member: number; wants: number }[] = []
  for (const { assignment } of group.members) {
    let hasExtra = extras > 0
    let quota = hasExtra ? least + 1 : least
    const held = countIn(assignment, topicIds)
    // Nearly everybody keeps just what it has: then it is the same object.
    kept.push(held <= quota ? within(assignment, topicIds) : cutTo(quota, assignment, topicIds, free))
    quota = Math.max(quota - held, 0)
    // Others are left who can take the extra partition: this one does not need it.
    if (quota > 0 && hasExtra && left > extras) {
      quota--
      hasExtra = false
    }
    if (quota > 0) wanting.push({ member: kept.length - 1, wants: quota })
    if (hasExtra) extras--
    left--
  }
  return { kept, wanting }
}

/** Partitions of these topics. */
function countIn(assignment: Assignment, topicIds: ReadonlySet<string>): number {
  let sum = 0
  for (const [topicId, partitions] of assignment) if (topicIds.has(topicId)) sum += partitions.length
  return sum
}

function within(assignment: Assignment, topicIds: ReadonlySet<string>): Assignment {
  for (const topicId of assignment.keys()) {
    if (!topicIds.has(topicId)) return new Map([...assignment].filter(([each]) => topicIds.has(each)))
  }
  return assignment
}

/** What a member keeps who has more; the others are free. */
function cutTo(
  quota: number,
  assignment: Assignment,
  topicIds: ReadonlySet<string>,
  free: FreePartition[],
): Assignment {
  const draft: Draft = new Map()
  let left = quota
  for (const topicId of inJavaOrder(assignment.keys(), uuidHash, 'grown')) {
    if (!topicIds.has(topicId)) continue
    const kept = new Set<number>()
    for (const partition of partitionsInJavaOrder(assignment.get(topicId)!)) {
      if (left > 0) {
        kept.add(partition)
        left--
      } else {
        free.push([topicId, partition])
      }
    }
    if (kept.size > 0) draft.set(topicId, kept)
  }
  return topicsOf(draft)
}
