/** A log that commits later, as one with replicas does: what happens in between, and when it does not. */
import { describe, expect, it } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { GROUP, commit, committed, heartbeat, join, leave, stableGroup, sync } from './client.ts'
import type { Answer } from './client.ts'
import { settled, world } from './world.ts'
import type { World } from './world.ts'

const work = Buffer.from('work')

/** Two members that have joined generation 3, of which the leader has synced: the assignment is being stored. */
async function storing() {
  const w = world()
  const [leader, other] = await stableGroup(w, 2)
  for (const memberId of [leader, other]) join(w, { memberId })
  w.log.late = true
  const assignments = [leader, other].map((memberId) => ({ memberId, assignment: work }))
  const follower = sync(w, { memberId: other, generationId: 3 })
  const leading = sync(w, { memberId: leader, generationId: 3, assignments })
  await settled()
  return { w, leader, other, leading, follower }
}

const state = (w: World): string => w.groups.describeGroup(GROUP).groupState

describe('while an assignment is stored', () => {
  it('everybody waits, then everybody gets it', async () => {
    const { w, leading, follower } = await storing()
    expect([leading.isWaiting, follower.isWaiting, state(w)]).toEqual([true, true, 'CompletingRebalance'])
    await w.log.commitNext()
    expect([leading.now.assignment, follower.now.assignment, state(w)]).toEqual([work, work, 'Stable'])
  })

  it('a failure is told to all who wait, and they join again', async () => {
    const { w, leading, follower } = await storing()
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    expect(leading.now.errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect(follower.now.errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect(state(w)).toBe('PreparingRebalance')
  })

  it('a newcomer ends the generation: the stored assignment is for nobody', async () => {
    const { w, leader, leading, follower } = await storing()
    join(w)
    await settled()
    expect(leading.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(follower.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    await w.log.commitNext()
    expect(state(w)).toBe('PreparingRebalance')
    expect(heartbeat(w, { memberId: leader, generationId: 3 })).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    // It is in the log all the same: a coordinator that takes over begins there.
    const later = world({ log: w.log })
    expect(heartbeat(later, { memberId: leader, generationId: 3 })).toBe(0)
  })

  it('the leader may ask again: the first of its calls is answered, the second gets the assignment', async () => {
    const { w, leader, leading } = await storing()
    const again = sync(w, {
      memberId: leader,
      generationId: 3,
      assignments: [{ memberId: leader, assignment: work }],
    })
    await settled()
    expect(leading.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    await w.log.commitNext()
    await w.log.commitNext()
    expect(again.now).toMatchObject({ errorCode: 0, assignment: work })
    expect(state(w)).toBe('Stable')
  })

  it('a member that leaves is answered, and the others join again', async () => {
    const { w, other, leading, follower } = await storing()
    expect(leave(w, other)).toBe(0)
    await settled()
    expect(follower.now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(leading.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    await w.log.commitNext()
    expect(state(w)).toBe('PreparingRebalance')
  })
})

describe('while the record of an empty group is stored', () => {
  it('the group is there, and a newcomer begins the next generation', async () => {
    const w = world()
    const { memberId } = join(w).now
    w.log.late = true
    expect(leave(w, memberId)).toBe(0)
    expect(state(w)).toBe('Empty')
    const joined = join(w)
    await w.log.commitNext()
    expect(joined.now).toMatchObject({ errorCode: 0, generationId: 3 })
  })

  it('a failure is not told to anybody: the group is empty', async () => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    w.log.late = true
    leave(w, memberId)
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS)
    expect(state(w)).toBe('Empty')
    expect(join(w).now.generationId).toBe(3)
  })
})

describe('commits that are on their way', () => {
  it('are answered in order, each with its own outcome', async () => {
    const w = world()
    w.log.late = true
    const answers: Answer<unknown>[] = [1, 2, 3].map((offset) => commit(w, { 'orders/0': offset }))
    await w.log.commitNext()
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    expect(answers.map(({ isWaiting }) => isWaiting)).toEqual([false, false, true])
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    await w.log.commitNext()
    expect(committed(w)).toEqual({ 'orders/0': 3 })
  })

  it('keep their group from ending with the last offset that is deleted', async () => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    w.log.late = true
    commit(w, { 'orders/1': 2 })
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }]
    void w.groups.offsetDelete({ groupId: GROUP, topics })
    await w.log.commitNext()
    await w.log.commitNext()
    expect(committed(w)).toEqual({ 'orders/1': 2 })
    expect(committed(world({ log: w.log }))).toEqual({ 'orders/1': 2 })
  })
})
