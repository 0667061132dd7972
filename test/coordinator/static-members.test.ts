import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { JoinGroupResponse } from '../../src/protocol/messages/11-join-group.ts'
import { GROUP, commit, commitErrors, heartbeat, join, leave, subscription, sync } from './client.ts'
import { settled, world } from './world.ts'
import type { World, WorldOptions } from './world.ts'

const work = (of: string): Buffer => Buffer.from(`work of ${of}`)

/** Instances a (the leader) and b, joined and synced. */
async function pair(
  options: WorldOptions = {},
): Promise<{ w: World; a: JoinGroupResponse; b: JoinGroupResponse }> {
  const w = world({ ...options, config: { groupInitialRebalanceDelayMs: 100, ...options.config } })
  const joins = ['a', 'b'].map((groupInstanceId) => join(w, { version: 5, groupInstanceId }))
  w.time.advance(300)
  await settled()
  const [a, b] = joins.map((answer) => answer.now)
  const assignments = [
    { memberId: a.memberId, assignment: work('a') },
    { memberId: b.memberId, assignment: work('b') },
  ]
  sync(w, { memberId: a.memberId, generationId: 1, assignments })
  sync(w, { memberId: b.memberId, generationId: 1 })
  return { w, a, b }
}

describe('a static member (KIP-345)', () => {
  it('gets an id from its instance id at once, without being told it first', async () => {
    const { a } = await pair()
    expect(a.memberId).toMatch(/^a-[0-9a-f-]{36}$/)
    expect(a.members).toMatchObject([{ groupInstanceId: 'a' }, { groupInstanceId: 'b' }])
  })

  it('that comes back takes up its work under a new id, without a rebalance', async () => {
    const { w, a, b } = await pair()
    const back = join(w, { version: 5, groupInstanceId: 'b' }).now
    expect(back).toMatchObject({
      errorCode: 0,
      generationId: 1,
      leader: a.memberId,
      members: [],
      skipAssignment: false,
    })
    expect(back.memberId).not.toBe(b.memberId)
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Stable')
    expect(
      sync(w, { memberId: back.memberId, generationId: 1, groupInstanceId: 'b' }).now.assignment,
    ).toEqual(work('b'))
    expect(heartbeat(w, { memberId: a.memberId, generationId: 1 })).toBe(0)
  })

  it('that comes back as leader is told the old leader id before version 9, so that it does not assign', async () => {
    const { w, a } = await pair()
    const back = join(w, { version: 8, groupInstanceId: 'a' }).now
    expect(back).toMatchObject({ leader: a.memberId, members: [], skipAssignment: false })
    expect(back.memberId).not.toBe(a.memberId)
  })

  it('that comes back as leader is told to skip the assignment from version 9 on (KIP-814)', async () => {
    const { w, b } = await pair()
    const back = join(w, { version: 9, groupInstanceId: 'a' }).now
    expect(back).toMatchObject({ leader: back.memberId, skipAssignment: true })
    expect(back.members?.map(({ memberId }) => memberId).sort()).toEqual([back.memberId, b.memberId].sort())
  })

  it('that comes back as follower skips nothing', async () => {
    const { w, a } = await pair()
    expect(join(w, { version: 9, groupInstanceId: 'b' }).now).toMatchObject({
      leader: a.memberId,
      skipAssignment: false,
      members: [],
    })
  })

  it('that comes back is stored with its new id', async () => {
    const { w } = await pair()
    const back = join(w, { version: 5, groupInstanceId: 'b' }).now
    const later = world({ log: w.log, time: w.time })
    expect(heartbeat(later, { memberId: back.memberId, generationId: 1, groupInstanceId: 'b' })).toBe(0)
  })

  it('that comes back so that another protocol wins begins a rebalance', async () => {
    const w = world({ config: { groupInitialRebalanceDelayMs: 100 } })
    const both = ['range', 'sticky'].map((name) => ({ name, metadata: subscription('orders') }))
    const first = join(w, { version: 5, groupInstanceId: 'a', protocols: both })
    w.time.advance(200)
    await settled()
    sync(w, { memberId: first.now.memberId, generationId: 1 })
    const back = join(w, { version: 5, groupInstanceId: 'a', protocols: both.slice(1) }).now
    expect(back).toMatchObject({ errorCode: 0, generationId: 2, protocolName: 'sticky' })
  })

  it('that comes back before the assignment makes all join once more', async () => {
    const { w, a, b } = await pair()
    const first = join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    join(w, { version: 5, groupInstanceId: 'b', memberId: b.memberId })
    await settled()
    expect(first.now.generationId).toBe(2)
    const waiting = sync(w, { memberId: b.memberId, generationId: 2, groupInstanceId: 'b' })
    const back = join(w, { version: 5, groupInstanceId: 'b' })
    await settled()
    expect(waiting.now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(back.isWaiting).toBe(true)
    join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    await settled()
    expect(back.now).toMatchObject({ errorCode: 0, generationId: 3 })
  })

  it('that comes back while members gather fences the JoinGroup of its former self', async () => {
    const { w, a, b } = await pair()
    const former = join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    const back = join(w, { version: 5, groupInstanceId: 'a' })
    await settled()
    expect(former.now).toMatchObject({ errorCode: ErrorCode.FENCED_INSTANCE_ID, memberId: a.memberId })
    expect(back.isWaiting).toBe(true)
    join(w, { version: 5, groupInstanceId: 'b', memberId: b.memberId })
    await settled()
    expect(back.now).toMatchObject({ errorCode: 0, generationId: 2, leader: back.now.memberId })
  })

  it('fences its former self in every request', async () => {
    const { w, b } = await pair()
    join(w, { version: 5, groupInstanceId: 'b' })
    const old = { memberId: b.memberId, groupInstanceId: 'b' }
    expect(heartbeat(w, { ...old, generationId: 1 })).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(sync(w, { ...old, generationId: 1 }).now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(join(w, { version: 5, ...old }).now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(leave(w, b.memberId, 'b')).toBe(ErrorCode.FENCED_INSTANCE_ID)
    const refused = commit(w, { 'orders/0': 1 }, { ...old, generationIdOrMemberEpoch: 1 }).now
    expect(commitErrors(refused)).toEqual({ 'orders/0': ErrorCode.FENCED_INSTANCE_ID })
  })

  it('that did not rejoin in time stays a member, but does not stay leader', async () => {
    const { w, a, b } = await pair()
    const again = join(w, {
      version: 5,
      groupInstanceId: 'b',
      memberId: b.memberId,
      sessionTimeoutMs: 10_000,
      protocols: [{ name: 'range', metadata: subscription('clicks') }],
    })
    for (let i = 0; i < 7; i++) {
      heartbeat(w, { memberId: a.memberId, generationId: 1 })
      w.time.advance(9_000)
    }
    await settled()
    expect(again.now).toMatchObject({ errorCode: 0, generationId: 2, leader: b.memberId })
    expect(again.now.members).toHaveLength(2)
  })

  it('leaves by its instance id alone', async () => {
    const { w, a, b } = await pair()
    expect(leave(w, '', 'c')).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(leave(w, '', 'b')).toBe(0)
    expect(heartbeat(w, { memberId: b.memberId, generationId: 1 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId: a.memberId, generationId: 1 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  it('whose return cannot be stored is told so, and its former self goes on', async () => {
    const { w, a, b } = await pair()
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    const refused = join(w, { version: 5, groupInstanceId: 'b' }).now
    expect(refused).toMatchObject({
      errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE,
      memberId: '',
      generationId: 1,
      leader: a.memberId,
      members: [],
    })
    expect(heartbeat(w, { memberId: b.memberId, generationId: 1, groupInstanceId: 'b' })).toBe(0)
  })

  it('whose group moved on while its return was stored joins the rebalance', async () => {
    const { w, a, b } = await pair()
    w.log.late = true
    const back = join(w, { version: 5, groupInstanceId: 'b' })
    const leader = join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    await w.log.commitNext()
    expect(back.now).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(leader.now).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(heartbeat(w, { memberId: b.memberId, generationId: 1 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('that came back twice while the first return was stored has the second id', async () => {
    const { w } = await pair()
    w.log.late = true
    const first = join(w, { version: 5, groupInstanceId: 'b' })
    const second = join(w, { version: 5, groupInstanceId: 'b' })
    await w.log.commitNext()
    await w.log.commitNext()
    expect(first.now.errorCode).toBe(0)
    expect(second.now.errorCode).toBe(0)
    expect(heartbeat(w, { memberId: first.now.memberId, generationId: 1 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId: second.now.memberId, generationId: 1, groupInstanceId: 'b' })).toBe(0)
  })

  it('that came back again when its group had moved on has the newer id, whatever becomes of the older return', async () => {
    const { w, a } = await pair()
    w.log.late = true
    const stored = join(w, { version: 5, groupInstanceId: 'b' })
    const waiting = join(w, { version: 5, groupInstanceId: 'b' })
    join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    const newest = join(w, { version: 5, groupInstanceId: 'b' })
    await w.log.commitNext()
    expect(newest.now).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(stored.now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(waiting.now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    const { memberId } = newest.now
    expect(heartbeat(w, { memberId, generationId: 2, groupInstanceId: 'b' })).toBe(0)
  })

  it('that was removed and joined anew is not fenced by a return of before', async () => {
    const { w, b } = await pair()
    w.log.late = true
    const stored = join(w, { version: 5, groupInstanceId: 'b' })
    expect(leave(w, b.memberId, 'b')).toBe(0)
    const newest = join(w, { version: 5, groupInstanceId: 'b' })
    await w.log.commitNext()
    expect(stored.now.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(newest.isWaiting).toBe(true)
  })

  it("that comes back while another's return is stored leaves that as it is", async () => {
    const { w, a } = await pair()
    w.log.late = true
    const stored = join(w, { version: 5, groupInstanceId: 'a' })
    const rejoined = join(w, { version: 5, groupInstanceId: 'a', memberId: a.memberId })
    const other = join(w, { version: 5, groupInstanceId: 'b' })
    await w.log.commitNext()
    expect(rejoined.now.errorCode).toBe(0)
    expect(other.now).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(stored.isWaiting).toBe(true)
  })
})
