/** TxnOffsetCommit and the markers that end its transactions. */
import { describe, expect, it } from 'vitest'
import type { GroupCoordinatorParts } from '../../src/coordinator/groups/group-coordinator.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import * as batch from '../../src/protocol/record-batch.ts'
import type { TxnOffsetCommitRequest } from '../../src/protocol/messages/28-txn-offset-commit.ts'
import { Answer, caller, commit, commitRequest, committed, GROUP, join, stableGroup, sync } from './client.ts'
import { settled, world, type World } from './world.ts'

const PRODUCER = 7
const TIMEOUT_MS = 30_000

interface TxnOptions extends Partial<TxnOffsetCommitRequest> {
  readonly version?: number
}

function commitInTransaction(w: World, offsets: Record<string, number>, options: TxnOptions = {}) {
  const { version = 3, ...request } = options
  const { topics } = commitRequest(offsets)
  const reply = w.groups.txnOffsetCommit(
    {
      transactionalId: 'copier',
      groupId: GROUP,
      producerId: PRODUCER,
      producerEpoch: 0,
      topics,
      generationId: -1,
      memberId: '',
      groupInstanceId: null,
      ...request,
    },
    caller(version),
  )
  return new Answer(reply)
}

function errorsOf(answer: ReturnType<typeof commitInTransaction>): number[] {
  return answer.now.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
}

function end(w: World, isAbort: boolean, producerId = PRODUCER): Answer<number> {
  const ending = { producerId, producerEpoch: 0, coordinatorEpoch: 3, isAbort }
  return new Answer(w.groups.endTransaction(0, ending, TIMEOUT_MS))
}

const stable = (w: World, topic = 'orders') =>
  w.groups.fetchOffsets(GROUP, [{ name: topic, partitionIndexes: [0] }], true).topics[0].partitions[0]
const UNSTABLE = { committedOffset: -1, errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT }

describe('offsets of a transaction', () => {
  it('keep the offset that was committed before from expiring, until it ends', () => {
    const config = { offsetsRetentionMs: 1_000_000, offsetsRetentionCheckIntervalMs: 100_000 }
    const w = world({ config })
    commit(w, { 'orders/0': 1, 'orders/1': 1 })
    commitInTransaction(w, { 'orders/0': 5 })
    w.time.advance(1_200_000)
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    expect(end(w, true).now).toBe(0)
    w.time.advance(100_000)
    expect(committed(w)).toEqual({})
  })

  it('count when it is committed; until then whoever asks for stable ones is told to wait', () => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5, 'clicks/0': 9 }))).toEqual([0, 0])
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    expect(stable(w)).toMatchObject(UNSTABLE)
    expect(end(w, false).now).toBe(0)
    expect(committed(w)).toEqual({ 'orders/0': 5, 'clicks/0': 9 })
    expect(stable(w)).toMatchObject({ committedOffset: 5, errorCode: 0 })
  })

  it('are dropped when it is aborted, and a group that had nothing else goes', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 })
    expect(w.groups.listGroups([], []).groups).toHaveLength(1)
    end(w, true)
    expect(committed(w)).toEqual({})
    expect(w.groups.listGroups([], []).groups).toHaveLength(0)
  })

  it('are overtaken by a commit that came after them', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5, 'orders/1': 5 })
    commit(w, { 'orders/0': 8 })
    end(w, false)
    expect(committed(w)).toEqual({ 'orders/0': 8, 'orders/1': 5 })
  })

  it('are a transactional batch of the producer, numbered from 0', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 }, { producerEpoch: 4 })
    const [bytes] = w.log.batches.get(0)!
    expect({
      producerId: batch.producerId(bytes, 0),
      producerEpoch: batch.producerEpoch(bytes, 0),
      baseSequence: batch.baseSequence(bytes, 0),
      isTransactional: batch.isTransactional(batch.attributes(bytes, 0)),
    }).toEqual({ producerId: PRODUCER, producerEpoch: 4, baseSequence: 0, isTransactional: true })
  })

  it('of two producers end each with its own', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 })
    commitInTransaction(w, { 'clicks/0': 6 }, { producerId: 8 })
    end(w, true, 8)
    expect([stable(w), stable(w, 'clicks')]).toMatchObject([UNSTABLE, { committedOffset: -1, errorCode: 0 }])
    end(w, false)
    expect(committed(w)).toEqual({ 'orders/0': 5 })
  })

  it('are the same to a coordinator that loads them', () => {
    const w = world()
    commit(w, { 'orders/0': 1, 'clicks/0': 1 })
    commitInTransaction(w, { 'orders/0': 5 })
    end(w, false)
    commitInTransaction(w, { 'clicks/0': 6 })
    const later = world({ log: w.log })
    expect([stable(later), stable(later, 'clicks')]).toMatchObject([{ committedOffset: 5 }, UNSTABLE])
    end(later, false)
    expect(committed(later)).toEqual({ 'orders/0': 5, 'clicks/0': 6 })
  })
})

describe('offsets of a transaction that has not ended', () => {
  const partitions = [{ partitionIndex: 0 }]
  const removals: [string, (w: World) => unknown][] = [
    [
      'OffsetDelete',
      (w) => w.groups.offsetDelete({ groupId: GROUP, topics: [{ name: 'orders', partitions }] }),
    ],
    ['the deletion of the topic', (w) => w.groups.onPartitionsDeleted([{ topic: 'orders', partition: 0 }])],
  ]

  it.each(removals)('are dropped by %s, those of other partitions are not', (_what, remove) => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5, 'orders/1': 6 })
    remove(w)
    expect(stable(w)).toMatchObject({ committedOffset: -1, errorCode: 0 })
    const later = world({ log: w.log })
    for (const each of [w, later]) {
      end(each, false)
      expect(committed(each)).toEqual({ 'orders/1': 6 })
    }
  })

  it.each(removals)('that are committed once more after %s count', (_what, remove) => {
    const w = world()
    commit(w, { 'orders/0': 1 })
    commitInTransaction(w, { 'orders/0': 5 })
    remove(w)
    expect(committed(w)).toEqual({})
    commitInTransaction(w, { 'orders/0': 7 })
    const later = world({ log: w.log })
    for (const each of [w, later]) {
      end(each, false)
      expect(committed(each)).toEqual({ 'orders/0': 7 })
    }
  })

  it('go with their group, also for whoever loads them', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 })
    expect(w.groups.deleteGroup(GROUP)).toBe(0)
    const later = world({ log: w.log })
    for (const each of [w, later]) {
      end(each, false)
      expect(committed(each)).toEqual({})
      expect(each.groups.listGroups([], []).groups).toEqual([])
    }
  })
})

describe('offsets of a transaction on a log that commits later', () => {
  it('are removed by what came after them, committed or not', async () => {
    const w = world()
    w.log.late = true
    commitInTransaction(w, { 'orders/0': 5, 'clicks/0': 6 })
    const removed = new Answer(
      w.groups.offsetDelete({
        groupId: GROUP,
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }],
      }),
    )
    await w.log.commitNext()
    expect([stable(w), removed.isWaiting]).toMatchObject([UNSTABLE, true])
    await w.log.commitNext()
    expect([stable(w), removed.isWaiting]).toMatchObject([{ committedOffset: -1, errorCode: 0 }, false])
    end(w, false)
    await w.log.commitNext()
    expect(committed(w)).toEqual({ 'clicks/0': 6 })
  })

  it('take effect when the marker is committed, in the order of the log', async () => {
    const w = world()
    w.log.late = true
    const first = commitInTransaction(w, { 'orders/0': 5 })
    const marker = end(w, false)
    expect([first.isWaiting, marker.isWaiting]).toEqual([true, true])
    expect(stable(w)).toMatchObject(UNSTABLE)
    await w.log.commitNext()
    expect([errorsOf(first), marker.isWaiting]).toEqual([[0], true])
    expect([stable(w), committed(w)]).toMatchObject([UNSTABLE, {}])
    await w.log.commitNext()
    expect([marker.now, committed(w)]).toEqual([0, { 'orders/0': 5 }])
  })

  it('wait for a marker that is written again when the first one was not committed in time', async () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 })
    w.log.late = true
    const marker = end(w, false)
    await w.log.commitNext(ErrorCode.REQUEST_TIMED_OUT)
    expect([marker.now, committed(w)]).toEqual([ErrorCode.REQUEST_TIMED_OUT, {}])
    const again = end(w, false)
    await w.log.commitNext()
    expect([again.now, committed(w)]).toEqual([0, { 'orders/0': 5 }])
  })

  it('that fail leave nothing behind', async () => {
    const w = world()
    w.log.late = true
    const failed = commitInTransaction(w, { 'orders/0': 5 })
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    expect(errorsOf(failed)).toEqual([ErrorCode.COORDINATOR_NOT_AVAILABLE])
    expect(w.groups.listGroups([], []).groups).toHaveLength(0)
  })
})

describe('a marker', () => {
  it('is for the partition’s leader: elsewhere, and while it loads, it is to be sent again', () => {
    const w = world({ elect: false })
    expect(end(w, false).now).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    const full = world()
    commit(full, { 'orders/0': 1 })
    const loading = world({ log: full.log, elect: false })
    loading.groups.onElected(0, 0)
    expect(end(loading, false).now).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    loading.time.advance(1)
    expect(end(loading, false).now).toBe(0)
  })

  it('that the log refuses changes nothing', () => {
    const w = world()
    commitInTransaction(w, { 'orders/0': 5 })
    w.log.appendError = ErrorCode.TRANSACTION_COORDINATOR_FENCED
    expect(end(w, false).now).toBe(ErrorCode.TRANSACTION_COORDINATOR_FENCED)
    expect(stable(w)).toMatchObject(UNSTABLE)
  })
})

describe('who may commit in a transaction', () => {
  it('whoever does not say who it is, whatever state the group is in', async () => {
    const w = world()
    await stableGroup(w, 1)
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }, { version: 2 }))).toEqual([0])
  })

  it('a member in its generation, also before it has its assignment', async () => {
    const w = world()
    const { memberId, generationId = -1 } = join(w).now
    const member = { memberId, generationId }
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }, member))).toEqual([0])
    await settled()
    sync(w, member)
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 6 }, member))).toEqual([0])
  })

  it.each([
    ['a generation that is over', { generationId: 0 }, ErrorCode.ILLEGAL_GENERATION],
    ['a member that is not there', { memberId: 'nobody' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['an instance that is not there', { groupInstanceId: 'nobody' }, ErrorCode.UNKNOWN_MEMBER_ID],
    ['a group without a name', { groupId: '' }, ErrorCode.INVALID_GROUP_ID],
  ])('not %s', async (_what, wrong, error) => {
    const w = world()
    const [memberId] = await stableGroup(w, 1)
    const request = { memberId, generationId: 1, ...wrong }
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }, request))).toEqual([error])
    expect(stable(w)).toMatchObject({ errorCode: 0 })
  })

  it.each([
    [4, ErrorCode.UNKNOWN_MEMBER_ID],
    [5, ErrorCode.ILLEGAL_GENERATION],
  ])('not a generation of a group that is not there: in version %i it hears %i', (version, told) => {
    const w = world()
    const nobody = { version, memberId: 'nobody', generationId: 0 }
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }, nobody))).toEqual([told])
    expect(w.groups.listGroups([], []).groups).toEqual([])
    commit(w, { 'orders/0': 1 })
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }, nobody))).toEqual([ErrorCode.UNKNOWN_MEMBER_ID])
  })

  it('for topics that exist: others are told so alone', () => {
    const w = world()
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5, 'nothing/0': 1 }))).toEqual([
      0,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ])
  })
})

describe('the coordinator of the transaction', () => {
  type Verify = GroupCoordinatorParts['verifyTransaction']
  const refusing =
    (error: number): Verify =>
    () => ({ error, guard: null })

  it.each([
    [ErrorCode.INVALID_TXN_STATE, ErrorCode.INVALID_TXN_STATE],
    [ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_PRODUCER_EPOCH],
    [ErrorCode.NETWORK_EXCEPTION, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS],
    [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR],
  ])('may say %i: then nothing is written, and the producer hears %i', (error, told) => {
    const w = world({ verifyTransaction: refusing(error) })
    expect(errorsOf(commitInTransaction(w, { 'orders/0': 5 }))).toEqual([told])
    expect(w.log.records()).toEqual([])
    expect(w.groups.listGroups([], []).groups).toHaveLength(0)
  })

  it('is asked of the partition that holds the group; its answer may come when this is no coordinator any more', async () => {
    const asked: unknown[] = []
    const answers: (() => void)[] = []
    const verifyTransaction: Verify = (index, { transactionalId, producerId }, apiVersion) => {
      asked.push({ index, transactionalId, producerId, apiVersion })
      return new Promise((resolve) => answers.push(() => resolve({ error: 0, guard: undefined })))
    }
    const w = world({ verifyTransaction })
    const first = commitInTransaction(w, { 'orders/0': 5 })
    expect(asked).toEqual([{ index: 0, transactionalId: 'copier', producerId: PRODUCER, apiVersion: 3 }])
    answers[0]()
    await settled()
    expect(errorsOf(first)).toEqual([0])
    const second = commitInTransaction(w, { 'orders/0': 6 })
    w.groups.onResigned(0)
    answers[1]()
    await settled()
    expect(errorsOf(second)).toEqual([ErrorCode.NOT_COORDINATOR])
  })
})
