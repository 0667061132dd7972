import { describe, expect, test } from 'vitest'
import { DiskError } from '../../../src/env/disk.ts'
import { SimScheduler } from '../../../src/env/sim/scheduler.ts'
import type { LogConfig } from '../../../src/log/types.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { ReplicaFetchers } from '../../../src/replication/follower/replica-fetchers.ts'
import { ReplicationQuota } from '../../../src/replication/replication-quota.ts'
import * as rb from '../../../src/protocol/record-batch.ts'
import { batchOf, LineLogger, START_MS } from '../../log/log-fixture.ts'
import { messageSet, type OldRecord } from '../../protocol/message-sets.ts'
import { FakeLeader } from './fake-leader.ts'
import { contentOf, Replica } from './replica.ts'

const LEADER = 1
const FOLLOWER = 2
const ADDRESS = { id: LEADER, host: 'leader', port: 9092 }

interface Options {
  readonly partitions?: number
  readonly sessions?: number
  readonly config?: Partial<LogConfig>
  readonly maxBytesPerSecond?: number
  readonly fetchers?: () => number
  readonly partitionMaxBytes?: number
}

/** A leader of some partitions and a broker that follows them; nothing is followed yet. */
function world(options: Options = {}) {
  const { partitions = 1, sessions, config, maxBytesPerSecond = Infinity, fetchers = () => 1 } = options
  const { partitionMaxBytes = 1000 } = options
  const time = new SimScheduler({ seed: 1 })
  const replicasOf = (brokerId: number) =>
    Array.from({ length: partitions }, (_, index) => new Replica(brokerId, { index, config }))
  const leaders = replicasOf(LEADER)
  const followers = replicasOf(FOLLOWER)
  for (const replica of leaders) replica.lead(5)
  const leader = new FakeLeader(time, leaders, { sessions })
  const logger = new LineLogger()
  const { clock, timers } = time
  const broker = new ReplicaFetchers({
    brokerId: FOLLOWER,
    brokerEpoch: () => 77,
    clock,
    timers,
    logger,
    settings: { maxWaitMs: 500, minBytes: 1, maxBytes: 10_000, partitionMaxBytes, backoffMs: 1000 },
    fetchersPerLeader: fetchers,
    quota: new ReplicationQuota({
      clock,
      maxBytesPerSecond: () => maxBytesPerSecond,
      isThrottled: () => true,
      windows: 11,
      windowMs: 1000,
    }),
    channelTo: leader.channelTo,
  })
  const follow = (index = 0, epoch = 5): void => {
    followers[index].follow(LEADER, epoch)
    broker.follow(followers[index], ADDRESS)
  }
  const isCaughtUp = (index = 0): boolean => contentOf(leaders[index]).equals(contentOf(followers[index]))
  const last = () => leader.requests.at(-1)!
  const linesOf = (text: string): number => logger.lines.filter((line) => line.includes(text)).length
  return { time, leader, leaders, followers, broker, follow, isCaughtUp, last, linesOf }
}

describe('a fetcher', () => {
  test('appends what the leader has, and acknowledges it with the next request, in the same turn', async () => {
    const { time, leader, leaders, followers, follow, isCaughtUp, last } = world()
    leaders[0].produce('a', 'b')
    leaders[0].highWatermark = 1
    follow()
    await time.settle()
    expect(isCaughtUp()).toBe(true)
    expect(followers[0].highWatermark).toBe(1)
    expect([leader.requests.length, time.elapsedMs]).toEqual([2, 0])
    expect(last()).toMatchObject({
      replicaId: FOLLOWER,
      replicaState: { replicaId: FOLLOWER, replicaEpoch: 77 },
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 10_000,
      sessionEpoch: 1,
      topics: [
        { partitions: [{ partition: 0, currentLeaderEpoch: 5, fetchOffset: 2, lastFetchedEpoch: 5 }] },
      ],
    })
  })

  test('names only what has moved, once it has a session', async () => {
    const { time, leader, leaders, follow, last } = world({ partitions: 50 })
    for (let index = 0; index < 50; index++) follow(index)
    await time.settle()
    expect(leader.requests[0].topics.flatMap(({ partitions }) => partitions).length).toBe(50)
    leaders[7].produce('a')
    leader.wake()
    await time.settle()
    expect(last().topics.flatMap(({ partitions }) => partitions.map(({ partition }) => partition))).toEqual([
      7,
    ])
    await time.advance(2000)
    expect(last().topics).toEqual([])
  })

  test('without a session it names everything each time', async () => {
    const { time, leaders, follow, last, isCaughtUp } = world({ partitions: 3, sessions: 0 })
    leaders[1].produce('a')
    for (let index = 0; index < 3; index++) follow(index)
    await time.advance(100)
    expect(last().topics.flatMap(({ partitions }) => partitions.map(({ partition }) => partition))).toEqual([
      0, 2, 1,
    ])
    expect(isCaughtUp(1)).toBe(true)
  })

  test('a partition that comes while a request waits at the leader does not wait with it', async () => {
    const { time, leader, leaders, follow, isCaughtUp } = world({ partitions: 2 })
    follow(0)
    await time.settle()
    expect(leader.parked).toBe(1)
    leaders[1].produce('a')
    follow(1)
    await time.advance(20)
    expect(isCaughtUp(1)).toBe(true)
    expect(leader.connections.length).toBe(2)
  })

  test('a leader that is away is asked again, quickly at first', async () => {
    const { time, leader, leaders, follow, isCaughtUp, linesOf } = world()
    leader.isDown = true
    leaders[0].produce('a')
    follow()
    await time.advance(100)
    leader.isDown = false
    await time.advance(100)
    expect(isCaughtUp()).toBe(true)
    leader.isDown = true
    leader.wake()
    await time.advance(10_000)
    leader.isDown = false
    leaders[0].produce('b')
    await time.advance(1000)
    expect(isCaughtUp()).toBe(true)
    // Ever fewer lines: of 2, and then of 14 failures.
    expect(linesOf('fetching from a leader has failed')).toBeLessThan(8)
  })

  test.each([
    ['a leader that has not heard yet that it leads', ErrorCode.NOT_LEADER_OR_FOLLOWER],
    ['a leader that knows of an older epoch', ErrorCode.UNKNOWN_LEADER_EPOCH],
    ['a leader that has not heard of the topic', ErrorCode.UNKNOWN_TOPIC_ID],
    ['a leader whose disk has failed', ErrorCode.KAFKA_STORAGE_ERROR],
  ])('%s is asked again, and the other partitions do not wait for it', async (_, error) => {
    const { time, leader, leaders, follow, isCaughtUp } = world({ partitions: 2 })
    leader.errors.set('t-0', error)
    for (const replica of leaders) replica.produce('a')
    follow(0)
    follow(1)
    await time.advance(30)
    expect([isCaughtUp(0), isCaughtUp(1)]).toEqual([false, true])
    leader.errors.clear()
    // The next try is at 60 ms: the request that waits for the other partition is not kept waiting any longer.
    await time.advance(100)
    expect(isCaughtUp(0)).toBe(true)
  })

  test('a fenced partition waits for the controller', async () => {
    const { time, leader, leaders, follow, isCaughtUp } = world()
    leaders[0].produce('a')
    leaders[0].lead(6)
    follow(0, 5)
    await time.advance(60_000)
    expect([isCaughtUp(), leader.requests.length]).toEqual([false, 1])
    follow(0, 6)
    await time.advance(10)
    expect(isCaughtUp()).toBe(true)
  })

  test('an answer to what was asked in an older leader epoch is void', async () => {
    const { time, leader, leaders, followers, broker, follow, isCaughtUp } = world()
    follow(0, 5)
    await time.settle()
    leaders[0].produce('a')
    // Answered under epoch 5 in the turn in which the follower hears of epoch 6.
    leader.wake()
    followers[0].follow(LEADER, 6)
    await Promise.resolve()
    await time.settle()
    expect(followers[0].log.logEndOffset).toBe(0)
    leaders[0].lead(6)
    broker.follow(followers[0], ADDRESS)
    await time.advance(10)
    expect(isCaughtUp()).toBe(true)
  })

  test('what is not followed any more is not appended to', async () => {
    const { time, leader, leaders, followers, broker, follow } = world({ partitions: 2 })
    follow(0)
    follow(1)
    await time.settle()
    leaders[0].produce('a')
    leader.wake()
    broker.unfollow(followers[0])
    followers[0].leader = -1
    await time.advance(2000)
    expect(followers[0].log.logEndOffset).toBe(0)
    expect(leader.requests.some(({ forgottenTopicsData }) => forgottenTopicsData.length === 1)).toBe(true)
  })

  test('a connection without partitions is closed, and none is made for what is followed anew', async () => {
    const { time, leader, followers, broker, follow } = world()
    follow()
    await time.settle()
    broker.unfollow(followers[0])
    follow(0)
    await time.settle()
    expect([leader.connections.length, leader.parked]).toEqual([1, 1])
    broker.unfollow(followers[0])
    const asked = leader.requests.length
    await time.advance(5000)
    expect(leader.requests.length).toBe(asked)
    follow(0)
    await time.settle()
    expect(leader.connections.length).toBe(2)
  })

  test('a leader at another address is followed there', async () => {
    const { time, leader, leaders, followers, broker, follow, isCaughtUp } = world()
    follow()
    await time.settle()
    const moved = { ...ADDRESS, port: 9999 }
    leaders[0].produce('a')
    broker.follow(followers[0], moved)
    await time.advance(10)
    expect([leader.connections.at(-1), isCaughtUp()]).toEqual([moved, true])
  })

  test('a session that the leader has forgotten is made anew at once', async () => {
    const { time, leader, leaders, follow, isCaughtUp, last } = world({ partitions: 2 })
    follow(0)
    follow(1)
    await time.settle()
    leaders[0].produce('a')
    leader.topLevelError = ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    await time.advance(600)
    expect(isCaughtUp()).toBe(true)
    expect(
      leader.requests.filter(({ sessionId, sessionEpoch }) => sessionId === 0 && sessionEpoch === 0).length,
    ).toBe(2)
    leader.topLevelError = ErrorCode.INVALID_FETCH_SESSION_EPOCH
    await time.advance(600)
    expect(
      leader.requests.some(({ sessionId, sessionEpoch }) => sessionId === 101 && sessionEpoch === 0),
    ).toBe(true)
    expect(last().sessionId).toBe(102)
  })

  test('after a stop nothing is asked or appended', async () => {
    const { time, leader, leaders, followers, broker, follow } = world()
    follow()
    await time.settle()
    leaders[0].produce('a')
    leader.wake()
    broker.stop()
    const asked = leader.requests.length
    await time.advance(5000)
    follow()
    await time.advance(5000)
    expect([followers[0].log.logEndOffset, leader.requests.length]).toEqual([0, asked])
  })

  test('num.replica.fetchers changes while running', async () => {
    let fetchers = 1
    const { time, leader, leaders, broker, follow, isCaughtUp } = world({
      partitions: 4,
      fetchers: () => fetchers,
    })
    for (let index = 0; index < 4; index++) follow(index)
    await time.settle()
    fetchers = 2
    broker.settingsChanged()
    for (const replica of leaders) replica.produce('a')
    leader.wake()
    await time.advance(50)
    expect([0, 1, 2, 3].map(isCaughtUp)).toEqual([true, true, true, true])
    expect(leader.parked).toBe(2)
  })
})

describe('a large answer', () => {
  const large = { partitions: 3, partitionMaxBytes: 2 << 20, config: { maxMessageBytes: 4 << 20 } }

  test('is appended in several turns, with others between them', async () => {
    const { time, leaders, followers, follow, isCaughtUp } = world(large)
    const events: string[] = []
    for (const [index, replica] of followers.entries()) {
      leaders[index].produce('x'.repeat(1_500_000))
      const append = replica.appendFetched.bind(replica)
      replica.appendFetched = (records, leader) => {
        if (records !== null) events.push(`partition ${index}`)
        if (index === 0) time.timers.soon(() => events.push('others'))
        append(records, leader)
      }
      follow(index)
    }
    await time.settle()
    expect(events.slice(0, 4)).toEqual(['partition 0', 'partition 1', 'others', 'partition 2'])
    expect([0, 1, 2].map(isCaughtUp)).toEqual([true, true, true])
  })

  test('is not appended to what is not followed any more by then', async () => {
    const { time, leaders, followers, broker, follow } = world(large)
    for (const index of followers.keys()) {
      leaders[index].produce('x'.repeat(1_500_000))
      follow(index)
    }
    const append = followers[0].appendFetched.bind(followers[0])
    followers[0].appendFetched = (records, leader) => {
      append(records, leader)
      time.timers.soon(() => {
        broker.unfollow(followers[2])
        followers[2].leader = -1
      })
    }
    await time.settle()
    expect(followers.map(({ log }) => log.logEndOffset)).toEqual([1, 1, 0])
  })
})

describe('a replica that cannot go on at its end', () => {
  test('begins where its leader begins, when it was away for longer than records are kept', async () => {
    const { time, leader, leaders, followers, follow, isCaughtUp, linesOf } = world()
    for (const value of ['a', 'b', 'c']) leaders[0].produce(value)
    leaders[0].log.raiseLogStart(2, 3)
    leaders[0].highWatermark = 3
    follow()
    await time.settle()
    expect(leader.listOffsetsTimestamps).toEqual([-1, -4])
    expect([followers[0].log.logStartOffset, isCaughtUp()]).toEqual([2, true])
    expect(linesOf('nothing at its end')).toBe(1)
  })

  test('begins with the whole batch within which its leader begins', async () => {
    const { time, leaders, followers, follow } = world()
    leaders[0].produce('a', 'b', 'c')
    leaders[0].log.raiseLogStart(2, 3)
    leaders[0].highWatermark = 3
    follow()
    await time.settle()
    expect(contentOf(followers[0]).equals(contentOf(leaders[0]))).toBe(true)
    expect([followers[0].log.logStartOffset, followers[0].log.logEndOffset]).toEqual([2, 3])
  })

  test('is asked about again, when the leader cannot be asked where it begins', async () => {
    const { time, leader, leaders, follow, isCaughtUp } = world()
    for (const value of ['a', 'b', 'c']) leaders[0].produce(value)
    leaders[0].log.raiseLogStart(2, 3)
    leaders[0].highWatermark = 3
    leader.errors.set('t-0', ErrorCode.OFFSET_OUT_OF_RANGE)
    follow()
    await time.advance(30)
    leader.errors.clear()
    await time.advance(1000)
    expect(isCaughtUp()).toBe(true)
  })
})

describe('a leader of Kafka whose log begins with what an older Kafka wrote', () => {
  const record = (value: string, timestampMs = START_MS): OldRecord => {
    return { timestampMs, key: Buffer.from('k'), value: Buffer.from(value) }
  }
  const batch = batchOf({ values: ['g'] })
  rb.setBaseOffset(batch, 0, 7)
  rb.setPartitionLeaderEpoch(batch, 0, 5)
  const stored = Buffer.concat([
    messageSet(0, [record('a'), record('b')]),
    messageSet(1, [record('c')], { firstOffset: 2 }),
    messageSet(1, [record('e'), record('f')], { codec: rb.Codec.LZ4, firstOffset: 4 }),
    batch,
  ])

  /** It sends these bytes to who asks for its beginning. */
  function leaderOf(bytes: Buffer) {
    const made = world()
    const [leading] = made.leaders
    const answer = leading.answer.bind(leading)
    leading.answer = (asked) => {
      const atStart = answer({ ...asked, fetchOffset: 0, lastFetchedEpoch: -1 })
      return { ...atStart, highWatermark: 8, records: asked.fetchOffset === 0 ? bytes : null }
    }
    return made
  }

  test('is followed: its messages are record batches here, with their offsets', async () => {
    const { time, followers, follow, last, linesOf } = leaderOf(stored)
    follow()
    await time.settle()
    const { log } = followers[0]
    const bytes = contentOf(followers[0])
    const found: unknown[] = []
    for (let at = 0; at < bytes.length; at += rb.batchSize(bytes, at)) {
      expect(rb.checkBatch(bytes, at, bytes.length - at)).toBeNull()
      for (const { offset, value } of rb.decodeRecords(bytes, at)) found.push([offset, String(value)])
    }
    expect(found).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [4, 'e'],
      [5, 'f'],
      [7, 'g'],
    ])
    expect([log.logEndOffset, log.latestLeaderEpoch, followers[0].highWatermark]).toEqual([8, 5, 8])
    expect(last().topics[0].partitions[0]).toMatchObject({ fetchOffset: 8, lastFetchedEpoch: 5 })
    expect(linesOf('could not be fetched')).toBe(0)
  })

  test('is asked again, ever less often and with ever fewer lines, where a message is broken', async () => {
    const broken = Buffer.from(stored)
    broken[20] ^= 1
    const { time, leader, followers, follow, linesOf } = leaderOf(broken)
    follow()
    await time.advance(60_000)
    expect(followers[0].log.logEndOffset).toBe(0)
    expect(leader.requests.length).toBeGreaterThan(50)
    expect(leader.requests.length).toBeLessThan(80)
    expect(linesOf('could not be fetched')).toBe(7)
  })
})

describe('a log that cannot be written', () => {
  test('is tried again, and the leader sends the same once more', async () => {
    const { time, leaders, followers, follow, isCaughtUp, linesOf } = world()
    leaders[0].produce('a')
    followers[0].failure = new DiskError('NO_SPACE', '/data', 'no space is left')
    follow()
    await time.advance(1)
    expect(isCaughtUp()).toBe(false)
    await time.advance(100)
    expect([isCaughtUp(), linesOf('no space is left')]).toEqual([true, 1])
  })

  test('flush.messages: what is acknowledged is on the disk', async () => {
    const { time, leader, leaders, followers, follow } = world({ config: { flushMessages: 1 } })
    leaders[0].produce('a')
    const { log } = followers[0]
    let flushed = (): void => undefined
    log.flush = () => new Promise((resolve) => (flushed = resolve))
    follow()
    await time.settle()
    expect([log.logEndOffset, leader.requests.length]).toEqual([1, 1])
    flushed()
    await time.settle()
    expect(leader.requests.length).toBe(2)
  })
})

describe('follower.replication.throttled.rate', () => {
  test('holds a replica back that is behind, until the rate is within it', async () => {
    const { time, leaders, followers, follow, isCaughtUp } = world({ maxBytesPerSecond: 500 })
    for (let i = 0; i < 60; i++) leaders[0].produce('x'.repeat(100))
    leaders[0].highWatermark = 60
    follow()
    const { log } = followers[0]
    await time.advance(5000)
    // 10 KB at 500 bytes a second: about 20 s.
    expect(log.sizeBytes).toBeLessThan(5000)
    expect(log.sizeBytes).toBeGreaterThan(1000)
    await time.advance(30_000)
    expect(isCaughtUp()).toBe(true)
  })
})
