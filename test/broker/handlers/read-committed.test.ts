/** What READ_COMMITTED consumers see while transactions are open, and when they end. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { endMarkerBatch } from '../../../src/protocol/end-marker.ts'
import { listOffsetsApi } from '../../../src/protocol/messages/02-list-offsets.ts'
import type { Partition } from '../../../src/replication/partition.ts'
import { batchOf, createTopic, EPOCH_MS, fetch, produce, valuesIn } from '../requests.ts'
import { useBroker } from '../use-broker.ts'
import type { WireClient } from '../wire-client.ts'

/** Longer than any test may take: what ends the waiting is never the clock. */
const MAX_WAIT_MS = 3_600_123
const READ_COMMITTED = 1

const broker = useBroker()
let other: WireClient
let topic = ''
let topics = 0

beforeAll(async () => {
  other = await broker.process.connect()
})
beforeEach(async () => {
  topic = `topic-${topics++}`
  await createTopic(broker.client, topic)
})

const partition = (): Partition => broker.process.broker.parts.services.replicas.get(topic, 0)!

function begin(producerId: number, value: string): void {
  const batch = batchOf([value], { producerId, producerEpoch: 0, transactional: true })
  expect(partition().append(batch, 'coordinator', -1).error).toBe(0)
}

function end(producerId: number, isAbort: boolean): void {
  const marker = endMarkerBatch({ producerId, producerEpoch: 0, coordinatorEpoch: 0, isAbort }, EPOCH_MS)
  expect(partition().append(marker, 'coordinator', -1).error).toBe(0)
}

/** The values of whole batches without markers. */
function dataIn(records: Buffer | null): string[] {
  return valuesIn(records).filter((value) => !value.includes('\0'))
}

async function latest(isolationLevel: number, version = 7): Promise<number> {
  const wanted = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
  const reply = await other.request(listOffsetsApi, version, {
    replicaId: -1,
    isolationLevel,
    topics: wanted,
  })
  return reply.topics[0].partitions[0].offset
}

describe('a READ_COMMITTED fetch', () => {
  const committed = { isolationLevel: READ_COMMITTED }
  const waiting = { ...committed, maxWaitMs: MAX_WAIT_MS, minBytes: 1 }

  test('ends where a transaction is open, and tells what was aborted', async () => {
    await produce(other, topic, batchOf(['plain']))
    begin(1, 'aborted')
    begin(2, 'open')
    end(1, true)
    const before = await fetch(broker.client, topic, 0, committed)
    expect(before).toMatchObject({ highWatermark: 4, lastStableOffset: 2 })
    expect(dataIn(before.records)).toEqual(['plain', 'aborted'])
    expect(before.abortedTransactions).toEqual([{ producerId: 1, firstOffset: 1 }])
    end(2, false)
    const after = await fetch(broker.client, topic, 0, committed)
    expect(after).toMatchObject({ highWatermark: 5, lastStableOffset: 5 })
    expect(dataIn(after.records)).toEqual(['plain', 'aborted', 'open'])
    expect(after.abortedTransactions).toEqual([{ producerId: 1, firstOffset: 1 }])
  })

  test('tells of what was aborted in the records that it gives, and of no more', async () => {
    for (let producerId = 1; producerId <= 3; producerId++) {
      begin(producerId, 'aborted')
      end(producerId, true)
    }
    const told = async (offset: number, maxBytes: number) =>
      (await fetch(broker.client, topic, offset, { ...committed, maxBytes })).abortedTransactions!.map(
        ({ producerId }) => producerId,
      )
    expect(await told(0, 1)).toEqual([1])
    expect(await told(0, 1 << 20)).toEqual([1, 2, 3])
    // From a marker on, whose transaction began before.
    expect(await told(3, 1)).toEqual([2])
    expect(await told(3, 1 << 20)).toEqual([2, 3])
    expect(await told(6, 1 << 20)).toEqual([])
  })

  test('of READ_UNCOMMITTED sees all, and is told of no aborts', async () => {
    begin(1, 'aborted')
    end(1, true)
    begin(2, 'open')
    const reply = await fetch(broker.client, topic)
    expect(dataIn(reply.records)).toEqual(['aborted', 'open'])
    expect(reply).toMatchObject({ lastStableOffset: 2, abortedTransactions: null })
  })

  test('that waits is not answered by what it may not see, but by the marker', async () => {
    begin(1, 'committed')
    const fetched = fetch(broker.client, topic, 0, waiting)
    const timer = await broker.process.waitsFor(MAX_WAIT_MS)
    await produce(other, topic, batchOf(['behind it']))
    expect(timer.pending).toBe(true)
    end(1, false)
    expect(dataIn((await fetched).records)).toEqual(['committed', 'behind it'])
    expect(timer.pending).toBe(false)
  })

  test('that waits for more bytes than a transaction gives goes on waiting', async () => {
    begin(1, 'small')
    const fetched = fetch(broker.client, topic, 0, { ...waiting, minBytes: 400 })
    const first = await broker.process.waitsFor(MAX_WAIT_MS)
    end(1, false)
    begin(2, 'x'.repeat(500))
    await expect.poll(() => first.pending).toBe(false)
    end(2, false)
    expect(dataIn((await fetched).records)).toEqual(['small', 'x'.repeat(500)])
  })

  test('that waits on a partition without transactions is answered by what is appended', async () => {
    const fetched = fetch(broker.client, topic, 0, waiting)
    await broker.process.waitsFor(MAX_WAIT_MS)
    await produce(other, topic, batchOf(['plain']))
    expect(dataIn((await fetched).records)).toEqual(['plain'])
  })
})

test('the latest offset is the last stable one for READ_COMMITTED, from version 2 on', async () => {
  await produce(other, topic, batchOf(['plain']))
  begin(1, 'open')
  await produce(other, topic, batchOf(['plain']))
  expect([await latest(0), await latest(READ_COMMITTED), await latest(0, 1)]).toEqual([3, 1, 3])
  end(1, true)
  expect(await latest(READ_COMMITTED)).toBe(4)
})
