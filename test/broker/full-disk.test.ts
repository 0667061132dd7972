import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { deleteTopicsApi } from '../../src/protocol/messages/20-delete-topics.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { createPartitionsApi } from '../../src/protocol/messages/37-create-partitions.ts'
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
  offsetAt,
  produce,
} from './requests.ts'
import type { WireClient } from './wire-client.ts'

let disk: SimDisk
let process: BrokerProcess
let client: WireClient

beforeEach(async () => {
  disk = new SimDisk({ random: new SeededRandom(1) })
  process = await startProcess(disk, { 'offsets.topic.num.partitions': '2' })
  client = await process.connect()
  await createTopic(client, 'kept')
  await produce(client, 'kept', batchOf(['before']))
})
afterEach(async () => {
  disk.capacityBytes = Infinity
  await process.stop()
  expect(process.bugs).toEqual([])
})

const fill = (): void => void (disk.capacityBytes = disk.usedBytes() + 10)
const makeRoom = (): void => void (disk.capacityBytes = Infinity)
const codeOf = async (...asked: Parameters<typeof produce>) => (await produce(...asked)).errorCode

describe('a full disk', () => {
  test('refuses appends with KAFKA_STORAGE_ERROR, goes on with reads, and takes appends when there is room', async () => {
    fill()
    expect(await codeOf(client, 'kept', batchOf(['no room']))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await codeOf(client, 'kept', batchOf(['no room']), { acks: 1 })).toBe(
      ErrorCode.KAFKA_STORAGE_ERROR,
    )
    expect(await allValues(client, 'kept')).toEqual(['before'])
    expect(await offsetAt(client, 'kept', -1)).toBe(1)
    expect((await describeTopic(client, 'kept')).errorCode).toBe(ErrorCode.NONE)
    makeRoom()
    expect(await produce(client, 'kept', batchOf(['after']))).toMatchObject({ errorCode: 0, baseOffset: 1 })
    expect(await allValues(client, 'kept')).toEqual(['before', 'after'])
  })

  test('a producer that tries again leaves no gap and no duplicate', async () => {
    const batch = (baseSequence: number) =>
      batchOf([`${baseSequence}`], { producerId: 7, producerEpoch: 0, baseSequence })
    expect(await codeOf(client, 'kept', batch(0))).toBe(ErrorCode.NONE)
    fill()
    expect(await codeOf(client, 'kept', batch(1))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await codeOf(client, 'kept', batch(2))).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    makeRoom()
    for (const sequence of [1, 2, 1]) expect(await codeOf(client, 'kept', batch(sequence))).toBe(0)
    expect(await allValues(client, 'kept')).toEqual(['before', '0', '1', '2'])
  })

  test('a segment that cannot be begun is begun later', async () => {
    await alterTopic(client, 'kept', 'segment.bytes', '200')
    await produce(client, 'kept', batchOf(['x'.repeat(100)]))
    fill()
    const next = batchOf(['y'.repeat(100)])
    expect(await codeOf(client, 'kept', next)).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await codeOf(client, 'kept', next)).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    makeRoom()
    expect(await codeOf(client, 'kept', next)).toBe(ErrorCode.NONE)
    expect(await allValues(client, 'kept')).toEqual(['before', 'x'.repeat(100), 'y'.repeat(100)])
  })

  test('whatever would write is refused by an error code, and works when there is room', async () => {
    const writes: [string, () => Promise<number>][] = [
      ['CreateTopics', () => createTopic(client, 'new')],
      ['IncrementalAlterConfigs', () => alterTopic(client, 'kept', 'retention.ms', '1')],
      [
        'CreatePartitions',
        async () => {
          const topics = [{ name: 'kept', count: 2, assignments: null }]
          const request = { topics, timeoutMs: 5000, validateOnly: false }
          return (await client.request(createPartitionsApi, 3, request)).results[0].errorCode
        },
      ],
      [
        'InitProducerId',
        async () => {
          const request = { transactionalId: null, transactionTimeoutMs: 1000 }
          return (await client.request(initProducerIdApi, 5, request)).errorCode
        },
      ],
      [
        'FindCoordinator',
        async () => (await client.request(findCoordinatorApi, 3, { key: 'g', keyType: 0 })).errorCode,
      ],
      [
        'DeleteTopics',
        async () => {
          const reply = await client.request(deleteTopicsApi, 5, { topicNames: ['kept'], timeoutMs: 5000 })
          return reply.responses[0].errorCode
        },
      ],
    ]
    const outcomes = async () => {
      const codes: [string, string][] = []
      for (const [name, write] of writes) codes.push([name, errorName(await write())])
      return Object.fromEntries(codes)
    }
    disk.capacityBytes = disk.usedBytes()
    expect(await outcomes()).toEqual({
      CreateTopics: 'KAFKA_STORAGE_ERROR',
      IncrementalAlterConfigs: 'KAFKA_STORAGE_ERROR',
      CreatePartitions: 'KAFKA_STORAGE_ERROR',
      InitProducerId: 'COORDINATOR_LOAD_IN_PROGRESS',
      FindCoordinator: 'COORDINATOR_NOT_AVAILABLE',
      DeleteTopics: 'KAFKA_STORAGE_ERROR',
    })
    expect(await allValues(client, 'kept')).toEqual(['before'])
    makeRoom()
    expect(new Set(Object.values(await outcomes()))).toEqual(new Set(['NONE']))
  })

  test('a commit of an offset is refused, and what was committed before can be read', async () => {
    expect(await commitOffset(client, 'group', 'kept', 1)).toBe(ErrorCode.NONE)
    fill()
    expect(await commitOffset(client, 'group', 'kept', 2)).toBe(ErrorCode.NOT_COORDINATOR)
    expect(await committedOffset(client, 'group', 'kept')).toBe(1)
    makeRoom()
    expect(await commitOffset(client, 'group', 'kept', 3)).toBe(ErrorCode.NONE)
    expect(await committedOffset(client, 'group', 'kept')).toBe(3)
  })

  test('a broker stops on it, and starts again from what is there', async () => {
    await commitOffset(client, 'group', 'kept', 1)
    fill()
    await codeOf(client, 'kept', batchOf(['no room']))
    await process.stop()
    makeRoom()
    process = await startProcess(disk, { 'offsets.topic.num.partitions': '2' })
    client = await process.connect()
    expect(await allValues(client, 'kept')).toEqual(['before'])
    expect(await committedOffset(client, 'group', 'kept')).toBe(1)
  })

  test('a broker that stops on it has its records on the disk when the power goes then', async () => {
    await commitOffset(client, 'group', 'kept', 1)
    disk.capacityBytes = disk.usedBytes()
    await process.stop()
    disk.crash('drop')
    makeRoom()
    process = await startProcess(disk, { 'offsets.topic.num.partitions': '2' })
    client = await process.connect()
    expect(await allValues(client, 'kept')).toEqual(['before'])
    expect(await committedOffset(client, 'group', 'kept')).toBe(1)
  })

  test('a broker that cannot start on it says so and leaves nothing locked', async () => {
    await process.stop()
    disk.capacityBytes = disk.usedBytes()
    await expect(startProcess(disk)).rejects.toMatchObject({ code: 'STORAGE' })
    makeRoom()
    process = await startProcess(disk)
    client = await process.connect()
    expect(await allValues(client, 'kept')).toEqual(['before'])
  })
})

async function restart(): Promise<void> {
  await process.stop()
  process = await startProcess(disk)
  client = await process.connect()
}

describe('a disk with errors, the only one', () => {
  test('a write that fails half way ends the service of the directory until the next start, and leaves nothing of itself', async () => {
    disk.failNext({ operation: 'write', code: 'IO', pathPart: 'kept-0', bytesWritten: 30 })
    expect(await codeOf(client, 'kept', batchOf(['torn']))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await codeOf(client, 'kept', batchOf(['whole']))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    await restart()
    expect(await codeOf(client, 'kept', batchOf(['whole']))).toBe(ErrorCode.NONE)
    expect(await allValues(client, 'kept')).toEqual(['before', 'whole'])
  })

  test('with flush.messages=1 nothing is acknowledged after an fsync has failed, even if the next one would not', async () => {
    await alterTopic(client, 'kept', 'flush.messages', '1')
    expect(await codeOf(client, 'kept', batchOf(['surely']))).toBe(ErrorCode.NONE)
    disk.failNext({ operation: 'sync', code: 'IO', pathPart: 'kept-0', losesPages: true })
    expect(await codeOf(client, 'kept', batchOf(['perhaps']))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await codeOf(client, 'kept', batchOf(['later']))).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    process.kill()
    disk.crash('drop')
    process = await startProcess(disk)
    client = await process.connect()
    expect(await allValues(client, 'kept')).toEqual(['before', 'surely'])
  })

  test('a read that fails ends the service until the next start, and loses nothing', async () => {
    disk.failNext({ operation: 'read', code: 'IO', pathPart: 'kept-0' })
    expect((await fetch(client, 'kept')).errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    await expect.poll(async () => (await describeTopic(client, 'kept')).partitions[0].leaderId).toBe(-1)
    await restart()
    expect(await allValues(client, 'kept')).toEqual(['before'])
  })

  test('what producers sent before a restart is not forgotten by a read that fails', async () => {
    const batch = batchOf(['once'], {
      producerId: 7,
      producerEpoch: 0,
      baseSequence: 0,
      timestampMs: Date.now(),
    })
    expect(await codeOf(client, 'kept', batch)).toBe(ErrorCode.NONE)
    await restart()
    disk.failNext({ operation: 'read', code: 'IO', pathPart: '.snapshot' })
    expect(await codeOf(client, 'kept', batch)).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    await restart()
    expect(await produce(client, 'kept', batch)).toMatchObject({ errorCode: 0, baseOffset: 1 })
    expect(await allValues(client, 'kept')).toEqual(['before', 'once'])
  })

  test('a topic whose directory cannot be renamed goes at the next start', async () => {
    disk.failNext({ operation: 'rename', code: 'IO', pathPart: 'kept-0' })
    const request = { topicNames: ['kept'], timeoutMs: 5000 }
    expect((await client.request(deleteTopicsApi, 5, request)).responses[0].errorCode).toBe(ErrorCode.NONE)
    expect((await describeTopic(client, 'kept')).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await createTopic(client, 'kept')).toBe(ErrorCode.TOPIC_ALREADY_EXISTS)
    await restart()
    await expect.poll(() => createTopic(client, 'kept')).toBe(ErrorCode.NONE)
    expect(await allValues(client, 'kept')).toEqual([])
    expect(await codeOf(client, 'kept', batchOf(['new']))).toBe(ErrorCode.NONE)
  })

  test('a topic that cannot go now, on a full disk, goes at the next try', async () => {
    disk.failNext({ operation: 'rename', code: 'NO_SPACE', pathPart: 'kept-0' })
    const request = { topicNames: ['kept'], timeoutMs: 5000 }
    expect((await client.request(deleteTopicsApi, 5, request)).responses[0].errorCode).toBe(ErrorCode.NONE)
    await expect.poll(() => createTopic(client, 'kept')).toBe(ErrorCode.NONE)
    expect(await allValues(client, 'kept')).toEqual([])
  })
})
