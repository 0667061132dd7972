/**
 * The groups of the consumer protocol (KIP-848): each request finds its group, a decision is made on it, its records are
 * stored, and only then is it answered and the next request of the group looked at: decisions are made upon what is
 * committed, and upon all of it.
 */
import type { Clock, Logger, Timers } from '../../../env/env.ts'
import { ErrorCode } from '../../../protocol/error-codes.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../protocol/messages/68-consumer-group-heartbeat.ts'
import type { Later } from '../../later.ts'
import { andThen } from '../../later.ts'
import { SlicedWork } from '../../slices.ts'
import type { GroupCoordinatorConfig } from '../config.ts'
import type { Group } from '../group.ts'
import type { Caller } from '../group-coordinator.ts'
import type { GroupRuntime } from '../group-runtime.ts'
import { answerAll, prepareRebalance } from '../rebalance.ts'
import { restoreLiveState } from '../replay.ts'
import type { GroupPartition } from '../replay.ts'
import { storeError } from '../../store-error.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { nothingMore } from './context.ts'
import type { Context, Decision, Downgrade } from './context.ts'
import { checkHeartbeat, heartbeat } from './heartbeat.ts'
import { fence, leave, overdueMembers } from './leave.ts'
import { JOIN_EPOCH } from './member.ts'
import { groupTombstones, upgrade } from './migration.ts'
import { isRefusal, refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import { RegexEngine } from './regex-engine.ts'
import type { CompiledRegex } from './regex-engine.ts'
import { resolvedRegexRecords } from './regexes.ts'
import type { ResolvedRegex } from './records.ts'
import { TopicHashes } from './topics.ts'
import type { GroupTopics } from './topics.ts'

/** Members whose going could not be stored are looked at again after this. */
const RETRY_MS = 500
/** Matches in one step, by their cost. */
const MATCHES_A_STEP = 100

export interface ConsumerGroupsParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly config: GroupCoordinatorConfig
  readonly topics: GroupTopics
  readonly runtime: GroupRuntime
  /** The partition that holds a group, or the error code why it cannot be asked. */
  readonly partitionOf: (groupId: string) => GroupPartition | number
}

export class ConsumerGroups {
  readonly #parts: ConsumerGroupsParts
  readonly #hashes: TopicHashes
  readonly #regexes = new RegexEngine()
  /** Ids by name, to know a new topic when it comes. */
  readonly #knownTopics = new Map<string, string>()
  #topicsVersion: number

  constructor(parts: ConsumerGroupsParts) {
    this.#parts = parts
    this.#hashes = new TopicHashes(parts.topics)
    this.#topicsVersion = parts.clock.nowMs()
    parts.runtime.onConsumerDeadline = (partition, group, nowMs) => this.#onDeadline(partition, group, nowMs)
  }

  get #isServed(): boolean {
    return this.#parts.config.rebalanceProtocols.includes('consumer')
  }

  heartbeat(request: ConsumerGroupHeartbeatRequest, caller: Caller): Later<ConsumerGroupHeartbeatResponse> {
    const { config, partitionOf, runtime } = this.#parts
    if (!this.#isServed) return refused(refusal(ErrorCode.UNSUPPORTED_VERSION, ''))
    const wrong = checkHeartbeat(request, caller.apiVersion, config.consumerGroupAssignors)
    if (wrong !== null) return refused(wrong)
    const { groupId, subscribedTopicRegex, memberEpoch } = request
    const partition = partitionOf(groupId)
    if (typeof partition === 'number') return failed(partition)
    if (!this.#regexes.isLoaded && (subscribedTopicRegex ?? '') !== '') {
      return this.#regexes.load().then(() => this.heartbeat(request, caller))
    }
    const joins = memberEpoch === JOIN_EPOCH
    const group = joins ? runtime.groupFor(partition, groupId) : partition.groups.get(groupId)
    if (group === undefined) {
      if (joins) return failed(ErrorCode.COORDINATOR_NOT_AVAILABLE)
      const what = memberEpoch > JOIN_EPOCH ? 'Consumer group' : 'Group'
      return refused(refusal(ErrorCode.GROUP_ID_NOT_FOUND, `${what} ${groupId} not found.`))
    }
    if (group.storing !== null) return this.whenStored(group, () => this.heartbeat(request, caller), failed)
    if (group.isDead) return failed(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    const decision = this.#decide(group, request, caller)
    if (isRefusal(decision)) {
      runtime.settle(partition, group)
      return refused(decision)
    }
    if (group.consumer === null) this.#answerWaiting(group)
    return this.carryOut(partition, group, decision, failed)
  }

  #decide(
    group: Group,
    request: ConsumerGroupHeartbeatRequest,
    { clientId, clientHost }: Caller,
  ): Decision<ConsumerGroupHeartbeatResponse> | Refusal {
    const context = this.context()
    const call = { request, clientId: clientId ?? '', clientHost }
    const { consumer } = group
    if (request.memberEpoch < JOIN_EPOCH) {
      if (consumer === null) return notAConsumerGroup(group)
      const left = leave(consumer, request, context)
      return isRefusal(left) ? left : { ...left, response: leftResponse(request) }
    }
    if (consumer !== null) return heartbeat(consumer, call, context)
    if (request.memberEpoch !== JOIN_EPOCH) return notAConsumerGroup(group)
    if (group.groupWritesInFlight > 0) {
      return refusal(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, 'The group is about to change.')
    }
    const upgraded = upgrade(group, context)
    if (isRefusal(upgraded)) return upgraded
    const decision = heartbeat(upgraded.group, call, context)
    if (isRefusal(decision)) return decision
    const sessions = [...group.members.values()].map(({ memberId, sessionTimeoutMs }) => ({
      memberId,
      sessionMs: context.nowMs + sessionTimeoutMs,
    }))
    return {
      ...decision,
      records: [...upgraded.records, ...decision.records],
      onStored: (stored) => {
        for (const { memberId, sessionMs } of sessions) {
          if (stored.members.has(memberId)) stored.deadlinesOf(memberId).sessionMs = sessionMs
        }
        decision.onStored(stored)
      },
    }
  }

  /** Whoever joins or syncs in a group that changes its kind does so once more. */
  #answerWaiting(group: Group): void {
    const turn = this.#parts.runtime.newTurn()
    answerAll(group, ErrorCode.REBALANCE_IN_PROGRESS, turn)
    turn.sendReplies()
  }

  context(nowMs = this.#parts.runtime.nowMs): Context {
    const { config, topics, runtime } = this.#parts
    return {
      config,
      topics,
      hashes: this.#hashes,
      topicsVersion: this.#topicsVersion,
      checkRegex: this.#regexes.isLoaded ? (regex) => this.#regexes.check(regex) : null,
      nowMs,
      wallMs: runtime.wallMs,
      newUuid: runtime.newUuid,
    }
  }

  /** null where the group stores nothing now; else what `ask` gives when that is stored. */
  afterStoring<T>(
    group: Group | undefined,
    ask: () => Later<T>,
    refuse: (error: number) => T,
  ): Later<T> | null {
    return group === undefined || group.storing === null ? null : this.whenStored(group, ask, refuse)
  }

  /** Runs `ask` when what the group stores now is stored. */
  whenStored<T>(group: Group, ask: () => Later<T>, refuse: (errorCode: number) => T): Later<T> {
    if (group.storing === null) return ask()
    if (group.storing.length >= this.#parts.config.maxWaitingRequests) {
      return refuse(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    }
    const { storing } = group
    return new Promise((resolve) => storing.push(() => resolve(ask())))
  }

  /** Stores what was decided, does what follows from it, and gives the answer. */
  carryOut<T>(
    partition: GroupPartition,
    group: Group,
    decision: Decision<T>,
    failure: (errorCode: number) => T,
  ): Later<T> {
    const { runtime } = this.#parts
    const { records, response } = decision
    if (records.length === 0) {
      this.#follow(partition, group, decision)
      return response
    }
    const before = group.consumer === null ? [...group.members.keys()] : null
    const outcome = runtime.write(partition, group, records, runtime.wallMs)
    const done = (error: number, isApplied: boolean): T => {
      if (isApplied) {
        if (before !== null && group.consumer !== null) group.forgetClassicMembers()
        this.#follow(partition, group, decision)
      }
      runtime.settle(partition, group)
      return error === ErrorCode.NONE ? response : failure(storeError(error))
    }
    if (typeof outcome === 'number') return done(outcome, outcome === ErrorCode.NONE)
    group.storing = []
    return outcome.then((error) => {
      const waiting = group.storing ?? []
      group.storing = null
      group.wakeAtMs = group.nextDeadlineMs()
      const answer = done(error, runtime.partitions.active(partition.index) === partition)
      for (const ask of waiting) ask()
      return answer
    })
  }

  /** After a change of deadlines alone. */
  settle(partition: GroupPartition, group: Group): void {
    group.wakeBy(group.consumer?.nextChangedDeadlineMs() ?? Infinity)
    this.#parts.runtime.settle(partition, group)
  }

  #follow<T>(partition: GroupPartition, group: Group, decision: Decision<T>): void {
    const { runtime } = this.#parts
    if (decision.downgrade !== undefined && group.consumer === null) {
      return this.#beginClassic(partition, group, decision.downgrade)
    }
    const { consumer } = group
    if (consumer === null) return runtime.settle(partition, group)
    decision.onStored(consumer)
    this.settle(partition, group)
    const { resolve } = decision
    if (resolve !== undefined && resolve !== null) this.#resolve(partition, group, resolve)
  }

  #beginClassic(partition: GroupPartition, group: Group, { rebalance, members }: Downgrade): void {
    const turn = this.#parts.runtime.newTurn()
    restoreLiveState(group, turn)
    for (const { memberId, classic } of members) {
      const member = group.members.get(memberId)
      if (member !== undefined && classic !== null) group.setProtocols(member, classic.supportedProtocols)
    }
    if (rebalance && group.members.size > 0) prepareRebalance(group, turn)
    this.#parts.runtime.finish(partition, group, turn)
  }

  /** A classic member comes to a consumer group without members: it is a classic one from now on. */
  endEmpty(partition: GroupPartition, group: Group): Later<number> {
    const records = group.consumer === null ? [] : groupTombstones(group.consumer)
    const decision = { records, response: ErrorCode.NONE as number, onStored: nothingMore }
    return this.carryOut(partition, group, decision, (error) => error)
  }

  #onDeadline(partition: GroupPartition, group: Group, nowMs: number): void {
    const { consumer } = group
    if (consumer === null) return
    const overdue = overdueMembers(consumer, nowMs)
    if (overdue.length > 0) {
      for (const { memberId } of overdue) consumer.deadlinesOf(memberId).sessionMs = nowMs + RETRY_MS
      const decision = fence(consumer, overdue, this.context(nowMs))
      void this.carryOut(partition, group, { ...decision, response: undefined }, () => undefined)
    }
    group.wakeAtMs = group.nextDeadlineMs()
    this.#parts.runtime.settle(partition, group)
  }

  #resolve(partition: GroupPartition, group: Group, regexes: readonly string[]): void {
    const { consumer } = group
    if (consumer === null || consumer.resolving) return
    consumer.resolving = true
    void this.#regexes
      .load()
      .then(() => new SlicedWork(this.#parts, this.#match({ partition, group, consumer, regexes })))
  }

  *#match({ partition, group, consumer, regexes }: Resolution): Generator<void> {
    const version = this.#topicsVersion
    const timestampMs = this.#parts.runtime.wallMs
    const compiled = new Map<string, CompiledRegex>()
    const matched = new Map<string, Set<string>>()
    for (const regex of regexes) {
      matched.set(regex, new Set())
      const each = this.#regexes.compile(regex)
      if (typeof each === 'string')
        this.#parts.logger.log('error', 'a regular expression is skipped', { reason: each })
      else compiled.set(regex, each)
      yield
    }
    let spent = 0
    for (const name of [...this.#parts.topics.names()]) {
      for (const [regex, each] of compiled) {
        if (each.matches(name)) matched.get(regex)!.add(name)
        spent += each.cost
        if (spent < MATCHES_A_STEP) continue
        spent = 0
        yield
      }
    }
    const resolved = new Map<string, ResolvedRegex>()
    for (const [regex, topics] of matched) resolved.set(regex, { topics, version, timestampMs })
    void andThen(
      this.whenStored(
        group,
        () => this.#storeResolved({ partition, group, consumer, regexes }, resolved),
        nothing,
      ),
      nothing,
    )
  }

  #storeResolved(
    { partition, group, consumer }: Resolution,
    resolved: ReadonlyMap<string, ResolvedRegex>,
  ): Later<void> {
    consumer.resolving = false
    const isThere = this.#parts.runtime.partitions.active(partition.index) === partition
    if (!isThere || group.consumer !== consumer || group.isDead) return
    const records = resolvedRegexRecords(consumer, this.context(), resolved)
    const onStored = (stored: ConsumerGroup): void => {
      stored.metadataExpired = false
    }
    return this.carryOut(partition, group, { records, response: undefined, onStored }, nothing)
  }

  /** Something about these topics is new, has changed, or they are gone. */
  onTopicsChanged(names: Iterable<string>, brokersChanged: boolean): void {
    const { topics, clock, runtime } = this.#parts
    if (brokersChanged) this.#hashes.clear()
    for (const name of names) {
      this.#hashes.forget(name)
      const topicId = topics.topic(name)?.topicId
      if (topicId === undefined) this.#knownTopics.delete(name)
      else if (this.#knownTopics.get(name) !== topicId) {
        this.#knownTopics.set(name, topicId)
        this.#topicsVersion = Math.max(this.#topicsVersion + 1, clock.nowMs())
      }
    }
    for (const partition of runtime.partitions.allActive()) {
      for (const { consumer } of partition.consumerGroups) {
        if (consumer === null || consumer.metadataExpired) continue
        consumer.metadataExpired = brokersChanged || someSubscribed(consumer, names)
      }
    }
  }
}

interface Resolution {
  readonly partition: GroupPartition
  readonly group: Group
  readonly consumer: ConsumerGroup
  readonly regexes: readonly string[]
}

const nothing = (): void => {}

function someSubscribed(group: ConsumerGroup, names: Iterable<string>): boolean {
  for (const name of names) if (group.isSubscribedTo(name)) return true
  return false
}

function notAConsumerGroup({ groupId }: Group): Refusal {
  return refusal(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a consumer group.`)
}

function refused({ errorCode, errorMessage }: Refusal): ConsumerGroupHeartbeatResponse {
  const nothingTold = { memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
  return { errorCode, errorMessage: errorMessage === '' ? null : errorMessage, ...nothingTold }
}

function failed(errorCode: number): ConsumerGroupHeartbeatResponse {
  return refused(refusal(errorCode, ''))
}

function leftResponse(request: ConsumerGroupHeartbeatRequest): ConsumerGroupHeartbeatResponse {
  const { memberId, memberEpoch } = request
  return { ...failed(ErrorCode.NONE), memberId, memberEpoch }
}
