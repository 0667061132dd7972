/** A member of a consumer group (KIP-848): what it said of itself, and how far it has come. Never changed, only replaced. */
import { sameProtocols } from '../group.ts'
import type { MemberProtocol } from '../group.ts'
import { assignmentOf, NOTHING, sameAssignment } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import { STATE_NUMBERS } from './records.ts'
import type { CurrentValue, MemberValue } from './records.ts'

/**
 * STABLE: it has what its epoch gives it. UNREVOKED_PARTITIONS: it must first give back what is pending revocation.
 * UNRELEASED_PARTITIONS: others have not given back yet what it will get. UNKNOWN: written by a newer coordinator.
 */
export type MemberState = keyof typeof STATE_NUMBERS

/** Of a member that speaks the classic protocol. */
export interface ClassicMetadata {
  readonly sessionTimeoutMs: number
  readonly supportedProtocols: readonly MemberProtocol[]
}

/** What a member says of itself. */
export interface MemberDetails {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly clientId: string
  readonly clientHost: string
  readonly topicNames: ReadonlySet<string>
  /** null or empty: none */
  readonly topicRegex: string | null
  readonly assignor: string | null
  readonly classic: ClassicMetadata | null
}

export interface ConsumerMember extends MemberDetails {
  readonly memberId: string
  readonly memberEpoch: number
  readonly previousMemberEpoch: number
  readonly state: MemberState
  readonly assigned: Assignment
  readonly pendingRevocation: Assignment
}

/** ConsumerGroupHeartbeat's member epochs that say something else: joins, leaves, leaves but comes back. */
export const JOIN_EPOCH = 0
export const LEAVE_EPOCH = -1
export const LEAVE_STATIC_EPOCH = -2

export function newMember(memberId: string): ConsumerMember {
  return {
    memberId,
    memberEpoch: 0,
    previousMemberEpoch: -1,
    state: 'STABLE',
    assigned: NOTHING,
    pendingRevocation: NOTHING,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    clientId: '',
    clientHost: '',
    topicNames: new Set(),
    topicRegex: '',
    assignor: null,
    classic: null,
  }
}

export function regexOf(member: ConsumerMember | undefined): string | null {
  return member === undefined || member.topicRegex === '' ? null : member.topicRegex
}

export function isReconciledTo(member: ConsumerMember, targetEpoch: number): boolean {
  return member.state === 'STABLE' && member.memberEpoch === targetEpoch
}

export function sameTopics(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false
  for (const name of one) if (!other.has(name)) return false
  return true
}

export function sameDetails(one: MemberDetails, other: MemberDetails): boolean {
  if (one === other) return true
  return (
    one.instanceId === other.instanceId &&
    one.rackId === other.rackId &&
    one.rebalanceTimeoutMs === other.rebalanceTimeoutMs &&
    one.clientId === other.clientId &&
    one.clientHost === other.clientHost &&
    one.topicRegex === other.topicRegex &&
    one.assignor === other.assignor &&
    sameTopics(one.topicNames, other.topicNames) &&
    sameClassic(one.classic, other.classic)
  )
}

function sameClassic(one: ClassicMetadata | null, other: ClassicMetadata | null): boolean {
  if (one === null || other === null) return one === other
  return (
    one.sessionTimeoutMs === other.sessionTimeoutMs &&
    sameProtocols(one.supportedProtocols, other.supportedProtocols)
  )
}

export function sameProgress(one: ConsumerMember, other: ConsumerMember): boolean {
  return (
    one.memberEpoch === other.memberEpoch &&
    one.previousMemberEpoch === other.previousMemberEpoch &&
    one.state === other.state &&
    sameAssignment(one.assigned, other.assigned) &&
    sameAssignment(one.pendingRevocation, other.pendingRevocation)
  )
}

export function withDetails(member: ConsumerMember, value: MemberValue): ConsumerMember {
  return {
    ...member,
    instanceId: value.instanceId,
    rackId: value.rackId,
    rebalanceTimeoutMs: value.rebalanceTimeoutMs,
    clientId: value.clientId,
    clientHost: value.clientHost,
    topicNames: new Set(value.subscribedTopicNames),
    topicRegex: value.subscribedTopicRegex,
    assignor: value.serverAssignor,
    classic: value.classicMemberMetadata,
  }
}

const stateByNumber = new Map(
  Object.entries(STATE_NUMBERS).map(([state, number]) => [number as number, state as MemberState]),
)

export function withProgress(member: ConsumerMember, value: CurrentValue): ConsumerMember {
  return {
    ...member,
    memberEpoch: value.memberEpoch,
    previousMemberEpoch: value.previousMemberEpoch,
    state: stateByNumber.get(value.state) ?? 'UNKNOWN',
    assigned: assignmentOf(value.assignedPartitions),
    pendingRevocation: assignmentOf(value.partitionsPendingRevocation),
  }
}

/** As a tombstone of its progress leaves it. */
export function withoutProgress(member: ConsumerMember): ConsumerMember {
  const nothing = { assigned: NOTHING, pendingRevocation: NOTHING }
  return { ...member, memberEpoch: -1, previousMemberEpoch: -1, ...nothing }
}
