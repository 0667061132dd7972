/**
 * Subscriptions by regular expression: when they are to be resolved, and what follows when they are. They are RE2's, as in
 * Kafka: matched in time that grows with the text alone, whatever a client sends (docs/decisions). Source:
 * GroupMetadataManager.maybeUpdateRegularExpressions and handleRegularExpressionsResult (4.1).
 */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import type { Change } from './advance.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Context } from './context.ts'
import { count } from './counts.ts'
import { regexOf, sameTopics } from './member.ts'
import { groupRecord, regexRecord, tombstone } from './records.ts'
import type { ConsumerRecord, ResolvedRegex } from './records.ts'
import { refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'

/** A group's regular expressions are not resolved more often. */
const SHORTEST_REFRESH_MS = 10_000

export interface RegexStep {
  readonly bump: boolean
  readonly resolve: readonly string[] | null
}

export function nextRegexes(
  group: ConsumerGroup,
  context: Context,
  { before, member }: Change,
  records: ConsumerRecord[],
): RegexStep | Refusal {
  const [oldRegex, newRegex] = [regexOf(before), regexOf(member)]
  let bump = false
  let isNew = false
  if (before.topicRegex !== member.topicRegex) {
    if (oldRegex !== null && group.regexCounts.get(oldRegex) === 1) {
      records.push(tombstone('consumer-regex', group.groupId, oldRegex))
    }
    if (newRegex !== null && !group.regexCounts.has(newRegex)) {
      const wrong = context.checkRegex?.(newRegex) ?? null
      if (wrong !== null) {
        const text = `SubscribedTopicRegex \`${newRegex}\` is not a valid regular expression: ${wrong}.`
        return refusal(ErrorCode.INVALID_REGULAR_EXPRESSION, text)
      }
      isNew = true
    } else if (newRegex !== null) {
      bump = group.resolvedRegexes.has(newRegex)
    }
  }
  return { bump, resolve: toResolve(group, context, { isNew, oldRegex, newRegex }) }
}

function toResolve(
  group: ConsumerGroup,
  { wallMs, topicsVersion, config }: Context,
  { isNew, oldRegex, newRegex }: { isNew: boolean; oldRegex: string | null; newRegex: string | null },
): readonly string[] | null {
  if (group.resolving || (!isNew && group.regexCounts.size === 0)) return null
  // All are resolved together: any of them tells when.
  const [last] = group.resolvedRegexes.values()
  const lastMs = last?.timestampMs ?? -Infinity
  if (wallMs <= lastMs + SHORTEST_REFRESH_MS) return null
  const wanted = new Map(group.regexCounts)
  if (oldRegex !== null) count(wanted, oldRegex, -1)
  if (newRegex !== null) count(wanted, newRegex, 1)
  const due =
    isNew ||
    wanted.size !== group.resolvedRegexes.size ||
    (last?.version ?? 0) < topicsVersion ||
    wallMs > lastMs + config.consumerGroupRegexRefreshIntervalMs
  return due && wanted.size > 0 ? [...wanted.keys()] : null
}

/** What is stored when the regular expressions are resolved; those that nobody has any more are left out. */
export function resolvedRegexRecords(
  group: ConsumerGroup,
  context: Context,
  resolved: ReadonlyMap<string, ResolvedRegex>,
): ConsumerRecord[] {
  const { groupId } = group
  const records: ConsumerRecord[] = []
  const topics = group.topicCounts.copy()
  let bump = false
  for (const [regex, next] of resolved) {
    if (!group.regexCounts.has(regex)) continue
    const known = group.resolvedRegexes.get(regex)?.topics ?? new Set<string>()
    if (!sameTopics(known, next.topics)) {
      bump = true
      topics.addMatches(known, -1)
      topics.addMatches(next.topics, 1)
    }
    records.push(regexRecord(groupId, regex, next))
  }
  const hash = context.hashes.groupHash(topics.names())
  if (bump || hash !== group.metadataHash) records.push(groupRecord(groupId, group.epoch + 1, hash))
  return records
}
