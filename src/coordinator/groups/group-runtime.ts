/**
 * Carries out what decisions ask for: appends their records and replays them, sends the replies, keeps the timers.
 * Decisions themselves are in the files beside it and touch nothing.
 */
import type { Clock, Logger, Random, Timers } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { endMarkerBatch, type EndMarkerInput } from '../../protocol/end-marker.ts'
import { MalformedMessageError } from '../../protocol/reader.ts'
import * as batch from '../../protocol/record-batch.ts'
import { CoordinatedPartitions } from '../coordinated-partitions.ts'
import type { AppendWishes, CoordinatorLog } from '../coordinator-log.ts'
import type { Later } from '../later.ts'
import { appendCommitted, writeCommitted } from '../write-committed.ts'
import { commitBatch } from './commit-batch.ts'
import { CommitScan } from './commit-scan.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import { restoreDeadlines } from './consumer/leave.ts'
import { isConsumerRecord } from './consumer/records.ts'
import type { Commit, Group } from './group.ts'
import { GroupTimers } from './group-timers.ts'
import { expireDeadlines, killGroup, prepareRebalance } from './rebalance.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import type { GroupRecord } from './records.ts'
import {
  GroupPartition,
  NOT_TRANSACTIONAL,
  replay,
  replayCommit,
  replayCommits,
  replayMarker,
  restoreLiveState,
} from './replay.ts'
import { Turn } from './turn.ts'

export interface GroupRuntimeParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly logger: Logger
  readonly log: CoordinatorLog
  readonly config: GroupCoordinatorConfig
}

/** A producer that commits offsets in its transaction. */
export interface CommittingProducer {
  readonly producerId: number
  readonly producerEpoch: number
  /** See AppendWishes. */
  readonly guard: AppendWishes['guard']
}

export const OFFSETS_TOPIC = '__consumer_offsets'
const COMMIT_MARKER = 1

export class GroupRuntime {
  readonly partitions: CoordinatedPartitions<GroupPartition>
  readonly timers: GroupTimers
  readonly #parts: GroupRuntimeParts
  /** To find the partition of a group whose timer rings. */
  readonly #homes = new WeakMap<Group, GroupPartition>()
  readonly newUuid: () => string
  /** What happens when a consumer group's time has come. */
  onConsumerDeadline: (partition: GroupPartition, group: Group, nowMs: number) => void = () => {}

  constructor(parts: GroupRuntimeParts) {
    this.#parts = parts
    this.newUuid = () => uuidOf(parts.random.bytes(16))
    this.timers = new GroupTimers(parts, (group, nowMs) => this.#onDeadline(group, nowMs))
    this.partitions = new CoordinatedPartitions({
      ...parts,
      topic: OFFSETS_TOPIC,
      owner: {
        create: (partition) => new GroupPartition(partition),
        replayBatch: (state, bytes, position) => this.#replayBatch(state, bytes, position),
        restore: (state) => this.#restore(state),
        unloaded: (state) => this.#unload(state),
      },
    })
  }

  get nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  get wallMs(): number {
    return this.#parts.clock.nowMs()
  }

  newTurn(nowMs = this.nowMs): Turn {
    return new Turn({ config: this.#parts.config, newUuid: this.newUuid }, nowMs, this.wallMs)
  }

  /** The group, made if it is not there; undefined when the coordinator has as many as it may. */
  groupFor(partition: GroupPartition, groupId: string): Group | undefined {
    const known = partition.groups.get(groupId)
    if (known !== undefined) return known
    let groups = 0
    for (const { groups: others } of this.partitions.allActive()) groups += others.size
    return groups < this.#parts.config.maxGroups ? partition.getOrCreate(groupId) : undefined
  }

  /** Does what a turn of this group's decisions asks for, and what comes of that. */
  finish(partition: GroupPartition, group: Group, turn: Turn): void {
    for (let writes = turn.takeWrites(); writes.length > 0; writes = turn.takeWrites()) {
      for (const { records, stored } of writes) {
        const outcome = this.write(partition, group, records, turn.wallMs)
        if (typeof outcome === 'number') stored(outcome, turn)
        else void outcome.then((error) => this.#later(partition, group, (later) => stored(error, later)))
      }
    }
    turn.sendReplies()
    this.settle(partition, group)
  }

  /** After any change of live state: the timer follows it, and a group with nothing left in it goes. */
  settle(partition: GroupPartition, group: Group): void {
    if (group.isVacant) this.forget(partition, group)
    else if (group.state !== 'Dead') this.#arm(partition, group)
  }

  forget(partition: GroupPartition, group: Group): void {
    this.timers.disarm(group)
    if (partition.groups.get(group.groupId) === group) partition.groups.delete(group.groupId)
  }

  /**
   * Appends records and replays them once they are committed. Gives the log's error code, at once where the log commits at
   * once.
   */
  write(
    partition: GroupPartition,
    group: Group,
    records: readonly GroupRecord[],
    wallMs: number,
  ): Later<number> {
    const outcome = writeCommitted(this.#parts.log, {
      partition: partition.index,
      isCurrent: () => this.#isCurrent(partition),
      records: records.map(encodeRecord),
      timestampMs: wallMs,
      // Of a consumer group each record tells a part: none of them may be missing here that is in the log.
      appliesUnsure: records.some(isConsumerRecord),
      apply: (baseOffset) => {
        for (let i = 0; i < records.length; i++) replay(partition, records[i], baseOffset + i)
      },
    })
    return untilCommitted(outcome, (change) => countInFlight(group, records, change))
  }

  /**
   * As `write`, of what a request commits, one partition at least. Until it is committed it counts as pending; what is of a
   * producer's transaction, until that has ended.
   */
  commit(
    partition: GroupPartition,
    group: Group,
    commits: readonly Commit[],
    producer?: CommittingProducer,
  ): Later<number> {
    const { groupId } = group
    const bytes = commitBatch(groupId, commits, this.wallMs, producer)
    if (bytes === null) return ErrorCode.MESSAGE_TOO_LARGE
    const outcome = appendCommitted(this.#parts.log, bytes, {
      partition: partition.index,
      isCurrent: () => this.#isCurrent(partition),
      wishes: producer,
      apply: (baseOffset) => replayCommits(partition, groupId, commits, baseOffset, producer?.producerId),
    })
    return untilCommitted(outcome, (change) => countPending(group, commits, change))
  }

  /**
   * Ends a producer's transaction in a partition: what it has committed counts, or is dropped, when the marker is committed.
   * Gives the log's error code.
   */
  endTransaction(partition: GroupPartition, ending: EndMarkerInput, timeoutMs: number): Later<number> {
    const marker = endMarkerBatch(ending, this.wallMs)
    return appendCommitted(this.#parts.log, marker, {
      partition: partition.index,
      isCurrent: () => this.#isCurrent(partition),
      wishes: { timeoutMs },
      apply: () => {
        const groups = partition.openTransactions.get(ending.producerId) ?? []
        this.#replayBatch(partition, marker, 0)
        for (const group of groups) this.settle(partition, group)
      },
    })
  }

  #isCurrent(partition: GroupPartition): boolean {
    return this.partitions.active(partition.index) === partition
  }

  #later(partition: GroupPartition, group: Group, decide: (turn: Turn) => void): void {
    const turn = this.newTurn()
    decide(turn)
    this.finish(partition, group, turn)
  }

  #arm(partition: GroupPartition, group: Group): void {
    if (group.wakeAtMs === Infinity) return
    this.#homes.set(group, partition)
    this.timers.arm(group)
  }

  #onDeadline(group: Group, nowMs: number): void {
    const partition = this.#homes.get(group)
    if (partition === undefined || group.state === 'Dead') return
    // Its members may be others when its records are stored: then.
    if (group.storing !== null) {
      group.wakeAtMs = Infinity
      return
    }
    if (group.consumer !== null) return this.onConsumerDeadline(partition, group, nowMs)
    const turn = this.newTurn(nowMs)
    expireDeadlines(group, turn)
    this.finish(partition, group, turn)
  }

  #replayBatch(partition: GroupPartition, bytes: Buffer, position: number): void {
    const bits = batch.attributes(bytes, position)
    const producerId = batch.isTransactional(bits) ? batch.producerId(bytes, position) : NOT_TRANSACTIONAL
    if (batch.isControl(bits)) {
      for (const { key } of batch.decodeRecords(bytes, position)) {
        if (key !== null && key.length >= 4) {
          replayMarker(partition, producerId, key.readInt16BE(2) === COMMIT_MARKER)
        }
      }
      return
    }
    let scan: CommitScan | null = null
    batch.visitRecords(bytes, position, (plain, cursor, offset) => {
      scan ??= new CommitScan(plain)
      const commit = scan.read(cursor, offset)
      if (commit !== null) return replayCommit(partition, scan, commit, producerId)
      const { key, value } = batch.keyAndValue(plain, cursor)
      const record = key === null ? null : this.#decode(key, value, offset)
      if (record !== null) replay(partition, record, offset, producerId)
    })
  }

  /** A record that cannot be read costs itself, not the others. */
  #decode(key: Buffer, value: Buffer | null, offset: number): GroupRecord | null {
    try {
      return decodeRecord(key, value)
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error
      this.#parts.logger.log('warn', 'a group record is skipped', { offset, reason: error.message })
      return null
    }
  }

  *#restore(partition: GroupPartition): Generator<void> {
    for (const group of partition.groups.values()) {
      const turn = this.newTurn()
      restoreLiveState(group, turn)
      if (group.consumer !== null) {
        restoreDeadlines(group.consumer, turn)
        group.wakeAtMs = group.nextDeadlineMs()
      }
      // The limit was lowered: members come to commit, and the last to rejoin stay out (KIP-389).
      if (group.members.size > this.#parts.config.groupMaxSize) prepareRebalance(group, turn)
      this.finish(partition, group, turn)
      yield
    }
  }

  #unload(partition: GroupPartition): void {
    const turn = this.newTurn()
    for (const group of partition.groups.values()) {
      this.timers.disarm(group)
      killGroup(group, ErrorCode.NOT_COORDINATOR, turn)
    }
    turn.sendReplies()
  }
}

/** What is counted is under way until the outcome is known, unless that is there at once. */
function untilCommitted(outcome: Later<number>, count: (change: 1 | -1) => void): Later<number> {
  if (typeof outcome === 'number') return outcome
  count(1)
  return outcome.then((error) => {
    count(-1)
    return error
  })
}

function countInFlight(group: Group, records: readonly GroupRecord[], change: 1 | -1): void {
  group.writesInFlight += change
  for (const { type } of records) if (type === 'group') group.groupWritesInFlight += change
}

function countPending(group: Group, commits: readonly Commit[], change: 1 | -1): void {
  group.writesInFlight += change
  for (const { topic, partition } of commits) {
    const count = (group.pendingCommits.get(topic, partition) ?? 0) + change
    if (count === 0) group.pendingCommits.delete(topic, partition)
    else group.pendingCommits.set(topic, partition, count)
  }
}

/** Version 4. */
function uuidOf(bytes: Buffer): string {
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return parts.join('-')
}
