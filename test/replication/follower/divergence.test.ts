import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { Followed } from '../../../src/replication/follower/followed.ts'
import { contentOf, Replica } from './replica.ts'

/** Fetches until nothing is new; gives the number of fetches. */
function catchUp(follower: Replica, leader: Replica): number {
  follower.follow(leader.brokerId, leader.leaderEpoch)
  const followed = new Followed(follower)
  followed.begin()
  for (let fetches = 1; fetches < 100; fetches++) {
    const position = followed.position()
    const answer = leader.answer(position)
    expect(answer.errorCode).toBe(ErrorCode.NONE)
    expect(followed.take(answer)).toBe(true)
    const isNew = answer.records !== null || answer.divergingEpoch.epoch >= 0
    if (!isNew) return fetches
  }
  throw new Error('the follower never catches up')
}

const sameLogs = (one: Replica, other: Replica): void => {
  expect(contentOf(one).equals(contentOf(other))).toBe(true)
}

describe('two replicas', () => {
  test('KIP-101, scenario 1: a follower that restarts below the high watermark keeps what its leader has', () => {
    const [a, b] = [new Replica(1), new Replica(2)]
    b.lead(0)
    b.produce('m1')
    b.produce('m2')
    catchUp(a, b)
    // The second message is committed, which A has not heard of. A restarts, and B dies before A fetches again: A leads.
    expect(a.highWatermark).toBe(0)
    a.lead(1)
    catchUp(b, a)
    expect([a.log.logEndOffset, b.log.logEndOffset]).toEqual([2, 2])
    expect([...a.cuts, ...b.cuts]).toEqual([])
    sameLogs(a, b)
  })

  test('KIP-101, scenario 2: what both wrote at one offset under two leaders ends as the later leader has it', () => {
    const [a, b] = [new Replica(1), new Replica(2)]
    a.lead(0)
    a.produce('m1')
    catchUp(b, a)
    a.produce('m2 of A, lost in a power cut of both')
    b.lead(1)
    b.produce('m2 of B')
    catchUp(a, b)
    expect(a.cuts).toEqual([1])
    sameLogs(a, b)
  })

  test('KIP-279: three histories that cross twice are told apart by epochs that the other never had', () => {
    const [a, b] = [new Replica(1), new Replica(2)]
    a.lead(0)
    a.produce('both have it')
    catchUp(b, a)
    // Unclean elections: each leads without what the other wrote.
    a.lead(1)
    for (let i = 0; i < 3; i++) a.produce(`A in epoch 1, ${i}`)
    b.lead(2)
    b.produce('B in epoch 2')
    a.lead(3)
    a.produce('A in epoch 3')
    b.lead(4)
    b.produce('B in epoch 4')
    b.produce('B in epoch 4 again')
    catchUp(a, b)
    sameLogs(a, b)
    expect(a.log.logEndOffset).toBe(4)
  })

  test('an epoch in which a leader wrote nothing does not keep the logs from being compared', () => {
    const [a, b] = [new Replica(1), new Replica(2)]
    a.lead(0)
    a.produce('m1')
    catchUp(b, a)
    b.lead(1)
    a.lead(2)
    a.produce('m2')
    catchUp(b, a)
    sameLogs(a, b)
    expect(b.log.latestLeaderEpoch).toBe(2)
  })

  test('a log without epochs is cut at the high watermark', () => {
    const [a, b] = [new Replica(1), new Replica(2)]
    a.lead(0)
    a.produce('m1')
    a.produce('m2')
    const old = new Replica(3)
    // As old formats leave it: records, and no epoch.
    old.lead(-1)
    for (const value of ['m1', 'other']) old.produce(value)
    expect(old.log.latestLeaderEpoch).toBe(-1)
    old.highWatermark = 1
    catchUp(old, a)
    expect(old.cuts).toEqual([1])
    expect(old.log.logEndOffset).toBe(2)
    catchUp(b, a)
    sameLogs(a, b)
  })
})

/**
 * An independent model: it knows what was committed (on every member of the in-sync set) by value, and neither epochs nor
 * high watermarks of replicas. Leaders are chosen among the members.
 */
class Cluster {
  readonly replicas = [1, 2, 3].map((id) => new Replica(id, { config: { segmentBytes: 400 } }))
  readonly #random: SeededRandom
  #followers = new Map<Replica, Followed>()
  /** How far the leader knows that each follower has come. */
  #reached = new Map<Replica, number>()
  #inSync: Set<Replica>
  #epoch = 0
  #leader: Replica
  #values = 0
  /** Acknowledged to producers. */
  committed: Buffer = Buffer.alloc(0)
  committedOffset = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#inSync = new Set(this.replicas)
    this.#leader = this.replicas[0]
    this.elect()
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.integer(from.length)]
  }

  /** Another member of the in-sync set leads, or the same again. What members had in sync they keep. */
  elect(): void {
    this.#leader = this.#pick([...this.#inSync])
    this.#leader.lead(++this.#epoch)
    this.#reached.clear()
    this.#followers.clear()
    for (const replica of this.replicas) {
      if (replica === this.#leader) continue
      replica.follow(this.#leader.brokerId, this.#epoch)
      // Some hear of the new leader late.
      if (this.#random.next() < 0.7) this.#startFollowing(replica)
    }
  }

  #startFollowing(replica: Replica): void {
    const followed = new Followed(replica)
    followed.begin()
    this.#followers.set(replica, followed)
  }

  /** A crash: the high watermark is that of an old checkpoint. */
  restart(): void {
    const replica = this.#pick(this.replicas)
    replica.highWatermark = Math.floor(this.#random.next() * (replica.highWatermark + 1))
    if (replica === this.#leader) this.elect()
  }

  produce(): void {
    const values = Array.from({ length: 1 + this.#random.integer(3) }, () => `value ${this.#values++}`)
    this.#leader.produce(...values)
    this.#commit()
  }

  fetch(replica = this.#pick(this.replicas)): void {
    if (replica === this.#leader) return
    if (!this.#followers.has(replica)) this.#startFollowing(replica)
    const followed = this.#followers.get(replica)!
    const position = followed.position()
    const answer = this.#leader.answer(position, 1 + this.#random.integer(300))
    if (answer.errorCode === ErrorCode.NONE && answer.divergingEpoch.epoch < 0) {
      this.#reached.set(replica, position.fetchOffset)
      if (position.fetchOffset >= this.#leader.log.logEndOffset) this.#inSync.add(replica)
      this.#commit()
    }
    // An answer that is lost on the way.
    if (this.#random.next() < 0.1) return
    const cuts = replica.cuts.length
    if (answer.errorCode === ErrorCode.NONE) expect(followed.take(answer)).toBe(true)
    else expect(answer.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    for (const cut of replica.cuts.slice(cuts)) this.#checkCut(replica, cut)
  }

  /** The leader removes whom it has not heard of. */
  shrink(): void {
    const replica = this.#pick(this.replicas)
    if (replica !== this.#leader) this.#inSync.delete(replica)
    this.#commit()
  }

  #commit(): void {
    const ends = [...this.#inSync].map((replica) =>
      replica === this.#leader ? replica.log.logEndOffset : (this.#reached.get(replica) ?? 0),
    )
    const offset = Math.min(...ends)
    if (offset <= this.committedOffset) return
    this.committedOffset = offset
    this.committed = this.#below(this.#leader, offset)
    this.#leader.highWatermark = Math.max(this.#leader.highWatermark, offset)
  }

  /** Batches that end below an offset: all that is committed is whole. */
  #below(replica: Replica, offset: number): Buffer {
    const bytes = contentOf(replica)
    let at = 0
    while (at < bytes.length && Number(bytes.readBigInt64BE(at)) < offset)
      at += 12 + bytes.readInt32BE(at + 8)
    return bytes.subarray(0, at)
  }

  #checkCut(replica: Replica, offset: number): void {
    if (this.#inSync.has(replica)) expect(offset).toBeGreaterThanOrEqual(this.committedOffset)
  }

  /** Every member of the in-sync set has all that was acknowledged. */
  check(): void {
    for (const replica of this.#inSync) {
      const own = contentOf(replica).subarray(0, this.committed.length)
      expect(own.equals(this.committed), `committed records of broker ${replica.brokerId}`).toBe(true)
    }
  }

  heal(): void {
    for (let round = 0; round < 60; round++) for (const replica of this.replicas) this.fetch(replica)
    for (const replica of this.replicas) {
      expect(contentOf(replica).equals(contentOf(this.#leader)), `broker ${replica.brokerId}`).toBe(true)
    }
  }
}

describe('random histories of leader changes', () => {
  test.each(Array.from({ length: 50 }, (_, seed) => seed))(
    'leave all replicas with the log of the last leader, and lose nothing that was committed (seed %i)',
    (seed) => {
      const random = new SeededRandom(seed + 1000)
      const cluster = new Cluster(seed)
      for (let step = 0; step < 80; step++) {
        const draw = random.next()
        if (draw < 0.3) cluster.produce()
        else if (draw < 0.75) cluster.fetch()
        else if (draw < 0.85) cluster.elect()
        else if (draw < 0.93) cluster.shrink()
        else cluster.restart()
        if (step % 8 === 0) cluster.check()
      }
      cluster.heal()
      cluster.check()
    },
  )
})
