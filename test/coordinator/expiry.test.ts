import { describe, expect, it } from 'vitest'
import type { GroupCoordinatorConfig } from '../../src/coordinator/groups/config.ts'
import {
  GROUP,
  commit,
  commitRequest,
  committed,
  heartbeat,
  join,
  leave,
  stableGroup,
  subscription,
} from './client.ts'
import { Consumer } from './consumer/heartbeats.ts'
import { world } from './world.ts'
import type { World } from './world.ts'

const HOUR = 3_600_000
const config: Partial<GroupCoordinatorConfig> = {
  offsetsRetentionMs: 10 * HOUR,
  offsetsRetentionCheckIntervalMs: HOUR / 2,
}

/** Time passes while the members keep their sessions. */
function live(w: World, hours: number, memberId: string, generationId: number): void {
  for (let ms = 0; ms < hours * HOUR; ms += 9_000) {
    w.time.advance(9_000)
    heartbeat(w, { memberId, generationId })
  }
}

describe('the offsets of a group expire (KIP-211)', () => {
  it('counted from each commit, when nobody ever joined', () => {
    const w = world({ config })
    commit(w, { 'orders/0': 1 })
    w.time.advance(6 * HOUR)
    commit(w, { 'orders/1': 2 })
    w.time.advance(3.9 * HOUR)
    expect(committed(w)).toEqual({ 'orders/0': 1, 'orders/1': 2 })
    w.time.advance(0.7 * HOUR)
    expect(committed(w)).toEqual({ 'orders/1': 2 })
    w.time.advance(6 * HOUR)
    expect(committed(w)).toEqual({})
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })

  it('counted from the end of its last member, when it had members', async () => {
    const w = world({ config })
    const [memberId] = await stableGroup(w, 1)
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, { memberId, generationIdOrMemberEpoch: 1 })
    live(w, 9, memberId, 1)
    leave(w, memberId)
    w.time.advance(9.9 * HOUR)
    expect(committed(w)).toEqual({ 'orders/0': 1, 'clicks/0': 1 })
    w.time.advance(0.7 * HOUR)
    expect(committed(w)).toEqual({})
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Dead')
  })

  it('while it lives only for topics that nobody subscribes to', async () => {
    const w = world({ config })
    const [memberId] = await stableGroup(w, 1, { sessionTimeoutMs: 20_000 })
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, { memberId, generationIdOrMemberEpoch: 1 })
    live(w, 11, memberId, 1)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
  })

  it('never while it lives with subscriptions that cannot be read, or is not a consumer group', async () => {
    for (const options of [
      { protocols: [{ name: 'range', metadata: Buffer.from([0]) }] },
      { protocolType: 'connect' },
    ]) {
      const w = world({ config })
      const [memberId] = await stableGroup(w, 1, options)
      commit(w, { 'clicks/0': 1 }, { memberId, generationIdOrMemberEpoch: 1 })
      live(w, 11, memberId, 1)
      expect(committed(w)).toEqual({ 'clicks/0': 1 })
    }
  })

  it('never while members gather', async () => {
    const w = world({ config })
    const slow = { sessionTimeoutMs: 20_000, rebalanceTimeoutMs: 2_000_000_000 }
    const [memberId] = await stableGroup(w, 2, slow)
    commit(w, { 'clicks/0': 1 }, { memberId, generationIdOrMemberEpoch: 2 })
    join(w, { ...slow, version: 5, groupInstanceId: 'i' })
    live(w, 11, memberId, 2)
    expect(w.groups.describeGroup(GROUP).groupState).toBe('PreparingRebalance')
    expect(committed(w)).toEqual({ 'clicks/0': 1 })
  })

  it("when their own retention says so (OffsetCommit 2 to 4), sooner or later than the broker's", () => {
    const w = world({ config })
    commit(w, { 'orders/0': 1 }, { retentionTimeMs: HOUR })
    commit(w, { 'orders/1': 1 }, { retentionTimeMs: 20 * HOUR })
    w.time.advance(1.6 * HOUR)
    expect(committed(w)).toEqual({ 'orders/1': 1 })
    w.time.advance(18 * HOUR)
    expect(committed(w)).toEqual({ 'orders/1': 1 })
    w.time.advance(HOUR)
    expect(committed(w)).toEqual({})
  })

  it('counted from the time that the client gave (OffsetCommit 1)', () => {
    const w = world({ config })
    const request = commitRequest({ 'orders/0': 1, 'orders/1': 1 })
    request.topics[0].partitions[0].commitTimestamp = w.time.nowMs() - 10 * HOUR
    void w.groups.offsetCommit(request)
    w.time.advance(HOUR)
    expect(committed(w)).toEqual({ 'orders/1': 1 })
  })

  it('not while a newer commit is on its way', async () => {
    const w = world({ config })
    commit(w, { 'orders/0': 1 })
    w.time.advance(9.9 * HOUR)
    w.log.late = true
    commit(w, { 'orders/0': 2 })
    w.time.advance(HOUR)
    await w.log.commitNext()
    expect(committed(w)).toEqual({ 'orders/0': 2 })
    expect(w.log.waiting).toEqual([])
  })

  it('not when that cannot be stored: the next check tries again', () => {
    const w = world({ config })
    commit(w, { 'orders/0': 1 })
    w.log.appendError = 20
    w.time.advance(11 * HOUR)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    w.log.appendError = 0
    w.time.advance(HOUR)
    expect(committed(w)).toEqual({})
  })
})

describe('the offsets of a consumer group (KIP-848) expire', () => {
  const beat = (w: World, member: Consumer, hours: number): void => {
    for (let ms = 0; ms < hours * HOUR; ms += 20_000) {
      w.time.advance(20_000)
      member.beat()
    }
  }

  it('counted from each commit, while it lives only for topics that nobody subscribes to', () => {
    const w = world({ config })
    const member = new Consumer(w, 'a').join().beat()
    const options = { memberId: 'a', generationIdOrMemberEpoch: member.epoch }
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, options)
    beat(w, member, 6)
    commit(w, { 'clicks/1': 2 }, options)
    beat(w, member, 5)
    expect(committed(w)).toEqual({ 'orders/0': 1, 'clicks/1': 2 })
  })

  it('all of them when it is empty, and the group with the last one, from the log too', () => {
    const w = world({ config })
    const member = new Consumer(w, 'a').join().beat()
    commit(w, { 'orders/0': 1 }, { memberId: 'a', generationIdOrMemberEpoch: member.epoch })
    beat(w, member, 9)
    member.leave()
    w.time.advance(0.4 * HOUR)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    w.time.advance(1.2 * HOUR)
    expect(committed(w)).toEqual({})
    expect(w.groups.listGroups([], []).groups).toEqual([])
    expect(world({ log: w.log }).groups.listGroups([], []).groups).toEqual([])
  })
})

describe('an empty group without offsets', () => {
  it('is gone at the next check, from the log too', async () => {
    const w = world({ config })
    const [memberId] = await stableGroup(w, 1)
    leave(w, memberId)
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Empty')
    w.time.advance(HOUR)
    expect(w.groups.describeGroup(GROUP).groupState).toBe('Dead')
    expect(w.log.records().at(-1)?.value).toBeNull()
    expect(world({ log: w.log }).groups.listGroups([], []).groups).toEqual([])
  })

  it('stays while somebody is about to join it', async () => {
    const w = world({ config: { ...config, groupMaxSessionTimeoutMs: 2 * HOUR } })
    const [first] = await stableGroup(w, 1)
    leave(w, first)
    const { memberId } = join(w, { version: 4, sessionTimeoutMs: 2 * HOUR }).now
    w.time.advance(HOUR)
    expect(join(w, { version: 4, memberId }).now).toMatchObject({ errorCode: 0, generationId: 3 })
  })
})

describe('when topics are deleted', () => {
  it('what groups committed for them goes, and a group that keeps nothing', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1, {
      protocols: [{ name: 'range', metadata: subscription('clicks') }],
    })
    commit(w, { 'orders/0': 1, 'clicks/0': 2 }, { memberId, generationIdOrMemberEpoch: 1 })
    commit(w, { 'orders/0': 1 }, { groupId: 'simple' })
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, { groupId: 'other' })
    w.groups.onPartitionsDeleted([0, 1, 2, 3, 0].map((partition) => ({ topic: 'orders', partition })))
    expect(committed(w)).toEqual({ 'clicks/0': 2 })
    expect(committed(w, 'other')).toEqual({ 'clicks/0': 1 })
    const names = w.groups.listGroups([], []).groups.map(({ groupId }) => groupId)
    expect(names.sort()).toEqual(['other', GROUP])
    expect(committed(world({ log: w.log }), 'simple')).toEqual({})
  })
})
