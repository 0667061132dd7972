/**
 * A group of the consumer protocol (KIP-848) as the coordinator knows it. Durable is what `apply` makes of the records, for
 * those just stored and those loaded alike; live are deadlines and the like, which begin anew with each coordinator.
 * Source of the rules: ConsumerGroup.java and ModernGroup.java (4.1).
 */
import { PartitionMap } from '../partition-map.ts'
import { assignmentOf, NOTHING } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import { count, isHomogeneous, TopicCounts } from './counts.ts'
import type { Counts } from './counts.ts'
import { inJavaOrder, stringHash } from './java-order.ts'
import { MemberOrder } from './member-order.ts'
import { isReconciledTo, newMember, regexOf, withDetails, withoutProgress, withProgress } from './member.ts'
import type { ConsumerMember } from './member.ts'
import type { ConsumerRecord, ResolvedRegex } from './records.ts'
import { NO_HASH } from './topics.ts'

export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable'

/** Monotonic times; Infinity: none. */
export interface Deadlines {
  sessionMs: number
  /** By then it must have left the epoch in which it is to give back partitions. */
  rebalanceMs: number
  rebalanceEpoch: number
  /** Of a classic member: by then it must have joined again, and brought its SyncGroup. */
  joinMs: number
  syncMs: number
}

export const NOT_OWNED = -1

export class ConsumerGroup {
  readonly groupId: string

  // Durable.
  epoch = 0
  metadataHash = NO_HASH
  /** Records of kind 4, which 4.1 no longer writes. */
  hasPartitionMetadata = false
  targetEpoch = 0
  readonly members = new Map<string, ConsumerMember>()
  readonly targets = new Map<string, Assignment>()
  readonly resolvedRegexes = new Map<string, ResolvedRegex>()

  // What follows from it.
  readonly order = new MemberOrder()
  readonly staticMembers = new Map<string, string>()
  readonly topicCounts = new TopicCounts()
  /** Members by regular expression, by server-side assignor; classic members by protocol. */
  readonly regexCounts: Counts = new Map()
  readonly assignorCounts: Counts = new Map()
  readonly protocolCounts: Counts = new Map()
  classicMembers = 0
  /** By topic id: the epoch of whoever has the partition, or has not given it back yet. */
  readonly #owners = new PartitionMap<number>()
  /** By topic id: for whom it is meant. */
  readonly #targetOwners = new PartitionMap<string>()

  // Live.
  readonly deadlines = new Map<string, Deadlines>()
  readonly #changedDeadlines = new Set<Deadlines>()
  /** Something about its topics may have changed since the metadata hash was computed. */
  metadataExpired = true
  /** Its regular expressions are being resolved. */
  resolving = false

  constructor(groupId: string) {
    this.groupId = groupId
  }

  get state(): ConsumerGroupState {
    if (this.members.size === 0) return 'Empty'
    if (this.epoch > this.targetEpoch) return 'Assigning'
    for (const member of this.members.values()) {
      if (!isReconciledTo(member, this.targetEpoch)) return 'Reconciling'
    }
    return 'Stable'
  }

  get isHomogeneous(): boolean {
    return isHomogeneous(this.topicCounts, this.regexCounts, this.members.size)
  }

  isSubscribedTo(topic: string): boolean {
    return this.topicCounts.has(topic)
  }

  staticMember(instanceId: string | null): ConsumerMember | undefined {
    if (instanceId === null) return undefined
    const memberId = this.staticMembers.get(instanceId)
    return memberId === undefined ? undefined : this.members.get(memberId)
  }

  target(memberId: string): Assignment {
    return this.targets.get(memberId) ?? NOTHING
  }

  /** A static member that comes back under a new id finds what was meant for the old one. */
  targetFor({ memberId, instanceId }: ConsumerMember): Assignment {
    if (instanceId === null) return this.target(memberId)
    const current = this.staticMembers.get(instanceId)
    return current === undefined ? NOTHING : this.target(current)
  }

  /** The epoch of whoever has the partition; NOT_OWNED when nobody has. */
  ownerEpoch(topicId: string, partition: number): number {
    return this.#owners.get(topicId, partition) ?? NOT_OWNED
  }

  /** Of the topic's `count` partitions those that are in nobody's target assignment. */
  meantForNobody(topicId: string, count: number): number[] {
    const taken = this.#targetOwners.of(topicId)
    const free: number[] = []
    for (let partition = 0; partition < count; partition++) {
      if (taken === undefined || !taken.has(partition)) free.push(partition)
    }
    return free
  }

  /** Topic ids of all target assignments. */
  *targetTopics(): Generator<string> {
    for (const [topicId] of this.#targetOwners.topics()) yield topicId
  }

  /** The assignor that most members ask for. */
  preferredAssignor(counts: Counts = this.assignorCounts): string | undefined {
    let preferred: string | undefined
    for (const name of inJavaOrder(counts.keys(), stringHash, 'grown')) {
      if (preferred === undefined || counts.get(name)! > counts.get(preferred)!) preferred = name
    }
    return preferred
  }

  nextDeadlineMs(): number {
    this.#changedDeadlines.clear()
    return earliest(this.deadlines.values())
  }

  /** The earliest of those that may have changed since this, or `nextDeadlineMs`, was last asked. */
  nextChangedDeadlineMs(): number {
    if (this.#changedDeadlines.size === 0) return Infinity
    const next = earliest(this.#changedDeadlines)
    this.#changedDeadlines.clear()
    return next
  }

  /** To be changed in this turn, not later. */
  deadlinesOf(memberId: string): Deadlines {
    let deadlines = this.deadlines.get(memberId)
    if (deadlines === undefined) {
      const none = Infinity
      deadlines = { sessionMs: none, rebalanceMs: none, rebalanceEpoch: -1, joinMs: none, syncMs: none }
      this.deadlines.set(memberId, deadlines)
    }
    this.#changedDeadlines.add(deadlines)
    return deadlines
  }

  /** What a record says. The tombstone of the group itself ends it: the caller drops it. */
  apply(record: ConsumerRecord): void {
    const { name } = record
    switch (record.type) {
      case 'consumer-group':
        this.epoch = record.value?.epoch ?? 0
        this.metadataHash = record.value?.metadataHash ?? NO_HASH
        return
      case 'consumer-partition-metadata':
        this.hasPartitionMetadata = record.value !== null
        return
      case 'consumer-member':
        if (record.value === null) this.#removeMember(name)
        else this.#putMember(withDetails(this.members.get(name) ?? newMember(name), record.value))
        return
      case 'consumer-target-epoch':
        this.targetEpoch = record.value?.assignmentEpoch ?? -1
        return
      case 'consumer-target':
        this.#setTarget(name, record.value && assignmentOf(record.value.topicPartitions))
        return
      case 'consumer-current': {
        const member = this.members.get(name)
        if (record.value !== null) this.#putMember(withProgress(member ?? newMember(name), record.value))
        else if (member !== undefined) this.#putMember(withoutProgress(member))
        return
      }
      case 'consumer-regex':
        this.#setRegex(name, record.value && resolvedRegex(record.value))
    }
  }

  #putMember(member: ConsumerMember): void {
    const before = this.members.get(member.memberId)
    if (before !== undefined) this.#countMember(before, -1)
    this.members.set(member.memberId, member)
    this.order.add(member.memberId)
    this.#countMember(member, 1)
    if (member.instanceId !== null) this.staticMembers.set(member.instanceId, member.memberId)
  }

  #removeMember(memberId: string): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    this.#countMember(member, -1)
    this.members.delete(memberId)
    this.order.remove(memberId)
    this.deadlines.delete(memberId)
    const { instanceId } = member
    if (instanceId !== null && this.staticMembers.get(instanceId) === memberId)
      this.staticMembers.delete(instanceId)
  }

  #countMember(member: ConsumerMember, change: 1 | -1): void {
    this.topicCounts.addNames(member.topicNames, change)
    const regex = regexOf(member)
    if (regex !== null) count(this.regexCounts, regex, change)
    if (member.assignor !== null) count(this.assignorCounts, member.assignor, change)
    if (member.classic !== null) {
      this.classicMembers += change
      for (const { name } of member.classic.supportedProtocols) count(this.protocolCounts, name, change)
    }
    for (const assignment of [member.assigned, member.pendingRevocation]) {
      for (const [topicId, partitions] of assignment) {
        for (const partition of partitions) this.#own(topicId, partition, member.memberEpoch, change)
      }
    }
  }

  #own(topicId: string, partition: number, epoch: number, change: 1 | -1): void {
    if (change === 1) this.#owners.set(topicId, partition, epoch)
    // Of another epoch: it has a new owner already.
    else if (this.#owners.get(topicId, partition) === epoch) this.#owners.delete(topicId, partition)
  }

  #setTarget(memberId: string, target: Assignment | null): void {
    for (const [topicId, partitions] of this.target(memberId)) {
      for (const partition of partitions) {
        if (this.#targetOwners.get(topicId, partition) === memberId)
          this.#targetOwners.delete(topicId, partition)
      }
    }
    if (target === null) {
      this.targets.delete(memberId)
      return
    }
    this.targets.set(memberId, target)
    for (const [topicId, partitions] of target) {
      for (const partition of partitions) this.#targetOwners.set(topicId, partition, memberId)
    }
  }

  #setRegex(regex: string, resolved: ResolvedRegex | null): void {
    const before = this.resolvedRegexes.get(regex)
    if (before !== undefined) this.topicCounts.addMatches(before.topics, -1)
    this.resolvedRegexes.delete(regex)
    if (resolved === null) return
    this.resolvedRegexes.set(regex, resolved)
    this.topicCounts.addMatches(resolved.topics, 1)
  }
}

function earliest(all: Iterable<Deadlines>): number {
  let next = Infinity
  for (const { sessionMs, rebalanceMs, joinMs, syncMs } of all) {
    next = Math.min(next, sessionMs, rebalanceMs, joinMs, syncMs)
  }
  return next
}

function resolvedRegex(value: { topics: string[]; version: number; timestamp: number }): ResolvedRegex {
  return { topics: new Set(value.topics), version: value.version, timestampMs: value.timestamp }
}
