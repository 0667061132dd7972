/**
 * One group as the coordinator knows it. Two kinds of state live side by side:
 * durable (what the log of `__consumer_offsets` says; only replay.ts changes it) and live (members that are joining,
 * waiting replies, deadlines: lost with the coordinator, as in Kafka, and begun anew from the durable part).
 * Source of the rules: coordinators.md 4, kafka/coordinator/group/GroupMetadata.scala (3.9).
 */
import { assert } from '../../base/assert.ts'
import { CONSUMER_PROTOCOL_TYPE } from './config.ts'
import type { ConsumerGroup } from './consumer/consumer-group.ts'
import { PartitionMap } from './partition-map.ts'
import { subscribedTopicsOf } from './subscription.ts'
import type { JoinCall } from './join-group.ts'
import type { GroupMetadataValue } from './records.ts'
import type { JoinResult, Parked, SyncResult } from './turn.ts'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

const PREVIOUS_STATES: Record<GroupState, readonly GroupState[]> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Empty', 'Stable', 'CompletingRebalance'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead'],
}

export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface Member {
  memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  /** As Kafka prints it: "/127.0.0.1". */
  readonly clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  /** In the member's order of preference, each name once. */
  protocols: readonly MemberProtocol[]
  assignment: Buffer
  /** Waits for its first JoinGroup reply without having known its id before: it cannot send heartbeats. */
  isNew: boolean
  /** Monotonic; Infinity while a waiting join or sync keeps the member alive. */
  sessionDeadlineMs: number
  awaitingJoin: Parked<JoinResult> | null
  awaitingSync: Parked<SyncResult> | null
}

export interface CommittedOffset {
  readonly offset: number
  /** -1 when the client did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
  /** -1 unless the commit carried an explicit retention (OffsetCommit 2 to 4). */
  readonly expireTimestampMs: number
  /** Where the commit stands in the log: the newest one counts. Not known before it is appended. */
  recordOffset: number
}

export const NOT_APPENDED = -1

/** What a request commits of one partition. */
export interface Commit {
  readonly topic: string
  readonly partition: number
  readonly offset: CommittedOffset
}

export interface Rebalance {
  /** From Empty: waits the whole initial delay, whoever has joined. */
  readonly initial: boolean
  readonly deadlineMs: number
  /** Length of the initial delay that runs now, and how much of the largest rebalance timeout is left after it. */
  readonly delayMs: number
  readonly remainingMs: number
}

/** Static members that came back without their member id while the group was stable. */
export interface Returns {
  /** Whose new id is being stored; null: a newer self of it has come meanwhile. */
  stored: JoinCall | null
  /** Each to be stored upon the other. */
  waiting: JoinCall[]
}

export const NO_ASSIGNMENT: Buffer = Buffer.alloc(0)

export class Group {
  readonly groupId: string

  // Durable.
  recorded: GroupMetadataValue | null = null
  /** A group of the consumer protocol (KIP-848); null: a classic one, of which all the rest tells. Offsets belong to both. */
  consumer: ConsumerGroup | null = null
  readonly offsets = new PartitionMap<CommittedOffset>()
  /** Offsets of transactions whose marker has not come yet, by producer id. */
  readonly transactionalOffsets = new Map<number, PartitionMap<CommittedOffset>>()

  // Live.
  state: GroupState = 'Empty'
  /** Wall time of the last change of state; -1 when unknown. */
  stateTimestampMs = -1
  /** null: offsets are stored here, but nobody ever joined ("simple" use). */
  protocolType: string | null = null
  protocolName: string | null = null
  leaderId: string | null = null
  generationId = 0
  readonly members = new Map<string, Member>()
  /** Group instance id to member id (KIP-345). */
  readonly staticMembers = new Map<string, string>()
  /** Ids given out with MEMBER_ID_REQUIRED and not used yet (KIP-394), with their deadlines. */
  readonly pendingMembers = new Map<string, number>()
  /** Members that got this generation's JoinGroup reply and have not sent SyncGroup. */
  readonly pendingSync = new Set<string>()
  syncDeadlineMs = Infinity
  rebalance: Rebalance | null = null
  newMemberAdded = false
  awaitingJoinCount = 0
  /** Topics that the members' subscriptions name; null when unknown (not consumers, or not readable). */
  subscribedTopics: ReadonlySet<string> | null = null
  /** Commits that are appended and not committed yet, counted by partition. */
  readonly pendingCommits = new PartitionMap<number>()
  /** While a returned static member's new id is stored. */
  returns: Returns | null = null
  /** Appends that are not committed yet: what they say will still be replayed. */
  writesInFlight = 0
  /** Those of them that tell of its members. */
  groupWritesInFlight = 0
  /** While a consumer group's records are being stored: the requests that wait to be decided upon what they say. */
  storing: (() => void)[] | null = null
  /** Its tombstones are on their way: it answers like a dead group. */
  deleting = false
  /** The earliest deadline of all the above or something before it. Only ever too early. */
  wakeAtMs = Infinity

  readonly #protocolCounts = new Map<string, number>()

  constructor(groupId: string) {
    this.groupId = groupId
  }

  get isDead(): boolean {
    return this.state === 'Dead' || this.deleting
  }

  get canRebalance(): boolean {
    return PREVIOUS_STATES.PreparingRebalance.includes(this.state)
  }

  get hasOffsets(): boolean {
    return this.offsets.size > 0 || this.pendingCommits.size > 0 || this.transactionalOffsets.size > 0
  }

  /** One is on its way, or of a transaction that has not ended. */
  hasPendingCommit(topic: string, partition: number): boolean {
    if (this.pendingCommits.get(topic, partition) !== undefined) return true
    for (const offsets of this.transactionalOffsets.values()) {
      if (offsets.get(topic, partition) !== undefined) return true
    }
    return false
  }

  /** Every partition that something is committed for, be it only in a transaction that has not ended. */
  partitionsWithCommits(): [topic: string, partition: number][] {
    const all = new PartitionMap<true>()
    for (const offsets of [this.offsets, this.pendingCommits, ...this.transactionalOffsets.values()]) {
      for (const [topic, partition] of offsets.entries()) all.set(topic, partition, true)
    }
    return [...all.entries()].map(([topic, partition]) => [topic, partition])
  }

  /** Nothing in it, nobody about to come: it may be forgotten. */
  get isVacant(): boolean {
    if (this.state !== 'Empty' || this.recorded !== null || this.writesInFlight > 0) return false
    if (this.consumer !== null || this.storing !== null) return false
    return this.pendingMembers.size === 0 && !this.hasOffsets
  }

  transitionTo(state: GroupState, wallMs: number): void {
    assert(PREVIOUS_STATES[state].includes(this.state), `group ${this.groupId}: ${this.state} to ${state}`)
    this.state = state
    this.stateTimestampMs = wallMs
  }

  isLeader(memberId: string): boolean {
    return this.leaderId === memberId
  }

  member(memberId: string): Member {
    const member = this.members.get(memberId)
    assert(member !== undefined, `group ${this.groupId} has no member ${memberId}`)
    return member
  }

  /** The largest of the members' rebalance timeouts, 0 without members. */
  rebalanceTimeoutMs(): number {
    let longest = 0
    for (const member of this.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
    return longest
  }

  hasAllMembersJoined(): boolean {
    return this.members.size === this.awaitingJoinCount && this.pendingMembers.size === 0
  }

  /** May somebody with these protocols be a member? An empty group takes any that names a type and a protocol. */
  supportsProtocols(protocolType: string, protocols: readonly MemberProtocol[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.protocolType !== protocolType) return false
    return protocols.some(({ name }) => (this.#protocolCounts.get(name) ?? 0) === this.members.size)
  }

  addMember(member: Member): void {
    assert(!this.members.has(member.memberId), `member ${member.memberId} is there already`)
    if (member.groupInstanceId !== null) {
      assert(
        !this.staticMembers.has(member.groupInstanceId),
        `instance ${member.groupInstanceId} is there already`,
      )
      this.staticMembers.set(member.groupInstanceId, member.memberId)
    }
    this.leaderId ??= member.memberId
    this.members.set(member.memberId, member)
    this.#count(member, 1)
    if (member.awaitingJoin !== null) this.awaitingJoinCount++
    this.pendingMembers.delete(member.memberId)
  }

  /** Takes a member, or an id that was given out, from the group. Waiting replies must have left before. */
  removeMember(memberId: string): void {
    const member = this.members.get(memberId)
    if (member !== undefined) {
      assert(
        member.awaitingJoin === null && member.awaitingSync === null,
        `${memberId} still waits for a reply`,
      )
      this.members.delete(memberId)
      this.#count(member, -1)
      if (member.groupInstanceId !== null) this.staticMembers.delete(member.groupInstanceId)
    }
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value ?? null
    this.pendingMembers.delete(memberId)
    this.pendingSync.delete(memberId)
  }

  /** A restarted static member comes with a new id; all else stays. Waiting replies must have left before. */
  replaceMemberId(member: Member, memberId: string): void {
    assert(member.groupInstanceId !== null, 'only static members are replaced')
    assert(
      member.awaitingJoin === null && member.awaitingSync === null,
      `${member.memberId} still waits for a reply`,
    )
    this.members.delete(member.memberId)
    this.pendingSync.delete(member.memberId)
    if (this.leaderId === member.memberId) this.leaderId = memberId
    member.memberId = memberId
    this.members.set(memberId, member)
    this.staticMembers.set(member.groupInstanceId, memberId)
  }

  setProtocols(member: Member, protocols: readonly MemberProtocol[]): void {
    this.#count(member, -1)
    member.protocols = protocols
    this.#count(member, 1)
  }

  /** The candidates are what all members support; each votes for its first candidate; most votes win. */
  selectProtocol(): string {
    const candidates = new Set<string>()
    for (const [name, count] of this.#protocolCounts) if (count === this.members.size) candidates.add(name)
    return mostVoted(this.members.values(), candidates)
  }

  /** As `selectProtocol`; null: the members support none in common. */
  commonProtocol(): string | null {
    const hasCommon = [...this.#protocolCounts.values()].some((count) => count === this.members.size)
    return hasCommon ? this.selectProtocol() : null
  }

  /** It goes on as a consumer group: nothing is left of its members here. Waiting replies must have left before. */
  forgetClassicMembers(): void {
    for (const memberId of [...this.members.keys()]) this.removeMember(memberId)
    this.pendingMembers.clear()
    this.pendingSync.clear()
    this.state = 'Empty'
    this.protocolType = this.protocolName = this.leaderId = this.rebalance = null
    this.generationId = 0
    this.subscribedTopics = null
    this.syncDeadlineMs = Infinity
  }

  /** What `selectProtocol` would say if one member's protocols were these. */
  selectProtocolWith(changed: Member, protocols: readonly MemberProtocol[]): string {
    const before = changed.protocols
    this.setProtocols(changed, protocols)
    const selected = this.selectProtocol()
    this.setProtocols(changed, before)
    return selected
  }

  computeSubscribedTopics(): ReadonlySet<string> | null {
    if (this.protocolType !== CONSUMER_PROTOCOL_TYPE) return null
    if (this.members.size === 0) return new Set()
    if (this.protocolName === null) return null
    const all = new Set<string>()
    for (const member of this.members.values()) {
      const topics = subscribedTopicsOf(metadataOf(member, this.protocolName))
      if (topics === null) return null
      for (const topic of topics) all.add(topic)
    }
    return all
  }

  /** True also when the subscriptions are unknown: better keep an offset than lose it. */
  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics === null || this.subscribedTopics.has(topic)
  }

  /** Notes a deadline that may be the next one. */
  wakeBy(deadlineMs: number): void {
    if (deadlineMs < this.wakeAtMs) this.wakeAtMs = deadlineMs
  }

  /** The earliest deadline there is. */
  nextDeadlineMs(): number {
    let next = Math.min(this.syncDeadlineMs, this.rebalance?.deadlineMs ?? Infinity)
    next = Math.min(next, this.consumer?.nextDeadlineMs() ?? Infinity)
    for (const deadlineMs of this.pendingMembers.values()) next = Math.min(next, deadlineMs)
    for (const member of this.members.values()) next = Math.min(next, member.sessionDeadlineMs)
    return next
  }

  #count(member: Member, change: 1 | -1): void {
    for (const { name } of member.protocols) {
      const count = (this.#protocolCounts.get(name) ?? 0) + change
      if (count === 0) this.#protocolCounts.delete(name)
      else this.#protocolCounts.set(name, count)
    }
  }
}

/** Ties go to the protocol that was voted for first, in the order of joining. */
function mostVoted(members: Iterable<Member>, candidates: ReadonlySet<string>): string {
  const votes = new Map<string, number>()
  for (const member of members) {
    const vote = member.protocols.find(({ name }) => candidates.has(name))
    assert(vote !== undefined, `member ${member.memberId} supports no common protocol`)
    votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
  }
  let winner: string | null = null
  let most = 0
  for (const [name, count] of votes) {
    if (count > most) {
      winner = name
      most = count
    }
  }
  assert(winner !== null, 'an empty group has no protocol')
  return winner
}

export function metadataOf(member: Member, protocolName: string): Buffer {
  const protocol = member.protocols.find(({ name }) => name === protocolName)
  assert(protocol !== undefined, `member ${member.memberId} does not support ${protocolName}`)
  return protocol.metadata
}

export function sameProtocols(a: readonly MemberProtocol[], b: readonly MemberProtocol[]): boolean {
  return a.length === b.length && a.every((p, i) => p.name === b[i].name && p.metadata.equals(b[i].metadata))
}
