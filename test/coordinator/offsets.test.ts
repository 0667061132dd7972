import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import {
  Answer,
  GROUP,
  commit,
  commitErrors,
  commitRequest,
  committed,
  heartbeat,
  join,
  leave,
  stableGroup,
} from './client.ts'
import { settled, world } from './world.ts'

describe('OffsetCommit', () => {
  it('of nobody in particular makes a simple group', () => {
    const w = world()
    expect(commitErrors(commit(w, { 'orders/0': 5, 'orders/3': 7, 'clicks/1': 0 }).now)).toEqual({
      'orders/0': 0,
      'orders/3': 0,
      'clicks/1': 0,
    })
    expect(committed(w)).toEqual({ 'orders/0': 5, 'orders/3': 7, 'clicks/1': 0 })
    expect(w.groups.listGroups([], []).groups).toEqual([
      { groupId: GROUP, protocolType: '', groupState: 'Empty', groupType: 'classic' },
    ])
  })

  it('is readable at once, the newest one', () => {
    const w = world()
    for (const offset of [5, 9, 3]) {
      commit(w, { 'orders/0': offset })
      expect(committed(w)).toEqual({ 'orders/0': offset })
    }
  })

  it('keeps the last of two offsets that one request has for a partition', () => {
    const w = world()
    const request = commitRequest({ 'orders/0': 1 })
    request.topics[0].partitions.push({ ...request.topics[0].partitions[0], committedOffset: 2 })
    void w.groups.offsetCommit(request)
    expect(committed(w)).toEqual({ 'orders/0': 2 })
  })

  it('works for the group with an empty name', () => {
    const w = world()
    commit(w, { 'orders/0': 5 }, { groupId: '' })
    expect(committed(w, '')).toEqual({ 'orders/0': 5 })
  })

  it('of a member is taken in its generation', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    const errors = commitErrors(commit(w, { 'orders/0': 5 }, { memberId, generationIdOrMemberEpoch: 1 }).now)
    expect(errors).toEqual({ 'orders/0': 0 })
  })

  it('of a member is taken while members gather, and renews its session', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 2)
    join(w)
    for (let i = 0; i < 5; i++) {
      w.time.advance(9_000)
      const errors = commitErrors(
        commit(w, { 'orders/0': i }, { memberId: leader, generationIdOrMemberEpoch: 2 }).now,
      )
      expect(errors).toEqual({ 'orders/0': 0 })
    }
  })

  it('of a member without its assignment is refused with REBALANCE_IN_PROGRESS', () => {
    const w = world()
    const { memberId } = join(w).now
    const errors = commitErrors(commit(w, { 'orders/0': 5 }, { memberId, generationIdOrMemberEpoch: 1 }).now)
    expect(errors).toEqual({ 'orders/0': ErrorCode.REBALANCE_IN_PROGRESS })
  })

  const refusals: [string, Parameters<typeof commit>[2], number][] = [
    [
      'a generation of a group that is not there',
      { groupId: 'x', generationIdOrMemberEpoch: 0 },
      ErrorCode.ILLEGAL_GENERATION,
    ],
    ['no member of a group that has members', {}, ErrorCode.UNKNOWN_MEMBER_ID],
    [
      'a member that is not there',
      { memberId: 'm', generationIdOrMemberEpoch: 1 },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    [
      'an instance that is not there',
      { memberId: 'm', groupInstanceId: 'i', generationIdOrMemberEpoch: 1 },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
  ]
  it.each(refusals)('is refused for %s', async (_, options, errorCode) => {
    const w = world()
    await stableGroup(w, 1)
    expect(commitErrors(commit(w, { 'orders/0': 5 }, options).now)).toEqual({ 'orders/0': errorCode })
    expect(committed(w)).toEqual({})
  })

  it.each([0, 2, -1])(
    'of a member is refused in generation %i when it is 1',
    async (generationIdOrMemberEpoch) => {
      const w = world()
      const [memberId] = await stableGroup(w, 1)
      const errors = commitErrors(commit(w, { 'orders/0': 5 }, { memberId, generationIdOrMemberEpoch }).now)
      expect(errors).toEqual({ 'orders/0': ErrorCode.ILLEGAL_GENERATION })
    },
  )

  it('to an empty group is taken without a generation, refused with one', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    leave(w, memberId)
    expect(commitErrors(commit(w, { 'orders/0': 5 }).now)).toEqual({ 'orders/0': 0 })
    const errors = commitErrors(commit(w, { 'orders/0': 6 }, { memberId, generationIdOrMemberEpoch: 2 }).now)
    expect(errors).toEqual({ 'orders/0': ErrorCode.UNKNOWN_MEMBER_ID })
    expect(committed(w)).toEqual({ 'orders/0': 5 })
  })

  it('refuses partitions that do not exist, and takes the others', () => {
    const w = world()
    expect(
      commitErrors(commit(w, { 'orders/0': 5, 'orders/4': 5, 'orders/-1': 5, 'nothing/0': 5 }).now),
    ).toEqual({
      'orders/0': 0,
      'orders/4': ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      'orders/-1': ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      'nothing/0': ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    })
    expect(committed(w)).toEqual({ 'orders/0': 5 })
  })

  it('of topics that do not exist alone says so before anything about the group', () => {
    const w = world({ elect: false })
    expect(commitErrors(commit(w, { 'nothing/0': 5 }).now)).toEqual({
      'nothing/0': ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    })
    expect(commitErrors(commit(w, { 'orders/0': 5 }).now)).toEqual({ 'orders/0': ErrorCode.NOT_COORDINATOR })
  })

  it('refuses metadata over offset.metadata.max.bytes for its partition alone', () => {
    const w = world()
    const request = commitRequest({ 'orders/0': 1, 'orders/1': 2 })
    request.topics[0].partitions[0].committedMetadata = 'x'.repeat(4_097)
    request.topics[0].partitions[1].committedMetadata = 'x'.repeat(4_096)
    const response = w.groups.offsetCommit(request)
    expect(response).toMatchObject({ topics: [{ partitions: [{ errorCode: 12 }, { errorCode: 0 }] }] })
    expect(committed(w)).toEqual({ 'orders/1': 2 })
  })

  it('with too long metadata alone writes nothing and leaves no group', () => {
    const w = world({ config: { offsetMetadataMaxBytes: 0 } })
    const request = commitRequest({ 'orders/0': 1 })
    request.topics[0].partitions[0].committedMetadata = 'x'
    expect(w.groups.offsetCommit(request)).toMatchObject({ topics: [{ partitions: [{ errorCode: 12 }] }] })
    expect(w.log.records()).toEqual([])
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })

  it('to a new group over the limit of groups is refused', () => {
    const w = world({ config: { maxGroups: 1 } })
    commit(w, { 'orders/0': 1 }, { groupId: 'a' })
    const errors = commitErrors(commit(w, { 'orders/0': 1 }, { groupId: 'b' }).now)
    expect(errors).toEqual({ 'orders/0': ErrorCode.COORDINATOR_NOT_AVAILABLE })
  })

  const storeErrors: [keyof typeof ErrorCode, keyof typeof ErrorCode][] = [
    ['NETWORK_EXCEPTION', 'COORDINATOR_LOAD_IN_PROGRESS'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_ENOUGH_REPLICAS', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_LEADER_OR_FOLLOWER', 'NOT_COORDINATOR'],
    ['KAFKA_STORAGE_ERROR', 'NOT_COORDINATOR'],
    ['MESSAGE_TOO_LARGE', 'INVALID_COMMIT_OFFSET_SIZE'],
    ['RECORD_LIST_TOO_LARGE', 'INVALID_COMMIT_OFFSET_SIZE'],
    ['INVALID_FETCH_SIZE', 'INVALID_COMMIT_OFFSET_SIZE'],
    ['REQUEST_TIMED_OUT', 'REQUEST_TIMED_OUT'],
  ]
  it.each(storeErrors)(
    'that cannot be stored for %s is answered %s and changes nothing',
    async (stored, told) => {
      const w = world()
      commit(w, { 'orders/0': 1 })
      w.log.appendError = ErrorCode[stored]
      expect(commitErrors(commit(w, { 'orders/0': 2 }).now)).toEqual({ 'orders/0': ErrorCode[told] })
      w.log.appendError = 0
      w.log.late = true
      const late = commit(w, { 'orders/0': 3 })
      await w.log.commitNext(ErrorCode[stored])
      expect(commitErrors(late.now)).toEqual({ 'orders/0': ErrorCode[told] })
      expect(committed(w)).toEqual({ 'orders/0': 1 })
    },
  )
})

describe('more commits than any log takes in a batch, for the length of the name in each', () => {
  it('are not even offered to it, and leave no group', () => {
    const w = world()
    const groupId = 'g'.repeat(32767)
    const request = commitRequest({ 'orders/0': 1 }, { groupId })
    request.topics[0].partitions = Array(4100).fill(request.topics[0].partitions[0])
    const answer = new Answer(w.groups.offsetCommit(request)).now
    expect(commitErrors(answer)).toEqual({ 'orders/0': ErrorCode.INVALID_COMMIT_OFFSET_SIZE })
    expect(w.log.records()).toEqual([])
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })
})

describe('an offset that is written and not committed yet', () => {
  it('is not told, and whoever asks for stable offsets is told to wait (KIP-447)', async () => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    w.log.late = true
    const first = commit(w, { 'orders/0': 2 })
    const second = commit(w, { 'orders/0': 3 })
    const ask = (requireStable: boolean) =>
      w.groups.fetchOffsets(GROUP, [{ name: 'orders', partitionIndexes: [0] }], requireStable).topics[0]
        .partitions[0]
    expect(ask(false)).toMatchObject({ committedOffset: 1, errorCode: 0 })
    expect(ask(true)).toMatchObject({ committedOffset: -1, errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT })
    await w.log.commitNext()
    expect(first.isWaiting).toBe(false)
    expect(ask(false)).toMatchObject({ committedOffset: 2 })
    expect(ask(true)).toMatchObject({ errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT })
    await w.log.commitNext()
    expect(second.isWaiting).toBe(false)
    expect(ask(true)).toMatchObject({ committedOffset: 3, errorCode: 0 })
  })

  it('of a new group that fails leaves no group behind', async () => {
    const w = world()
    w.log.late = true
    commit(w, { 'orders/0': 2 })
    expect(w.groups.listGroups([], []).groups).toHaveLength(1)
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    expect(w.groups.listGroups([], []).groups).toHaveLength(0)
  })

  it('is answered NOT_COORDINATOR when the partition goes meanwhile', async () => {
    const w = world()
    w.log.late = true
    const late = commit(w, { 'orders/0': 2 })
    w.groups.onResigned(0)
    await w.log.commitNext()
    expect(commitErrors(late.now)).toEqual({ 'orders/0': ErrorCode.NOT_COORDINATOR })
  })
})

describe('OffsetFetch', () => {
  it('tells offset, leader epoch and metadata, or -1 where nothing is committed', () => {
    const w = world()
    const request = commitRequest({ 'orders/0': 5 })
    request.topics[0].partitions[0].committedLeaderEpoch = 3
    request.topics[0].partitions[0].committedMetadata = 'halfway'
    void w.groups.offsetCommit(request)
    const topics = [
      { name: 'orders', partitionIndexes: [0, 1] },
      { name: 'nothing', partitionIndexes: [7] },
    ]
    const none = { committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 }
    expect(w.groups.fetchOffsets(GROUP, topics, true)).toEqual({
      errorCode: 0,
      topics: [
        {
          name: 'orders',
          partitions: [
            {
              partitionIndex: 0,
              committedOffset: 5,
              committedLeaderEpoch: 3,
              metadata: 'halfway',
              errorCode: 0,
            },
            { partitionIndex: 1, ...none },
          ],
        },
        { name: 'nothing', partitions: [{ partitionIndex: 7, ...none }] },
      ],
    })
    expect(w.groups.fetchOffsets('x', topics.slice(1), false).topics[0].partitions).toEqual([
      { partitionIndex: 7, ...none },
    ])
    expect(w.groups.fetchOffsets('x', null, false)).toEqual({ errorCode: 0, topics: [] })
  })

  it('takes null metadata as none', () => {
    const w = world()
    const request = commitRequest({ 'orders/0': 5 })
    request.topics[0].partitions[0].committedMetadata = null
    void w.groups.offsetCommit(request)
    expect(w.groups.fetchOffsets(GROUP, null, false).topics[0].partitions[0].metadata).toBe('')
  })

  it('works whatever state the group is in', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    commit(w, { 'orders/0': 5 }, { memberId, generationIdOrMemberEpoch: 1 })
    join(w)
    await settled()
    expect(heartbeat(w, { memberId, generationId: 1 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(committed(w)).toEqual({ 'orders/0': 5 })
  })
})
