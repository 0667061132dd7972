import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { Answer, caller, GROUP, heartbeat, join, leave, stableGroup, sync } from './client.ts'
import { settled, world } from './world.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

describe('SyncGroup', () => {
  it('gives everybody what the leader brought, those before it and those after it', async () => {
    const w = world()
    const [leader, early, late] = await stableGroup(w, 3)
    for (const memberId of [leader, early, late]) join(w, { memberId })
    const generationId = 4
    const waiting = sync(w, { memberId: early, generationId })
    await settled()
    expect(waiting.isWaiting).toBe(true)
    const assignments = [
      { memberId: leader, assignment: bytes('a') },
      { memberId: early, assignment: bytes('b') },
      { memberId: late, assignment: bytes('c') },
    ]
    expect(sync(w, { memberId: leader, generationId, assignments }).now.assignment).toEqual(bytes('a'))
    await settled()
    expect(waiting.now).toMatchObject({ errorCode: 0, protocolType: 'consumer', protocolName: 'range' })
    expect(waiting.now.assignment).toEqual(bytes('b'))
    expect(sync(w, { memberId: late, generationId }).now.assignment).toEqual(bytes('c'))
  })

  it('gives no bytes to a member that the leader left out, and ignores one that is not there', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    for (const memberId of [leader, other]) join(w, { memberId })
    sync(w, {
      memberId: leader,
      generationId: 3,
      assignments: [{ memberId: 'nobody', assignment: bytes('x') }],
    })
    expect(sync(w, { memberId: other, generationId: 3 }).now).toMatchObject({
      errorCode: 0,
      assignment: bytes(''),
    })
  })

  it('ignores assignments that a follower brings', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    for (const memberId of [leader, other]) join(w, { memberId })
    const waiting = sync(w, {
      memberId: other,
      generationId: 3,
      assignments: [{ memberId: other, assignment: bytes('mine') }],
    })
    await settled()
    expect(waiting.isWaiting).toBe(true)
    sync(w, { memberId: leader, generationId: 3 })
    await settled()
    expect(waiting.now.assignment).toEqual(bytes(''))
  })

  it('that waits is answered REBALANCE_IN_PROGRESS when somebody joins meanwhile', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    for (const memberId of [leader, other]) join(w, { memberId })
    const waiting = sync(w, { memberId: other, generationId: 3 })
    join(w)
    await settled()
    expect(waiting.now).toMatchObject({ errorCode: ErrorCode.REBALANCE_IN_PROGRESS, protocolName: null })
  })

  it('that waits is answered when its member is removed by an administrator', async () => {
    const w = world({ config: { groupInitialRebalanceDelayMs: 100 } })
    const first = join(w, { version: 5, groupInstanceId: 'a' })
    const second = join(w, { version: 5, groupInstanceId: 'b' })
    w.time.advance(200)
    await settled()
    expect(first.now.leader).toBe(first.now.memberId)
    const waiting = sync(w, { memberId: second.now.memberId, generationId: 1, groupInstanceId: 'b' })
    expect(leave(w, '', 'b')).toBe(0)
    await settled()
    expect(waiting.now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('repeated while one waits answers the older one', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    for (const memberId of [leader, other]) join(w, { memberId })
    const first = sync(w, { memberId: other, generationId: 3 })
    const second = sync(w, { memberId: other, generationId: 3 })
    await settled()
    expect(first.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    sync(w, { memberId: leader, generationId: 3 })
    await settled()
    expect(second.now.errorCode).toBe(0)
  })

  const refusals: [string, Parameters<typeof sync>[1], number][] = [
    ['an empty group id', { groupId: '', memberId: 'm', generationId: 1 }, ErrorCode.INVALID_GROUP_ID],
    [
      'a group that is not there',
      { groupId: 'x', memberId: 'm', generationId: 1 },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    ['a member that is not there', { memberId: 'm', generationId: 1 }, ErrorCode.UNKNOWN_MEMBER_ID],
    [
      'an instance that is not there',
      { memberId: 'm', generationId: 1, groupInstanceId: 'i' },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
    [
      'no protocol in version 5',
      { version: 5, memberId: 'm', generationId: 1 },
      ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ],
  ]
  it.each(refusals)('is refused for %s', async (_, request, errorCode) => {
    const w = world()
    await stableGroup(w, 1)
    expect(sync(w, request).now).toMatchObject({ errorCode, assignment: bytes('') })
  })

  const ofAMember: [string, Partial<Parameters<typeof sync>[1]>, number][] = [
    ['an old generation', { generationId: 0 }, ErrorCode.ILLEGAL_GENERATION],
    ['a generation to come', { generationId: 2 }, ErrorCode.ILLEGAL_GENERATION],
    [
      'another protocol type',
      { protocolType: 'connect', protocolName: 'range' },
      ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ],
    [
      'another protocol',
      { protocolType: 'consumer', protocolName: 'sticky' },
      ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ],
    ['nothing else', { version: 5, protocolType: 'consumer', protocolName: 'range' }, ErrorCode.NONE],
  ]
  it.each(ofAMember)('of a member is refused for %s', async (_, request, errorCode) => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    expect(sync(w, { memberId, generationId: 1, ...request }).now.errorCode).toBe(errorCode)
  })

  it('while members gather is refused with REBALANCE_IN_PROGRESS', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    join(w)
    expect(sync(w, { memberId, generationId: 1 }).now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  const storeErrors: [keyof typeof ErrorCode, keyof typeof ErrorCode][] = [
    ['UNKNOWN_TOPIC_OR_PARTITION', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_ENOUGH_REPLICAS', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'COORDINATOR_NOT_AVAILABLE'],
    ['NOT_LEADER_OR_FOLLOWER', 'NOT_COORDINATOR'],
    ['KAFKA_STORAGE_ERROR', 'NOT_COORDINATOR'],
    ['REQUEST_TIMED_OUT', 'REBALANCE_IN_PROGRESS'],
    ['MESSAGE_TOO_LARGE', 'UNKNOWN_SERVER_ERROR'],
    ['RECORD_LIST_TOO_LARGE', 'UNKNOWN_SERVER_ERROR'],
    ['INVALID_FETCH_SIZE', 'UNKNOWN_SERVER_ERROR'],
    ['CORRUPT_MESSAGE', 'CORRUPT_MESSAGE'],
  ]
  it.each(storeErrors)(
    'that cannot be stored for %s is answered %s, and all join again',
    async (stored, told) => {
      const w = world()
      const [leader, other] = await stableGroup(w, 2)
      for (const memberId of [leader, other]) join(w, { memberId })
      const waiting = sync(w, { memberId: other, generationId: 3 })
      w.log.appendError = ErrorCode[stored]
      expect(sync(w, { memberId: leader, generationId: 3 }).now.errorCode).toBe(ErrorCode[told])
      await settled()
      expect(waiting.now.errorCode).toBe(ErrorCode[told])
      expect(w.groups.describeGroup(GROUP).groupState).toBe('PreparingRebalance')
      expect(heartbeat(w, { memberId: leader, generationId: 3 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    },
  )
})

describe('Heartbeat', () => {
  it('is fine from the moment the generation is known', async () => {
    const w = world()
    const { memberId } = join(w).now
    expect(heartbeat(w, { memberId, generationId: 1 })).toBe(ErrorCode.NONE)
    sync(w, { memberId, generationId: 1 })
    expect(heartbeat(w, { memberId, generationId: 1 })).toBe(ErrorCode.NONE)
  })

  it('while members gather says so, and still renews the session', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 2)
    join(w)
    for (let i = 0; i < 5; i++) {
      w.time.advance(9_000)
      expect(heartbeat(w, { memberId: leader, generationId: 2 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    }
  })

  const cases: [string, Partial<Parameters<typeof heartbeat>[1]>, number][] = [
    ['an empty group id', { groupId: '' }, ErrorCode.INVALID_GROUP_ID],
    ['a group that is not there', { groupId: 'x' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['a member that is not there', { memberId: 'm' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['an instance that is not there', { groupInstanceId: 'i' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['an old generation', { generationId: 0 }, ErrorCode.ILLEGAL_GENERATION],
  ]
  it.each(cases)('is refused for %s', async (_, request, errorCode) => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    expect(heartbeat(w, { memberId, generationId: 1, ...request })).toBe(errorCode)
  })

  it('in an empty group is of a member that is not there', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    leave(w, memberId)
    expect(heartbeat(w, { memberId, generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })
})

describe('LeaveGroup', () => {
  it('makes the others rebalance', async () => {
    const w = world()
    const [leader, other] = await stableGroup(w, 2)
    expect(leave(w, leader)).toBe(0)
    expect(heartbeat(w, { memberId: other, generationId: 2 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(join(w, { memberId: other }).now).toMatchObject({ generationId: 3, leader: other })
  })

  it('before version 3 carries the error of its one member as its own', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    const request = { groupId: GROUP, members: [] }
    const gone = w.groups.leaveGroup({ ...request, memberId: 'm' }, caller(2))
    expect(gone).toEqual({ errorCode: ErrorCode.UNKNOWN_MEMBER_ID, members: [] })
    expect(w.groups.leaveGroup({ ...request, memberId }, caller(0))).toEqual({ errorCode: 0, members: [] })
  })

  it('from version 3 on has an error for each of several members', async () => {
    const w = world()
    const [a, b] = await stableGroup(w, 2)
    const named = (memberId: string, groupInstanceId: string | null = null) => ({
      memberId,
      groupInstanceId,
      reason: null,
    })
    const members = [named(a), named('m'), named(b), named('', 'i'), named(a, 'i'), named('')]
    const response = w.groups.leaveGroup({ groupId: GROUP, memberId: '', members }, caller(3))
    const { errorCode, members: answers } = new Answer(response).now
    expect(errorCode).toBe(0)
    expect(answers?.map((answer) => answer.errorCode)).toEqual([0, 25, 0, 25, 25, 25])
    expect(answers?.[3]).toEqual({
      memberId: '',
      groupInstanceId: 'i',
      errorCode: ErrorCode.UNKNOWN_MEMBER_ID,
    })
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Empty')
  })

  it('of a group that is not there has an error for each member', () => {
    const w = world()
    const members = [{ memberId: 'm', groupInstanceId: null, reason: null }]
    const answer = w.groups.leaveGroup({ groupId: 'x', memberId: '', members }, caller(3))
    expect(answer).toEqual({
      errorCode: 0,
      members: [{ memberId: 'm', groupInstanceId: null, errorCode: 25 }],
    })
    const refused = w.groups.leaveGroup({ groupId: '', memberId: '', members }, caller(3))
    expect(new Answer(refused).now.errorCode).toBe(24)
  })

  it('of a member whose JoinGroup waits answers that too', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 2)
    const rejoined = join(w, { memberId: leader })
    expect(leave(w, leader)).toBe(0)
    await settled()
    expect(rejoined.now).toMatchObject({ errorCode: ErrorCode.UNKNOWN_MEMBER_ID, memberId: '' })
  })
})
