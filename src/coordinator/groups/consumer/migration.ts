/**
 * A group changes its kind while its members go on: to the consumer protocol when the first of them speaks it, back when the
 * last one that did has gone (group.consumer.migration.policy). Source: GroupMetadataManager.convertToConsumerGroup,
 * convertToClassicGroup (4.1).
 */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_TYPE } from '../config.ts'
import { Group, metadataOf, NO_ASSIGNMENT } from '../group.ts'
import type { Member } from '../group.ts'
import { groupMetadataRecord, groupTombstone } from '../records.ts'
import type { GroupRecord } from '../records.ts'
import { assignmentOf, NOTHING } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import { ConsumerGroup } from './consumer-group.ts'
import { readAssignment, readSubscription, writeAssignment } from './consumer-protocol.ts'
import type { EmbeddedAssignment } from './consumer-protocol.ts'
import type { Context } from './context.ts'
import { newMember } from './member.ts'
import type { ConsumerMember } from './member.ts'
import {
  currentRecord,
  groupRecord,
  memberRecord,
  targetEpochRecord,
  targetRecord,
  tombstone,
} from './records.ts'
import type { ConsumerRecord } from './records.ts'
import { isRefusal, refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import type { GroupTopics } from './topics.ts'

export const MIGRATION_POLICIES = ['bidirectional', 'upgrade', 'downgrade', 'disabled'] as const
export type MigrationPolicy = (typeof MIGRATION_POLICIES)[number]

export interface Upgrade {
  readonly records: readonly GroupRecord[]
  /** The group as those records make it. */
  readonly group: ConsumerGroup
}

/** An empty group is always converted. */
export function upgrade(classic: Group, context: Context): Upgrade | Refusal {
  const { groupId } = classic
  const tombstones = classic.recorded === null ? [] : [groupTombstone(groupId)]
  if (classic.members.size === 0) return { records: tombstones, group: new ConsumerGroup(groupId) }
  const wrong = whyNotUpgraded(classic, context)
  if (wrong !== null) {
    const text = `Cannot upgrade classic group ${groupId} to consumer group because ${wrong}.`
    return refusal(ErrorCode.GROUP_ID_NOT_FOUND, text)
  }
  const members = convertedMembers(classic, context.topics)
  if (isRefusal(members)) return members
  const records = [
    ...members.map((member) => memberRecord(groupId, member)),
    groupRecord(groupId, classic.generationId, context.hashes.groupHash(topicsOf(members))),
    ...members.map((member) => targetRecord(groupId, member.memberId, member.assigned)),
    targetEpochRecord(groupId, classic.generationId),
    ...members.map((member) => currentRecord(groupId, member)),
  ]
  const group = new ConsumerGroup(groupId)
  for (const record of records) group.apply(record)
  group.metadataExpired = false
  return { records: [...tombstones, ...records], group }
}

function whyNotUpgraded(classic: Group, { config }: Context): string | null {
  const policy = config.consumerGroupMigrationPolicy
  if (policy !== 'bidirectional' && policy !== 'upgrade') return 'online upgrade is disabled'
  if (classic.protocolType !== CONSUMER_PROTOCOL_TYPE) {
    return 'the group does not use the consumer embedded protocol'
  }
  if (classic.members.size <= config.consumerGroupMaxSize) return null
  return 'the group size exceeds the consumer group maximum size'
}

function topicsOf(members: readonly ConsumerMember[]): Set<string> {
  return new Set(members.flatMap(({ topicNames }) => [...topicNames]))
}

function convertedMembers(classic: Group, topics: GroupTopics): ConsumerMember[] | Refusal {
  const protocol = classic.protocolName ?? classic.selectProtocol()
  const members: ConsumerMember[] = []
  const taken = new Set<string>()
  for (const member of classic.members.values()) {
    const converted = convertedMember(classic, member, protocol, topics)
    if (isRefusal(converted)) return converted
    members.push({ ...converted, assigned: onlyFree(converted.assigned, taken) })
  }
  return members
}

function convertedMember(
  { groupId, generationId }: Group,
  member: Member,
  protocol: string,
  topics: GroupTopics,
): ConsumerMember | Refusal {
  const why = `Cannot upgrade classic group ${groupId} to consumer group because `
  const subscription = readSubscription(metadataOf(member, protocol))
  const hasAssignment = member.assignment.length > 0
  const assignment = hasAssignment
    ? readAssignment(member.assignment)
    : { assignedPartitions: [], userData: null }
  if (subscription === null || assignment === null) {
    return refusal(ErrorCode.GROUP_ID_NOT_FOUND, `${why}the embedded consumer protocol is malformed.`)
  }
  if ((assignment.userData?.length ?? 0) > 0) {
    const text =
      'an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor ' +
      'before re-attempting the upgrade.'
    return refusal(ErrorCode.GROUP_ID_NOT_FOUND, `${why}${text}`)
  }
  return {
    ...newMember(member.memberId),
    memberEpoch: generationId,
    previousMemberEpoch: generationId,
    instanceId: member.groupInstanceId,
    rackId: subscription.rackId === '' ? null : subscription.rackId,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    clientId: member.clientId,
    clientHost: member.clientHost,
    topicNames: new Set(subscription.topics),
    assigned: idsOf(assignment.assignedPartitions, topics),
    classic: { sessionTimeoutMs: member.sessionTimeoutMs, supportedProtocols: member.protocols },
  }
}

/** A leader of a faulty assignor may have given a partition twice: the first one has it. */
function onlyFree(assignment: Assignment, taken: Set<string>): Assignment {
  const free = [...assignment].map(([topicId, partitions]) => ({
    topicId,
    partitions: partitions.filter((partition) => {
      const id = `${topicId} ${partition}`
      return !taken.has(id) && taken.add(id)
    }),
  }))
  return assignmentOf(free)
}

/** Topics that do not exist are left out. */
export function idsOf(
  partitions: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
  topics: GroupTopics,
): Assignment {
  return assignmentOf(
    partitions.flatMap(({ topic, partitions: indexes }) => {
      const topicId = topics.topic(topic)?.topicId
      return topicId === undefined ? [] : [{ topicId, partitions: indexes }]
    }),
  )
}

export function namesOf(
  assignment: Assignment,
  topics: GroupTopics,
): EmbeddedAssignment['assignedPartitions'] {
  return [...assignment].flatMap(([topicId, partitions]) => {
    const topic = topics.topicById(topicId)?.name
    return topic === undefined ? [] : [{ topic, partitions: [...partitions] }]
  })
}

/** Would a group of these members be a classic one? */
export function mayDowngrade(members: readonly ConsumerMember[], { config }: Context): boolean {
  const policy = config.consumerGroupMigrationPolicy
  if (policy !== 'bidirectional' && policy !== 'downgrade') return false
  const size = members.length
  return size > 0 && size <= config.groupMaxSize && members.every(({ classic }) => classic !== null)
}

/**
 * `members`: those who stay, all of them classic; `replaced` is a static member in whose place one of them has come. null:
 * what they embed does not comply, or they have no protocol in common.
 */
export function downgradeRecords(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  { topics, wallMs }: Context,
  replaced?: ConsumerMember,
): GroupRecord[] | null {
  const classic = new Group(group.groupId)
  classic.protocolType = CONSUMER_PROTOCOL_TYPE
  classic.generationId = group.epoch
  for (const member of members) classic.addMember(classicMember(member))
  const protocol = classic.commonProtocol()
  if (protocol === null) return null
  classic.protocolName = protocol
  for (const member of classic.members.values()) {
    if (readSubscription(metadataOf(member, protocol)) === null) return null
  }
  const ids = new Set([...group.members.keys(), ...members.map(({ memberId }) => memberId)])
  if (replaced !== undefined) ids.delete(replaced.memberId)
  const assignmentFor = (member: Member): Buffer => {
    const isInPlace = replaced !== undefined && member.groupInstanceId === replaced.instanceId
    const target = group.targets.get(isInPlace ? replaced.memberId : member.memberId) ?? NOTHING
    return writeAssignment(namesOf(target, topics), metadataOf(member, protocol))
  }
  return [...groupTombstones(group, [...ids]), groupMetadataRecord(classic, wallMs, assignmentFor)]
}

function classicMember(member: ConsumerMember): Member {
  return {
    memberId: member.memberId,
    groupInstanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.classic?.sessionTimeoutMs ?? 0,
    protocols: member.classic?.supportedProtocols ?? [],
    assignment: NO_ASSIGNMENT,
    isNew: false,
    sessionDeadlineMs: Infinity,
    awaitingJoin: null,
    awaitingSync: null,
  }
}

/** What ends the group; `memberIds`: of its members when these records are read. */
export function groupTombstones(
  group: ConsumerGroup,
  memberIds: readonly string[] = [...group.members.keys()],
): ConsumerRecord[] {
  const { groupId } = group
  return [
    ...memberIds.map((memberId) => tombstone('consumer-current', groupId, memberId)),
    ...memberIds.map((memberId) => tombstone('consumer-target', groupId, memberId)),
    tombstone('consumer-target-epoch', groupId),
    ...memberIds.map((memberId) => tombstone('consumer-member', groupId, memberId)),
    ...[...group.resolvedRegexes.keys()].map((regex) => tombstone('consumer-regex', groupId, regex)),
    tombstone('consumer-partition-metadata', groupId),
    tombstone('consumer-group', groupId),
  ]
}
