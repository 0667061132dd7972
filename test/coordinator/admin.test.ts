import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import {
  Answer,
  GROUP,
  commit,
  commitErrors,
  committed,
  heartbeat,
  join,
  leave,
  stableGroup,
  subscription,
  sync,
} from './client.ts'
import { settled, world } from './world.ts'
import type { World } from './world.ts'

function offsetDelete(w: World, topic: string, partitions: number[], groupId = GROUP) {
  const request = {
    groupId,
    topics: [{ name: topic, partitions: partitions.map((partitionIndex) => ({ partitionIndex })) }],
  }
  return new Answer(w.groups.offsetDelete(request))
}

describe('DescribeGroups', () => {
  it('tells of a stable group everything', async () => {
    const w = world()
    const { memberId } = join(w, { version: 5, groupInstanceId: 'a', clientId: 'app' }).now
    sync(w, { memberId, generationId: 1, assignments: [{ memberId, assignment: Buffer.from('work') }] })
    expect(w.groups.describeGroup(GROUP)).toEqual({
      errorCode: 0,
      groupId: GROUP,
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [
        {
          memberId,
          groupInstanceId: 'a',
          clientId: 'app',
          clientHost: '/127.0.0.1',
          memberMetadata: subscription('orders'),
          memberAssignment: Buffer.from('work'),
        },
      ],
    })
  })

  it('tells of any other group no protocol, metadata or assignment', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    join(w)
    const described = w.groups.describeGroup(GROUP)
    expect(described).toMatchObject({
      groupState: 'PreparingRebalance',
      protocolType: 'consumer',
      protocolData: '',
    })
    expect(described.members[0]).toMatchObject({
      memberId,
      memberMetadata: Buffer.alloc(0),
      memberAssignment: Buffer.alloc(0),
    })
    join(w, { memberId })
    expect(w.groups.describeGroup(GROUP)).toMatchObject({
      groupState: 'CompletingRebalance',
      protocolData: '',
    })
  })

  it('finds a group that is not there Dead, without an error', () => {
    const w = world()
    const dead = { errorCode: 0, groupState: 'Dead', protocolType: '', protocolData: '', members: [] }
    expect(w.groups.describeGroup('x')).toEqual({ groupId: 'x', ...dead })
    expect(w.groups.describeGroup('')).toEqual({ groupId: '', ...dead })
  })

  it('has no state for a group that cannot be asked', () => {
    const w = world({ elect: false })
    expect(w.groups.describeGroup('x')).toMatchObject({
      errorCode: ErrorCode.NOT_COORDINATOR,
      groupState: '',
    })
  })
})

describe('ListGroups', () => {
  it('filters by state and type, without regard to case', async () => {
    const w = world()
    await stableGroup(w, 1)
    commit(w, { 'orders/0': 1 }, { groupId: 'simple' })
    join(w, { groupId: 'completing' })
    const names = (states: string[], types: string[] = []) =>
      w.groups
        .listGroups(states, types)
        .groups.map(({ groupId }) => groupId)
        .sort()
    expect(names([])).toEqual(['completing', GROUP, 'simple'])
    expect(names(['STABLE', 'empty'])).toEqual([GROUP, 'simple'])
    expect(names(['CompletingRebalance'])).toEqual(['completing'])
    expect(names(['nonsense'])).toEqual([])
    expect(names([], ['Classic'])).toHaveLength(3)
    expect(names([], ['consumer'])).toEqual([])
    expect(names([], ['nonsense'])).toEqual([])
    expect(names(['stable'], ['consumer', 'classic'])).toEqual([GROUP])
  })
})

describe('DeleteGroups', () => {
  it('removes an empty group with all that it committed, from the log too', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    commit(w, { 'orders/0': 1, 'clicks/2': 3 }, { memberId, generationIdOrMemberEpoch: 1 })
    leave(w, memberId)
    expect(w.groups.deleteGroup(GROUP)).toBe(0)
    expect(committed(w)).toEqual({})
    expect(w.groups.listGroups([], []).groups).toEqual([])
    expect(
      w.log
        .records()
        .slice(-3)
        .map(({ value }) => value),
    ).toEqual([null, null, null])
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    const later = world({ log: w.log })
    expect(later.groups.listGroups([], []).groups).toEqual([])
  })

  it('removes groups with very many offsets in batches that a log takes', () => {
    const w = world()
    w.topics.set('wide', 20_000)
    const offsets = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`wide/${i}`, i]))
    commit(w, offsets)
    const before = w.log.batches.get(0)?.length ?? 0
    expect(w.groups.deleteGroup(GROUP)).toBe(0)
    const written = w.log.batches.get(0)?.slice(before) ?? []
    expect(written.length).toBeGreaterThan(1)
    for (const bytes of written) expect(bytes.length).toBeLessThan(1_000_000)
    expect(committed(world({ log: w.log }))).toEqual({})
  })

  it('refuses a group that has members, and one that is not there', async () => {
    const w = world()
    await stableGroup(w, 1)
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.NON_EMPTY_GROUP)
    join(w)
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.NON_EMPTY_GROUP)
    expect(w.groups.deleteGroup('x')).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(world({ elect: false }).groups.deleteGroup('x')).toBe(ErrorCode.NOT_COORDINATOR)
  })

  it('that cannot be stored changes nothing', () => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    w.log.appendError = ErrorCode.KAFKA_STORAGE_ERROR
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.NOT_COORDINATOR)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
  })

  it('on its way makes the group answer as dead, and live on if it fails', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    leave(w, memberId)
    commit(w, { 'orders/0': 1 })
    const pending = join(w, { version: 4 }).now.memberId
    w.log.late = true
    const deletion = new Answer(w.groups.deleteGroup(GROUP))
    const notAvailable = ErrorCode.COORDINATOR_NOT_AVAILABLE
    expect(join(w).now.errorCode).toBe(notAvailable)
    expect(join(w, { version: 4, memberId: pending }).now.errorCode).toBe(notAvailable)
    expect(sync(w, { memberId, generationId: 2 }).now.errorCode).toBe(notAvailable)
    expect(heartbeat(w, { memberId, generationId: 2 })).toBe(notAvailable)
    expect(leave(w, memberId)).toBe(notAvailable)
    expect(commitErrors(commit(w, { 'orders/0': 2 }).now)).toEqual({ 'orders/0': notAvailable })
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(offsetDelete(w, 'orders', [0]).now.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Dead')
    expect(committed(w)).toEqual({})
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    expect(deletion.now).toBe(notAvailable)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    const again = new Answer(w.groups.deleteGroup(GROUP))
    await w.log.commitNext()
    await settled()
    expect(again.now).toBe(0)
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })
})

describe('OffsetDelete (KIP-496)', () => {
  it('removes offsets of an empty group, and the group with the last one', () => {
    const w = world()
    commit(w, { 'orders/0': 1, 'orders/1': 1 })
    expect(offsetDelete(w, 'orders', [0, 0, 2]).now).toEqual({
      errorCode: 0,
      topics: [
        { name: 'orders', partitions: [0, 0, 2].map((partitionIndex) => ({ partitionIndex, errorCode: 0 })) },
      ],
    })
    expect(committed(w)).toEqual({ 'orders/1': 1 })
    offsetDelete(w, 'orders', [1])
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })

  it('in a live consumer group keeps what members subscribe to', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, { memberId, generationIdOrMemberEpoch: 1 })
    expect(offsetDelete(w, 'orders', [0]).now.topics[0].partitions).toEqual([
      { partitionIndex: 0, errorCode: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC },
    ])
    expect(offsetDelete(w, 'clicks', [0]).now.topics[0].partitions).toEqual([
      { partitionIndex: 0, errorCode: 0 },
    ])
    expect(committed(w)).toEqual({ 'orders/0': 1 })
  })

  it('in a live consumer group with unreadable subscriptions keeps everything', async () => {
    const w = world()
    await stableGroup(w, 1, { protocols: [{ name: 'range', metadata: Buffer.from('?') }] })
    expect(offsetDelete(w, 'clicks', [0]).now.topics[0].partitions[0].errorCode).toBe(
      ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
    )
  })

  it('is refused for a live group of another kind, a group that is not there, topics that are not there', async () => {
    const w = world()
    await stableGroup(w, 1, { protocolType: 'connect' })
    expect(offsetDelete(w, 'clicks', [0]).now).toEqual({ errorCode: ErrorCode.NON_EMPTY_GROUP, topics: [] })
    expect(offsetDelete(w, 'clicks', [0], 'x').now.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(offsetDelete(w, 'clicks', [0], '').now.errorCode).toBe(ErrorCode.INVALID_GROUP_ID)
    commit(w, { 'orders/0': 1 }, { groupId: 'simple' })
    for (const [topic, partition] of [
      ['nothing', 0],
      ['orders', 4],
      ['orders', -1],
    ] as const) {
      const answer = offsetDelete(w, topic, [partition], 'simple').now
      expect(answer.topics[0].partitions[0].errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    }
  })

  it('that cannot be stored says why and changes nothing', () => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    expect(offsetDelete(w, 'orders', [0]).now).toEqual({
      errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE,
      topics: [],
    })
    expect(committed(w)).toEqual({ 'orders/0': 1 })
  })
})
