/** Log directories whose topics the coordination store does not know: another broker's, or this one's without its store. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { JOURNAL_FILE, SNAPSHOT_FILE } from '../../src/coordination/journal.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import {
  allValues,
  alterTopic,
  batchOf,
  commitOffset,
  committedOffset,
  createTopic,
  describeTopic,
  fetch,
  produce,
} from './requests.ts'
import type { WireClient } from './wire-client.ts'

const DIRECTORIES = ['/first', '/second']

let disk: SimDisk
let process: BrokerProcess
let client: WireClient

async function start(): Promise<void> {
  const own = { 'log.dirs': DIRECTORIES.join(','), 'offsets.topic.num.partitions': '3', 'broker.id': '7' }
  process = await startProcess(disk, own)
  client = await process.connect()
}

/** What another broker would find: the log directories alone. */
function forgetTopics(): void {
  for (const file of [JOURNAL_FILE, SNAPSHOT_FILE]) disk.remove(`/first/${file}`)
}

async function handOver(): Promise<void> {
  await process.stop()
  forgetTopics()
  await start()
}

beforeEach(async () => {
  disk = new SimDisk({ random: new SeededRandom(1) })
  await start()
})
afterEach(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

async function newProducerId(): Promise<number> {
  const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
  return (await client.request(initProducerIdApi, 4, request)).producerId
}

test('topics, records, offsets and ids are served as before, under the next leader epoch', async () => {
  await createTopic(client, 't', {}, 3)
  for (const partition of [0, 1, 2]) await produce(client, 't', batchOf([`in ${partition}`]), { partition })
  await commitOffset(client, 'group', 't', 1)
  const before = await describeTopic(client, 't')
  const clusterId = process.broker.clusterId
  await handOver()
  expect(process.broker.clusterId).toBe(clusterId)
  const after = await describeTopic(client, 't')
  expect(after.topicId).toBe(before.topicId)
  expect(after.partitions.map(({ leaderId }) => leaderId)).toEqual([7, 7, 7])
  for (const [index, { leaderEpoch }] of after.partitions.entries())
    expect(leaderEpoch).toBeGreaterThan(before.partitions[index].leaderEpoch)
  for (const partition of [0, 1, 2])
    expect(await allValues(client, 't', partition)).toEqual([`in ${partition}`])
  expect(await committedOffset(client, 'group', 't')).toBe(1)
  expect((await produce(client, 't', batchOf(['more']))).baseOffset).toBe(1)
  const told = process.lines.filter((line) => line.includes('log directory are adopted'))
  expect(told.map((line) => /"path":"([^"]+)","topics":2/.exec(line)?.[1])).toEqual(DIRECTORIES)
})

test("the broker's own topic is compacted, and has all its partitions", async () => {
  await createTopic(client, 't')
  await commitOffset(client, 'group', 't', 0)
  await handOver()
  const logs = [...process.broker.parts.logs.all()].filter(({ topic }) => topic === '__consumer_offsets')
  expect(logs.length).toBe(3)
  expect(new Set(logs.flatMap(({ config }) => config.cleanupPolicy))).toEqual(new Set(['compact']))
  expect((await describeTopic(client, '__consumer_offsets')).partitions).toHaveLength(3)
})

test('nothing is deleted by age or size until somebody gives a topic its settings', async () => {
  await createTopic(client, 't')
  await produce(client, 't', batchOf(['of 2023']))
  await handOver()
  const log = process.broker.parts.logs.get('t', 0)!
  expect(log.config).toMatchObject({ retentionMs: -1, retentionBytes: -1, cleanupPolicy: ['delete'] })
  expect(log.applyRetention(Date.now() + 1e12, log.logEndOffset)).toBe(0)
  expect(await alterTopic(client, 't', 'retention.ms', '1000')).toBe(0)
  await process.stop()
  await start()
  const again = process.broker.parts.logs.get('t', 0)!
  expect(again.applyRetention(Date.now(), again.logEndOffset)).toBe(1)
})

test('a partition without a directory is made empty, and said to be', async () => {
  await createTopic(client, 't', {}, 3)
  await produce(client, 't', batchOf(['kept']), { partition: 2 })
  await process.stop()
  forgetTopics()
  for (const path of DIRECTORIES) disk.remove(`${path}/t-1`)
  await start()
  expect((await describeTopic(client, 't')).partitions.map(({ leaderId }) => leaderId)).toEqual([7, 7, 7])
  expect(await allValues(client, 't', 2)).toEqual(['kept'])
  expect(await allValues(client, 't', 1)).toEqual([])
  expect(process.lines.find((line) => line.includes('made empty'))).toContain('"missing":"1"')
})

test('new producers get no id that the records know', async () => {
  await createTopic(client, 't')
  // Near now: a producer is forgotten a day after its last record.
  const used = { timestampMs: Date.now(), producerId: 123_456, producerEpoch: 0, baseSequence: 0 }
  expect((await produce(client, 't', batchOf(['x'], used))).errorCode).toBe(0)
  await handOver()
  expect(await newProducerId()).toBeGreaterThan(123_456)
})

test('an id that a client made up does not use up the ids there are', async () => {
  await createTopic(client, 't')
  const first = { timestampMs: Date.now(), producerEpoch: 0, baseSequence: 0 }
  for (const producerId of [41_000, Number.MAX_SAFE_INTEGER]) {
    expect((await produce(client, 't', batchOf(['x'], { ...first, producerId }))).errorCode).toBe(0)
  }
  await handOver()
  const [one, other] = [await newProducerId(), await newProducerId()]
  expect([one > 41_000, other]).toEqual([true, one + 1])
  expect(other).toBeLessThan(50_000)
})

test('a store that has had a controller adopts nothing: what it does not know stays as it lies', async () => {
  await createTopic(client, 't')
  await produce(client, 't', batchOf(['x']))
  await process.stop()
  for (const path of DIRECTORIES.filter((one) => disk.stat(`${one}/t-0`) !== null))
    disk.rename(`${path}/t-0`, `${path}/stranger-0`)
  await start()
  expect((await describeTopic(client, 'stranger')).errorCode).not.toBe(0)
  expect(DIRECTORIES.some((path) => disk.stat(`${path}/stranger-0`) !== null)).toBe(true)
  expect(process.lines.filter((line) => line.includes('adopted'))).toEqual([])
})

test('what was adopted is known from then on, and can be changed and deleted as any topic', async () => {
  await createTopic(client, 't')
  await produce(client, 't', batchOf(['x']))
  await handOver()
  expect(await alterTopic(client, 't', 'max.message.bytes', '50')).toBe(0)
  await process.stop()
  await start()
  expect((await produce(client, 't', batchOf(['longer than that']))).errorCode).not.toBe(0)
  expect((await fetch(client, 't')).highWatermark).toBe(1)
  expect(process.lines.filter((line) => line.includes('adopted'))).toEqual([])
})
