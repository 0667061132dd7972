/**
 * The groups that this broker coordinates: one method for each API. Each finds the group, lets a decision be made on it,
 * and has the runtime carry it out. A reply that is there at once is returned as it is, any other as a promise.
 */
import type { EndMarkerInput } from '../../protocol/end-marker.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/12-heartbeat.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../protocol/messages/11-join-group.ts'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/13-leave-group.ts'
import type { OffsetCommitRequest, OffsetCommitResponse } from '../../protocol/messages/08-offset-commit.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/28-txn-offset-commit.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '../../protocol/messages/47-offset-delete.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../protocol/messages/14-sync-group.ts'
import { CoordinatorTopic } from '../coordinator-topic.ts'
import { andThen } from '../later.ts'
import type { Later } from '../later.ts'
import { ClassicRequests } from './consumer/classic-requests.ts'
import { ConsumerGroups } from './consumer/consumer-groups.ts'
import { describeConsumerGroup, describeMissingConsumerGroup } from './consumer/describe.ts'
import type { GroupTopics } from './consumer/topics.ts'
import type { Group, MemberProtocol } from './group.ts'
import { describeGroup, describeMissing, groupFilter, listGroup } from './group-admin.ts'
import type { GroupDescription, ListedGroup } from './group-admin.ts'
import { GroupRemoval } from './group-removal.ts'
import type { TopicPartition } from './group-removal.ts'
import { GroupRuntime, OFFSETS_TOPIC } from './group-runtime.ts'
import type { GroupRuntimeParts } from './group-runtime.ts'
import { heartbeat } from './heartbeat.ts'
import { joinGroup } from './join-group.ts'
import { leaveGroup } from './leave-group.ts'
import type { LeavingMember } from './leave-group.ts'
import { OffsetCommits } from './offset-commits.ts'
import type { OffsetCommitsParts } from './offset-commits.ts'
import { checkOffsetFetch, fetchOffset } from './offsets.ts'
import type { FetchedOffset, FetchingMember } from './offsets.ts'
import { failedJoin, failedSync } from './rebalance.ts'
import type { GroupPartition } from './replay.ts'
import { Reply } from './reply.ts'
import { syncGroup } from './sync-group.ts'
import type { JoinResult, SyncResult } from './turn.ts'

export interface GroupCoordinatorParts
  extends GroupRuntimeParts, Pick<OffsetCommitsParts, 'metadata' | 'verifyTransaction'> {
  readonly topics: GroupTopics
}

/** Of a request: what the group coordinator needs to know besides the message. */
export interface Caller {
  readonly apiVersion: number
  readonly clientId: string | null
  readonly clientHost: string
}

export class GroupCoordinator {
  readonly #parts: GroupCoordinatorParts
  readonly #runtime: GroupRuntime
  readonly #topic: CoordinatorTopic
  /** Groups of the consumer protocol (KIP-848). */
  readonly consumers: ConsumerGroups
  readonly #classic: ClassicRequests
  readonly #removal: GroupRemoval
  readonly #commits: OffsetCommits
  #running = false

  constructor(parts: GroupCoordinatorParts) {
    this.#parts = parts
    this.#runtime = new GroupRuntime(parts)
    const runtime = this.#runtime
    const partitionOf = (groupId: string): GroupPartition | number => this.#partitionOf(groupId)
    this.consumers = new ConsumerGroups({ ...parts, runtime, partitionOf })
    const anyPartitionOf = (groupId: string): GroupPartition | number => this.#partitionOf(groupId, true)
    const shared = { ...parts, runtime, consumers: this.consumers, partitionOf, anyPartitionOf }
    this.#removal = new GroupRemoval(shared)
    this.#commits = new OffsetCommits(shared)
    this.#classic = new ClassicRequests(this.consumers)
    const configuredPartitions = parts.config.offsetsTopicPartitions
    this.#topic = new CoordinatorTopic({ ...parts, name: OFFSETS_TOPIC, configuredPartitions })
  }

  start(): void {
    this.#running = true
    this.#removal.start()
  }

  /** Everything that waits is answered NOT_COORDINATOR; from now on: COORDINATOR_NOT_AVAILABLE. */
  stop(): void {
    this.#running = false
    this.#removal.stop()
    this.#runtime.partitions.stop()
  }

  /** Creates `__consumer_offsets` when it is missing. False: it cannot be created now. */
  ensureTopic(): Promise<boolean> {
    return this.#topic.ensure()
  }

  partitionFor(groupId: string): number {
    return this.#topic.partitionFor(groupId)
  }

  /** This broker leads the partition from this epoch on. Older epochs are ignored. */
  onElected(partition: number, leaderEpoch: number): void {
    this.#runtime.partitions.elected(partition, leaderEpoch)
  }

  onResigned(partition: number, leaderEpoch?: number): void {
    this.#runtime.partitions.resigned(partition, leaderEpoch)
  }

  joinGroup(request: JoinGroupRequest, caller: Caller): Later<JoinGroupResponse> {
    const respond = (result: JoinResult): JoinGroupResponse => joinResponse(result, caller.apiVersion)
    const refuse = (error: number): JoinGroupResponse => respond(failedJoin(request.memberId, error))
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') return refuse(partition)
    const { sessionTimeoutMs } = request
    const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs } = this.#parts.config
    if (sessionTimeoutMs < groupMinSessionTimeoutMs || sessionTimeoutMs > groupMaxSessionTimeoutMs) {
      return refuse(ErrorCode.INVALID_SESSION_TIMEOUT)
    }
    const again = (): Later<JoinGroupResponse> => this.joinGroup(request, caller)
    const isNewcomer = request.memberId === ''
    const group = isNewcomer
      ? this.#runtime.groupFor(partition, request.groupId)
      : partition.groups.get(request.groupId)
    if (group === undefined) {
      return refuse(isNewcomer ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ErrorCode.UNKNOWN_MEMBER_ID)
    }
    const call = {
      ...request,
      clientId: caller.clientId ?? '',
      clientHost: caller.clientHost,
      // Version 0 has no rebalance timeout.
      rebalanceTimeoutMs: Math.max(
        caller.apiVersion === 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs,
        0,
      ),
      protocols: withoutRepetition(request.protocols),
      memberIdRequired: caller.apiVersion >= 4 && request.groupInstanceId === null,
      canSkipAssignment: caller.apiVersion >= 9,
    }
    const queued = this.consumers.afterStoring(group, again, refuse)
    if (queued !== null) return queued
    const asClassic = this.#classic.join(partition, group, call)
    if (asClassic !== null)
      return andThen(asClassic, (result) => (result === 'again' ? again() : respond(result)))
    const reply = new Reply(respond)
    const turn = this.#runtime.newTurn()
    joinGroup(group, { ...call, reply }, turn)
    this.#runtime.finish(partition, group, turn)
    return reply.take()
  }

  syncGroup(request: SyncGroupRequest, caller: Caller): Later<SyncGroupResponse> {
    // From version 5 on both are mandatory (KIP-559).
    if (caller.apiVersion >= 5 && (request.protocolType === null || request.protocolName === null)) {
      return failedSync(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    }
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') {
      // The rebalance under way is lost. Older clients know no other error that makes them join again.
      const loading = partition === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      return failedSync(loading ? ErrorCode.REBALANCE_IN_PROGRESS : partition)
    }
    const group = partition.groups.get(request.groupId)
    if (group === undefined) return failedSync(ErrorCode.UNKNOWN_MEMBER_ID)
    const queued = this.consumers.afterStoring(group, () => this.syncGroup(request, caller), failedSync)
    const asClassic = queued ?? this.#classic.sync(partition, group, request)
    if (asClassic !== null) return asClassic
    const reply = new Reply((result: SyncResult): SyncGroupResponse => result)
    const assignments = new Map(request.assignments.map((each) => [each.memberId, each.assignment]))
    const turn = this.#runtime.newTurn()
    syncGroup(group, { ...request, assignments, reply }, turn)
    this.#runtime.finish(partition, group, turn)
    return reply.take()
  }

  heartbeat(request: HeartbeatRequest): Later<HeartbeatResponse> {
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') {
      // Nothing is known yet: the member stays as it is.
      const loading = partition === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      return { errorCode: loading ? ErrorCode.NONE : partition }
    }
    const group = partition.groups.get(request.groupId)
    if (group === undefined) return { errorCode: ErrorCode.UNKNOWN_MEMBER_ID }
    const refuse = (errorCode: number): HeartbeatResponse => ({ errorCode })
    const queued = this.consumers.afterStoring(group, () => this.heartbeat(request), refuse)
    if (queued !== null) return queued
    const asClassic = this.#classic.heartbeat(partition, group, request)
    if (asClassic !== null) return { errorCode: asClassic }
    const errorCode = heartbeat(group, request, this.#runtime.nowMs)
    this.#runtime.settle(partition, group)
    return { errorCode }
  }

  /** Versions before 3 name one member, and carry its error as their own. */
  leaveGroup(request: LeaveGroupRequest, caller: Caller): Later<LeaveGroupResponse> {
    const single = caller.apiVersion < 3
    const members = single ? [{ memberId: request.memberId, groupInstanceId: null }] : request.members
    const partition = this.#partitionOf(request.groupId)
    const refuse = (errorCode: number): LeaveGroupResponse => ({ errorCode, members: [] })
    if (typeof partition === 'number') return refuse(partition)
    const group = partition.groups.get(request.groupId)
    if (group?.isDead === true) return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    const queued = this.consumers.afterStoring(group, () => this.leaveGroup(request, caller), refuse)
    if (queued !== null) return queued
    const errors = this.#leave(partition, group, members)
    return andThen(errors, (codes) => {
      if (typeof codes === 'number') return refuse(codes)
      if (single) return refuse(codes[0])
      const answers = members.map(({ memberId, groupInstanceId }, i) => {
        return { memberId, groupInstanceId, errorCode: codes[i] }
      })
      return { errorCode: ErrorCode.NONE, members: answers }
    })
  }

  /** The error codes of the members, or one for all. */
  #leave(
    partition: GroupPartition,
    group: Group | undefined,
    members: readonly LeavingMember[],
  ): Later<number[] | number> {
    if (group === undefined) return members.map(() => ErrorCode.UNKNOWN_MEMBER_ID)
    const asClassic = this.#classic.leave(partition, group, members)
    if (asClassic !== null) return asClassic
    const turn = this.#runtime.newTurn()
    const errors = members.map((leaving) => leaveGroup(group, leaving, turn))
    this.#runtime.finish(partition, group, turn)
    return errors
  }

  /** Members of consumer groups need version 9. */
  offsetCommit(request: OffsetCommitRequest, apiVersion = 9): Later<OffsetCommitResponse> {
    return this.#commits.commit(request, apiVersion)
  }

  /** Offsets of a producer's transaction: they count when it is committed (KIP-98). */
  txnOffsetCommit(request: TxnOffsetCommitRequest, caller: Caller): Later<TxnOffsetCommitResponse> {
    return this.#commits.commitInTransaction(request, caller.apiVersion)
  }

  /**
   * A marker for a partition of `__consumer_offsets`. Gives the log's error code once it is committed and what it decides has
   * taken effect. While the partition is loaded: NOT_LEADER_OR_FOLLOWER, which a coordinator of transactions tries again.
   */
  endTransaction(index: number, ending: EndMarkerInput, timeoutMs: number): Later<number> {
    const partition = this.#running ? this.#runtime.partitions.active(index) : undefined
    if (partition === undefined) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return this.#runtime.endTransaction(partition, ending, timeoutMs)
  }

  /** `topics` null: everything that the group has committed. */
  fetchOffsets(
    groupId: string,
    topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null,
    requireStable: boolean,
    member: FetchingMember = { memberId: null, memberEpoch: -1 },
  ): { errorCode: number; topics: { name: string; partitions: FetchedOffset[] }[] } {
    const partition = this.#partitionOf(groupId, true)
    if (typeof partition === 'number') return { errorCode: partition, topics: [] }
    const known = partition.groups.get(groupId)
    const group = known?.isDead === true ? undefined : known
    const refused = checkOffsetFetch(group, member)
    if (refused !== ErrorCode.NONE) return { errorCode: refused, topics: [] }
    const wanted = topics ?? committedPartitions(group)
    return {
      errorCode: ErrorCode.NONE,
      topics: wanted.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((index) => fetchOffset(group, name, index, requireStable)),
      })),
    }
  }

  describeGroup(groupId: string): GroupDescription {
    const partition = this.#partitionOf(groupId, true)
    if (typeof partition === 'number') return describeMissing(groupId, partition)
    const group = partition.groups.get(groupId)
    // One of the consumer protocol is none that this could tell of.
    if (group === undefined || group.isDead || group.consumer !== null) {
      return describeMissing(groupId, ErrorCode.NONE)
    }
    return describeGroup(group)
  }

  describeConsumerGroup(groupId: string): ReturnType<typeof describeConsumerGroup> {
    const partition = this.#partitionOf(groupId)
    if (typeof partition === 'number') return describeMissingConsumerGroup(groupId, partition)
    const group = partition.groups.get(groupId)
    if (group === undefined || group.isDead || group.consumer === null) {
      const why = group === undefined || group.isDead ? 'not found' : 'is not a consumer group'
      return describeMissingConsumerGroup(groupId, ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} ${why}.`)
    }
    const [defaultAssignor] = this.#parts.config.consumerGroupAssignors
    return describeConsumerGroup(group.consumer, this.#parts.topics, defaultAssignor)
  }

  /** While a partition loads, what is there already is listed, with COORDINATOR_LOAD_IN_PROGRESS. */
  listGroups(
    states: readonly string[],
    types: readonly string[],
  ): { errorCode: number; groups: ListedGroup[] } {
    if (!this.#running) return { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, groups: [] }
    const passes = groupFilter(states, types)
    const groups: ListedGroup[] = []
    for (const partition of this.#runtime.partitions.allActive()) {
      for (const group of partition.groups.values()) if (passes(group)) groups.push(listGroup(group))
    }
    const loading = this.#runtime.partitions.isLoading
    return { errorCode: loading ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS : ErrorCode.NONE, groups }
  }

  /** Gives the error code. */
  deleteGroup(groupId: string): Later<number> {
    return this.#removal.deleteGroup(groupId)
  }

  offsetDelete(request: OffsetDeleteRequest): Later<OffsetDeleteResponse> {
    return this.#removal.offsetDelete(request)
  }

  /** Topics are gone: what groups committed for them goes too. */
  onPartitionsDeleted(deleted: readonly TopicPartition[]): void {
    this.#removal.onPartitionsDeleted(deleted)
  }

  /** The partition that holds a group, or why it cannot be asked. Only some APIs know a group with an empty name. */
  #partitionOf(groupId: string, emptyAllowed = false): GroupPartition | number {
    if (groupId === '' && !emptyAllowed) return ErrorCode.INVALID_GROUP_ID
    if (!this.#running) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return this.#runtime.partitions.activeOrError(this.partitionFor(groupId))
  }
}

/** Before version 7 the protocol name cannot be null. */
function joinResponse(result: JoinResult, apiVersion: number): JoinGroupResponse {
  return apiVersion < 7 && result.protocolName === null ? { ...result, protocolName: '' } : result
}

function withoutRepetition(protocols: readonly MemberProtocol[]): MemberProtocol[] {
  const seen = new Set<string>()
  return protocols.filter(({ name }) => !seen.has(name) && seen.add(name))
}

function committedPartitions(group: Group | undefined): { name: string; partitionIndexes: number[] }[] {
  if (group === undefined) return []
  return [...group.offsets.topics()].map(([name, partitions]) => ({
    name,
    partitionIndexes: [...partitions.keys()],
  }))
}
