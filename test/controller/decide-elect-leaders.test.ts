import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideManualElection } from '../../src/controller/decide/elect-leaders.ts'
import type { ElectablePartition } from '../../src/controller/decide/elect-leaders.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'

const CONTROLLER_EPOCH = 9

interface Situation {
  leader?: number
  isr?: number[]
  live?: number[]
  /** Where the log directory is well; all live ones otherwise. */
  online?: number[]
  isBeingDeleted?: boolean
}

function partitionOf({ leader = 2, isr = [2, 3], live = [1, 2, 3], ...rest }: Situation): ElectablePartition {
  const online = rest.online ?? live
  return {
    replicas: [1, 2, 3],
    leadership: { leader, leaderEpoch: 4, isr, controllerEpoch: 8, recovering: false },
    isBeingDeleted: rest.isBeingDeleted ?? false,
    isLive: (id) => live.includes(id),
    isOnline: (id) => online.includes(id),
  }
}

const preferred = (situation: Situation) =>
  decideManualElection('preferred', partitionOf(situation), CONTROLLER_EPOCH)
const unclean = (situation: Situation) =>
  decideManualElection('unclean', partitionOf(situation), CONTROLLER_EPOCH)

describe('a preferred election', () => {
  test('gives the lead to the first replica, if that is in sync, and leaves the in-sync set alone', () => {
    expect(preferred({ isr: [2, 1, 3] })).toEqual({
      leadership: {
        leader: 1,
        leaderEpoch: 5,
        isr: [2, 1, 3],
        controllerEpoch: CONTROLLER_EPOCH,
        recovering: false,
      },
      recipients: [1, 2, 3],
    })
  })

  test('is not needed where the first replica leads', () => {
    expect(preferred({ leader: 1, isr: [1, 2] })).toMatchObject({ error: ErrorCode.ELECTION_NOT_NEEDED })
  })

  test('fails while the first replica is not in sync, not live, or without its log directory', () => {
    const failure = { error: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE }
    expect(preferred({ isr: [2, 3] })).toMatchObject(failure)
    expect(preferred({ isr: [1, 2, 3], live: [2, 3] })).toMatchObject(failure)
    expect(preferred({ isr: [1, 2, 3], online: [2, 3] })).toMatchObject(failure)
    const unwritten = { ...partitionOf({}), leadership: undefined }
    expect(decideManualElection('preferred', unwritten, CONTROLLER_EPOCH)).toMatchObject(failure)
  })
})

describe('an unclean election', () => {
  test('is not needed while there is a live leader', () => {
    expect(unclean({})).toMatchObject({ error: ErrorCode.ELECTION_NOT_NEEDED })
  })

  test('takes an in-sync replica where one is online, and drops those that are not', () => {
    expect(unclean({ leader: -1, isr: [2, 3], live: [1, 3] })).toEqual({
      leadership: {
        leader: 3,
        leaderEpoch: 5,
        isr: [3],
        controllerEpoch: CONTROLLER_EPOCH,
        recovering: false,
      },
      recipients: [1, 3],
    })
  })

  test('takes any replica that is online where none is in sync, alone and recovering', () => {
    expect(unclean({ leader: 2, isr: [2], live: [1, 3], online: [3] })).toEqual({
      leadership: {
        leader: 3,
        leaderEpoch: 5,
        isr: [3],
        controllerEpoch: CONTROLLER_EPOCH,
        recovering: true,
      },
      recipients: [3],
    })
  })

  test('fails where no replica is online', () => {
    const failure = { error: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE }
    expect(unclean({ leader: -1, live: [] })).toMatchObject(failure)
    const unwritten = { ...partitionOf({}), leadership: undefined }
    expect(decideManualElection('unclean', unwritten, CONTROLLER_EPOCH)).toMatchObject(failure)
  })
})

test.each(['preferred', 'unclean'] as const)(
  'no %s election where there is no partition, or not for long',
  (type) => {
    expect(decideManualElection(type, undefined, CONTROLLER_EPOCH)).toMatchObject({
      error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    })
    expect(
      decideManualElection(type, partitionOf({ leader: -1, isBeingDeleted: true }), CONTROLLER_EPOCH),
    ).toMatchObject({ error: ErrorCode.INVALID_TOPIC_EXCEPTION })
  },
)

test('whoever is elected is online, and in sync unless the election is unclean and the partition recovering', () => {
  const ids = fc.subarray([1, 2, 3])
  const situation = fc.record({ leader: fc.constantFrom(-1, 1, 2, 3), isr: ids, live: ids, online: ids })
  fc.assert(
    fc.property(situation, fc.constantFrom('preferred', 'unclean'), (given, type) => {
      fc.pre(given.isr.length > 0)
      const online = given.online.filter((id) => given.live.includes(id))
      const decided = decideManualElection(type, partitionOf({ ...given, online }), CONTROLLER_EPOCH)
      if ('error' in decided) return
      const { leader, isr, leaderEpoch, recovering } = decided.leadership
      expect(online).toContain(leader)
      expect(isr).toContain(leader)
      expect(leaderEpoch).toBe(5)
      expect(decided.recipients).toEqual(expect.arrayContaining(isr.filter((id) => online.includes(id))))
      if (given.isr.includes(leader)) expect(given.isr).toEqual(expect.arrayContaining([...isr]))
      else expect({ type, isr, recovering }).toEqual({ type: 'unclean', isr: [leader], recovering: true })
    }),
  )
})
