import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../src/env/sim/random.ts'
import {
  effectiveMinIsr,
  expansion,
  type Follower,
  type InSyncSet,
  maximalIsr,
  nextHighWatermark,
  shrinkage,
} from '../../src/replication/in-sync-set.ts'
import { BROKER, hosted, LAG_TIME_MAX_MS, readOf, stateOf } from './partition-fixture.ts'

const SEEDS = 300
const LEADER = 0

interface Case {
  readonly set: InSyncSet
  readonly followers: (Follower & { readonly caughtUp: boolean; readonly live: boolean })[]
  readonly highWatermark: number
  readonly logEndOffset: number
  readonly epochStartOffset: number
  readonly minIsr: number
}

function randomCase(random: SeededRandom): Case {
  const below = (bound: number): number => Math.floor(random.next() * bound)
  const logEndOffset = below(8)
  const followers = [1, 2, 3, 4].slice(0, below(5)).map((brokerId) => {
    const caughtUp = random.next() < 0.5
    const offset = below(logEndOffset + 3) - 1
    return {
      brokerId,
      brokerEpoch: below(3) - 1,
      logEndOffset: offset,
      caughtUp,
      live: random.next() < 0.7,
      isCaughtUp: (leaderEnd: number) => caughtUp || offset === leaderEnd,
    }
  })
  const committed = [LEADER, ...followers.map(({ brokerId }) => brokerId).filter(() => random.next() < 0.5)]
  const outside = followers.filter(({ brokerId }) => !committed.includes(brokerId))
  let pending: InSyncSet['pending'] = null
  if (random.next() < 0.3 && outside.length > 0)
    pending = { kind: 'expand', isr: [...committed, outside[0].brokerId] }
  else if (random.next() < 0.3) pending = { kind: 'shrink', isr: [LEADER] }
  return {
    set: { committed, pending },
    followers,
    highWatermark: below(logEndOffset + 1),
    logEndOffset,
    epochStartOffset: below(logEndOffset + 1),
    minIsr: 1 + below(3),
  }
}

/** Runs `check` for many cases; a failure names its seed. */
function forAll(check: (found: Case) => void): void {
  for (let seed = 0; seed < SEEDS; seed++) {
    const found = randomCase(new SeededRandom(seed))
    try {
      check(found)
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(found)}`, { cause: error })
    }
  }
}

describe('the high watermark', () => {
  test('is the highest offset below which all who count have everything', () => {
    forAll(({ set, followers, highWatermark, logEndOffset, minIsr }) => {
      const members = new Set([...set.committed, ...(set.pending?.kind === 'expand' ? set.pending.isr : [])])
      let expected = highWatermark
      for (let offset = highWatermark; offset <= logEndOffset; offset++) {
        const everybody = followers.every((follower) => {
          const counts =
            members.has(follower.brokerId) || (follower.isCaughtUp(logEndOffset, 0, 0) && follower.live)
          return !counts || follower.logEndOffset >= offset
        })
        if (everybody) expected = offset
      }
      if (set.committed.length < minIsr) expected = highWatermark
      const isLive = (id: number): boolean => followers.find(({ brokerId }) => brokerId === id)!.live
      const now = { logEndOffset, nowMs: 0, lagTimeMaxMs: 0, isLive }
      expect(nextHighWatermark(highWatermark, set, followers, minIsr, now)).toBe(expected)
    })
  })
})

describe('the in-sync set', () => {
  test('takes in who is live and has what is committed and what the leader began with, one change at a time', () => {
    forAll(({ set, followers, highWatermark, epochStartOffset }) => {
      for (const follower of followers) {
        const isLive = (): boolean => follower.live
        const found = expansion(set, follower, { highWatermark, epochStartOffset }, isLive)
        const has = follower.logEndOffset >= Math.max(highWatermark, epochStartOffset)
        const may = set.pending === null && !set.committed.includes(follower.brokerId) && has && follower.live
        expect(found?.isr.toSorted() ?? null).toEqual(
          may ? [...set.committed, follower.brokerId].toSorted() : null,
        )
        if (found !== null) expect(found.newcomerEpoch).toBe(follower.brokerEpoch)
      }
    })
  })

  test('leaves out who lags, never the leader, one change at a time', () => {
    forAll(({ set, followers, logEndOffset }) => {
      const lagging = followers.filter(({ brokerId, caughtUp, logEndOffset: end }) => {
        return set.committed.includes(brokerId) && !caughtUp && end !== logEndOffset
      })
      const found = shrinkage(set, LEADER, followers, { logEndOffset, nowMs: 0, lagTimeMaxMs: 0 })
      const ids = lagging.map(({ brokerId }) => brokerId)
      const expected = set.committed.filter((id) => !ids.includes(id))
      expect(found).toEqual(set.pending === null && ids.length > 0 ? { kind: 'shrink', isr: expected } : null)
    })
  })

  test('a member that is not assigned any more goes', () => {
    const set = { committed: [LEADER, 7], pending: null }
    expect(shrinkage(set, LEADER, [], { logEndOffset: 0, nowMs: 0, lagTimeMaxMs: 0 })?.isr).toEqual([LEADER])
  })

  test('is larger at once and smaller only when the controller has said so', () => {
    const committed = [0, 1, 2]
    expect(maximalIsr({ committed, pending: { kind: 'expand', isr: [0, 1, 2, 3] } })).toEqual([0, 1, 2, 3])
    expect(maximalIsr({ committed, pending: { kind: 'shrink', isr: [0] } })).toEqual(committed)
    expect([effectiveMinIsr(2, 3), effectiveMinIsr(3, 1)]).toEqual([2, 1])
  })
})

describe('whatever fetches, answers and elections come', () => {
  /** The controller's own truth: it takes or refuses changes, and loses answers. */
  function run(random: SeededRandom): void {
    const replicas = [BROKER, 2, 3]
    const world = hosted({ replicas, isr: replicas })
    const { partition, host, log } = world
    const below = (bound: number): number => Math.floor(random.next() * bound)
    let truth: readonly number[] = replicas
    let epoch = 5
    let version = 0
    /** What each follower has said that it has, to this leadership. */
    let said = new Map<number, number>()
    const step = [
      () => void partition.append(Buffer.alloc(1), 'client', 1),
      () => {
        const id = 2 + below(2)
        const fetchOffset = below(log.logEndOffset + 1)
        said.set(id, fetchOffset)
        partition.read(readOf({ replicaId: id, fetchOffset, followerLogStartOffset: 0 }))
      },
      () => {
        host.nowMs += below(LAG_TIME_MAX_MS)
        partition.shrinkIsr()
      },
      () => {
        const id = 2 + below(2)
        if (!host.dead.delete(id)) host.dead.add(id)
      },
      () => {
        const waiting = host.proposals[0]
        if (waiting === undefined) return
        const current = waiting.proposal.leaderEpoch === epoch && waiting.proposal.partitionEpoch === version
        if (!current) return host.answer({ error: 95 })
        const outcome = random.next()
        if (outcome < 0.2) return host.answer({ error: 107 })
        truth = waiting.proposal.isr
        version++
        // The answer may be lost, and the next proposal then has an old version.
        host.answer(outcome < 0.8 ? 'accept' : { error: 95 })
      },
      () => {
        const state = { leaderEpoch: ++epoch, partitionEpoch: ++version, replicas, isr: truth }
        if (random.next() < 0.5) {
          said = new Map()
          partition.makeFollower(stateOf({ ...state, leader: 2 }))
          // Elected again with what it has: all of it in sync once more is the controller's business.
          partition.makeLeader(stateOf({ ...state, leaderEpoch: ++epoch, partitionEpoch: ++version }))
        } else partition.makeLeader(stateOf(state))
      },
    ]
    for (let i = 0; i < 120; i++) {
      const before = partition.highWatermark
      step[below(step.length)]()
      const now = partition.highWatermark
      if (now === before) continue
      expect(now).toBeGreaterThan(before)
      expect(now).toBeLessThanOrEqual(log.logEndOffset)
      // Who can be elected cleanly has it.
      for (const id of truth) if (id !== BROKER) expect(said.get(id) ?? -1).toBeGreaterThanOrEqual(now)
      expect(truth).toContain(BROKER)
    }
  }

  test('the high watermark never passes a member of the set that the controller knows', () => {
    for (let seed = 0; seed < SEEDS / 3; seed++) {
      try {
        run(new SeededRandom(seed))
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
  })
})
