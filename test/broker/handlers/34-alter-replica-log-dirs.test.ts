import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { deleteRecordsApi } from '../../../src/protocol/messages/21-delete-records.ts'
import { deleteTopicsApi } from '../../../src/protocol/messages/20-delete-topics.ts'
import { alterReplicaLogDirsApi } from '../../../src/protocol/messages/34-alter-replica-log-dirs.ts'
import { describeLogDirsApi } from '../../../src/protocol/messages/35-describe-log-dirs.ts'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { startProcess, type BrokerProcess } from '../broker-process.ts'
import { allValues, batchOf, createTopic, fetch, offsetAt, produce } from '../requests.ts'
import type { WireClient } from '../wire-client.ts'

const [ONE, TWO] = ['/one', '/two']
/** Of src/replication/log-dir-moves.ts. */
const MAX_PAUSE_MS = 1000
const RATE = 'replica.alter.log.dirs.io.max.bytes.per.second'

let disk: SimDisk
let process: BrokerProcess
let client: WireClient

async function start(): Promise<void> {
  process = await startProcess(disk, { 'log.dirs': `${ONE},${TWO}` })
  client = await process.connect()
}

beforeEach(async () => {
  disk = new SimDisk({ random: new SeededRandom(1) })
  await start()
  await createTopic(client, 't')
  for (let i = 0; i < 20; i++) await produce(client, 't', batchOf([`v${i}`]))
})
afterEach(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

const VALUES = Array.from({ length: 20 }, (_, i) => `v${i}`)

async function move(path: string, topic = 't', partition = 0, version = 2): Promise<number> {
  const dirs = [{ path, topics: [{ name: topic, partitions: [partition] }] }]
  const { results } = await client.request(alterReplicaLogDirsApi, version, { dirs })
  expect(results).toMatchObject([{ topicName: topic, partitions: [{ partitionIndex: partition }] }])
  return results[0].partitions[0].errorCode
}

/** Where the partition is, by DescribeLogDirs: its directory, and that of its future replica. */
async function places(topic = 't'): Promise<{ current?: string; future?: string; lag?: number }> {
  const { results } = await client.request(describeLogDirsApi, 4, { topics: [{ topic, partitions: [0] }] })
  const found = results.flatMap(({ logDir, topics }) =>
    topics.flatMap(({ partitions }) => partitions.map((partition) => ({ logDir, ...partition }))),
  )
  const current = found.find(({ isFutureKey }) => !isFutureKey)
  const future = found.find(({ isFutureKey }) => isFutureKey)
  return { current: current?.logDir, future: future?.logDir, lag: future?.offsetLag }
}

/** Moves go on for ever, as far as a test can tell. */
async function slowDown(): Promise<void> {
  const configs = [{ name: RATE, configOperation: 0, value: '1' }]
  const resources = [{ resourceType: 4, resourceName: '', configs }]
  const reply = await client.request(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
  expect(reply.responses[0].errorCode).toBe(0)
}

const namesIn = (directory: string): string[] => disk.list(directory).filter((name) => name.startsWith('t-'))

describe('AlterReplicaLogDirs', () => {
  test.each([0, 1, 2])(
    'v%i moves a partition, with all that it holds, and clients see nothing of it',
    async (version) => {
      expect((await places()).current).toBe(ONE)
      expect(await move(TWO, 't', 0, version)).toBe(ErrorCode.NONE)
      await expect.poll(places).toEqual({ current: TWO })
      expect(await allValues(client, 't')).toEqual(VALUES)
      expect((await produce(client, 't', batchOf(['after']))).baseOffset).toBe(20)
      expect(namesIn(TWO)).toEqual(['t-0'])
      expect(namesIn(ONE)).toEqual([expect.stringMatching(/^t-0\.[0-9a-f]{32}-delete$/)])
      await process.stop()
      await start()
      expect(await allValues(client, 't')).toEqual([...VALUES, 'after'])
      expect(await places()).toEqual({ current: TWO })
    },
  )

  test('keeps the log start, the producers and what waits for more', async () => {
    const sent = batchOf(['once'], {
      producerId: 7,
      producerEpoch: 0,
      baseSequence: 0,
      timestampMs: Date.now(),
    })
    await produce(client, 't', sent)
    const offsets = [{ name: 't', partitions: [{ partitionIndex: 0, offset: 20 }] }]
    await client.request(deleteRecordsApi, 2, { topics: offsets, timeoutMs: 1000 })
    const other = await process.connect()
    const waiting = fetch(other, 't', 21, { maxWaitMs: 60_000, minBytes: 1 })
    expect(await move(TWO)).toBe(ErrorCode.NONE)
    await expect.poll(places).toEqual({ current: TWO })
    expect((await waiting).errorCode).toBe(ErrorCode.NONE)
    expect(await offsetAt(client, 't', -2)).toBe(20)
    expect(await produce(client, 't', sent)).toMatchObject({ errorCode: 0, baseOffset: 20 })
    process.kill()
    disk.crash('drop')
    await start()
    expect(await offsetAt(client, 't', -2)).toBe(20)
    expect(await produce(client, 't', sent)).toMatchObject({ errorCode: 0, baseOffset: 20 })
    expect(await allValues(client, 't')).toEqual(['once'])
  })

  test('a move under way is shown with its lag, and goes on after a restart', async () => {
    await slowDown()
    await produce(client, 't', batchOf(['x'.repeat(300_000)]))
    expect(await move(TWO)).toBe(ErrorCode.NONE)
    await expect.poll(places).toEqual({ current: ONE, future: TWO, lag: 1 })
    await produce(client, 't', batchOf(['late']))
    expect(await places()).toEqual({ current: ONE, future: TWO, lag: 2 })
    await process.stop()
    process = await startProcess(disk, { 'log.dirs': `${ONE},${TWO}` })
    client = await process.connect()
    const configs = [{ name: RATE, configOperation: 1, value: null }]
    const resources = [{ resourceType: 4, resourceName: '', configs }]
    await client.request(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
    const paused = await process.waitsFor(MAX_PAUSE_MS)
    paused.fire()
    await expect.poll(places).toEqual({ current: TWO })
    expect(await allValues(client, 't')).toEqual([...VALUES, 'x'.repeat(300_000), 'late'])
  })

  test('the directory where it lies ends a move', async () => {
    await slowDown()
    await produce(client, 't', batchOf(['x'.repeat(300_000)]))
    await move(TWO)
    await expect.poll(places).toMatchObject({ future: TWO })
    expect(await move(ONE)).toBe(ErrorCode.NONE)
    expect(await places()).toEqual({ current: ONE })
    expect(namesIn(TWO)).toEqual([expect.stringMatching(/-delete$/)])
    expect(await allValues(client, 't')).toHaveLength(21)
  })

  test('a topic that is deleted meanwhile is gone from both directories', async () => {
    await slowDown()
    await produce(client, 't', batchOf(['x'.repeat(300_000)]))
    await move(TWO)
    await expect.poll(places).toMatchObject({ future: TWO })
    await client.request(deleteTopicsApi, 5, { topicNames: ['t'], timeoutMs: 5000 })
    for (const directory of [ONE, TWO])
      for (const name of namesIn(directory)) expect(name).toMatch(/-delete$/)
    await createTopic(client, 't')
    expect(await allValues(client, 't')).toEqual([])
  })

  test('a partition that is not there yet is made where it was asked to be', async () => {
    await createTopic(client, 'fills the emptier one')
    expect(await move(ONE, 'new')).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await move(ONE, 'new', 1)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    await createTopic(client, 'new', {}, 2)
    expect(disk.list(ONE)).toEqual(expect.arrayContaining(['new-0', 'new-1']))
  })

  test('refuses directories that are none of log.dirs, or have failed', async () => {
    expect(await move('/three')).toBe(ErrorCode.LOG_DIR_NOT_FOUND)
    disk.breakDirectory(TWO)
    expect(await move(TWO)).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await allValues(client, 't')).toEqual(VALUES)
  })

  test('a directory that fails while it is filled leaves the partition where it was', async () => {
    await slowDown()
    await produce(client, 't', batchOf(['x'.repeat(300_000)]))
    await move(TWO)
    await expect.poll(places).toMatchObject({ future: TWO })
    disk.breakDirectory(TWO)
    ;(await process.waitsFor(MAX_PAUSE_MS)).fire()
    await expect.poll(places).toEqual({ current: ONE })
    expect(await allValues(client, 't')).toHaveLength(21)
    expect((await produce(client, 't', batchOf(['on']))).errorCode).toBe(ErrorCode.NONE)
  })

  test('a directory that is left and fails when it is to let go does not take the partition with it', async () => {
    disk.failNext({ operation: 'rename', code: 'IO', pathPart: `${ONE}/t-0` })
    expect(await move(TWO)).toBe(ErrorCode.NONE)
    await expect.poll(places).toEqual({ current: TWO })
    expect((await produce(client, 't', batchOf(['after']))).errorCode).toBe(ErrorCode.NONE)
    await process.stop()
    await start()
    expect(await allValues(client, 't')).toEqual([...VALUES, 'after'])
    expect(await places()).toEqual({ current: TWO })
  })
})
