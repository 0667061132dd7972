import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createNodeDisk } from '../../src/env/node/disk.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { deleteRecordsApi } from '../../src/protocol/messages/21-delete-records.ts'
import { offsetForLeaderEpochApi } from '../../src/protocol/messages/23-offset-for-leader-epoch.ts'
import { listOffsetsApi } from '../../src/protocol/messages/02-list-offsets.ts'
import { describeLogDirsApi } from '../../src/protocol/messages/35-describe-log-dirs.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import {
  allValues,
  batchOf,
  commitOffset,
  committedOffset,
  createTopic,
  describeTopic,
  fetch,
  produce,
} from './requests.ts'
import type { WireClient } from './wire-client.ts'

const STORAGE = ErrorCode.KAFKA_STORAGE_ERROR
const DIRECTORIES = ['/first', '/second', '/third']

let disk: SimDisk
let process: BrokerProcess
let client: WireClient

async function start(): Promise<void> {
  process = await startProcess(disk, {
    'log.dirs': DIRECTORIES.join(','),
    'offsets.topic.num.partitions': '3',
  })
  client = await process.connect()
}

beforeEach(async () => {
  disk = new SimDisk({ random: new SeededRandom(1) })
  await start()
  await createTopic(client, 't', {}, 3)
  for (const partition of [0, 1, 2]) await produce(client, 't', batchOf([`in ${partition}`]), { partition })
})
afterEach(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

/** One partition of t lies in each directory. */
const partitionIn = (directory: string): number =>
  [0, 1, 2].find((partition) => disk.stat(`${directory}/t-${partition}`) !== null)!

const valuesOf = (partition: number): Promise<string[]> => allValues(client, 't', partition)
const codeOf = async (partition: number): Promise<number> =>
  (await produce(client, 't', batchOf(['more']), { partition })).errorCode
const leaders = async (): Promise<number[]> =>
  (await describeTopic(client, 't')).partitions.map(({ leaderId }) => leaderId)

async function loseSecond(): Promise<{ lost: number; kept: number[] }> {
  const lost = partitionIn('/second')
  disk.breakDirectory('/second')
  expect(await codeOf(lost)).toBe(STORAGE)
  await expect.poll(async () => (await leaders())[lost]).toBe(-1)
  return { lost, kept: [0, 1, 2].filter((partition) => partition !== lost) }
}

describe('a log directory that fails', () => {
  test('takes its partitions offline, and the others serve on', async () => {
    const { lost, kept } = await loseSecond()
    for (const partition of kept) {
      expect(await codeOf(partition)).toBe(ErrorCode.NONE)
      expect(await valuesOf(partition)).toEqual([`in ${partition}`, 'more'])
    }
    const { brokerId } = process.broker
    const described = await describeTopic(client, 't')
    expect(described.partitions[lost]).toMatchObject({
      errorCode: ErrorCode.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      isrNodes: [brokerId],
      offlineReplicas: [brokerId],
    })
    for (const partition of kept)
      expect(described.partitions[partition]).toMatchObject({ leaderId: brokerId, offlineReplicas: [] })
    const { results } = await client.request(describeLogDirsApi, 4, { topics: null })
    expect(results.map(({ logDir, errorCode }) => [logDir, errorCode])).toEqual([
      ['/first', 0],
      ['/second', STORAGE],
      ['/third', 0],
    ])
    expect(results[1]).toMatchObject({ topics: [], totalBytes: -1, usableBytes: -1 })
  })

  test('is KAFKA_STORAGE_ERROR to whatever asks its partitions', async () => {
    const { lost: partition } = await loseSecond()
    expect((await fetch(client, 't', 0, { partition })).errorCode).toBe(STORAGE)
    const times = [{ name: 't', partitions: [{ partitionIndex: partition, timestamp: -1 }] }]
    const listed = await client.request(listOffsetsApi, 7, { replicaId: -1, topics: times })
    expect(listed.topics[0].partitions[0].errorCode).toBe(STORAGE)
    const offsets = [{ name: 't', partitions: [{ partitionIndex: partition, offset: 1 }] }]
    const deleted = await client.request(deleteRecordsApi, 2, { topics: offsets, timeoutMs: 1000 })
    expect(deleted.topics[0].partitions[0].errorCode).toBe(STORAGE)
    const epochs = [{ topic: 't', partitions: [{ partition, leaderEpoch: 0 }] }]
    const ended = await client.request(offsetForLeaderEpochApi, 4, { replicaId: -1, topics: epochs })
    expect(ended.topics[0].partitions[0].errorCode).toBe(STORAGE)
  })

  test('answers a Fetch that waits for more of it', async () => {
    const partition = partitionIn('/second')
    const waiting = fetch(client, 't', 1, { partition, maxWaitMs: 60_000, minBytes: 1 })
    const other = await process.connect()
    disk.breakDirectory('/second')
    await produce(other, 't', batchOf(['lost']), { partition })
    expect((await waiting).errorCode).toBe(STORAGE)
  })

  test('gives new partitions to the others, and loses nothing: all is there when it is repaired', async () => {
    const { lost, kept } = await loseSecond()
    await createTopic(client, 'new', {}, 4)
    for (const partition of [0, 1, 2, 3])
      expect((await produce(client, 'new', batchOf(['new']), { partition })).errorCode).toBe(0)
    await process.stop()
    await start()
    expect(await codeOf(lost)).toBe(STORAGE)
    expect((await leaders())[lost]).toBe(-1)
    for (const directory of ['/first', '/third']) expect(disk.stat(`${directory}/t-${lost}`)).toBeNull()
    for (const partition of kept) expect(await valuesOf(partition)).toEqual([`in ${partition}`])
    await process.stop()
    disk.repairDirectory('/second')
    await start()
    expect(await valuesOf(lost)).toEqual([`in ${lost}`])
    expect(await codeOf(lost)).toBe(ErrorCode.NONE)
  })

  test('holds back the coordinators whose partitions lie in it', async () => {
    const groups = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    for (const group of groups) expect(await commitOffset(client, group, 't', 1)).toBe(ErrorCode.NONE)
    await loseSecond()
    const codes = new Set<number>()
    for (const group of groups) codes.add(await commitOffset(client, group, 't', 2))
    expect(codes).toEqual(new Set([ErrorCode.NONE, ErrorCode.NOT_COORDINATOR]))
    await process.stop()
    disk.repairDirectory('/second')
    await start()
    for (const group of groups)
      await expect.poll(() => committedOffset(client, group, 't')).toBeGreaterThanOrEqual(1)
  })

  test('that holds the coordination journal stops what must be written down, and nothing else', async () => {
    const lost = partitionIn('/first')
    const kept = [0, 1, 2].filter((partition) => partition !== lost)
    disk.breakDirectory('/first')
    expect(await codeOf(lost)).toBe(STORAGE)
    for (const partition of kept) expect(await codeOf(partition)).toBe(ErrorCode.NONE)
    await expect.poll(async () => (await leaders())[lost]).toBe(-1)
    expect(await createTopic(client, 'new')).toBe(STORAGE)
    for (const partition of kept) expect(await valuesOf(partition)).toEqual([`in ${partition}`, 'more'])
    disk.repairDirectory('/first')
    await process.stop()
    await start()
    for (const partition of kept) expect(await valuesOf(partition)).toEqual([`in ${partition}`, 'more'])
    expect(await valuesOf(lost)).toEqual([`in ${lost}`])
  })

  test('that cannot be read at start is offline then, and all the others are not', async () => {
    const lost = partitionIn('/second')
    await process.stop()
    for (let reads = 0; reads < 2; reads++)
      disk.failNext({ operation: 'read', code: 'IO', pathPart: '/second/meta.properties' })
    await start()
    const wanted = [0, 1, 2].map((partition) => (partition === lost ? STORAGE : ErrorCode.NONE))
    expect(await Promise.all([0, 1, 2].map(codeOf))).toEqual(wanted)
    await process.stop()
    await start()
    expect(await valuesOf(lost)).toEqual([`in ${lost}`])
  })

  test('and then another and another leave a broker that answers', async () => {
    for (const directory of DIRECTORIES) disk.breakDirectory(directory)
    for (const partition of [0, 1, 2]) expect(await codeOf(partition)).toBe(STORAGE)
    await expect.poll(leaders).toEqual([-1, -1, -1])
    expect(await createTopic(client, 'new')).toBe(STORAGE)
    await process.stop()
    await expect(start()).rejects.toThrow(/broken/)
    for (const directory of DIRECTORIES) disk.repairDirectory(directory)
    await start()
    for (const partition of [0, 1, 2]) expect(await valuesOf(partition)).toEqual([`in ${partition}`])
  })

  test('for lack of room stays online, and takes appends when there is room', async () => {
    disk.capacityBytes = disk.usedBytes() + 10
    for (const partition of [0, 1, 2]) expect(await codeOf(partition)).toBe(STORAGE)
    expect(await valuesOf(1)).toEqual(['in 1'])
    disk.capacityBytes = Infinity
    for (const partition of [0, 1, 2]) expect(await codeOf(partition)).toBe(ErrorCode.NONE)
    expect(await leaders()).toEqual([0, 0, 0].map(() => process.broker.brokerId))
  })
})

test('a real directory that is replaced by a file is offline, its neighbour serves, and a later start finds all', async () => {
  const base = mkdtempSync(join(tmpdir(), 'odradek-dirs-'))
  const [one, two, aside] = ['one', 'two', 'aside'].map((name) => join(base, name))
  const properties = { 'log.dirs': `${one},${two}` }
  try {
    let real = await startProcess(createNodeDisk(), properties)
    let user = await real.connect()
    await createTopic(user, 'r', {}, 2)
    for (const partition of [0, 1]) await produce(user, 'r', batchOf([`in ${partition}`]), { partition })
    await real.stop()
    renameSync(two, aside)
    writeFileSync(two, 'no directory')
    real = await startProcess(createNodeDisk(), properties)
    user = await real.connect()
    const codes = await Promise.all(
      [0, 1].map((partition) => produce(user, 'r', batchOf(['x']), { partition })),
    )
    expect(codes.map(({ errorCode }) => errorCode).sort((a, b) => a - b)).toEqual([0, STORAGE])
    await real.stop()
    rmSync(two)
    renameSync(aside, two)
    real = await startProcess(createNodeDisk(), properties)
    user = await real.connect()
    const values = await Promise.all([0, 1].map((partition) => allValues(user, 'r', partition)))
    expect(values.map(([first]) => first)).toEqual(['in 0', 'in 1'])
    await real.stop()
    expect(real.bugs).toEqual([])
  } finally {
    rmSync(base, { recursive: true })
  }
})
