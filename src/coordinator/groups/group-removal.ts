/**
 * What takes groups and their offsets away: DeleteGroups, OffsetDelete, topics that are deleted, and expiry from time to time.
 */
import type { Clock, Timer, Timers } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '../../protocol/messages/47-offset-delete.ts'
import { andThen } from '../later.ts'
import type { Later } from '../later.ts'
import { SlicedWork } from '../slices.ts'
import { MAX_TOMBSTONE_BATCH_BYTES } from './config.ts'
import type { Group } from './group.ts'
import type { GroupAccess } from './group-access.ts'
import { allTombstones, checkDeletable, checkOffsetsDeletable, tombstones } from './group-admin.ts'
import { expiredOffsets } from './offsets.ts'
import type { GroupRecord } from './records.ts'
import type { GroupPartition } from './replay.ts'
import { classicStoreError } from './store-errors.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface GroupRemovalParts extends GroupAccess {
  readonly clock: Clock
  readonly timers: Timers
}

export class GroupRemoval {
  readonly #parts: GroupRemovalParts
  #expiryTimer: Timer | null = null
  #expiry: SlicedWork | null = null

  constructor(parts: GroupRemovalParts) {
    this.#parts = parts
  }

  start(): void {
    this.#scheduleExpiry()
  }

  stop(): void {
    this.#expiryTimer?.cancel()
    this.#expiry?.stop()
  }

  /** Gives the error code. */
  deleteGroup(groupId: string): Later<number> {
    const partition = this.#parts.anyPartitionOf(groupId)
    if (typeof partition === 'number') return partition
    const group = partition.groups.get(groupId)
    const queued = this.#parts.consumers.afterStoring(
      group,
      () => this.deleteGroup(groupId),
      (error) => error,
    )
    if (queued !== null) return queued
    const error = checkDeletable(group)
    if (error !== ErrorCode.NONE || group === undefined) return error
    group.deleting = true
    return andThen(this.#remove(partition, group, allTombstones(group)), (failure) => {
      group.deleting = false
      if (failure === ErrorCode.NONE) this.#parts.runtime.forget(partition, group)
      else this.#parts.runtime.settle(partition, group)
      return classicStoreError(failure)
    })
  }

  offsetDelete(request: OffsetDeleteRequest): Later<OffsetDeleteResponse> {
    const partition = this.#parts.partitionOf(request.groupId)
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
      error === ErrorCode.NONE
        ? { errorCode: error, topics }
        : { errorCode: classicStoreError(error), topics: [] },
    )
  }

  #checkOffsetDeletable(group: Group, topic: string, partition: number): number {
    const count = this.#parts.metadata.partitionCount(topic) ?? 0
    if (partition < 0 || partition >= count) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    const { consumer } = group
    const isKept = consumer?.isSubscribedTo(topic) ?? (group.state !== 'Empty' && group.isSubscribedTo(topic))
    return isKept ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE
  }

  /** Topics are gone: what groups committed for them goes too. */
  onPartitionsDeleted(deleted: readonly TopicPartition[]): void {
    for (const partition of this.#parts.runtime.partitions.allActive()) {
      for (const group of partition.groups.values()) void this.#removeOffsets(partition, group, deleted)
    }
  }

  /**
   * Removes those of the offsets that are there, and the group if it is empty after that. Those of open transactions are there,
   * and those whose records are still on their way into the log.
   */
  #removeOffsets(partition: GroupPartition, group: Group, offsets: readonly TopicPartition[]): Later<number> {
    const present = new Set<string>()
    const doomed = offsets.filter(({ topic, partition: index }) => {
      const id = `${index} ${topic}`
      const isThere = group.offsets.get(topic, index) !== undefined || group.hasPendingCommit(topic, index)
      if (present.has(id) || !isThere) return false
      present.add(id)
      return true
    })
    if (doomed.length === 0) return ErrorCode.NONE
    const records = tombstones(
      group,
      doomed.map(({ topic, partition: index }) => [topic, index]),
    )
    return andThen(this.#remove(partition, group, records), (error) => {
      this.#parts.runtime.settle(partition, group)
      return error
    })
  }

  /** Writes tombstones, in as many batches as they need, until one fails. Gives the first error. */
  #remove(partition: GroupPartition, group: Group, records: readonly GroupRecord[]): Later<number> {
    const late: Promise<number>[] = []
    for (const part of inBatches(records)) {
      const outcome = this.#parts.runtime.write(partition, group, part, this.#parts.runtime.wallMs)
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
    for (const partition of this.#parts.runtime.partitions.allActive()) {
      for (const group of partition.groups.values()) {
        if (this.#parts.runtime.partitions.active(partition.index) !== partition) break
        if (group.storing !== null) continue
        const { wallMs } = this.#parts.runtime
        const expired = expiredOffsets(group, wallMs, this.#parts.config.offsetsRetentionMs)
        const records = tombstones(group, expired)
        void andThen(this.#remove(partition, group, records), () =>
          this.#parts.runtime.settle(partition, group),
        )
        yield
      }
    }
  }
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
