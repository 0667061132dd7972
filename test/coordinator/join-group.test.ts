import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import {
  caller,
  GROUP,
  heartbeat,
  join,
  joinRequest,
  leave,
  stableGroup,
  subscription,
  sync,
} from './client.ts'
import { settled, world } from './world.ts'

const range = { name: 'range', metadata: subscription('orders') }
const sticky = { name: 'sticky', metadata: subscription('orders') }
const roundrobin = { name: 'roundrobin', metadata: subscription('orders') }

describe('what a JoinGroup is refused for', () => {
  const cases: [string, Parameters<typeof join>[1], number][] = [
    ['an empty group id', { groupId: '' }, ErrorCode.INVALID_GROUP_ID],
    ['a session timeout below the least', { sessionTimeoutMs: 5_999 }, ErrorCode.INVALID_SESSION_TIMEOUT],
    ['a session timeout above the most', { sessionTimeoutMs: 1_800_001 }, ErrorCode.INVALID_SESSION_TIMEOUT],
    ['a member id in a group that is not there', { memberId: 'app-1' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['no protocol type', { protocolType: '' }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    ['no protocol', { protocols: [] }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
  ]
  it.each(cases)('%s', (_, request, errorCode) => {
    const w = world()
    expect(join(w, request).now).toMatchObject({ errorCode, generationId: -1, leader: '', members: [] })
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })

  it('accepts session timeouts at both ends', () => {
    const w = world()
    expect(join(w, { groupId: 'a', sessionTimeoutMs: 6_000 }).now.errorCode).toBe(0)
    expect(join(w, { groupId: 'b', sessionTimeoutMs: 1_800_000 }).now.errorCode).toBe(0)
  })

  const inAGroup: [string, Parameters<typeof join>[1], number][] = [
    ['another protocol type', { protocolType: 'connect' }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    ['no protocol in common', { protocols: [sticky] }, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
    ['an unknown member id', { memberId: 'app-1' }, ErrorCode.UNKNOWN_MEMBER_ID],
    [
      'an unknown instance id with a member id',
      { memberId: 'app-1', groupInstanceId: 'i' },
      ErrorCode.UNKNOWN_MEMBER_ID,
    ],
  ]
  it.each(inAGroup)('in a group of others: %s', async (_, request, errorCode) => {
    const w = world()
    await stableGroup(w, 1)
    expect(join(w, { version: 5, ...request }).now.errorCode).toBe(errorCode)
    expect(w.groups.describeGroup(GROUP)).toMatchObject({ groupState: 'Stable' })
  })

  it('a group that its coordinator has no room for', () => {
    const w = world({ config: { maxGroups: 2 } })
    join(w, { groupId: 'a' })
    join(w, { groupId: 'b' })
    expect(join(w, { groupId: 'c' }).now.errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect(join(w, { groupId: 'a', version: 4 }).now.errorCode).toBe(ErrorCode.MEMBER_ID_REQUIRED)
  })
})

describe('a newcomer', () => {
  it('is a generation of its own at once when there is no initial delay', () => {
    const w = world()
    const joined = join(w).now
    expect(joined).toMatchObject({
      errorCode: 0,
      generationId: 1,
      leader: joined.memberId,
      protocolName: 'range',
    })
    expect(joined.memberId).toMatch(
      /^app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(joined.members).toEqual([
      { memberId: joined.memberId, groupInstanceId: null, metadata: subscription('orders') },
    ])
  })

  it('is told its id first from version 4 on, and joins with it (KIP-394)', () => {
    const w = world()
    const first = join(w, { version: 4 }).now
    expect(first).toMatchObject({ errorCode: ErrorCode.MEMBER_ID_REQUIRED, generationId: -1 })
    const second = join(w, { version: 4, memberId: first.memberId }).now
    expect(second).toMatchObject({ errorCode: 0, memberId: first.memberId, generationId: 1 })
  })

  it('loses the id it was told when it does not use it for a session timeout', () => {
    const w = world()
    const { memberId } = join(w, { version: 4 }).now
    w.time.advance(10_000)
    expect(join(w, { version: 4, memberId }).now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(w.groups.listGroups([], []).groups).toEqual([])
    expect(w.time.pending).toBe(1) // the check of retention
  })

  it('cannot join as an instance with an id that it was told as a dynamic member', () => {
    const w = world()
    const { memberId } = join(w, { version: 5 }).now
    const joined = join(w, { version: 5, memberId, groupInstanceId: 'i' }).now
    expect(joined.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('keeps a rebalance open while it has not used the id it was told', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 1)
    const { memberId } = join(w, { version: 4 }).now
    const rejoined = join(w, { version: 4, memberId: leader })
    await settled()
    expect(rejoined.isWaiting).toBe(true)
    const joined = join(w, { version: 4, memberId })
    await settled()
    expect(rejoined.now).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(joined.now).toMatchObject({ errorCode: 0, generationId: 2, members: [] })
  })

  it('has an id even without a client id, and a short one if that is long', () => {
    const w = world()
    expect(join(w, { clientId: null }).now.memberId).toMatch(/^-[0-9a-f-]{36}$/)
    const long = join(w, { groupId: 'b', clientId: 'ü'.repeat(16_000) }).now
    expect(Buffer.byteLength(long.memberId)).toBeLessThan(32_768)
  })

  it('before version 7 is answered an empty protocol name with an error, after it null', () => {
    const w = world()
    expect(join(w, { version: 6, groupId: '' }).now.protocolName).toBe('')
    expect(join(w, { version: 7, groupId: '' }).now.protocolName).toBeNull()
  })

  it('in version 0 has its session timeout as rebalance timeout', async () => {
    const w = world()
    const request = joinRequest({ rebalanceTimeoutMs: -1, sessionTimeoutMs: 20_000 })
    const first = await w.groups.joinGroup(request, caller(0))
    sync(w, { memberId: first.memberId, generationId: 1, assignments: [] })
    const second = join(w, { version: 0, rebalanceTimeoutMs: -1 })
    w.time.advance(15_000)
    expect(heartbeat(w, { memberId: first.memberId, generationId: 1 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    w.time.advance(4_999)
    await settled()
    expect(second.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(second.now).toMatchObject({ generationId: 2, leader: second.now.memberId })
  })

  it('may name a protocol twice: the first counts', () => {
    const w = world()
    const twice = { name: 'range', metadata: subscription('clicks') }
    const joined = join(w, { protocols: [range, twice] }).now
    expect(joined.members?.[0].metadata).toEqual(range.metadata)
  })
})

describe('the protocol of a generation', () => {
  const votes: [string, (typeof range)[][], string][] = [
    ['what all support', [[range, sticky], [sticky]], 'sticky'],
    [
      'what most prefer',
      [
        [range, sticky],
        [sticky, range],
        [sticky, range],
      ],
      'sticky',
    ],
    [
      'each votes for its first that all support',
      [
        [roundrobin, range, sticky],
        [range, sticky],
        [sticky, range],
      ],
      'range',
    ],
    [
      'the first voted for when votes are equal',
      [
        [range, sticky],
        [sticky, range],
      ],
      'range',
    ],
  ]
  it.each(votes)('is %s', async (_, members, protocolName) => {
    const w = world({ config: { groupInitialRebalanceDelayMs: 100 } })
    const joins = members.map((protocols) => join(w, { protocols }))
    w.time.advance(200)
    await settled()
    for (const joined of joins) expect(joined.now).toMatchObject({ errorCode: 0, protocolName })
  })

  it('carries the metadata of that protocol to the leader, cooperative or eager, byte for byte', async () => {
    const w = world({ config: { groupInitialRebalanceDelayMs: 100 } })
    const eager = { name: 'range', metadata: Buffer.from('eager') }
    const first = join(w, {
      protocols: [{ name: 'cooperative-sticky', metadata: Buffer.from([1, 2, 255]) }, eager],
    })
    const second = join(w, { protocols: [{ name: 'cooperative-sticky', metadata: Buffer.from([3]) }, eager] })
    w.time.advance(200)
    await settled()
    expect(first.now.members?.map(({ metadata }) => metadata)).toEqual([
      Buffer.from([1, 2, 255]),
      Buffer.from([3]),
    ])
    expect(second.now.members).toEqual([])
  })
})

describe('a member that joins again', () => {
  it('as a follower with nothing changed keeps the generation', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    const again = join(w, { memberId: follower }).now
    expect(again).toMatchObject({ errorCode: 0, generationId: 2, leader, members: [] })
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Stable')
  })

  it('as a follower with other metadata begins a rebalance', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    const changed = join(w, {
      memberId: follower,
      protocols: [{ name: 'range', metadata: subscription('clicks') }],
    })
    await settled()
    expect(changed.isWaiting).toBe(true)
    expect(heartbeat(w, { memberId: leader, generationId: 2 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  it('as the leader begins a rebalance even with nothing changed', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 1)
    expect(join(w, { memberId: leader }).now).toMatchObject({ errorCode: 0, generationId: 2 })
  })

  it('before the assignment, unchanged, is told the generation once more: its reply was lost', async () => {
    const w = world()
    const { memberId } = join(w).now
    expect(join(w, { memberId }).now).toMatchObject({ generationId: 1, members: [{ memberId }] })
  })

  it('before the assignment, changed, begins a rebalance', async () => {
    const w = world()
    const { memberId } = join(w).now
    const protocols = [range, { name: 'sticky', metadata: subscription('clicks') }]
    expect(join(w, { memberId, protocols }).now).toMatchObject({ generationId: 2 })
  })

  it('while another JoinGroup of its waits takes over: neither reply is lost', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    const first = join(w, { memberId: leader })
    const second = join(w, { memberId: leader })
    await settled()
    expect(first.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(second.isWaiting).toBe(true)
    join(w, { memberId: follower })
    await settled()
    expect(second.now).toMatchObject({ errorCode: 0, generationId: 3 })
  })
})

describe('group.max.size', () => {
  it('keeps further newcomers out of a stable group, not its members', async () => {
    const w = world({ config: { groupMaxSize: 2 } })
    const [leader] = await stableGroup(w, 2)
    expect(join(w).now).toMatchObject({ errorCode: ErrorCode.GROUP_MAX_SIZE_REACHED, memberId: '' })
    const rejoined = join(w, { memberId: leader })
    await settled()
    expect(rejoined.isWaiting).toBe(true)
  })

  it('drops an id that was told to a newcomer for whom there is no room any more', async () => {
    const w = world({ config: { groupMaxSize: 1 } })
    const late = join(w, { version: 4 }).now.memberId
    const first = join(w, { version: 4 }).now.memberId
    join(w, { version: 4, memberId: first })
    await settled()
    expect(join(w, { version: 4, memberId: late }).now.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(join(w, { version: 4, memberId: late }).now.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
  })

  it('while members gather counts those who wait: the last to rejoin stay out (KIP-389)', async () => {
    const w = world()
    const members = await stableGroup(w, 3)
    w.config.groupMaxSize = 2
    const answers = members.map((memberId) => join(w, { memberId }))
    await settled()
    expect(answers[2].now.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(answers[0].now).toMatchObject({ errorCode: 0, generationId: 4 })
    expect(answers[1].now).toMatchObject({ errorCode: 0, generationId: 4 })
    expect(w.groups.describeGroup(GROUP).members).toHaveLength(2)
  })

  it('does not count ids that were told and not used, for which there is a limit of its own', () => {
    const w = world({ config: { maxPendingMembers: 2 } })
    expect(join(w, { version: 4 }).now.errorCode).toBe(ErrorCode.MEMBER_ID_REQUIRED)
    expect(join(w, { version: 4 }).now.errorCode).toBe(ErrorCode.MEMBER_ID_REQUIRED)
    expect(join(w, { version: 4 }).now).toMatchObject({
      errorCode: ErrorCode.GROUP_MAX_SIZE_REACHED,
      memberId: '',
    })
    w.time.advance(10_000)
    expect(join(w, { version: 4 }).now.errorCode).toBe(ErrorCode.MEMBER_ID_REQUIRED)
  })
})

describe('when everybody leaves', () => {
  it('the group is empty with one generation more, and begins again from there', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    expect(leave(w, memberId)).toBe(0)
    expect(w.groups.describeGroup(GROUP)).toMatchObject({
      groupState: 'Empty',
      protocolType: 'consumer',
      members: [],
    })
    expect(join(w, { protocolType: 'connect' }).now).toMatchObject({ errorCode: 0, generationId: 3 })
  })
})
