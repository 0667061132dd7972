/** Who a member is, and whether it may speak: the checks that several requests share. Source: GroupMetadataManager.java (4.1). */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import type { GroupCoordinatorConfig } from '../config.ts'
import { isWithin } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { LEAVE_STATIC_EPOCH, newMember } from './member.ts'
import type { ConsumerMember } from './member.ts'
import { currentRecord, memberRecord, removedMember, targetRecord } from './records.ts'
import type { ConsumerRecord } from './records.ts'
import { isRefusal, refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'

export function checkSize(
  group: ConsumerGroup,
  memberId: string,
  config: GroupCoordinatorConfig,
): Refusal | null {
  const limit = config.consumerGroupMaxSize
  if (group.members.size < limit || group.members.has(memberId)) return null
  const text = `The consumer group has reached its maximum capacity of ${limit} members.`
  return refusal(ErrorCode.GROUP_MAX_SIZE_REACHED, text)
}

/** A member may be one epoch behind when its last reply was lost: then all it has must still be its own. */
export function checkEpoch(member: ConsumerMember, epoch: number, owned: Assignment | null): Refusal | null {
  const { memberEpoch, previousMemberEpoch, assigned } = member
  if (epoch === memberEpoch) return null
  const isPrevious = epoch === previousMemberEpoch && owned !== null && isWithin(owned, assigned)
  if (epoch < memberEpoch && isPrevious) return null
  const relation = epoch > memberEpoch ? 'greater' : 'smaller'
  return refusal(
    ErrorCode.FENCED_MEMBER_EPOCH,
    `The consumer group member has a ${relation} member epoch (${epoch}) than the one known by the group coordinator ` +
      `(${memberEpoch}). The member must abandon all its partitions and rejoin.`,
  )
}

export function unknownMember(group: ConsumerGroup, memberId: string): Refusal {
  const text = `Member ${memberId} is not a member of group ${group.groupId}.`
  return refusal(ErrorCode.UNKNOWN_MEMBER_ID, text)
}

export function unknownInstance(instanceId: string): Refusal {
  return refusal(ErrorCode.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`)
}

export function fencedInstance(memberId: string, instanceId: string, by: string): Refusal {
  const text = `Static member ${memberId} with instance id ${instanceId} was fenced by member ${by}.`
  return refusal(ErrorCode.FENCED_INSTANCE_ID, text)
}

/** Of a member that names itself by its id, and by its instance id where it has one. */
export function knownMember(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
): ConsumerMember | Refusal {
  if (instanceId === null) return group.members.get(memberId) ?? unknownMember(group, memberId)
  const member = group.staticMember(instanceId)
  if (member === undefined) return unknownInstance(instanceId)
  return member.memberId === memberId ? member : fencedInstance(memberId, instanceId, member.memberId)
}

export interface Identity {
  readonly memberId: string
  readonly instanceId: string | null
  /** null: it speaks the classic protocol, where its epoch comes later. */
  readonly epoch: number | null
  readonly owned: Assignment | null
  /** It may be new. */
  readonly joins: boolean
}

/** The member that speaks, or a new one. `records` gets what puts it in the place of a static member that went. */
export function identify(
  group: ConsumerGroup,
  who: Identity,
  records: ConsumerRecord[],
): ConsumerMember | Refusal {
  const { memberId, instanceId, joins } = who
  if (instanceId === null || !joins) {
    const known = knownMember(group, memberId, instanceId)
    const isNew = joins && isRefusal(known)
    const member = isNew ? newMember(memberId) : known
    if (isRefusal(member) || who.epoch === null) return member
    return checkEpoch(member, who.epoch, who.owned) ?? member
  }
  const current = group.staticMember(instanceId)
  if (current === undefined) return group.members.get(memberId) ?? newMember(memberId)
  const isHeld = who.epoch !== null && current.classic === null && current.memberEpoch !== LEAVE_STATIC_EPOCH
  if (isHeld) {
    const text =
      `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is ` +
      `owned by ${current.memberId} member.`
    return refusal(ErrorCode.UNRELEASED_INSTANCE_ID, text)
  }
  const replacement = { ...current, memberId, memberEpoch: 0, previousMemberEpoch: 0 }
  records.push(
    ...removedMember(group.groupId, current.memberId),
    memberRecord(group.groupId, replacement),
    targetRecord(group.groupId, memberId, group.target(current.memberId)),
    currentRecord(group.groupId, replacement),
  )
  return replacement
}
