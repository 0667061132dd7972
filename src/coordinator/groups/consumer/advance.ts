/**
 * How a group goes on when a member says something: a new epoch where subscriptions or topics have changed, a new target where
 * the epoch is ahead of it, and the member's own next step. Source: GroupMetadataManager.consumerGroupHeartbeat and
 * classicGroupJoinToConsumerGroup (4.1).
 */
import type { Assignment } from './assignment.ts'
import { NOT_OWNED } from './consumer-group.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Context } from './context.ts'
import { count, isHomogeneous } from './counts.ts'
import { isReconciledTo, regexOf, sameDetails, sameProgress, sameTopics } from './member.ts'
import type { ConsumerMember } from './member.ts'
import { currentRecord, groupRecord, memberRecord, tombstone } from './records.ts'
import type { ConsumerRecord } from './records.ts'
import { reconcile } from './reconcile.ts'
import { isRefusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import { nextTarget } from './target.ts'

/** A member as the group has it (or is about to, under a new id), and as it is now. */
export interface Change {
  readonly before: ConsumerMember
  readonly member: ConsumerMember
}

export interface EpochStep {
  readonly epoch: number
  readonly homogeneous: boolean
  /** The metadata hash was computed. */
  readonly refreshed: boolean
}

/** Gives whether it subscribes to other topics by name than before. */
export function noteDetails(
  group: ConsumerGroup,
  { before, member }: Change,
  records: ConsumerRecord[],
): boolean {
  if (sameDetails(before, member)) return false
  records.push(memberRecord(group.groupId, member))
  return !sameTopics(before.topicNames, member.topicNames)
}

export function nextEpoch(
  group: ConsumerGroup,
  context: Context,
  change: Change & { readonly bump: boolean },
  records: ConsumerRecord[],
): EpochStep {
  const { groupId } = group
  if (!change.bump && !group.metadataExpired) {
    return { epoch: group.epoch, homogeneous: group.isHomogeneous, refreshed: false }
  }
  const { topics, regexes, members } = subscriptionsAfter(group, change)
  const hash = context.hashes.groupHash(topics.names())
  const bump = change.bump || hash !== group.metadataHash
  const epoch = bump ? group.epoch + 1 : group.epoch
  if (bump) records.push(groupRecord(groupId, epoch, hash))
  if (group.hasPartitionMetadata) records.push(tombstone('consumer-partition-metadata', groupId))
  return { epoch, homogeneous: isHomogeneous(topics, regexes, members), refreshed: true }
}

function subscriptionsAfter(group: ConsumerGroup, { before, member }: Change) {
  const topics = group.topicCounts.copy()
  topics.addNames(before.topicNames, -1)
  topics.addNames(member.topicNames, 1)
  const regexes = new Map(group.regexCounts)
  const [oldRegex, newRegex] = [regexOf(before), regexOf(member)]
  if (oldRegex !== newRegex) {
    if (oldRegex !== null) {
      if (group.regexCounts.get(oldRegex) === 1) {
        topics.addMatches(group.resolvedRegexes.get(oldRegex)?.topics ?? [], -1)
      }
      count(regexes, oldRegex, -1)
    }
    if (newRegex !== null) count(regexes, newRegex, 1)
  }
  const isKnown =
    group.members.has(member.memberId) ||
    (member.instanceId !== null && group.staticMembers.has(member.instanceId))
  return { topics, regexes, members: group.members.size + (isKnown ? 0 : 1) }
}

/** The target for the member, computed anew where the epoch is ahead of it; then the member's next step towards it. */
export function assignAndReconcile(
  group: ConsumerGroup,
  context: Context,
  change: Change & Pick<EpochStep, 'epoch' | 'homogeneous'> & { readonly owned: Assignment | null },
  records: ConsumerRecord[],
): ConsumerMember | Refusal {
  const { member, epoch, owned } = change
  let targetEpoch = group.targetEpoch
  let target = group.targetFor(member)
  if (epoch > targetEpoch) {
    const [defaultAssignor] = context.config.consumerGroupAssignors
    const next = nextTarget(group, context.topics, { ...change, defaultAssignor })
    records.push(...next.records)
    target = next.target
    targetEpoch = epoch
  }
  return reconcileMember(group, member, { targetEpoch, target, owned }, records)
}

export function reconcileMember(
  group: ConsumerGroup,
  member: ConsumerMember,
  goal: { readonly targetEpoch: number; readonly target: Assignment; readonly owned: Assignment | null },
  records: ConsumerRecord[],
): ConsumerMember | Refusal {
  if (isReconciledTo(member, goal.targetEpoch)) return member
  // Also by a static member that is away, whose epoch is below zero: it comes back to what it had.
  const isOwned = (topicId: string, partition: number) => group.ownerEpoch(topicId, partition) !== NOT_OWNED
  const { targetEpoch, target, owned } = goal
  const next = reconcile(member, { targetEpoch, target, owned, isOwned })
  if (!isRefusal(next) && !sameProgress(member, next)) records.push(currentRecord(group.groupId, next))
  return next
}
