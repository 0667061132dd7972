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
import { SlicedWork } from '../slices.ts'
import type { Timer } from '../../env/env.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import { MAX_TOMBSTONE_BATCH_BYTES } from './config.ts'
import type { Group, MemberProtocol } from './group.ts'
import {
  allTombstones,
  checkDeletable,
  checkOffsetsDeletable,
  describeGroup,
  describeMissing,
  groupFilter,
  listGroup,
  tombstones,
} from './group-admin.ts'
import type { GroupDescription, ListedGroup } from './group-admin.ts'
import { GroupRuntime, OFFSETS_TOPIC } from './group-runtime.ts'
import type { CommittingProducer, GroupRuntimeParts } from './group-runtime.ts'
import { heartbeat } from './heartbeat.ts'
import { joinGroup } from './join-group.ts'
import { leaveGroup } from './leave-group.ts'
import {
  checkOffsetCommit,
  checkTxnOffsetCommit,
  expiredOffsets,
  fetchOffset,
  offsetRecord,
} from './offsets.ts'
import type { FetchedOffset, OffsetToCommit } from './offsets.ts'
import { failedJoin, failedSync } from './rebalance.ts'
import type { GroupRecord } from './records.ts'
import type { GroupPartition } from './replay.ts'
import { Reply } from './reply.ts'
import { commitStoreError, storeError } from './store-errors.ts'
import { syncGroup } from './sync-group.ts'
import type { JoinResult, SyncResult } from './turn.ts'

export interface GroupCoordinatorParts extends GroupRuntimeParts {
  readonly config: GroupCoordinatorConfig
  readonly metadata: {
    /** undefined for a topic that does not exist. */
    partitionCount(topic: string): number | undefined
  }
  /**
   * Whether the producer's transaction includes a partition of `__consumer_offsets`: an error code, and what an append to it
   * needs (AppendWishes.guard). `apiVersion`: of TxnOffsetCommit, which from 4 on knows TRANSACTION_ABORTABLE.
   */
  verifyTransaction(
    partition: number,
    transaction: {
      readonly transactionalId: string
      readonly producerId: number
      readonly producerEpoch: number
    },
    apiVersion: number,
  ): Later<{ readonly error: number; readonly guard: CommittingProducer['guard'] }>
}

/** Of a request: what the group coordinator needs to know besides the message. */
export interface Caller {
  readonly apiVersion: number
  readonly clientId: string | null
  readonly clientHost: string
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export class GroupCoordinator {
  readonly #parts: GroupCoordinatorParts
  readonly #runtime: GroupRuntime
  readonly #topic: CoordinatorTopic
  #running = false
  #expiryTimer: Timer | null = null
  #expiry: SlicedWork | null = null

  constructor(parts: GroupCoordinatorParts) {
    this.#parts = parts
    this.#runtime = new GroupRuntime(parts)
    const configuredPartitions = parts.config.offsetsTopicPartitions
    this.#topic = new CoordinatorTopic({ ...parts, name: OFFSETS_TOPIC, configuredPartitions })
  }

  start(): void {
    this.#running = true
    this.#scheduleExpiry()
  }

  /** Everything that waits is answered NOT_COORDINATOR; from now on: COORDINATOR_NOT_AVAILABLE. */
  stop(): void {
    this.#running = false
    this.#expiryTimer?.cancel()
    this.#expiry?.stop()
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
    const isNewcomer = request.memberId === ''
    const group = isNewcomer
      ? this.#runtime.groupFor(partition, request.groupId)
      : partition.groups.get(request.groupId)
    if (group === undefined) {
      return refuse(isNewcomer ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ErrorCode.UNKNOWN_MEMBER_ID)
    }
    const reply = new Reply(respond)
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
      reply,
    }
    const turn = this.#runtime.newTurn()
    joinGroup(group, call, turn)
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
    const reply = new Reply((result: SyncResult): SyncGroupResponse => result)
    const assignments = new Map(request.assignments.map((each) => [each.memberId, each.assignment]))
    const turn = this.#runtime.newTurn()
    syncGroup(group, { ...request, assignments, reply }, turn)
    this.#runtime.finish(partition, group, turn)
    return reply.take()
  }

  heartbeat(request: HeartbeatRequest): HeartbeatResponse {
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') {
      // Nothing is known yet: the member stays as it is.
      const loading = partition === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      return { errorCode: loading ? ErrorCode.NONE : partition }
    }
    const group = partition.groups.get(request.groupId)
    if (group === undefined) return { errorCode: ErrorCode.UNKNOWN_MEMBER_ID }
    const errorCode = heartbeat(group, request, this.#runtime.nowMs)
    this.#runtime.settle(partition, group)
    return { errorCode }
  }

  /** Versions before 3 name one member, and carry its error as their own. */
  leaveGroup(request: LeaveGroupRequest, caller: Caller): LeaveGroupResponse {
    const single = caller.apiVersion < 3
    const members = single ? [{ memberId: request.memberId, groupInstanceId: null }] : request.members
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') return { errorCode: partition, members: [] }
    const group = partition.groups.get(request.groupId)
    if (group?.isDead === true) return { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, members: [] }
    const turn = this.#runtime.newTurn()
    const answers = members.map(({ memberId, groupInstanceId }) => {
      const leaving = { memberId, groupInstanceId }
      const errorCode = group === undefined ? ErrorCode.UNKNOWN_MEMBER_ID : leaveGroup(group, leaving, turn)
      return { memberId, groupInstanceId, errorCode }
    })
    if (group !== undefined) this.#runtime.finish(partition, group, turn)
    return single
      ? { errorCode: answers[0].errorCode, members: [] }
      : { errorCode: ErrorCode.NONE, members: answers }
  }

  offsetCommit(request: OffsetCommitRequest): Later<OffsetCommitResponse> {
    return this.#commitAll(request.topics, (tasks) => this.#commit(request, tasks))
  }

  /** Offsets of a producer's transaction: they count when it is committed (KIP-98). */
  txnOffsetCommit(request: TxnOffsetCommitRequest, caller: Caller): Later<TxnOffsetCommitResponse> {
    return this.#commitAll(request.topics, (tasks) => this.#commitInTransaction(request, caller, tasks))
  }

  /** `commit` gives the error for all offsets of partitions that exist. */
  #commitAll(
    topics: readonly { readonly name: string; readonly partitions: readonly OffsetToCommit[] }[],
    commit: (tasks: readonly CommitTask[]) => Later<number>,
  ): Later<{ topics: { name: string; partitions: CommitAnswer[] }[] }> {
    const accepted: CommitTask[] = []
    const answered = topics.map(({ name, partitions }) => {
      const count = this.#parts.metadata.partitionCount(name) ?? 0
      const answers = partitions.map((offset) => {
        const { partitionIndex } = offset
        const exists = partitionIndex >= 0 && partitionIndex < count
        const answer = {
          partitionIndex,
          errorCode: exists ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        }
        if (exists) accepted.push({ topic: name, offset, answer })
        return answer
      })
      return { name, partitions: answers }
    })
    const outcome = accepted.length === 0 ? ErrorCode.NONE : commit(accepted)
    return andThen(outcome, (error) => {
      for (const { answer } of accepted) if (answer.errorCode === ErrorCode.NONE) answer.errorCode = error
      return { topics: answered }
    })
  }

  /** The error for all of them; what is wrong with one alone is put into its answer. */
  #commit(request: OffsetCommitRequest, tasks: readonly CommitTask[]): Later<number> {
    const partition = this.#partitionOf(request.groupId, true)
    if (typeof partition === 'number') return partition
    const { groupId, retentionTimeMs: retentionMs, generationIdOrMemberEpoch: generationId } = request
    // A generation of a group that is not there is an old one.
    if (generationId >= 0 && !partition.groups.has(groupId)) return ErrorCode.ILLEGAL_GENERATION
    const group = this.#runtime.groupFor(partition, groupId)
    if (group === undefined) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const { memberId, groupInstanceId } = request
    const { nowMs } = this.#runtime
    const error = checkOffsetCommit(group, { memberId, groupInstanceId, generationId }, nowMs)
    if (error !== ErrorCode.NONE) return error
    return this.#store(partition, group, this.#offsetRecords(groupId, tasks, retentionMs))
  }

  /** As `#commit`. The first time, the transaction's coordinator is asked whether it knows (KIP-890). */
  #commitInTransaction(
    request: TxnOffsetCommitRequest,
    { apiVersion }: Caller,
    tasks: readonly CommitTask[],
  ): Later<number> {
    const { groupId, producerId, producerEpoch } = request
    const asked = this.#partitionOf(groupId)
    if (typeof asked === 'number') return asked
    const verified = this.#parts.verifyTransaction(asked.index, request, apiVersion)
    return andThen(verified, ({ error: refused, guard }) => {
      if (refused !== ErrorCode.NONE) return commitStoreError(refused)
      const partition = this.#partitionOf(groupId)
      if (typeof partition === 'number') return partition
      const group = this.#runtime.groupFor(partition, groupId)
      if (group === undefined) return ErrorCode.COORDINATOR_NOT_AVAILABLE
      const error = checkTxnOffsetCommit(group, request)
      if (error !== ErrorCode.NONE) {
        this.#runtime.settle(partition, group)
        return error
      }
      const records = this.#offsetRecords(groupId, tasks, NO_RETENTION)
      return this.#store(partition, group, records, { producerId, producerEpoch, guard })
    })
  }

  #offsetRecords(groupId: string, tasks: readonly CommitTask[], retentionMs: number): GroupRecord[] {
    const { wallMs } = this.#runtime
    const records: GroupRecord[] = []
    for (const { topic, offset, answer } of tasks) {
      if ((offset.committedMetadata?.length ?? 0) > this.#parts.config.offsetMetadataMaxBytes) {
        answer.errorCode = ErrorCode.OFFSET_METADATA_TOO_LARGE
      } else {
        records.push(offsetRecord(groupId, topic, offset, { wallMs, retentionMs }))
      }
    }
    return records
  }

  #store(
    partition: GroupPartition,
    group: Group,
    records: readonly GroupRecord[],
    producer?: CommittingProducer,
  ): Later<number> {
    const outcome =
      records.length === 0
        ? ErrorCode.NONE
        : this.#runtime.write(partition, group, records, this.#runtime.wallMs, producer)
    return andThen(outcome, (failure) => {
      this.#runtime.settle(partition, group)
      return commitStoreError(failure)
    })
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
  ): { errorCode: number; topics: { name: string; partitions: FetchedOffset[] }[] } {
    const partition = this.#partitionOf(groupId, true)
    if (typeof partition === 'number') return { errorCode: partition, topics: [] }
    const known = partition.groups.get(groupId)
    const group = known?.isDead === true ? undefined : known
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
    if (group === undefined || group.isDead) return describeMissing(groupId, ErrorCode.NONE)
    return describeGroup(group)
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
    const partition = this.#partitionOf(groupId, true)
    if (typeof partition === 'number') return partition
    const group = partition.groups.get(groupId)
    const error = checkDeletable(group)
    if (error !== ErrorCode.NONE || group === undefined) return error
    group.deleting = true
    return andThen(this.#remove(partition, group, allTombstones(group)), (failure) => {
      group.deleting = false
      if (failure === ErrorCode.NONE) this.#runtime.forget(partition, group)
      else this.#runtime.settle(partition, group)
      return storeError(failure)
    })
  }

  offsetDelete(request: OffsetDeleteRequest): Later<OffsetDeleteResponse> {
    const partition = this.#partitionOf(request.groupId)
    if (typeof partition === 'number') return { errorCode: partition, topics: [] }
    const group = partition.groups.get(request.groupId)
    const refused = checkOffsetsDeletable(group)
    if (refused !== ErrorCode.NONE || group === undefined) return { errorCode: refused, topics: [] }
    const deletable: TopicPartition[] = []
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        const errorCode = this.#checkOffsetDeletable(group, name, partitionIndex)
        if (errorCode === ErrorCode.NONE) deletable.push({ topic: name, partition: partitionIndex })
        return { partitionIndex, errorCode }
      }),
    }))
    return andThen(this.#removeOffsets(partition, group, deletable), (error) =>
      error === ErrorCode.NONE ? { errorCode: error, topics } : { errorCode: storeError(error), topics: [] },
    )
  }

  #checkOffsetDeletable(group: Group, topic: string, partition: number): number {
    const count = this.#parts.metadata.partitionCount(topic) ?? 0
    if (partition < 0 || partition >= count) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    const isKept = group.state !== 'Empty' && group.isSubscribedTo(topic)
    return isKept ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE
  }

  /** Topics are gone: what groups committed for them goes too. */
  onPartitionsDeleted(deleted: readonly TopicPartition[]): void {
    for (const partition of this.#runtime.partitions.allActive()) {
      for (const group of partition.groups.values()) void this.#removeOffsets(partition, group, deleted)
    }
  }

  /** Removes those of the offsets that are there, and the group if it is empty after that. */
  #removeOffsets(partition: GroupPartition, group: Group, offsets: readonly TopicPartition[]): Later<number> {
    const present = new Set<string>()
    const doomed = offsets.filter(({ topic, partition: index }) => {
      const id = `${index} ${topic}`
      if (present.has(id) || group.offsets.get(topic, index) === undefined) return false
      present.add(id)
      return true
    })
    if (doomed.length === 0) return ErrorCode.NONE
    const records = tombstones(
      group,
      doomed.map(({ topic, partition: index }) => [topic, index]),
    )
    return andThen(this.#remove(partition, group, records), (error) => {
      this.#runtime.settle(partition, group)
      return error
    })
  }

  /** Writes tombstones, in as many batches as they need, until one fails. Gives the first error. */
  #remove(partition: GroupPartition, group: Group, records: readonly GroupRecord[]): Later<number> {
    const late: Promise<number>[] = []
    for (const part of inBatches(records)) {
      const outcome = this.#runtime.write(partition, group, part, this.#runtime.wallMs)
      if (typeof outcome !== 'number') late.push(outcome)
      else if (outcome !== ErrorCode.NONE) return outcome
    }
    if (late.length === 0) return ErrorCode.NONE
    return Promise.all(late).then(
      (errors) => errors.find((error) => error !== ErrorCode.NONE) ?? ErrorCode.NONE,
    )
  }

  #scheduleExpiry(): void {
    this.#expiryTimer = this.#parts.timers.after(this.#parts.config.offsetsRetentionCheckIntervalMs, () => {
      this.#expiry?.stop()
      this.#expiry = new SlicedWork(this.#parts, this.#expire())
      this.#scheduleExpiry()
    })
  }

  *#expire(): Generator<void> {
    for (const partition of this.#runtime.partitions.allActive()) {
      for (const group of partition.groups.values()) {
        if (this.#runtime.partitions.active(partition.index) !== partition) break
        const { wallMs } = this.#runtime
        const expired = expiredOffsets(group, wallMs, this.#parts.config.offsetsRetentionMs)
        const records = tombstones(group, expired)
        void andThen(this.#remove(partition, group, records), () => this.#runtime.settle(partition, group))
        yield
      }
    }
  }

  /** The partition that holds a group, or why it cannot be asked. Only some APIs know a group with an empty name. */
  #partitionOf(groupId: string, emptyAllowed = false): GroupPartition | number {
    if (groupId === '' && !emptyAllowed) return ErrorCode.INVALID_GROUP_ID
    if (!this.#running) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return this.#runtime.partitions.activeOrError(this.partitionFor(groupId))
  }
}

const NO_RETENTION = -1

interface CommitAnswer {
  readonly partitionIndex: number
  errorCode: number
}

interface CommitTask {
  readonly topic: string
  readonly offset: OffsetToCommit
  readonly answer: CommitAnswer
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

function* inBatches(records: readonly GroupRecord[]): Generator<GroupRecord[]> {
  let part: GroupRecord[] = []
  let bytes = 0
  for (const record of records) {
    // Names may take up to three bytes for each unit; the rest is the frame of a record.
    bytes += 3 * (record.groupId.length + (record.type === 'offset' ? record.topic.length : 0)) + 32
    part.push(record)
    if (bytes < MAX_TOMBSTONE_BATCH_BYTES) continue
    yield part
    part = []
    bytes = 0
  }
  if (part.length > 0) yield part
}
