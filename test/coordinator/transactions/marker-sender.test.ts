/** Markers on their way: gathered, asked again, given up; and what a coordinator finds after a load. */
import { describe, expect, it, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { add, end, FakeBrokers, init, logged, settled, state, world } from './world.ts'
import type { World } from './world.ts'

/** A committed transaction over these partitions, whose markers are on their way. */
async function committing(partitions: readonly string[], brokers = new FakeBrokers()): Promise<World> {
  const w = world({ brokers })
  const producer = await init(w)
  await add(w, producer, partitions)
  brokers.late = true
  expect((await end(w, producer, true)).errorCode).toBe(ErrorCode.NONE)
  return w
}

/** All that waits is answered, and all that was to come again within the time has come. */
async function after(w: World, ms: number): Promise<void> {
  w.brokers.late = false
  await w.brokers.answerNext()
  for (let passed = 0; passed < ms; passed += 50) {
    w.time.advance(50)
    await settled()
  }
}

describe('to each leader one request', () => {
  it('names all partitions that it leads', async () => {
    const brokers = new FakeBrokers()
    brokers.leaders.set('orders/1', 2)
    const w = await committing(['orders/0', 'orders/1', 'clicks/0'], brokers)
    expect(brokers.requests.map(({ brokerId, markers }) => [brokerId, markers[0].topics])).toEqual([
      [
        1,
        [
          { name: 'orders', partitionIndexes: [0] },
          { name: 'clicks', partitionIndexes: [0] },
        ],
      ],
      [2, [{ name: 'orders', partitionIndexes: [1] }]],
    ])
    await brokers.answerNext()
    expect(state(w)).toBe('PrepareCommit 1/0 orders/1')
    await brokers.answerNext()
    expect(state(w)).toBe('CompleteCommit 1/0')
  })

  it('and the next when that is answered, with all that has come meanwhile', async () => {
    const w = await committing(['orders/0'])
    for (const id of ['a', 'b', 'c']) {
      const producer = await init(w, { id })
      await add(w, producer, ['orders/0'], { id })
      await end(w, producer, false, { id })
    }
    expect(w.brokers.requests.length).toBe(1)
    await w.brokers.answerNext()
    expect(w.brokers.requests.map(({ markers }) => markers.length)).toEqual([1, 3])
    await w.brokers.answerNext()
    expect(['a', 'b', 'c'].map((id) => state(w, id))).toEqual([2, 3, 4].map((id) => `CompleteAbort ${id}/0`))
  })
})

describe('what a partition answers', () => {
  test.each([
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_SERVER_ERROR,
  ])('%i: it is asked again, and only it', async (error) => {
    const w = await committing(['orders/0', 'orders/1'])
    w.brokers.errors.set('orders/1', [error, error])
    await after(w, 1000)
    expect(w.brokers.sent).toEqual(
      ['orders/0', 'orders/1', 'orders/1', 'orders/1'].map((each) => `commit ${each} 1/0 @5`),
    )
    expect(state(w)).toBe('CompleteCommit 1/0')
  })

  test.each([ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, ErrorCode.UNSUPPORTED_VERSION])(
    '%i: it can have no marker, and needs none',
    async (error) => {
      const w = await committing(['orders/0', 'orders/1'])
      w.brokers.errors.set('orders/1', [error])
      await after(w, 0)
      expect(state(w)).toBe('CompleteCommit 1/0')
    },
  )

  test.each([ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED])(
    '%i: somebody else has taken it over, and nothing more is sent or written',
    async (error) => {
      const w = await committing(['orders/0', 'orders/1'])
      w.brokers.errors.set('orders/0', [error])
      w.brokers.errors.set('orders/1', [ErrorCode.NOT_LEADER_OR_FOLLOWER])
      await after(w, 2000)
      expect(w.brokers.requests.length).toBe(1)
      expect(logged(w).at(-1)).toBe('PrepareCommit 1/0 orders/0 orders/1')
      expect((await init(w)).errorCode).toBe(ErrorCode.CONCURRENT_TRANSACTIONS)
    },
  )

  test('nothing: it is asked again', async () => {
    const w = await committing(['orders/0'])
    w.brokers.silent = true
    await after(w, 0)
    w.brokers.silent = false
    await after(w, 1000)
    expect(w.brokers.requests.length).toBe(2)
    expect(state(w)).toBe('CompleteCommit 1/0')
  })
})

describe('a broker that does not answer', () => {
  it('is asked again, less and less often; or whoever leads then', async () => {
    const w = await committing(['orders/0', 'orders/1'])
    w.brokers.down.add(1)
    await after(w, 20_000)
    const tries = w.brokers.requests.length
    expect(tries).toBeGreaterThan(15)
    expect(tries).toBeLessThan(30)
    w.brokers.leaders.set('orders/0', 2)
    w.brokers.leaders.set('orders/1', 3)
    await after(w, 1000)
    expect(w.brokers.requests.slice(tries).map(({ brokerId }) => brokerId)).toEqual([2, 3])
    expect(state(w)).toBe('CompleteCommit 1/0')
  })
})

describe('a partition', () => {
  it('without a leader is waited for, until the cluster says that it has one', async () => {
    const brokers = new FakeBrokers()
    brokers.leaders.set('orders/0', null)
    const w = await committing(['orders/0'], brokers)
    await after(w, 5000)
    expect(state(w)).toBe('PrepareCommit 1/0 orders/0')
    expect(brokers.requests).toEqual([])
    brokers.leaders.set('orders/0', 4)
    w.transactions.metadataChanged()
    await settled()
    expect(state(w)).toBe('CompleteCommit 1/0')
  })

  it('that is deleted needs no marker', async () => {
    const brokers = new FakeBrokers()
    brokers.leaders.set('orders/0', undefined)
    const w = await committing(['orders/0', 'orders/1'], brokers)
    await after(w, 0)
    expect(brokers.sent).toEqual(['commit orders/1 1/0 @5'])
    expect(state(w)).toBe('CompleteCommit 1/0')
  })
})

describe('another coordinator', () => {
  it('carries on with what was decided, in its own epoch', async () => {
    const before = await committing(['orders/0'])
    const w = world({ log: before.log, leaderEpoch: 6 })
    expect(w.transactions.describe('payments').transactionState).toBe('PrepareCommit')
    await settled()
    expect(w.brokers.sent).toEqual(['commit orders/0 1/0 @6'])
    expect(state(w)).toBe('CompleteCommit 1/0')
    expect(logged(w).at(-1)).toBe('CompleteCommit 1/0')
  })

  it('leaves what is open to its producer', async () => {
    const before = world()
    const producer = await init(before)
    await add(before, producer, ['orders/0'])
    const w = world({ log: before.log, leaderEpoch: 6 })
    expect(state(w)).toBe('Ongoing 1/0 orders/0')
    expect((await end(w, producer, true)).errorCode).toBe(ErrorCode.NONE)
  })

  it('gives partitions time to become known to it', async () => {
    const before = await committing(['orders/0', 'orders/1'])
    const brokers = new FakeBrokers()
    brokers.leaders.set('orders/0', undefined)
    brokers.leaders.set('orders/1', undefined)
    const w = world({ log: before.log, leaderEpoch: 6, brokers })
    await after(w, 3000)
    expect(state(w)).toBe('PrepareCommit 1/0 orders/0 orders/1')
    brokers.leaders.set('orders/0', 1)
    await after(w, 12_000)
    expect(brokers.sent).toEqual(['commit orders/0 1/0 @6'])
    expect(state(w)).toBe('CompleteCommit 1/0')
  })

  it('the one before sends nothing more, and says that it is none', async () => {
    const w = await committing(['orders/0'])
    w.transactions.onResigned(0, 6)
    w.brokers.errors.set('orders/0', [ErrorCode.NOT_LEADER_OR_FOLLOWER])
    await after(w, 2000)
    expect(w.brokers.requests.length).toBe(1)
    expect(logged(w).at(-1)).toBe('PrepareCommit 1/0 orders/0')
    expect(state(w)).toBe(ErrorCode.NOT_COORDINATOR)
    expect((await init(w)).errorCode).toBe(ErrorCode.NOT_COORDINATOR)
  })

  it('does not hear of a write that ends after it has resigned and been elected again', async () => {
    const w = world()
    const producer = await init(w)
    w.log.late = true
    const added = add(w, producer, ['orders/0'])
    w.transactions.onResigned(0, 6)
    w.transactions.onElected(0, 7)
    w.time.advance(0)
    await w.log.commitNext()
    expect(await added).toBe(ErrorCode.NOT_COORDINATOR)
  })
})

describe('a coordinator that does not serve', () => {
  it('says so', async () => {
    const w = world()
    w.transactions.stop()
    expect(state(w)).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect((await init(w)).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    const filters = { stateFilters: [], producerIdFilters: [], durationFilter: -1 }
    expect(w.transactions.list(filters).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  })

  it('a log that cannot be read is not taken for an empty one', async () => {
    const before = world()
    await init(before)
    before.log.readFails = true
    expect((await init(world({ log: before.log }))).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  })
})
