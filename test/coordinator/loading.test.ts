import { describe, expect, it } from 'vitest'
import { encodeRecord } from '../../src/coordinator/groups/records.ts'
import type { GroupRecord } from '../../src/coordinator/groups/records.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'
import type { BatchInput } from '../../src/protocol/record-batch.ts'
import {
  GROUP,
  commit,
  commitErrors,
  committed,
  heartbeat,
  join,
  leave,
  stableGroup,
  sync,
} from './client.ts'
import { FakeLog, settled, world } from './world.ts'
import type { World } from './world.ts'

const committedAt = (partition: number, offset: number): GroupRecord => ({
  type: 'offset',
  groupId: GROUP,
  topic: 'orders',
  partition,
  value: { offset, leaderEpoch: -1, metadata: '', commitTimestamp: 1_000_000_000, expireTimestamp: -1 },
})

function append(log: FakeLog, records: readonly GroupRecord[], batch: Partial<BatchInput> = {}): void {
  const inputs = records.map((record) => ({ timestampMs: 1, ...encodeRecord(record) }))
  log.append(0, buildBatch({ records: inputs, ...batch }))
}

/** A transaction's end, as its coordinator writes it. */
function marker(log: FakeLog, producerId: number, committing: boolean): void {
  const key = Buffer.from([0, 0, 0, committing ? 1 : 0])
  const records = [{ timestampMs: 1, key, value: Buffer.alloc(6) }]
  log.append(0, buildBatch({ records, control: true, transactional: true, producerId, producerEpoch: 0 }))
}

const transaction = (producerId: number): Partial<BatchInput> => ({
  transactional: true,
  producerId,
  producerEpoch: 0,
})

/** Error codes of every API for one group. */
function everyApi(w: World) {
  return {
    join: join(w).now.errorCode,
    sync: sync(w, { memberId: 'm', generationId: 1 }).now.errorCode,
    heartbeat: heartbeat(w, { memberId: 'm', generationId: 1 }),
    leave: leave(w, 'm'),
    commit: commitErrors(commit(w, { 'orders/0': 1 }).now)['orders/0'],
    fetch: w.groups.fetchOffsets(GROUP, null, false).errorCode,
    describe: w.groups.describeGroup(GROUP).errorCode,
    list: w.groups.listGroups([], []).errorCode,
    delete: w.groups.deleteGroup(GROUP),
    offsetDelete: (w.groups.offsetDelete({ groupId: GROUP, topics: [] }) as { errorCode: number }).errorCode,
  }
}

function allCodes(
  code: number,
  others: Partial<ReturnType<typeof everyApi>> = {},
): ReturnType<typeof everyApi> {
  const names = [
    'join',
    'sync',
    'heartbeat',
    'leave',
    'commit',
    'fetch',
    'describe',
    'list',
    'delete',
    'offsetDelete',
  ]
  return {
    ...(Object.fromEntries(names.map((name) => [name, code])) as ReturnType<typeof everyApi>),
    ...others,
  }
}

describe('a broker that', () => {
  it("does not lead the group's partition is not its coordinator", () => {
    const w = world({ elect: false })
    expect(everyApi(w)).toEqual(allCodes(ErrorCode.NOT_COORDINATOR, { list: 0 }))
  })

  it('still loads the partition says so, except where clients would take it amiss', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 5)])
    const w = world({ log, elect: false })
    w.groups.onElected(0, 0)
    const expected = allCodes(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, {
      heartbeat: ErrorCode.NONE,
      sync: ErrorCode.REBALANCE_IN_PROGRESS,
    })
    expect(everyApi(w)).toEqual(expected)
    w.time.advance(1)
    expect(committed(w)).toEqual({ 'orders/0': 5 })
    expect(w.groups.listGroups([], []).errorCode).toBe(0)
  })

  it('was stopped, or is not started yet, has no coordinator', () => {
    const w = world()
    w.groups.stop()
    expect(everyApi(w)).toEqual(allCodes(ErrorCode.COORDINATOR_NOT_AVAILABLE))
    expect(w.time.pending).toBe(0)
  })

  it('cannot read the partition has no coordinator, rather than one that knows nothing', () => {
    const log = new FakeLog()
    log.readFails = true
    const w = world({ log })
    expect(everyApi(w)).toEqual(allCodes(ErrorCode.COORDINATOR_NOT_AVAILABLE, { list: 0 }))
    expect(w.logger.lines.join()).toContain('the disk is gone')
    log.readFails = false
    w.groups.onElected(0, 1)
    w.time.advance(1)
    expect(commitErrors(commit(w, { 'orders/0': 1 }).now)).toEqual({ 'orders/0': 0 })
  })

  it('leads an empty partition serves it at once, without a turn of the loop', () => {
    const w = world({ elect: false })
    w.groups.onElected(0, 0)
    expect(join(w).now.errorCode).toBe(0)
  })

  it('cannot make the topic says so', async () => {
    const log = new FakeLog()
    log.topicExists = false
    const w = world({ log, elect: false })
    expect(await w.groups.ensureTopic()).toBe(false)
    log.topicExists = true
    log.partitionCount = 7
    expect(await w.groups.ensureTopic()).toBe(true)
    expect(w.groups.partitionFor('a')).toBe(97 % 7)
  })

  it('finds the topic with another number of partitions than it is configured for goes by the topic', async () => {
    const w = world({ config: { offsetsTopicPartitions: 50 }, elect: false })
    expect(w.groups.partitionFor('a')).toBe(97 % 50)
    w.topics.set('__consumer_offsets', 7)
    expect(w.groups.partitionFor('a')).toBe(97 % 7)
    // Groups stay where they are when partitions are added; only a topic made anew is another matter.
    w.topics.set('__consumer_offsets', 9)
    w.log.partitionCount = 9
    await w.groups.ensureTopic()
    expect(w.groups.partitionFor('a')).toBe(97 % 7)
    w.log.partitionCount = 3
    await w.groups.ensureTopic()
    expect(w.groups.partitionFor('a')).toBe(97 % 3)
  })
})

describe('elections', () => {
  it('of older epochs come too late, and so do resignations', () => {
    const w = world({ elect: false })
    w.groups.onElected(0, 5)
    w.groups.onResigned(0, 4)
    expect(join(w).now.errorCode).toBe(0)
    w.groups.onResigned(0, 5)
    expect(join(w).now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    w.groups.onElected(0, 4)
    expect(join(w).now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    w.groups.onElected(0, 6)
    expect(join(w).now.errorCode).toBe(0)
  })

  it('again, in a later epoch, keep what is there', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    w.groups.onElected(0, 1)
    expect(heartbeat(w, { memberId, generationId: 1 })).toBe(0)
  })

  it('lost answer all that waits with NOT_COORDINATOR and leave no timer', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 2)
    const joining = join(w)
    const other = join(w, { groupId: 'b' }).now
    const syncing = sync(w, { groupId: 'b', memberId: other.memberId, generationId: 1 })
    void leader
    w.log.late = true
    const third = join(w, { groupId: 'c' }).now
    const late = sync(w, { groupId: 'c', memberId: third.memberId, generationId: 1 })
    w.groups.onResigned(0)
    await settled()
    expect(joining.now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    expect(syncing.now.errorCode).toBe(0)
    expect(late.now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    await w.log.commitNext()
    expect(w.time.pending).toBe(1)
  })

  it('lost while loading end the load; won again they begin it anew', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 5)])
    const w = world({ log, elect: false })
    w.groups.onElected(0, 0)
    w.groups.onResigned(0, 1)
    w.time.advance(1)
    expect(heartbeat(w, { memberId: 'm', generationId: 0 })).toBe(ErrorCode.NOT_COORDINATOR)
    append(log, [committedAt(0, 6)])
    w.groups.onElected(0, 2)
    w.time.advance(1)
    expect(committed(w)).toEqual({ 'orders/0': 6 })
  })
})

describe('a load', () => {
  it('gives back members, assignments and offsets, and every member has a whole session', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    commit(w, { 'orders/0': 5 }, { memberId: leader, generationIdOrMemberEpoch: 2 })
    w.time.advance(9_000)
    const later = world({ log: w.log, time: w.time })
    expect(later.groups.describeGroup(GROUP)).toEqual(w.groups.describeGroup(GROUP))
    expect(committed(later)).toEqual({ 'orders/0': 5 })
    later.time.advance(9_000)
    expect(heartbeat(later, { memberId: leader, generationId: 2 })).toBe(0)
    expect(sync(later, { memberId: other, generationId: 2 }).now.assignment).toEqual(
      Buffer.from(`work of ${other}`),
    )
    expect(join(later, { memberId: other }).now).toMatchObject({ generationId: 2, leader })
    later.time.advance(10_000)
    expect(heartbeat(later, { memberId: leader, generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('finds an empty group empty, in its generation', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    commit(w, { 'orders/0': 5 }, { memberId, generationIdOrMemberEpoch: 1 })
    leave(w, memberId)
    const later = world({ log: w.log })
    expect(later.groups.describeGroup(GROUP)).toMatchObject({ groupState: 'Empty', protocolType: 'consumer' })
    expect(join(later).now.generationId).toBe(3)
  })

  it('of a group over its limit makes its members join again (KIP-389)', async () => {
    const w = world()
    const members = await stableGroup(w, 3)
    const later = world({ log: w.log, config: { groupMaxSize: 2 } })
    expect(heartbeat(later, { memberId: members[0], generationId: 3 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    const joins = members.map((memberId) => join(later, { memberId }))
    await settled()
    expect(joins.map((answer) => answer.now.errorCode)).toEqual([0, 0, ErrorCode.GROUP_MAX_SIZE_REACHED])
  })

  it('takes the newest of several commits and honours tombstones', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 1), committedAt(1, 1), committedAt(0, 2)])
    append(log, [{ ...committedAt(1, 0), value: null } as GroupRecord, committedAt(2, 9)])
    append(log, [{ type: 'group', groupId: GROUP, value: null }])
    expect(committed(world({ log }))).toEqual({ 'orders/0': 2, 'orders/2': 9 })
  })

  it('reads compressed batches, as a Kafka broker may have written them', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 1), committedAt(1, 2)], { codec: 1 })
    expect(committed(world({ log }))).toEqual({ 'orders/0': 1, 'orders/1': 2 })
  })

  it('skips records of share groups, records without a key and records that cannot be read', () => {
    const log = new FakeLog()
    const odd = [Buffer.from([0, 9, 0, 1, 0x67]), null, Buffer.from([0, 1, 0, 9])]
    for (const key of odd) {
      log.append(0, buildBatch({ records: [{ timestampMs: 1, key, value: Buffer.from('x') }] }))
    }
    append(log, [committedAt(0, 1)])
    const w = world({ log })
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    expect(w.logger.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1)
  })

  it('of very many batches lets others have their turn', () => {
    const log = new FakeLog()
    for (let i = 0; i < 200; i++) append(log, [committedAt(i % 4, i)])
    const w = world({ log, elect: false })
    // Every look at the clock costs a millisecond.
    let looks = 0
    const { monotonicMs } = w.time
    w.time.monotonicMs = () => monotonicMs.call(w.time) + looks++
    const before = w.time.timersMade
    w.groups.onElected(0, 0)
    w.time.advance(1_000)
    expect(w.time.timersMade - before).toBeGreaterThan(20)
    expect(committed(w)).toEqual({ 'orders/0': 196, 'orders/1': 197, 'orders/2': 198, 'orders/3': 199 })
  })
})

describe('offsets of transactions', () => {
  const ask = (w: World, requireStable: boolean) =>
    w.groups.fetchOffsets(GROUP, [{ name: 'orders', partitionIndexes: [0] }], requireStable).topics[0]
      .partitions[0]

  it('that are open are pending', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 1)])
    append(log, [committedAt(0, 2)], transaction(7))
    const w = world({ log })
    expect(ask(w, false)).toMatchObject({ committedOffset: 1, errorCode: 0 })
    expect(ask(w, true)).toMatchObject({ committedOffset: -1, errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT })
  })

  it('that committed count, that aborted do not', () => {
    for (const committing of [true, false]) {
      const log = new FakeLog()
      append(log, [committedAt(0, 1)])
      append(log, [committedAt(0, 2)], transaction(7))
      append(log, [committedAt(0, 3)], transaction(8))
      marker(log, 7, committing)
      marker(log, 8, !committing)
      expect(ask(world({ log }), true)).toMatchObject({ committedOffset: committing ? 2 : 3, errorCode: 0 })
    }
  })

  it('that committed do not count against a commit that was written after them', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 2)], transaction(7))
    append(log, [committedAt(0, 5)])
    marker(log, 7, true)
    expect(ask(world({ log }), true)).toMatchObject({ committedOffset: 5 })
  })

  it('keep a group that has nothing else', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 2)], transaction(7))
    expect(world({ log }).groups.listGroups([], []).groups).toHaveLength(1)
  })

  it('take back tombstones of their own', () => {
    const log = new FakeLog()
    append(log, [committedAt(0, 2), { ...committedAt(0, 0), value: null } as GroupRecord], transaction(7))
    marker(log, 7, true)
    expect(ask(world({ log }), true)).toMatchObject({ committedOffset: -1, errorCode: 0 })
  })
})

describe('many partitions', () => {
  it('are each served by their own part of the log', async () => {
    const log = new FakeLog()
    log.partitionCount = 50
    const w = world({ log })
    const ids = Array.from({ length: 200 }, (_, i) => `group-${i}`)
    for (const [i, groupId] of ids.entries()) commit(w, { 'orders/0': i }, { groupId })
    expect(log.batches.size).toBeGreaterThan(40)
    w.groups.onResigned(w.groups.partitionFor('group-3'))
    expect(w.groups.fetchOffsets('group-3', null, false).errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    const later = world({ log })
    for (const [i, groupId] of ids.entries()) expect(committed(later, groupId)).toEqual({ 'orders/0': i })
  })
})
