/** One member's way to what is meant for it, step by step. */
import { describe, expect, it } from 'vitest'
import { assignmentOf } from '../../../src/coordinator/groups/consumer/assignment.ts'
import type { Assignment } from '../../../src/coordinator/groups/consumer/assignment.ts'
import { newMember } from '../../../src/coordinator/groups/consumer/member.ts'
import type { ConsumerMember } from '../../../src/coordinator/groups/consumer/member.ts'
import { reconcile } from '../../../src/coordinator/groups/consumer/reconcile.ts'
import { isRefusal } from '../../../src/coordinator/groups/consumer/refusal.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'

const of = (...partitions: number[]): Assignment => assignmentOf([{ topicId: 't', partitions }])
const none: Assignment = new Map()

function member(fields: Partial<ConsumerMember>): ConsumerMember {
  return { ...newMember('m'), memberEpoch: 10, previousMemberEpoch: 9, ...fields }
}

interface Goal {
  target: Assignment
  targetEpoch?: number
  owned?: Assignment | null
  /** Partitions of others. */
  taken?: number[]
}

function next(from: ConsumerMember, { target, targetEpoch = 11, owned = null, taken = [] }: Goal) {
  const isOwned = (_topicId: string, partition: number) => taken.includes(partition)
  const to = reconcile(from, { target, targetEpoch, owned, isOwned })
  if (isRefusal(to)) return to.errorCode
  const { state, memberEpoch, previousMemberEpoch, assigned, pendingRevocation } = to
  const list = (assignment: Assignment) => assignment.get('t') ?? []
  return [state, previousMemberEpoch, memberEpoch, list(assigned), list(pendingRevocation)]
}

describe('a stable member', () => {
  const stable = member({ assigned: of(1, 2, 3) })

  it('of the target epoch stays as it is', () => {
    expect(next(stable, { target: of(4), targetEpoch: 10 })).toEqual(['STABLE', 9, 10, [1, 2, 3], []])
  })

  it('comes to the target epoch where nothing changes', () => {
    expect(next(stable, { target: of(1, 2, 3) })).toEqual(['STABLE', 10, 11, [1, 2, 3], []])
  })

  it('gets at once what is free', () => {
    expect(next(stable, { target: of(1, 2, 3, 4) })).toEqual(['STABLE', 10, 11, [1, 2, 3, 4], []])
  })

  it('gives back first, and stays in its epoch until it has', () => {
    expect(next(stable, { target: of(2, 3, 4) })).toEqual(['UNREVOKED_PARTITIONS', 10, 10, [2, 3], [1]])
  })

  it('that says that it has not what it would give back gives nothing back', () => {
    expect(next(stable, { target: of(2, 3), owned: of(2, 3) })).toEqual(['STABLE', 10, 11, [2, 3], []])
  })

  it('waits for what others have, and has the rest', () => {
    const goal = { target: of(1, 2, 3, 4, 5), taken: [5] }
    expect(next(stable, goal)).toEqual(['UNRELEASED_PARTITIONS', 10, 11, [1, 2, 3, 4], []])
    expect(next(stable, { target: of(1, 2, 3, 5), taken: [5] })).toEqual([
      'UNRELEASED_PARTITIONS',
      10,
      11,
      [1, 2, 3],
      [],
    ])
  })
})

describe('a member that is to give back', () => {
  const revoking = member({ state: 'UNREVOKED_PARTITIONS', assigned: of(2, 3), pendingRevocation: of(1) })

  it.each([
    ['does not say what it has', null],
    ['still has it', of(1, 2, 3)],
  ])('stays as it is while it %s', (_what, owned) => {
    expect(next(revoking, { target: of(2, 3, 4), owned })).toEqual([
      'UNREVOKED_PARTITIONS',
      9,
      10,
      [2, 3],
      [1],
    ])
  })

  it('goes on when it has it no more', () => {
    expect(next(revoking, { target: of(2, 3, 4), owned: of(2, 3) })).toEqual([
      'STABLE',
      10,
      11,
      [2, 3, 4],
      [],
    ])
  })

  it('comes one epoch further only where it has more to give back by then', () => {
    const goal = { target: of(3), targetEpoch: 14, owned: of(2, 3) }
    expect(next(revoking, goal)).toEqual(['UNREVOKED_PARTITIONS', 10, 11, [3], [2]])
  })

  it('waits for others after it', () => {
    const goal = { target: of(2, 3, 4), owned: of(2, 3), taken: [4] }
    expect(next(revoking, goal)).toEqual(['UNRELEASED_PARTITIONS', 10, 11, [2, 3], []])
  })
})

describe('a member that waits for others', () => {
  const waiting = member({
    memberEpoch: 11,
    previousMemberEpoch: 10,
    state: 'UNRELEASED_PARTITIONS',
    assigned: of(2),
  })

  it('gets what they have given back', () => {
    expect(next(waiting, { target: of(2, 4) })).toEqual(['STABLE', 11, 11, [2, 4], []])
  })

  it('gets some of it and waits for the rest', () => {
    const goal = { target: of(2, 4, 5), taken: [5] }
    expect(next(waiting, goal)).toEqual(['UNRELEASED_PARTITIONS', 11, 11, [2, 4], []])
  })

  it('gives back where the target has changed meanwhile', () => {
    const goal = { target: of(4), targetEpoch: 12 }
    expect(next(waiting, goal)).toEqual(['UNREVOKED_PARTITIONS', 11, 11, [], [2]])
  })
})

describe('a member in a state that a newer coordinator wrote', () => {
  const unknown = member({ state: 'UNKNOWN', assigned: of(1) })

  it('begins anew: until it has nothing it is fenced', () => {
    expect(next(unknown, { target: of(1) })).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    expect(next(unknown, { target: of(1), owned: of(1) })).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    expect(next(unknown, { target: of(1), owned: none })).toEqual(['STABLE', 10, 11, [1], []])
  })
})
