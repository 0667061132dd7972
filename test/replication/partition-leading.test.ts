import { describe, expect, test } from 'vitest'
import type { LogConfig } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { BROKER, hosted, LAG_TIME_MAX_MS, readOf, stateOf } from './partition-fixture.ts'

const bytes = Buffer.alloc(10)
const REPLICAS = [BROKER, 2, 3]
const three = (isr = REPLICAS) => hosted({ replicas: REPLICAS, isr })
type Three = ReturnType<typeof three>

const append = ({ partition }: Three, times = 1): void => {
  for (let i = 0; i < times; i++) partition.append(bytes, 'client', 1)
}
/** A follower asks for what comes at `fetchOffset`. */
const fetch = ({ partition }: Three, replicaId: number, fetchOffset: number, logStart = 0) =>
  partition.read(readOf({ replicaId, fetchOffset, followerLogStartOffset: logStart }))

describe('the high watermark', () => {
  test('is where the slowest member of the in-sync set has asked from', () => {
    const world = three()
    append(world, 3)
    fetch(world, 2, 3)
    expect(world.partition.highWatermark).toBe(0)
    fetch(world, 3, 1)
    expect(world.partition.highWatermark).toBe(1)
    fetch(world, 3, 3)
    expect(world.partition.highWatermark).toBe(3)
  })

  test('is in the answer to the fetch that moves it', () => {
    const world = three([BROKER, 2])
    append(world, 2)
    expect(fetch(world, 2, 2).highWatermark).toBe(2)
  })

  test('never goes back, though a follower does', () => {
    const world = three([BROKER, 2])
    append(world, 2)
    fetch(world, 2, 2)
    fetch(world, 2, 0)
    append(world)
    expect(world.partition.highWatermark).toBe(2)
  })

  test('waits for a follower outside the set that is about to come in, and not for one that is gone', () => {
    const world = three([BROKER])
    const { host, partition } = world
    host.nowMs = 1
    fetch(world, 2, 0)
    expect(host.proposals).toHaveLength(1)
    host.answer({ error: ErrorCode.INELIGIBLE_REPLICA })
    append(world)
    expect(partition.highWatermark).toBe(0)
    host.dead.add(2)
    append(world)
    expect(partition.highWatermark).toBe(2)
  })

  test('that waited for a follower moves when it is known to be gone', () => {
    const world = three([BROKER])
    const { host, partition } = world
    host.nowMs = 1
    fetch(world, 2, 0)
    host.answer({ error: ErrorCode.INELIGIBLE_REPLICA })
    append(world)
    host.dead.add(2)
    expect(partition.highWatermark).toBe(0)
    partition.brokersChanged()
    expect(partition.highWatermark).toBe(1)
  })

  test('that waited for a follower to be let in moves when it is not let in, and gone', () => {
    const world = three([BROKER])
    const { host, partition } = world
    host.nowMs = 1
    fetch(world, 2, 0)
    append(world)
    host.dead.add(2)
    partition.brokersChanged()
    expect(partition.highWatermark).toBe(0)
    host.answer({ error: ErrorCode.INELIGIBLE_REPLICA })
    expect(partition.highWatermark).toBe(1)
  })

  test('stands while the set is smaller than min.insync.replicas', () => {
    const world = three([BROKER])
    world.log.config = { minInsyncReplicas: 2 } as LogConfig
    append(world, 2)
    expect(world.partition.highWatermark).toBe(0)
    fetch(world, 2, 2)
    expect(world.partition.highWatermark).toBe(0)
    world.host.answer('accept')
    expect(world.partition.highWatermark).toBe(2)
  })

  test('min.insync.replicas asks for no more replicas than there are', () => {
    const { log, partition } = hosted()
    log.config = { minInsyncReplicas: 2 } as LogConfig
    expect(partition.append(bytes, 'client', -1).error).toBe(ErrorCode.NONE)
    expect(partition.highWatermark).toBe(1)
  })
})

describe('a follower', () => {
  test('comes into the set when it has what is committed and what this leader began with', () => {
    const { log, host, partition } = three([BROKER])
    log.logEndOffset = 4
    // Elected with four records, of which it knows only one to be committed.
    partition.highWatermark = 1
    host.dead.add(3)
    log.config = { minInsyncReplicas: 2 } as LogConfig
    partition.makeFollower(stateOf({ leader: 2, leaderEpoch: 6, replicas: REPLICAS }))
    partition.makeLeader(stateOf({ leaderEpoch: 7, isr: [BROKER], replicas: REPLICAS }))
    const world = { log, host, partition }
    fetch(world, 2, 3)
    expect(host.proposals).toEqual([])
    fetch(world, 2, 4)
    expect(host.proposals.map(({ proposal }) => proposal)).toMatchObject([
      { topic: 't', partition: 0, leaderEpoch: 7, partitionEpoch: 0, isr: [BROKER, 2] },
    ])
    host.answer('accept')
    expect(partition.isr).toEqual([BROKER, 2])
    expect(partition.partitionEpoch).toBe(1)
    expect(partition.highWatermark).toBe(4)
  })

  test('that is not live does not come in', () => {
    const world = three([BROKER])
    world.host.dead.add(2)
    fetch(world, 2, 0)
    expect(world.host.proposals).toEqual([])
  })

  test('whose log went another way, or that asks too far, is not noted', () => {
    const world = three([BROKER, 2])
    append(world, 2)
    world.log.epochEnd = { leaderEpoch: 3, endOffset: 1 }
    world.partition.read(readOf({ replicaId: 2, fetchOffset: 2, lastFetchedEpoch: 4 }))
    fetch(world, 2, 9)
    world.partition.read(readOf({ replicaId: 2, fetchOffset: 2, notesPosition: false }))
    expect(world.partition.highWatermark).toBe(0)
    fetch(world, 2, 2)
    expect(world.partition.highWatermark).toBe(2)
  })

  test('that lags for the lag time goes; one that is always one step behind stays', () => {
    const world = three()
    const { host, partition } = world
    for (let step = 1; step <= 4; step++) {
      append(world)
      host.nowMs += LAG_TIME_MAX_MS / 2
      // What the leader had at the fetch before.
      fetch(world, 2, step - 1)
      partition.shrinkIsr()
    }
    expect(host.proposals.map(({ proposal }) => proposal.isr)).toEqual([[BROKER, 2]])
    host.answer('accept')
    expect(partition.isr).toEqual([BROKER, 2])
    expect(partition.highWatermark).toBe(3)
  })

  test('that lags holds the high watermark until the controller has confirmed that it is out', () => {
    const world = three([BROKER, 2])
    append(world, 2)
    world.host.nowMs = LAG_TIME_MAX_MS + 1
    world.partition.shrinkIsr()
    append(world)
    expect(world.partition.highWatermark).toBe(0)
    world.host.answer('accept')
    expect(world.partition.highWatermark).toBe(3)
  })

  test('that has everything stays, however long nothing is said', () => {
    const world = three([BROKER, 2])
    fetch(world, 2, 0)
    world.host.nowMs = 10 * LAG_TIME_MAX_MS
    world.partition.shrinkIsr()
    expect(world.host.proposals).toEqual([])
  })
})

describe('a follower that was about to come in, and hangs,', () => {
  test('holds the high watermark no longer than the lag time', () => {
    const world = three([BROKER])
    fetch(world, 2, 0)
    world.host.answer({ error: ErrorCode.INELIGIBLE_REPLICA })
    world.host.dead.add(3)
    append(world)
    world.host.nowMs = LAG_TIME_MAX_MS
    world.partition.shrinkIsr()
    expect(world.partition.highWatermark).toBe(0)
    world.host.nowMs++
    world.partition.shrinkIsr()
    expect(world.partition.highWatermark).toBe(1)
  })
})

describe('what the controller answers to a change of the in-sync set', () => {
  /** Broker 2 is on its way in. */
  const joining = () => {
    const world = three([BROKER])
    fetch(world, 2, 0)
    expect(world.host.proposals).toHaveLength(1)
    return world
  }

  test.each(['INELIGIBLE_REPLICA', 'OPERATION_NOT_ATTEMPTED'] as const)(
    '%s: the set is what it was, and the next fetch tries again',
    (name) => {
      const world = joining()
      world.host.answer({ error: ErrorCode[name] })
      expect(world.partition.isr).toEqual([BROKER])
      fetch(world, 2, 0)
      expect(world.host.proposals).toHaveLength(1)
    },
  )

  test.each([
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
    'FENCED_LEADER_EPOCH',
    'INVALID_UPDATE_VERSION',
    'INVALID_REQUEST',
  ] as const)('%s: nothing is asked until the controller speaks', (name) => {
    const world = joining()
    world.host.answer({ error: ErrorCode[name] })
    fetch(world, 2, 0)
    expect(world.host.proposals).toEqual([])
    // The larger set still counts: it may have been taken.
    append(world)
    expect(world.partition.highWatermark).toBe(0)
    world.partition.makeLeader(stateOf({ leaderEpoch: 6, replicas: REPLICAS, partitionEpoch: 3 }))
    fetch(world, 2, 1)
    expect(world.host.proposals.map(({ proposal }) => proposal)).toMatchObject([
      { leaderEpoch: 6, partitionEpoch: 3, isr: [BROKER, 2] },
    ])
  })

  test('any other error: it is asked again', () => {
    const world = joining()
    world.host.answer({ error: ErrorCode.UNKNOWN_SERVER_ERROR })
    expect(world.host.proposals).toMatchObject([{ proposal: { isr: [BROKER, 2] } }])
  })

  test('an answer that leadership has overtaken counts for nothing', () => {
    const world = joining()
    world.partition.makeLeader(stateOf({ leaderEpoch: 6, replicas: REPLICAS, partitionEpoch: 3 }))
    world.host.answer('accept')
    expect(world.partition).toMatchObject({ isr: [BROKER], partitionEpoch: 3 })
  })

  test('one of another leader epoch, or of an older partition epoch, counts for nothing', () => {
    for (const change of [{ leaderEpoch: 6 }, { partitionEpoch: -2 }]) {
      const world = joining()
      world.host.answer({ error: 0, leaderEpoch: 5, partitionEpoch: 1, isr: [BROKER, 2], ...change })
      expect(world.partition.isr).toEqual([BROKER])
    }
  })

  test('one change is asked at a time', () => {
    const world = joining()
    fetch(world, 3, 0)
    expect(world.host.proposals).toHaveLength(1)
    world.host.answer('accept')
    fetch(world, 3, 0)
    expect(world.host.proposals).toMatchObject([{ proposal: { partitionEpoch: 1, isr: [BROKER, 2, 3] } }])
  })
})

describe('acknowledgements', () => {
  test('come in order of offset, as far as the high watermark goes', () => {
    const world = three([BROKER, 2])
    append(world, 3)
    const answered: number[] = []
    for (const offset of [1, 2, 3, 1]) world.partition.whenCommitted(offset, () => void answered.push(offset))
    fetch(world, 2, 2)
    expect(answered).toEqual([1, 1, 2])
    fetch(world, 2, 3)
    expect(answered).toEqual([1, 1, 2, 3])
  })

  test('go on while this broker leads, in whatever epoch', () => {
    const world = three([BROKER, 2])
    append(world)
    const answered: number[] = []
    world.partition.whenCommitted(1, (error) => void answered.push(error))
    world.partition.makeLeader(stateOf({ leaderEpoch: 6, isr: [BROKER, 2], replicas: REPLICAS }))
    expect(answered).toEqual([])
    fetch(world, 2, 1)
    expect(answered).toEqual([ErrorCode.NONE])
  })

  test('tell of a set that has become too small after the append', () => {
    const world = three([BROKER, 2])
    append(world)
    const answered: number[] = []
    fetch(world, 2, 1)
    world.log.config = { minInsyncReplicas: 3 } as LogConfig
    world.partition.whenCommitted(1, (error) => void answered.push(error))
    expect(answered).toEqual([ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
  })
})

describe('the low watermark of deleted records', () => {
  test('is that of the follower that has deleted least, of those that are live', () => {
    const world = three()
    append(world, 4)
    for (const id of [2, 3]) fetch(world, id, 4)
    const { partition, host } = world
    expect(partition.deleteRecordsBefore(3)).toEqual({ error: 0, lowWatermark: 0, wantedOffset: 3 })
    let woken = 0
    partition.addLowWatermarkWaiter(() => woken++)
    fetch(world, 2, 4, 3)
    expect([woken, partition.lowWatermark]).toEqual([1, 0])
    host.dead.add(3)
    expect(partition.lowWatermark).toBe(3)
  })

  test('followers that wait are told at once', () => {
    const world = three()
    append(world, 4)
    for (const id of [2, 3]) fetch(world, id, 4)
    let woken = 0
    world.partition.addWaiter({ grew: () => undefined, changed: () => woken++ }, 'log-end')
    world.partition.deleteRecordsBefore(3)
    expect(woken).toBe(1)
  })
})

describe('who waits', () => {
  test('followers are told of every append, consumers of what is committed', () => {
    const world = three([BROKER, 2])
    const grown = { follower: 0, consumer: 0 }
    const waiter = (who: keyof typeof grown) => ({
      grew: (count: number) => void (grown[who] += count),
      changed: () => undefined,
    })
    world.partition.addWaiter(waiter('follower'), 'log-end')
    world.partition.addWaiter(waiter('consumer'), 'high-watermark')
    append(world, 3)
    expect(grown).toEqual({ follower: 30, consumer: 0 })
    fetch(world, 2, 2)
    expect(grown).toEqual({ follower: 30, consumer: 20 })
  })
})

describe('a high watermark that moves', () => {
  test.each([true, false])(
    'ends the waiting of followers where consumers may read from them (%s)',
    (tells) => {
      const world = three([BROKER, 2])
      world.host.tellsFollowers = tells
      append(world)
      let woken = 0
      world.partition.addWaiter({ grew: () => undefined, changed: () => woken++ }, 'log-end')
      fetch(world, 2, 1)
      expect(woken).toBe(tells ? 1 : 0)
    },
  )
})

describe('a leader that may have been replaced', () => {
  test('takes no records and serves no consumers, and hears its followers, until it is sure', () => {
    const world = three([BROKER, 2])
    append(world)
    world.host.lease.holds = false
    expect(world.partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    expect(world.partition.read(readOf({ fromAnyReplica: true })).error).toBe(
      ErrorCode.NOT_LEADER_OR_FOLLOWER,
    )
    expect(world.partition.refusalToClient()).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    expect(fetch(world, 2, 1)).toMatchObject({ error: 0, highWatermark: 1 })
    world.host.lease.holds = true
    expect(world.partition.refusalToClient()).toBe(ErrorCode.NONE)
    expect(world.partition.append(bytes, 'client', 1)).toMatchObject({ error: 0, firstOffset: 1 })
  })

  test('takes records as long as all that could replace it follow', () => {
    const world = three([BROKER, 2])
    const { host, partition } = world
    host.lease.followersWithinMs = 100
    // What a leader that is long out of date may have been told last.
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    fetch(world, 2, 0)
    host.nowMs = 100
    fetch(world, 3, 0)
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NONE)
    host.nowMs = 101
    // Broker 3 is not in sync: it cannot be elected.
    fetch(world, 3, 0)
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    fetch(world, 2, 0)
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NONE)
  })

  describe('asked by a consumer for more than its log has', () => {
    const consumed = ({ partition }: Three, fetchOffset = 9): number =>
      partition.read(readOf({ fetchOffset })).error
    const { NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE } = ErrorCode

    test('does not say that there is nothing before all that could replace it have fetched twice', () => {
      const world = three([BROKER, 2])
      fetch(world, 2, 0)
      fetch(world, 2, 0)
      expect(consumed(world)).toBe(NOT_LEADER_OR_FOLLOWER)
      // Sent before this broker stood still, for all that is known.
      fetch(world, 2, 0)
      // Broker 3 is not in sync: it cannot be elected.
      expect(consumed(world)).toBe(NOT_LEADER_OR_FOLLOWER)
      fetch(world, 2, 0)
      expect(consumed(world)).toBe(OFFSET_OUT_OF_RANGE)
      // The next consumer may come from another leader.
      expect(consumed(world)).toBe(NOT_LEADER_OR_FOLLOWER)
      expect(world.partition.read(readOf()).error).toBe(ErrorCode.NONE)
    })

    test('begins anew for one that has been farther still, and for one that asks late', () => {
      const world = three([BROKER, 2])
      const followed = (): void => {
        fetch(world, 2, 0)
        fetch(world, 2, 0)
      }
      expect(consumed(world)).toBe(NOT_LEADER_OR_FOLLOWER)
      followed()
      expect(consumed(world, 10)).toBe(NOT_LEADER_OR_FOLLOWER)
      followed()
      world.host.nowMs = 5001
      expect(consumed(world)).toBe(NOT_LEADER_OR_FOLLOWER)
      followed()
      expect(consumed(world)).toBe(OFFSET_OUT_OF_RANGE)
    })

    test('a follower sends it to the leader: it may lag', () => {
      const world = hosted({ replicas: REPLICAS, leader: 2, isr: [2] })
      const asked = (fetchOffset: number): number =>
        world.partition.read(readOf({ fetchOffset, fromAnyReplica: true })).error
      expect(asked(1)).toBe(NOT_LEADER_OR_FOLLOWER)
      expect(asked(0)).toBe(ErrorCode.NONE)
      expect(asked(-1)).toBe(OFFSET_OUT_OF_RANGE)
    })

    test('says it at once where nobody else is in sync', () => {
      expect(consumed(three([BROKER]))).toBe(OFFSET_OUT_OF_RANGE)
    })
  })

  test('without followers is not replaced', () => {
    const { host, partition } = hosted()
    host.lease.holds = false
    expect(partition.append(bytes, 'client', -1).error).toBe(ErrorCode.NONE)
  })

  test('whose session is over leads no more, and is not read from, until the controller speaks', () => {
    const world = three([BROKER, 2])
    append(world)
    const answered: number[] = []
    world.partition.whenCommitted(1, (error) => void answered.push(error))
    world.partition.sessionExpired()
    expect(answered).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER])
    expect(world.partition).toMatchObject({ isLeader: false, isFollower: false, awaitsController: true })
    expect(world.partition.read(readOf({ fromAnyReplica: true })).error).toBe(
      ErrorCode.NOT_LEADER_OR_FOLLOWER,
    )
    world.partition.makeLeader(stateOf({ isr: [BROKER, 2], replicas: REPLICAS }))
    expect(world.partition).toMatchObject({ isLeader: true, awaitsController: false })
    fetch(world, 2, 1)
    expect(world.partition.highWatermark).toBe(1)
  })
})

describe('an election', () => {
  test('leaves the end untold until what was there is known to be committed (KIP-207)', () => {
    const world = three([BROKER, 2])
    append(world, 2)
    fetch(world, 2, 1)
    expect(world.partition.isCatchingUpAfterElection).toBe(false)
    world.partition.makeFollower(stateOf({ leader: 2, leaderEpoch: 6, replicas: REPLICAS }))
    world.partition.makeLeader(stateOf({ leaderEpoch: 7, isr: [BROKER, 2], replicas: REPLICAS }))
    expect(world.partition.isCatchingUpAfterElection).toBe(true)
    fetch(world, 2, 2)
    expect(world.partition.isCatchingUpAfterElection).toBe(false)
  })

  test('of another makes what is known of followers void; one of the same broker does not', () => {
    const world = three([BROKER, 2])
    append(world)
    fetch(world, 2, 1)
    world.partition.makeLeader(stateOf({ leaderEpoch: 6, isr: [BROKER, 2], replicas: REPLICAS }))
    expect(world.partition.followers[0].logEndOffset).toBe(1)
    world.partition.makeFollower(stateOf({ leader: 2, leaderEpoch: 7, replicas: REPLICAS }))
    world.partition.makeLeader(stateOf({ leaderEpoch: 8, isr: [BROKER, 2], replicas: REPLICAS }))
    expect(world.partition.followers[0].logEndOffset).toBe(-1)
  })
})
