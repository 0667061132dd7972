import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { deleteTopicsApi } from '../../../src/protocol/messages/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../src/protocol/messages/21-delete-records.ts'
import { startProcess } from '../broker-process.ts'
import {
  batchOf,
  createTopic,
  describeTopic,
  fetch,
  fetchAll,
  produce,
  valuesIn,
  type FetchOptions,
  type Wanted,
} from '../requests.ts'
import { useBroker } from '../use-broker.ts'
import type { WireClient } from '../wire-client.ts'

/** Longer than any test may take: what ends the waiting is never the clock. */
const MAX_WAIT_MS = 3_600_123

const broker = useBroker()
let other: WireClient
let topic = ''
let topics = 0

beforeAll(async () => {
  other = await broker.process.connect()
})
beforeEach(async () => {
  topic = `topic-${topics++}`
  await createTopic(broker.client, topic, {}, 3)
})

/** As when the controller elects this broker anew. Gives the epoch that has ended. */
function openNextEpoch(): { topicId: string; endedEpoch: number } {
  const partition = broker.process.broker.parts.services.replicas.get(topic, 0)!
  const { topicId, leader, isr, replicas, partitionEpoch, leaderEpoch } = partition
  const state = { topic, topicId, partition: 0, leader, isr, replicas, partitionEpoch, isNew: false }
  partition.makeLeader({ ...state, leaderEpoch: leaderEpoch + 1 })
  return { topicId, endedEpoch: leaderEpoch }
}

async function deleteTopic(name: string): Promise<void> {
  const reply = await other.request(deleteTopicsApi, 5, { topicNames: [name], timeoutMs: 5000 })
  expect(reply.responses[0].errorCode).toBe(ErrorCode.NONE)
}

describe('waiting for bytes', () => {
  const waiting = { maxWaitMs: MAX_WAIT_MS, minBytes: 1 }

  test('a fetch waits, and an append from another connection ends it', async () => {
    const fetched = fetch(broker.client, topic, 0, waiting)
    const timer = await broker.process.waitsFor(MAX_WAIT_MS)
    await produce(other, topic, batchOf(['elsewhere']), { partition: 1 })
    expect(timer.pending).toBe(true)
    await produce(other, topic, batchOf(['here']))
    expect(valuesIn((await fetched).records)).toEqual(['here'])
    expect(timer.pending).toBe(false)
  })

  test('it goes on until min bytes are there, over all its partitions together', async () => {
    const batch = batchOf(['one of three'])
    await produce(other, topic, batch)
    const options = { maxWaitMs: MAX_WAIT_MS, minBytes: 3 * batch.length }
    const wanted = [0, 1, 2].map((partition) => ({ topic, partition }))
    const fetched = fetchAll(broker.client, wanted, options)
    const timer = await broker.process.waitsFor(MAX_WAIT_MS)
    await produce(other, topic, batch, { partition: 1 })
    expect(timer.pending).toBe(true)
    await produce(other, topic, batch, { partition: 2 })
    const { responses } = await fetched
    const sizes = responses.flatMap(({ partitions }) => partitions.map(({ records }) => records!.length))
    expect(sizes).toEqual([batch.length, batch.length, batch.length])
  })

  test('max wait ends it with what there is', async () => {
    const batch = batchOf(['a'])
    await produce(other, topic, batch)
    const fetched = fetch(broker.client, topic, 0, { maxWaitMs: MAX_WAIT_MS, minBytes: batch.length + 1 })
    const timer = await broker.process.waitsFor(MAX_WAIT_MS)
    timer.fire()
    expect(valuesIn((await fetched).records)).toEqual(['a'])
  })

  test('nothing new is an empty set of records, and not null', async () => {
    const fetched = fetch(broker.client, topic, 0, waiting)
    ;(await broker.process.waitsFor(MAX_WAIT_MS)).fire()
    expect(await fetched).toMatchObject({ errorCode: 0, highWatermark: 0, lastStableOffset: 0 })
    expect((await fetched).records).toEqual(Buffer.alloc(0))
  })

  test('an error in one partition is answered at once', async () => {
    const wanted = [
      { topic, offset: 0 },
      { topic, partition: 1, offset: 100 },
    ]
    const { responses } = await fetchAll(broker.client, wanted, waiting)
    const codes = responses.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
    expect(codes).toEqual([ErrorCode.NONE, ErrorCode.OFFSET_OUT_OF_RANGE])
  })

  test('the end of the topic ends it', async () => {
    const fetched = fetch(broker.client, topic, 0, waiting)
    await broker.process.waitsFor(MAX_WAIT_MS)
    await deleteTopic(topic)
    expect((await fetched).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  })

  test('a fetch of nothing is answered at once', async () => {
    expect((await fetchAll(broker.client, [], waiting)).responses).toEqual([])
  })

  test('a client that goes while it waits leaves nothing behind', async () => {
    const gone = await broker.process.connect()
    fetch(gone, topic, 0, waiting).catch(() => undefined)
    const timer = await broker.process.waitsFor(MAX_WAIT_MS)
    gone.close()
    await gone.closed
    await produce(other, topic, batchOf(['unheard']))
    expect(timer.pending).toBe(false)
    expect(valuesIn((await fetch(broker.client, topic)).records)).toEqual(['unheard'])
  })
})

describe('limits', () => {
  const batch = batchOf(['a batch of some length'])
  const size = batch.length

  beforeEach(async () => {
    for (const partition of [0, 1]) {
      for (let count = 0; count < 3; count++) await produce(broker.client, topic, batch, { partition })
    }
  })

  const sizes = async (wanted: readonly Wanted[], options: FetchOptions = {}): Promise<number[]> => {
    const { responses } = await fetchAll(broker.client, wanted, options)
    return responses.flatMap(({ partitions }) => partitions.map(({ records }) => records!.length))
  }

  test('a partition gives whole batches up to its limit', async () => {
    expect(await sizes([{ topic, maxBytes: 2 * size + 1 }])).toEqual([2 * size])
  })

  test('the first batch of the first partition that has one is given even if it is larger (KIP-74)', async () => {
    const both = [0, 1].map((partition) => ({ topic, partition, maxBytes: 1 }))
    expect(await sizes(both)).toEqual([size, 0])
    expect(
      await sizes(
        [
          { topic, offset: 3 },
          { topic, partition: 1 },
        ],
        { maxBytes: 1 },
      ),
    ).toEqual([0, size])
  })

  test('the limit of the request is shared out in the order of its partitions', async () => {
    const both = [1, 0].map((partition) => ({ topic, partition }))
    expect(await sizes(both, { maxBytes: 4 * size + 1 })).toEqual([3 * size, size])
  })

  test('limits of 0 and below count as "as little as possible"', async () => {
    expect(await sizes([{ topic, maxBytes: 0 }])).toEqual([size])
    expect(await sizes([{ topic, maxBytes: -5 }], { maxBytes: -1 })).toEqual([size])
  })

  test('fetch.max.bytes of the broker limits every request', async () => {
    const small = await startProcess(new SimDisk({ random: new SeededRandom(1) }), {
      'fetch.max.bytes': '1024',
    })
    try {
      const reader = await small.connect()
      await createTopic(reader, topic)
      const values = ['x'.repeat(400)]
      for (let count = 0; count < 3; count++) await produce(reader, topic, batchOf(values))
      expect(valuesIn((await fetch(reader, topic)).records)).toEqual([...values, ...values])
    } finally {
      await small.stop()
    }
  })
})

describe('where a fetch begins', () => {
  beforeEach(async () => {
    await produce(broker.client, topic, batchOf(['a', 'b', 'c']))
    await produce(broker.client, topic, batchOf(['d']))
  })

  test('in the middle of a batch: the whole batch is given, the client skips', async () => {
    expect(valuesIn((await fetch(broker.client, topic, 1)).records)).toEqual(['a', 'b', 'c', 'd'])
    expect(valuesIn((await fetch(broker.client, topic, 3)).records)).toEqual(['d'])
  })

  test('at the end there is nothing, beyond it and below the start it is out of range', async () => {
    expect(await fetch(broker.client, topic, 4)).toMatchObject({
      errorCode: ErrorCode.NONE,
      highWatermark: 4,
    })
    const outOfRange = {
      errorCode: ErrorCode.OFFSET_OUT_OF_RANGE,
      highWatermark: -1,
      lastStableOffset: -1,
      logStartOffset: -1,
    }
    expect(await fetch(broker.client, topic, 5)).toMatchObject(outOfRange)
    expect(await fetch(broker.client, topic, -1)).toMatchObject(outOfRange)
    const partitions = [{ partitionIndex: 0, offset: 3 }]
    await broker.client.request(deleteRecordsApi, 2, {
      topics: [{ name: topic, partitions }],
      timeoutMs: 5000,
    })
    expect(await fetch(broker.client, topic, 2)).toMatchObject(outOfRange)
    expect(await fetch(broker.client, topic, 3)).toMatchObject({
      errorCode: ErrorCode.NONE,
      logStartOffset: 3,
    })
  })

  test('READ_COMMITTED gets a list of aborted transactions, READ_UNCOMMITTED null', async () => {
    expect((await fetch(broker.client, topic, 0, { isolationLevel: 1 })).abortedTransactions).toEqual([])
    expect((await fetch(broker.client, topic, 0)).abortedTransactions).toBeNull()
  })

  test('unknown topics and partitions', async () => {
    const { responses } = await fetchAll(broker.client, [{ topic: 'nowhere' }, { topic, partition: 3 }])
    const codes = responses.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
    expect(codes).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
  })

  test('a leader epoch that is too old is fenced, one that is too new is unknown (KIP-320)', async () => {
    const { endedEpoch } = openNextEpoch()
    const code = async (currentLeaderEpoch: number, version = 12) =>
      (await fetch(broker.client, topic, 0, { currentLeaderEpoch, version })).errorCode
    expect(await code(endedEpoch)).toBe(ErrorCode.FENCED_LEADER_EPOCH)
    expect(await code(endedEpoch + 1)).toBe(ErrorCode.NONE)
    expect(await code(endedEpoch + 2)).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH)
    expect(await code(endedEpoch, 8)).toBe(ErrorCode.NONE)
  })

  test('version 16 tells whoever is fenced who leads, and where (KIP-951)', async () => {
    const { topicId, endedEpoch } = openNextEpoch()
    const wanted = [{ topicId, currentLeaderEpoch: endedEpoch }]
    const { responses, nodeEndpoints } = await fetchAll(broker.client, wanted, { version: 16 })
    expect(responses[0].partitions[0]).toMatchObject({
      errorCode: ErrorCode.FENCED_LEADER_EPOCH,
      currentLeader: { leaderId: 1 },
    })
    expect(nodeEndpoints).toEqual([{ nodeId: 1, host: '127.0.0.1', port: broker.process.port, rack: null }])
    expect((await fetchAll(broker.client, wanted, { version: 15 })).nodeEndpoints).toEqual([])
  })

  test('version 12 tells where logs diverge (KIP-595)', async () => {
    const { endedEpoch } = openNextEpoch()
    await produce(broker.client, topic, batchOf(['e', 'f']))
    const reply = await fetch(broker.client, topic, 6, {
      lastFetchedEpoch: endedEpoch,
      maxWaitMs: MAX_WAIT_MS,
    })
    expect(reply).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: endedEpoch, endOffset: 4 } })
    const same = await fetch(broker.client, topic, 6, { lastFetchedEpoch: endedEpoch + 1 })
    expect(same).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: -1, endOffset: -1 } })
    const unknown = await fetch(broker.client, topic, 6, { lastFetchedEpoch: endedEpoch + 2 })
    expect(unknown.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
  })
})

describe('topic ids (KIP-516)', () => {
  test('from version 13 on topics go by id', async () => {
    const { topicId } = await describeTopic(broker.client, topic)
    await produce(broker.client, topic, batchOf(['a']))
    const { responses } = await fetchAll(broker.client, [{ topicId }], { version: 13 })
    expect(responses[0].topicId).toBe(topicId)
    expect(valuesIn(responses[0].partitions[0].records)).toEqual(['a'])
  })

  test('an unknown id, and the id of a topic that was made again, are refused', async () => {
    const codes = async (topicId: string, options: FetchOptions = {}) =>
      (await fetchAll(broker.client, [{ topicId }], { version: 17, ...options })).responses.map(
        ({ partitions }) => partitions[0].errorCode,
      )
    expect(await codes('AAAAAAAAAAAAAAAAAAAAAQ')).toEqual([ErrorCode.UNKNOWN_TOPIC_ID])
    const { topicId } = await describeTopic(broker.client, topic)
    await deleteTopic(topic)
    expect(await createTopic(broker.client, topic)).toBe(ErrorCode.NONE)
    expect(await codes(topicId)).toEqual([ErrorCode.UNKNOWN_TOPIC_ID])
  })
})

describe('fetch sessions (KIP-227)', () => {
  /** Partition and values of what was answered. */
  const answered = ({ responses }: Awaited<ReturnType<typeof fetchAll>>) =>
    responses.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex, records }): [number, string[]] => [
        partitionIndex,
        valuesIn(records),
      ]),
    )
  const both = () => [0, 1].map((partition) => ({ topic, partition }))
  const open = async () => (await fetchAll(broker.client, both(), { sessionEpoch: 0 })).sessionId
  const next = (sessionId: number, sessionEpoch: number, wanted: Wanted[] = [], options: FetchOptions = {}) =>
    fetchAll(broker.client, wanted, { sessionId, sessionEpoch, ...options })

  test('a full fetch opens one; then only partitions with news are told', async () => {
    await produce(broker.client, topic, batchOf(['a']))
    const full = await fetchAll(broker.client, both(), { sessionEpoch: 0 })
    expect(answered(full)).toEqual([
      [0, ['a']],
      [1, []],
    ])
    const id = full.sessionId
    expect(id).toBeGreaterThan(0)
    expect(answered(await next(id, 1, [{ topic, offset: 1 }]))).toEqual([])
    await produce(broker.client, topic, batchOf(['b']), { partition: 1 })
    expect(answered(await next(id, 2))).toEqual([[1, ['b']]])
    // It is told again as long as the client does not move on.
    expect(answered(await next(id, 3))).toEqual([[1, ['b']]])
    expect(answered(await next(id, 4, [{ topic, partition: 1, offset: 1 }]))).toEqual([])
  })

  test('an incremental fetch without news waits for some', async () => {
    const id = await open()
    const waiting = next(id, 1, [], { maxWaitMs: MAX_WAIT_MS })
    await broker.process.waitsFor(MAX_WAIT_MS)
    await produce(other, topic, batchOf(['a']))
    expect(answered(await waiting)).toEqual([[0, ['a']]])
  })

  test('partitions are added and forgotten', async () => {
    const id = await open()
    for (const partition of [0, 1, 2])
      await produce(broker.client, topic, batchOf([`p${partition}`]), { partition })
    const forgottenTopicsData = [{ topic, partitions: [0] }]
    const reply = await next(id, 1, [{ topic, partition: 2 }], { forgottenTopicsData })
    expect(answered(reply)).toEqual([
      [1, ['p1']],
      [2, ['p2']],
    ])
  })

  test('a partition that gave data goes behind the others, so that none starves', async () => {
    const id = await open()
    const batch = batchOf(['x'])
    for (const partition of [0, 1]) await produce(broker.client, topic, batch, { partition })
    const limits = { maxBytes: 1 }
    expect(answered(await next(id, 1, [], limits)).filter(([, values]) => values.length > 0)).toEqual([
      [0, ['x']],
    ])
    expect(answered(await next(id, 2, [], limits)).filter(([, values]) => values.length > 0)).toEqual([
      [1, ['x']],
    ])
  })

  test('after an error the partition is told again, whatever was told before', async () => {
    const id = await open()
    const [wrong] = (await next(id, 1, [{ topic, offset: 9 }])).responses[0].partitions
    expect(wrong.errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    const [right] = (await next(id, 2, [{ topic, offset: 0 }])).responses[0].partitions
    expect(right).toMatchObject({ partitionIndex: 0, errorCode: 0, highWatermark: 0 })
  })

  test('unknown ids and wrong epochs are errors of the whole reply', async () => {
    const id = await open()
    expect((await next(id, 2)).errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
    expect((await next(id === 1 ? 2 : 1, 1)).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    expect((await next(id, 1)).errorCode).toBe(ErrorCode.NONE)
    expect((await next(id, 2, [], { version: 13 })).errorCode).toBe(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
  })

  test('epoch -1 closes it', async () => {
    const id = await open()
    expect((await next(id, -1, both())).sessionId).toBe(0)
    expect((await next(id, 1)).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
  })

  test('a topic that is made again is another topic to a session that goes by id', async () => {
    const { topicId } = await describeTopic(broker.client, topic)
    const options = { version: 13, sessionEpoch: 0 }
    const { sessionId } = await fetchAll(broker.client, [{ topicId }], options)
    const code = async (sessionEpoch: number) =>
      (await next(sessionId, sessionEpoch, [], { version: 13 })).responses[0].partitions[0].errorCode
    await deleteTopic(topic)
    expect(await code(1)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    await createTopic(broker.client, topic)
    expect(await code(2)).toBe(ErrorCode.INCONSISTENT_TOPIC_ID)
  })
})
