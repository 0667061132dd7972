/**
 * Members go: by their own word, because they were silent for too long, or by an administrator's LeaveGroup. When nobody is
 * left who speaks the consumer protocol the group becomes a classic one. Source: GroupMetadataManager.java (4.1).
 */
import { consumerSessionTimeoutMs } from '../config.ts'
import { knownMember } from './checks.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { nothingMore } from './context.ts'
import type { Context, Decision } from './context.ts'
import { LEAVE_STATIC_EPOCH, regexOf } from './member.ts'
import type { ConsumerMember } from './member.ts'
import { downgradeRecords, mayDowngrade } from './migration.ts'
import { currentRecord, groupRecord, removedMember, tombstone } from './records.ts'
import type { ConsumerRecord } from './records.ts'
import { isRefusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'

export interface Leaving {
  readonly memberId: string
  readonly instanceId: string | null
  readonly memberEpoch: number
}

/** ConsumerGroupHeartbeat with epoch -1, or -2 for a static member that will be back. */
export function leave(
  group: ConsumerGroup,
  leaving: Leaving,
  context: Context,
): Decision<undefined> | Refusal {
  const { memberId, instanceId, memberEpoch } = leaving
  const member = knownMember(group, memberId, instanceId)
  if (isRefusal(member)) return member
  if (instanceId !== null && memberEpoch === LEAVE_STATIC_EPOCH) {
    // It keeps what it has, for whoever comes back for it within its session.
    const away = { ...member, memberEpoch: LEAVE_STATIC_EPOCH, pendingRevocation: new Map() }
    return { records: [currentRecord(group.groupId, away)], response: undefined, onStored: nothingMore }
  }
  return fence(group, [member], context)
}

export function fence(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  context: Context,
): Decision<undefined> {
  const ids = new Set(members.map(({ memberId }) => memberId))
  if (ids.size === 0) return { records: [], response: undefined, onStored: nothingMore }
  const remaining = [...group.members.values()].filter(({ memberId }) => !ids.has(memberId))
  if (mayDowngrade(remaining, context)) {
    const records = downgradeRecords(group, remaining, context)
    if (records !== null) {
      return {
        records,
        response: undefined,
        onStored: nothingMore,
        downgrade: { rebalance: true, members: remaining },
      }
    }
  }
  const { groupId } = group
  const records: ConsumerRecord[] = [...ids].flatMap((memberId) => removedMember(groupId, memberId))
  const topics = group.topicCounts.copy()
  for (const { topicNames } of members) topics.addNames(topicNames, -1)
  for (const regex of abandonedRegexes(group, members)) {
    records.push(tombstone('consumer-regex', groupId, regex))
    topics.addMatches(group.resolvedRegexes.get(regex)?.topics ?? [], -1)
  }
  records.push(groupRecord(groupId, group.epoch + 1, context.hashes.groupHash(topics.names())))
  return { records, response: undefined, onStored: nothingMore }
}

function abandonedRegexes(group: ConsumerGroup, members: readonly ConsumerMember[]): string[] {
  const counts = new Map<string, number>()
  for (const member of members) {
    const regex = regexOf(member)
    if (regex !== null) counts.set(regex, (counts.get(regex) ?? 0) + 1)
  }
  return [...counts].filter(([regex, n]) => group.regexCounts.get(regex) === n).map(([regex]) => regex)
}

/** After a load every member has a whole session, and whoever is to give back its whole time for it. */
export function restoreDeadlines(group: ConsumerGroup, turn: Pick<Context, 'config' | 'nowMs'>): void {
  const sessionMs = turn.nowMs + consumerSessionTimeoutMs(turn.config, group.groupId)
  for (const member of group.members.values()) {
    const deadlines = group.deadlinesOf(member.memberId)
    deadlines.sessionMs = sessionMs
    if (member.state !== 'UNREVOKED_PARTITIONS') continue
    deadlines.rebalanceMs = turn.nowMs + member.rebalanceTimeoutMs
    deadlines.rebalanceEpoch = member.memberEpoch
  }
}

/** Who has come to one of its deadlines, each once. Deadlines that no longer count are taken back. */
export function overdueMembers(group: ConsumerGroup, nowMs: number): ConsumerMember[] {
  const overdue: ConsumerMember[] = []
  for (const [memberId, deadlines] of group.deadlines) {
    const member = group.members.get(memberId)
    if (member === undefined) {
      group.deadlines.delete(memberId)
      continue
    }
    const { sessionMs, rebalanceMs, rebalanceEpoch, joinMs, syncMs } = deadlines
    const revokesTooLong = rebalanceMs <= nowMs && member.memberEpoch === rebalanceEpoch
    if (rebalanceMs <= nowMs) deadlines.rebalanceMs = Infinity
    if (sessionMs <= nowMs || joinMs <= nowMs || syncMs <= nowMs || revokesTooLong) overdue.push(member)
  }
  return overdue
}
