/**
 * The target assignment of a group's next epoch: what is meant for each member once all have given back and taken.
 * Source: TargetAssignmentBuilder.java (4.1).
 */
import { NOTHING, sameAssignment } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import { ASSIGNORS } from './assignors/assignor.ts'
import type { MemberSpec } from './assignors/assignor.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { count } from './counts.ts'
import { inJavaOrder, stringHash } from './java-order.ts'
import { regexOf } from './member.ts'
import type { ConsumerMember } from './member.ts'
import { targetEpochRecord, targetRecord } from './records.ts'
import type { ConsumerRecord } from './records.ts'
import type { GroupTopics } from './topics.ts'

export interface NextTarget {
  readonly records: ConsumerRecord[]
  /** Of the member that changes. */
  readonly target: Assignment
}

interface Change {
  readonly epoch: number
  readonly homogeneous: boolean
  /** As the group has it (or a copy under another id), and as it will be. */
  readonly before: ConsumerMember
  readonly member: ConsumerMember
  readonly defaultAssignor: string
}

export function nextTarget(group: ConsumerGroup, topics: GroupTopics, change: Change): NextTarget {
  const { member, before, epoch, homogeneous } = change
  const specs = memberSpecs(group, topics, member, homogeneous)
  const assignorCounts = new Map(group.assignorCounts)
  if (before.assignor !== null) count(assignorCounts, before.assignor, -1)
  if (member.assignor !== null) count(assignorCounts, member.assignor, 1)
  const preferred = group.preferredAssignor(assignorCounts)
  const assign = ASSIGNORS.get(preferred ?? '') ?? ASSIGNORS.get(change.defaultAssignor)!
  const partitionCount = (topicId: string) => topics.topicById(topicId)?.partitionCount ?? 0
  const targets = assign({
    members: specs,
    homogeneous,
    unassigned: (topicId) => group.meantForNobody(topicId, partitionCount(topicId)),
    partitionCount,
  })
  const records: ConsumerRecord[] = []
  let target = NOTHING
  for (let i = 0; i < specs.length; i++) {
    const { memberId } = specs[i]
    const next = targets[i]
    if (memberId === member.memberId) target = next
    const known = group.targets.get(memberId)
    if (known === undefined || !sameAssignment(known, next))
      records.push(targetRecord(group.groupId, memberId, next))
  }
  records.push(targetEpochRecord(group.groupId, epoch))
  return { records, target }
}

/** In the order of Kafka's own map. */
function memberSpecs(
  group: ConsumerGroup,
  topics: GroupTopics,
  changed: ConsumerMember,
  homogeneous: boolean,
): MemberSpec[] {
  const replaced = changed.instanceId === null ? undefined : group.staticMembers.get(changed.instanceId)
  const known = new Map<string, readonly string[]>()
  const gone = goneTopics(group, topics)
  const shared = homogeneous ? subscribedTopicIds(group, topics, changed, known) : null
  return group.order.memberIds(changed.memberId, replaced).map((memberId) => {
    const isChanged = memberId === changed.memberId
    const member = isChanged ? changed : group.members.get(memberId)!
    const { instanceId } = member
    const assignment = without(isChanged ? group.targetFor(changed) : group.target(memberId), gone)
    const topicIds = shared ?? subscribedTopicIds(group, topics, member, known)
    return { memberId, instanceId, topicIds, assignment }
  })
}

/** Of the topics that are meant for anybody, those that are not there any more. */
function goneTopics(group: ConsumerGroup, topics: GroupTopics): ReadonlySet<string> {
  const gone = new Set<string>()
  for (const topicId of group.targetTopics()) if (topics.topicById(topicId) === undefined) gone.add(topicId)
  return gone
}

/** Topics that are gone are nobody's. */
function without(assignment: Assignment, gone: ReadonlySet<string>): Assignment {
  if (gone.size === 0) return assignment
  return new Map([...assignment].filter(([topicId]) => !gone.has(topicId)))
}

/** `known`: what was found for another member with the same subscription. */
function subscribedTopicIds(
  group: ConsumerGroup,
  topics: GroupTopics,
  member: ConsumerMember,
  known: Map<string, readonly string[]>,
): readonly string[] {
  const regex = regexOf(member)
  // Of one topic, as most are.
  if (regex === null && member.topicNames.size === 1) {
    const name = member.topicNames.values().next().value!
    let ids = known.get(name)
    if (ids === undefined) known.set(name, (ids = idsOf(topics, [name])))
    return ids
  }
  const matches = regex === null ? [] : [...(group.resolvedRegexes.get(regex)?.topics ?? [])]
  const names = [...new Set([...[...member.topicNames].sort(), ...matches.sort()])]
  const key = names.join(',')
  const found = known.get(key)
  if (found !== undefined) return found
  const ids = idsOf(topics, inJavaOrder(names, stringHash, 'presized'))
  known.set(key, ids)
  return ids
}

/** Of those that exist. */
function idsOf(topics: GroupTopics, names: readonly string[]): string[] {
  return names.flatMap((name) => topics.topic(name)?.topicId ?? [])
}
