import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { append, batchOf, openLogs, readAll } from './log-fixture.ts'

const fresh = () => openLogs({ disk: new SimDisk({ random: new SeededRandom(1) }) })

describe('a follower', () => {
  it('holds its leader byte for byte, epochs included', () => {
    const leader = fresh().log()
    append(leader, 'a', 1)
    append(leader, 'b', 1)
    append(leader, 'c', 4)
    const follower = fresh().log()
    follower.appendAsFollower(readAll(leader))
    expect(readAll(follower).equals(readAll(leader))).toBe(true)
    expect(follower.endOffsetForEpoch(1)).toEqual({ leaderEpoch: 1, endOffset: 2 })
    expect(follower.endOffsetForEpoch(3)).toEqual({ leaderEpoch: 1, endOffset: 2 })
    expect(follower.endOffsetForEpoch(4)).toEqual({ leaderEpoch: 4, endOffset: 3 })
    expect(follower.endOffsetForEpoch(5)).toEqual({ leaderEpoch: -1, endOffset: -1 })
    expect(follower.endOffsetForEpoch(-1)).toEqual({ leaderEpoch: -1, endOffset: -1 })
    expect(follower.endOffsetForEpoch(-2)).toEqual({ leaderEpoch: -2, endOffset: 0 })
    expect(follower.epochForOffset(2)).toBe(4)
  })

  it('refuses what it has already, and corrupt bytes', () => {
    const leader = fresh().log()
    append(leader, 'a')
    const bytes = readAll(leader)
    const follower = fresh().log()
    follower.appendAsFollower(bytes)
    expect(() => follower.appendAsFollower(bytes)).toThrow(/batch at offset 0 follows offset 0/)
    const corrupt = batchOf('x')
    corrupt[corrupt.length - 1] ^= 1
    expect(() => fresh().log().appendAsFollower(corrupt)).toThrow(/corrupt/)
  })

  it('drops the epochs and records that a new leader does not have', () => {
    const log = fresh().log()
    for (let i = 0; i < 6; i++) append(log, `v${i}`, Math.floor(i / 2))
    log.truncateTo(3)
    expect(log.logEndOffset).toBe(3)
    expect(log.latestLeaderEpoch).toBe(1)
    log.startLeaderEpoch(7)
    expect(log.endOffsetForEpoch(1)).toEqual({ leaderEpoch: 1, endOffset: 3 })
    expect(append(log, 'new', 7)).toMatchObject({ firstOffset: 3 })
    log.truncateFullyAndStartAt(50)
    expect([log.logStartOffset, log.logEndOffset, log.latestLeaderEpoch]).toEqual([50, 50, -1])
    expect(append(log, 'new', 8)).toMatchObject({ firstOffset: 50 })
  })
})

describe('flush.messages', () => {
  it('says when an acknowledgement must wait, until a flush', async () => {
    const { log } = openLogs({
      disk: new SimDisk({ random: new SeededRandom(1) }),
      config: { flushMessages: 2 },
    })
    append(log(), 'a')
    expect(log().flushDue).toBe(false)
    append(log(), 'b')
    expect(log().flushDue).toBe(true)
    await Promise.all([log().flush(), log().flush()])
    expect(log().flushDue).toBe(false)
  })

  it('flush.ms flushes by itself', async () => {
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const { log, time } = openLogs({ disk, config: { flushMs: 100 } })
    append(log(), 'a')
    await time.advance(150)
    await time.settle()
    disk.crash('drop')
    expect(openLogs({ disk }).log().logEndOffset).toBe(1)
  })
})
