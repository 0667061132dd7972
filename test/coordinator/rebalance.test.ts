import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { GROUP, heartbeat, join, leave, stableGroup, sync } from './client.ts'
import { settled, world } from './world.ts'
import type { World } from './world.ts'

const state = (w: World): string => w.groups.describeGroup(GROUP).groupState

describe('the initial delay (KIP-134)', () => {
  const config = { groupInitialRebalanceDelayMs: 3_000 }

  it('lets the first member wait for others', async () => {
    const w = world({ config })
    const joined = join(w)
    w.time.advance(2_999)
    await settled()
    expect(joined.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(joined.now).toMatchObject({ errorCode: 0, generationId: 1 })
  })

  it('is extended when somebody came meanwhile', async () => {
    const w = world({ config })
    const first = join(w)
    w.time.advance(1_000)
    const second = join(w)
    w.time.advance(2_000)
    await settled()
    expect(first.isWaiting).toBe(true)
    w.time.advance(3_000)
    await settled()
    expect(first.now.members).toHaveLength(2)
    expect(second.now).toMatchObject({ errorCode: 0, generationId: 1 })
  })

  it('ends within the largest rebalance timeout, however many come', async () => {
    const w = world({ config })
    const first = join(w, { rebalanceTimeoutMs: 10_000 })
    let waitedMs = 0
    for (; first.isWaiting && waitedMs < 60_000; waitedMs += 1_000) {
      join(w, { rebalanceTimeoutMs: 10_000 })
      w.time.advance(1_000)
      await settled()
    }
    expect(waitedMs).toBeGreaterThanOrEqual(9_000)
    expect(waitedMs).toBeLessThanOrEqual(13_000)
  })

  it('is waited for even when all who are known are there, and by a group that became empty again', async () => {
    const w = world({ config })
    const joined = join(w)
    w.time.advance(3_000)
    await settled()
    leave(w, joined.now.memberId)
    expect(state(w)).toBe('Empty')
    const again = join(w)
    w.time.advance(2_999)
    await settled()
    expect(again.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(again.now.generationId).toBe(3)
  })

  it('ends in an empty group when all left during it', async () => {
    const w = world({ config })
    const { memberId } = join(w, { version: 4 }).now
    const joined = join(w, { version: 4, memberId })
    expect(leave(w, memberId)).toBe(0)
    await settled()
    expect(joined.now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(state(w)).toBe('PreparingRebalance')
    w.time.advance(3_000)
    expect(state(w)).toBe('Empty')
  })
})

describe('a rebalance', () => {
  it('waits for all members and no longer', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    const newcomer = join(w)
    const rejoined = join(w, { memberId: leader })
    await settled()
    expect([newcomer.isWaiting, rejoined.isWaiting]).toEqual([true, true])
    const last = join(w, { memberId: follower })
    await settled()
    for (const answer of [newcomer, rejoined, last]) {
      expect(answer.now).toMatchObject({ errorCode: 0, generationId: 3, leader })
    }
    expect(rejoined.now.members).toHaveLength(3)
    expect(newcomer.now.members).toEqual([])
  })

  it('goes on without members that do not rejoin within the largest rebalance timeout', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2, {
      rebalanceTimeoutMs: 30_000,
      sessionTimeoutMs: 60_000,
    })
    const rejoined = join(w, { memberId: follower, rebalanceTimeoutMs: 30_000, protocols: [] })
    expect(rejoined.now.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    const newcomer = join(w, { rebalanceTimeoutMs: 1_000 })
    w.time.advance(29_999)
    await settled()
    expect(newcomer.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(newcomer.now).toMatchObject({ generationId: 3, leader: newcomer.now.memberId })
    expect(newcomer.now.members).toHaveLength(1)
    expect(heartbeat(w, { memberId: leader, generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId: follower, generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('finishes when the last missing member leaves', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    const rejoined = join(w, { memberId: leader })
    expect(leave(w, follower)).toBe(0)
    await settled()
    expect(rejoined.now).toMatchObject({ generationId: 3 })
  })

  it('finishes when the session of the last missing member ends', async () => {
    const w = world()
    const [leader] = await stableGroup(w, 2)
    const rejoined = join(w, { memberId: leader })
    w.time.advance(9_999)
    await settled()
    expect(rejoined.isWaiting).toBe(true)
    w.time.advance(11)
    await settled()
    expect(rejoined.now).toMatchObject({ generationId: 3 })
    expect(rejoined.now.members).toHaveLength(1)
  })

  it('finishes when an id that was told and not used is given back or expires', async () => {
    for (const give of [true, false]) {
      const w = world()
      const [leader] = await stableGroup(w, 1)
      const { memberId } = join(w, { version: 4 }).now
      const rejoined = join(w, { memberId: leader })
      await settled()
      expect(rejoined.isWaiting).toBe(true)
      if (give) expect(leave(w, memberId)).toBe(0)
      else w.time.advance(10_000)
      await settled()
      expect(rejoined.now).toMatchObject({ generationId: 2 })
    }
  })

  it('waits again when only static members are left and none has rejoined', async () => {
    const w = world()
    const instance = { groupInstanceId: 'a', version: 5, sessionTimeoutMs: 500_000 }
    const first = join(w, instance).now
    sync(w, { memberId: first.memberId, generationId: 1, assignments: [], version: 5 })
    const { memberId } = join(w, { version: 4 }).now
    const newcomer = join(w, { version: 4, memberId })
    leave(w, memberId)
    await settled()
    expect(newcomer.now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    w.time.advance(120_000)
    expect(state(w)).toBe('PreparingRebalance')
    const back = join(w, { ...instance, memberId: first.memberId })
    await settled()
    expect(back.now).toMatchObject({ errorCode: 0, generationId: 2 })
  })
})

describe('sessions', () => {
  it('end when nothing is heard for a session timeout', async () => {
    const w = world()
    const [leader, follower] = await stableGroup(w, 2)
    w.time.advance(5_000)
    expect(heartbeat(w, { memberId: leader, generationId: 2 })).toBe(0)
    w.time.advance(5_000)
    expect(heartbeat(w, { memberId: follower, generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId: leader, generationId: 2 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  it('are kept by heartbeats without a new timer for each', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    const before = w.time.timersMade
    for (let i = 0; i < 1_000; i++) {
      w.time.advance(300)
      expect(heartbeat(w, { memberId, generationId: 1 })).toBe(0)
    }
    // 300 s: one look for each session timeout, and the check of retention.
    expect(w.time.timersMade - before).toBeLessThan(45)
  })

  it('are kept by a JoinGroup that waits, and begin anew with its answer', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 50_000 }
    const [leader, follower] = await stableGroup(w, 2, slow)
    const rejoined = join(w, { memberId: leader, sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 50_000 })
    w.time.advance(40_000)
    await settled()
    expect(rejoined.isWaiting).toBe(true)
    join(w, { memberId: follower, ...slow })
    await settled()
    expect(rejoined.now).toMatchObject({ errorCode: 0, generationId: 3 })
    w.time.advance(5_999)
    expect(heartbeat(w, { memberId: leader, generationId: 3 })).toBe(0)
  })

  it('are kept by a SyncGroup that waits', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 60_000 }
    const [leader, follower] = await stableGroup(w, 2, slow)
    join(w, { memberId: leader, ...slow })
    join(w, { memberId: follower, ...slow })
    const waiting = sync(w, { memberId: follower, generationId: 3 })
    for (let i = 0; i < 5; i++) {
      w.time.advance(5_000)
      expect(heartbeat(w, { memberId: leader, generationId: 3 })).toBe(0)
    }
    await settled()
    expect(waiting.isWaiting).toBe(true)
    sync(w, {
      memberId: leader,
      generationId: 3,
      assignments: [{ memberId: follower, assignment: Buffer.from('f') }],
    })
    await settled()
    expect(waiting.now).toMatchObject({ errorCode: 0, assignment: Buffer.from('f') })
  })

  it('of newcomers that joined without an id end after five minutes of waiting', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 1_800_000, rebalanceTimeoutMs: 1_800_000 }
    await stableGroup(w, 1, slow)
    const newcomer = join(w, slow)
    w.time.advance(299_999)
    await settled()
    expect(newcomer.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(newcomer.now).toMatchObject({ errorCode: ErrorCode.UNKNOWN_MEMBER_ID, memberId: '' })
  })

  it('of ten thousand members that fall silent cost a look now and then, not one each', async () => {
    const w = world({ config: { groupInitialRebalanceDelayMs: 100 } })
    const joins = Array.from({ length: 10_000 }, (_, i) =>
      join(w, { sessionTimeoutMs: 10_000 + (i % 1_000) }),
    )
    w.time.advance(200)
    await settled()
    expect(joins[0].now.members).toHaveLength(10_000)
    const before = w.time.timersMade
    w.time.advance(20_000)
    expect(w.time.timersMade - before).toBeLessThan(300)
    expect(state(w)).toBe('Empty')
  })
})

describe('members that got the generation and never sync', () => {
  it('are out after the largest rebalance timeout, and the others rebalance', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 30_000 }
    const [leader, follower] = await stableGroup(w, 2, slow)
    join(w, { memberId: leader, ...slow })
    join(w, { memberId: follower, ...slow })
    const waiting = sync(w, { memberId: follower, generationId: 3 })
    w.time.advance(29_999)
    await settled()
    expect(waiting.isWaiting).toBe(true)
    w.time.advance(1)
    await settled()
    expect(waiting.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(heartbeat(w, { memberId: leader, generationId: 3 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId: follower, generationId: 3 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  it('are out even when the leader has brought the assignment', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 30_000 }
    const [leader, follower] = await stableGroup(w, 2, slow)
    join(w, { memberId: leader, ...slow })
    join(w, { memberId: follower, ...slow })
    sync(w, { memberId: leader, generationId: 3 })
    expect(state(w)).toBe('Stable')
    w.time.advance(30_000)
    expect(state(w)).toBe('PreparingRebalance')
    expect(heartbeat(w, { memberId: follower, generationId: 3 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('do not trouble a generation in which all have synced', async () => {
    const w = world()
    const slow = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 30_000 }
    await stableGroup(w, 3, slow)
    w.time.advance(100_000)
    expect(state(w)).toBe('Stable')
  })
})
