/**
 * What the log says, applied to the groups: the only place that changes their durable state, for records just written
 * and for records that are loaded alike. Source: coordinators.md 5 (load).
 */
import { ConsumerGroup } from './consumer/consumer-group.ts'
import { isConsumerRecord } from './consumer/records.ts'
import type { ConsumerRecord } from './consumer/records.ts'
import { Group } from './group.ts'
import type { Commit, CommittedOffset, Member } from './group.ts'
import { PartitionMap } from './partition-map.ts'
import { committedOffset } from './records.ts'
import type { GroupMetadataValue, GroupRecord } from './records.ts'
import type { Turn } from './turn.ts'

/** The groups of one partition of `__consumer_offsets`. */
export class GroupPartition {
  readonly index: number
  readonly groups = new Map<string, Group>()
  /** Those of the consumer protocol. */
  readonly consumerGroups = new Set<Group>()
  /** Groups with offsets of a producer's open transaction. */
  readonly openTransactions = new Map<number, Set<Group>>()

  constructor(index: number) {
    this.index = index
  }

  getOrCreate(groupId: string): Group {
    let group = this.groups.get(groupId)
    if (group === undefined) {
      group = new Group(groupId)
      this.groups.set(groupId, group)
    }
    return group
  }
}

export const NOT_TRANSACTIONAL = -1

/** `producerId`: of a transactional batch; its offsets count when the commit marker has come. */
export function replay(
  partition: GroupPartition,
  record: GroupRecord,
  recordOffset: number,
  producerId = NOT_TRANSACTIONAL,
): void {
  if (record.type === 'group') {
    const group =
      record.value === null ? partition.groups.get(record.groupId) : partition.getOrCreate(record.groupId)
    if (group !== undefined) group.recorded = record.value
    if (group !== undefined && record.value !== null) dropConsumerGroup(partition, group)
    return
  }
  if (isConsumerRecord(record)) return replayConsumerRecord(partition, record)
  const { groupId, topic, partition: index, value } = record
  if (value === null) return removeOffset(partition.groups.get(groupId), topic, index, producerId)
  putIfNewer(offsetsOf(partition, groupId, producerId), topic, index, committedOffset(value, recordOffset))
}

/**
 * What open transactions have committed before goes too, as in Kafka 4.1, for the cleaner keeps nothing else of the partition
 * than the tombstone. (3.9 drops that only where the tombstone is written: whoever loads it afterwards has it again.)
 */
function removeOffset(group: Group | undefined, topic: string, index: number, producerId: number): void {
  if (group === undefined) return
  if (producerId !== NOT_TRANSACTIONAL)
    return void group.transactionalOffsets.get(producerId)?.delete(topic, index)
  group.offsets.delete(topic, index)
  for (const offsets of group.transactionalOffsets.values()) offsets.delete(topic, index)
}

/** As `replay` of each, for what a group has just committed. */
export function replayCommits(
  partition: GroupPartition,
  groupId: string,
  commits: readonly Commit[],
  baseOffset: number,
  producerId = NOT_TRANSACTIONAL,
): void {
  const offsets = offsetsOf(partition, groupId, producerId)
  let recordOffset = baseOffset
  for (const { topic, partition: index, offset } of commits) {
    offset.recordOffset = recordOffset++
    putIfNewer(offsets, topic, index, offset)
  }
}

/** As `replay` of an offset, for one that has been read already. */
export function replayCommit(
  partition: GroupPartition,
  { groupId, topic, partition: index }: { groupId: string; topic: string; partition: number },
  offset: CommittedOffset,
  producerId: number,
): void {
  putIfNewer(offsetsOf(partition, groupId, producerId), topic, index, offset)
}

function offsetsOf(
  partition: GroupPartition,
  groupId: string,
  producerId: number,
): PartitionMap<CommittedOffset> {
  const group = partition.getOrCreate(groupId)
  return producerId === NOT_TRANSACTIONAL ? group.offsets : transactionOffsets(partition, group, producerId)
}

function replayConsumerRecord(partition: GroupPartition, record: ConsumerRecord): void {
  const { groupId, value } = record
  const group = value === null ? partition.groups.get(groupId) : partition.getOrCreate(groupId)
  if (group === undefined) return
  if (group.consumer === null) {
    if (value === null) return
    group.consumer = new ConsumerGroup(groupId)
    group.recorded = null
    partition.consumerGroups.add(group)
  }
  group.consumer.apply(record)
  if (record.type === 'consumer-group' && value === null) dropConsumerGroup(partition, group)
}

function dropConsumerGroup(partition: GroupPartition, group: Group): void {
  group.consumer = null
  partition.consumerGroups.delete(group)
}

function transactionOffsets(
  partition: GroupPartition,
  group: Group,
  producerId: number,
): PartitionMap<CommittedOffset> {
  let offsets = group.transactionalOffsets.get(producerId)
  if (offsets === undefined) {
    offsets = new PartitionMap()
    group.transactionalOffsets.set(producerId, offsets)
    const groups = partition.openTransactions.get(producerId)
    if (groups === undefined) partition.openTransactions.set(producerId, new Set([group]))
    else groups.add(group)
  }
  return offsets
}

/** A transaction's end: its offsets take effect unless a later commit overtook them, or are dropped. */
export function replayMarker(partition: GroupPartition, producerId: number, committed: boolean): void {
  const groups = partition.openTransactions.get(producerId)
  if (groups === undefined) return
  partition.openTransactions.delete(producerId)
  for (const group of groups) {
    const offsets = group.transactionalOffsets.get(producerId)
    group.transactionalOffsets.delete(producerId)
    if (!committed || offsets === undefined) continue
    for (const [topic, index, offset] of offsets.entries()) putIfNewer(group.offsets, topic, index, offset)
  }
}

function putIfNewer(
  offsets: PartitionMap<CommittedOffset>,
  topic: string,
  partition: number,
  next: CommittedOffset,
): void {
  offsets.replace(topic, partition, next, (current) => current.recordOffset < next.recordOffset)
}

/** After a load: live state begins where the last stored generation ended; every member has a whole session again. */
export function restoreLiveState(group: Group, turn: Turn): void {
  const { recorded } = group
  if (recorded === null) return
  group.protocolType = recorded.protocolType === '' ? null : recorded.protocolType
  group.protocolName = recorded.protocol ?? (recorded.members.length === 0 ? null : '')
  group.generationId = recorded.generation
  group.stateTimestampMs = recorded.currentStateTimestamp
  for (const member of recorded.members) {
    const { memberId, groupInstanceId } = member
    const twice =
      group.members.has(memberId) || (groupInstanceId !== null && group.staticMembers.has(groupInstanceId))
    if (!twice) group.addMember(restoredMember(recorded, member, turn))
  }
  group.leaderId =
    recorded.leader !== null && group.members.has(recorded.leader) ? recorded.leader : group.leaderId
  group.state = group.members.size === 0 ? 'Empty' : 'Stable'
  group.subscribedTopics = group.computeSubscribedTopics()
  group.wakeAtMs = group.nextDeadlineMs()
}

function restoredMember(
  { protocol }: GroupMetadataValue,
  recorded: GroupMetadataValue['members'][number],
  turn: Turn,
): Member {
  return {
    memberId: recorded.memberId,
    groupInstanceId: recorded.groupInstanceId,
    clientId: recorded.clientId,
    clientHost: recorded.clientHost,
    rebalanceTimeoutMs: recorded.rebalanceTimeout,
    sessionTimeoutMs: recorded.sessionTimeout,
    protocols: [{ name: protocol ?? '', metadata: recorded.subscription }],
    assignment: recorded.assignment,
    isNew: false,
    sessionDeadlineMs: turn.nowMs + recorded.sessionTimeout,
    awaitingJoin: null,
    awaitingSync: null,
  }
}
