/**
 * Members of groups as plain requests over one connection each, for there is no room for five hundred Java consumers. The same
 * for every broker: JoinGroup 5, SyncGroup 3, Heartbeat 3, LeaveGroup 3 of the classic protocol, ConsumerGroupHeartbeat 1 of
 * the new one (KIP-848).
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { int16, int32, string } from './wire.ts'
import type { Wire } from './wire.ts'

export interface GroupShape {
  readonly groupId: string
  readonly topic: string
  /** Of the topic. */
  readonly partitions: number
  /** From the answer to one heartbeat to the next. */
  readonly heartbeatMs: number
}

const JOIN_GROUP = 11
const HEARTBEAT = 12
const LEAVE_GROUP = 13
const SYNC_GROUP = 14
const CONSUMER_GROUP_HEARTBEAT = 68

/** Loads, not available, not the coordinator: also of a partition of `__consumer_offsets` that has just been made. */
const NOT_COORDINATED: readonly number[] = [14, 15, 16]
const NOT_COORDINATED_PAUSE_MS = 20
const REBALANCE_IN_PROGRESS = 27
const MEMBER_ID_REQUIRED = 79

const SESSION_TIMEOUT_MS = 60_000
const REBALANCE_TIMEOUT_MS = 60_000
const NULL_STRING = int16(-1)

const byteArray = (value: Buffer) => Buffer.concat([int32(value.length), value])

/** Reads a response from its front. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  skip(bytes: number): void {
    this.#at += bytes
  }

  int8(): number {
    return this.#bytes.readInt8(this.#at++)
  }

  int16(): number {
    return this.#bytes.readInt16BE((this.#at += 2) - 2)
  }

  int32(): number {
    return this.#bytes.readInt32BE((this.#at += 4) - 4)
  }

  take(length: number): Buffer {
    return this.#bytes.subarray(this.#at, (this.#at += Math.max(length, 0)))
  }

  string(): string {
    return this.take(this.int16()).toString()
  }

  byteArray(): Buffer {
    return this.take(this.int32())
  }

  /** An unsigned one. */
  varint(): number {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#at++]
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
  }

  /** Compact; empty for null. */
  compactString(): string {
    return this.take(this.varint() - 1).toString()
  }
}

/** What the consumers' subscription says: its version, the topic, no user data. */
const subscriptionOf = (topic: string) => Buffer.concat([int16(0), int32(1), string(topic), int32(-1)])

function assignmentOf(topic: string, partitions: readonly number[]): Buffer {
  return Buffer.concat([
    int16(0),
    int32(1),
    string(topic),
    int32(partitions.length),
    ...partitions.map(int32),
    int32(-1),
  ])
}

/** As the leader: every partition to somebody, in turn. */
function assignmentsOf({ topic, partitions }: GroupShape, memberIds: readonly string[]): Buffer {
  const shares = memberIds.map((memberId, index) => {
    const own: number[] = []
    for (let partition = index; partition < partitions; partition += memberIds.length) own.push(partition)
    return Buffer.concat([string(memberId), byteArray(assignmentOf(topic, own))])
  })
  return Buffer.concat([int32(shares.length), ...shares])
}

/** A member of a classic group. */
export class Classic {
  readonly #wire: Wire
  readonly #shape: GroupShape
  readonly #onAssigned: () => void
  #stopped = false
  /** The one that it has its assignment of; -1: none. */
  generation = -1
  memberId = ''

  /** `onAssigned` is called whenever the member has got its assignment of a generation. */
  constructor(wire: Wire, shape: GroupShape, onAssigned: () => void) {
    this.#wire = wire
    this.#shape = shape
    this.#onAssigned = onAssigned
  }

  /** Joins, and stays a member until `stop`. Rejects on what a member does not expect. */
  async live(): Promise<void> {
    while (!this.#stopped) {
      if (!(await this.#joinAndSync())) continue
      while (!this.#stopped && (await this.#beat())) await sleep(this.#shape.heartbeatMs)
    }
  }

  stop(): void {
    this.#stopped = true
  }

  /** False: it is to join once more. */
  async #joinAndSync(): Promise<boolean> {
    const { groupId, topic } = this.#shape
    const protocols = [int32(1), string('range'), byteArray(subscriptionOf(topic))]
    const joined = new Reader(
      await this.#wire.request(JOIN_GROUP, 5, [
        string(groupId),
        int32(SESSION_TIMEOUT_MS),
        int32(REBALANCE_TIMEOUT_MS),
        string(this.memberId),
        NULL_STRING,
        string('consumer'),
        ...protocols,
      ]),
    )
    joined.skip(4)
    const error = joined.int16()
    const generation = joined.int32()
    joined.string()
    const leader = joined.string()
    this.memberId = joined.string()
    if (error === MEMBER_ID_REQUIRED || error === REBALANCE_IN_PROGRESS) return false
    if (NOT_COORDINATED.includes(error)) return sleep(NOT_COORDINATED_PAUSE_MS, false)
    if (error !== 0) throw new Error(`JoinGroup: error ${error}`)
    const memberIds = Array.from({ length: joined.int32() }, () => {
      const memberId = joined.string()
      joined.string()
      joined.byteArray()
      return memberId
    })
    return this.#sync(generation, leader === this.memberId ? memberIds : null)
  }

  /** `memberIds`: of a leader. */
  async #sync(generation: number, memberIds: readonly string[] | null): Promise<boolean> {
    const synced = new Reader(
      await this.#wire.request(SYNC_GROUP, 3, [
        string(this.#shape.groupId),
        int32(generation),
        string(this.memberId),
        NULL_STRING,
        memberIds === null ? int32(0) : assignmentsOf(this.#shape, memberIds),
      ]),
    )
    synced.skip(4)
    const error = synced.int16()
    if (error === REBALANCE_IN_PROGRESS) return false
    if (error !== 0) throw new Error(`SyncGroup: error ${error}`)
    if (synced.byteArray().length === 0) throw new Error('a member has got no assignment')
    this.generation = generation
    this.#onAssigned()
    return true
  }

  /** False: the group rebalances. */
  async #beat(): Promise<boolean> {
    const request = [string(this.#shape.groupId), int32(this.generation), string(this.memberId), NULL_STRING]
    const answer = new Reader(await this.#wire.request(HEARTBEAT, 3, request))
    answer.skip(4)
    const error = answer.int16()
    if (error !== 0 && error !== REBALANCE_IN_PROGRESS && !this.#stopped)
      throw new Error(`Heartbeat: error ${error}`)
    return error === 0
  }
}

/** All of them at once. */
export async function leaveClassic(wire: Wire, groupId: string, memberIds: readonly string[]): Promise<void> {
  const members = memberIds.flatMap((memberId) => [string(memberId), NULL_STRING])
  await wire.request(LEAVE_GROUP, 3, [string(groupId), int32(memberIds.length), ...members])
}

function compact(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(bytes.length + 1), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

const NO_TAGS = Buffer.of(0)
const COMPACT_NULL = Buffer.of(0)
const JOIN_EPOCH = 0
const LEAVE_EPOCH = -1

/** One topic's partitions, by the topic's id. */
interface Owned {
  readonly topicId: Buffer | null
  readonly partitions: readonly number[]
}

/** A member of a group of the consumer protocol, which gives back and takes as it is told. */
export class Consumer {
  readonly #wire: Wire
  readonly #shape: GroupShape
  readonly #onChange: () => void
  readonly #memberId = randomUUID()
  #owned: Owned = { topicId: null, partitions: [] }
  #stopped = false
  /** -1 before its first answer. */
  epoch = -1

  /** `onChange` is called whenever its epoch or what it has may have changed. */
  constructor(wire: Wire, shape: GroupShape, onChange: () => void) {
    this.#wire = wire
    this.#shape = shape
    this.#onChange = onChange
  }

  get ownedPartitions(): number {
    return this.#owned.partitions.length
  }

  /** Joins, and leaves after `stop`. */
  async live(): Promise<void> {
    // A change of what it has is told at once, as the Java client does.
    for (let tellsAll = true; !this.#stopped;) {
      const told = await this.#beat(this.epoch === -1 ? JOIN_EPOCH : this.epoch, tellsAll)
      tellsAll = told
      if (!told) await sleep(this.#shape.heartbeatMs)
    }
    await this.#beat(LEAVE_EPOCH, false)
  }

  stop(): void {
    this.#stopped = true
  }

  /** True: it has another assignment now. */
  async #beat(epoch: number, tellsAll: boolean): Promise<boolean> {
    const joins = epoch === JOIN_EPOCH
    const { groupId, topic } = this.#shape
    const answer = new Reader(
      await this.#wire.request(CONSUMER_GROUP_HEARTBEAT, 1, [
        NO_TAGS,
        compact(groupId),
        compact(this.#memberId),
        int32(epoch),
        COMPACT_NULL,
        COMPACT_NULL,
        int32(joins ? REBALANCE_TIMEOUT_MS : -1),
        joins ? Buffer.concat([varint(2), compact(topic)]) : COMPACT_NULL,
        COMPACT_NULL,
        COMPACT_NULL,
        tellsAll ? this.#tellOwned() : COMPACT_NULL,
        NO_TAGS,
      ]),
    )
    answer.skip(1 + 4)
    const error = answer.int16()
    const message = answer.compactString()
    if (NOT_COORDINATED.includes(error)) return sleep(NOT_COORDINATED_PAUSE_MS, tellsAll)
    if (error !== 0) throw new Error(`ConsumerGroupHeartbeat: error ${error}: ${message}`)
    if (epoch === LEAVE_EPOCH) return false
    answer.compactString()
    this.epoch = answer.int32()
    answer.skip(4)
    const assigned = answer.int8() === -1 ? null : readAssigned(answer)
    const isNew = assigned !== null && !sameOwned(assigned, this.#owned)
    if (isNew) this.#owned = assigned
    this.#onChange()
    return isNew
  }

  #tellOwned(): Buffer {
    const { topicId, partitions } = this.#owned
    if (topicId === null || partitions.length === 0) return varint(1)
    return Buffer.concat([
      varint(2),
      topicId,
      varint(partitions.length + 1),
      ...partitions.map(int32),
      NO_TAGS,
    ])
  }
}

function readAssigned(answer: Reader): Owned {
  let owned: Owned = { topicId: null, partitions: [] }
  for (let topics = answer.varint() - 1; topics > 0; topics--) {
    const topicId = Buffer.from(answer.take(16))
    const partitions = Array.from({ length: answer.varint() - 1 }, () => answer.int32())
    answer.varint()
    owned = { topicId, partitions }
  }
  return owned
}

function sameOwned(a: Owned, b: Owned): boolean {
  return (
    a.partitions.length === b.partitions.length && a.partitions.every((each) => b.partitions.includes(each))
  )
}
