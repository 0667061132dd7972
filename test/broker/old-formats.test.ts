/** Clients of the time before record batches: Produce 0-2, Fetch 0-3, ListOffsets 0. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Codec } from '../../src/protocol/compression.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { encodeRequest } from '../../src/protocol/frame.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { listOffsetsApi } from '../../src/protocol/messages/02-list-offsets.ts'
import { deleteRecordsApi } from '../../src/protocol/messages/21-delete-records.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import { messageOf, messageSet, recordsOf, type OldRecord } from '../protocol/message-sets.ts'
import {
  alterTopic,
  batchOf,
  createTopic,
  EPOCH_MS,
  fetch,
  produce,
  valuesIn,
  type FetchOptions,
} from './requests.ts'
import { useBroker } from './use-broker.ts'

const CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4] as const

const broker = useBroker()
let topic = ''
let topics = 0

beforeEach(async () => {
  topic = `old-${topics++}`
  await createTopic(broker.client, topic)
})

const recordsFor = (values: readonly string[]): OldRecord[] =>
  values.map((value, index) => ({
    timestampMs: EPOCH_MS + index,
    key: Buffer.from(`k${index}`),
    value: Buffer.from(value),
  }))

const services = () => broker.process.broker.parts.services
const conversions = () => services().conversions.ofTopic(topic)

const fetchOld = (version: number, offset = 0, options: FetchOptions & { maxBytes?: number } = {}) =>
  fetch(broker.client, topic, offset, { version, ...options })

describe('Produce 0 to 2', () => {
  test.each([0, 1, 2])(
    'version %i writes message sets of every codec as record batches of it',
    async (version) => {
      const magic = version < 2 ? 0 : 1
      let expected = 0
      for (const codec of CODECS) {
        const set = messageSet(magic, recordsFor(['a', 'b', 'c']), { codec })
        const reply = await produce(broker.client, topic, set, { version })
        expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: expected })
        const { records } = await fetch(broker.client, topic, expected)
        expect(rb.batchSize(records!, 0)).toBe(records!.length)
        expect(rb.codecOf(rb.attributes(records!, 0))).toBe(codec)
        expect(rb.decodeRecords(records!)).toEqual(
          recordsFor(['a', 'b', 'c']).map((record, index) => ({
            ...record,
            timestampMs: magic === 0 ? -1 : record.timestampMs,
            offset: expected + index,
            headers: [],
          })),
        )
        expected += 3
      }
      expect(conversions().produceMessageConversions).toBe(3 * CODECS.length)
    },
  )

  test('may carry a batch of magic 2, which is written as it came', async () => {
    for (const version of [0, 1, 2]) {
      const reply = await produce(broker.client, topic, batchOf(['a']), { version })
      expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: version })
    }
    expect(conversions().produceMessageConversions).toBe(0)
  })

  test('a set without a whole message is well, and appends nothing', async () => {
    const set = messageSet(1, recordsFor(['a']))
    for (const records of [Buffer.alloc(0), set.subarray(0, set.length - 1)]) {
      const reply = await produce(broker.client, topic, records, { version: 2 })
      expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: -1 })
    }
    expect((await fetch(broker.client, topic)).highWatermark).toBe(0)
  })

  test('what is refused is not written, and acks=0 closes the connection', async () => {
    const bad = messageSet(1, recordsFor(['a']))
    bad[bad.length - 1] ^= 1
    expect((await produce(broker.client, topic, bad, { version: 2 })).errorCode).toBe(
      ErrorCode.CORRUPT_MESSAGE,
    )
    const zstd = messageOf({ codec: Codec.ZSTD, value: bad })
    expect((await produce(broker.client, topic, zstd, { version: 2 })).errorCode).toBe(
      ErrorCode.INVALID_RECORD,
    )
    const client = await broker.process.connect()
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: bad }] }]
    client.send(
      Buffer.concat(encodeRequest(produceApi, 0, 9, 'old', { acks: 0, timeoutMs: 1000, topicData })),
    )
    await client.closed
    expect((await fetch(broker.client, topic)).highWatermark).toBe(0)
  })

  test("takes the topic's codec, time and limits", async () => {
    const set = messageSet(0, recordsFor(['a'.repeat(500), 'b']))
    await alterTopic(broker.client, topic, 'compression.type', 'gzip')
    await alterTopic(broker.client, topic, 'message.timestamp.type', 'LogAppendTime')
    const reply = await produce(broker.client, topic, set, { version: 2 })
    expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: 0 })
    expect(reply.logAppendTimeMs).toBeGreaterThan(0)
    const { records } = await fetch(broker.client, topic)
    expect(rb.codecOf(rb.attributes(records!, 0))).toBe(Codec.GZIP)
    expect(rb.decodeRecords(records!).map(({ timestampMs }) => timestampMs)).toEqual([
      reply.logAppendTimeMs,
      reply.logAppendTimeMs,
    ])
    await alterTopic(broker.client, topic, 'max.message.bytes', '100')
    expect((await produce(broker.client, topic, set, { version: 2 })).errorCode).toBe(
      ErrorCode.MESSAGE_TOO_LARGE,
    )
  })

  test('from version 3 on, message sets are refused', async () => {
    for (const version of [3, 11]) {
      const reply = await produce(broker.client, topic, messageSet(1, recordsFor(['a'])), { version })
      expect(reply.errorCode).toBe(ErrorCode.INVALID_RECORD)
    }
  })
})

describe('Fetch 0 to 3', () => {
  test.each([0, 1, 2, 3])(
    'version %i gets message sets of every codec that it knows, headers dropped',
    async (version) => {
      for (const codec of CODECS) {
        const records = recordsFor(['a', 'b']).map((record) => ({
          ...record,
          headers: [{ key: 'h', value: null }],
        }))
        await produce(broker.client, topic, rb.buildBatch({ records, codec }))
      }
      const fetched = await fetchOld(version)
      expect(fetched).toMatchObject({ errorCode: ErrorCode.NONE, highWatermark: 8 })
      const read = recordsOf(fetched.records!)
      expect(read.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
      const sent = recordsFor(['a', 'b'])[1]
      expect(read[7]).toEqual({ ...sent, offset: 7, timestampMs: version < 2 ? -1 : sent.timestampMs })
      expect(fetched.records![16]).toBe(version < 2 ? 0 : 1)
      expect(conversions().fetchMessageConversions).toBe(8)
      const inTheMiddle = recordsOf((await fetchOld(version, 1)).records!)
      expect(inTheMiddle[0].offset).toBe(1)
      const inAWrapper = recordsOf((await fetchOld(version, 3)).records!)
      expect(inAWrapper[0].offset).toBe(2)
    },
  )

  test('a first batch over the limit is given from version 3 on', async () => {
    await produce(broker.client, topic, batchOf(['a'.repeat(300)]))
    for (const version of [0, 1, 2]) {
      expect((await fetchOld(version, 0, { maxBytes: 100 })).records!.length).toBe(0)
    }
    expect(recordsOf((await fetchOld(3, 0, { maxBytes: 100 })).records!).length).toBe(1)
  })

  test('message.downconversion.enable=false refuses them', async () => {
    await produce(broker.client, topic, batchOf(['a']))
    await alterTopic(broker.client, topic, 'message.downconversion.enable', 'false')
    expect((await fetchOld(3)).errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION)
    expect(valuesIn((await fetchOld(4)).records)).toEqual(['a'])
    expect(conversions()).toMatchObject({ fetchMessageConversions: 0, failedFetchMessageConversions: 1 })
  })

  test('zstd is not converted, and a topic of zstd is refused below version 10', async () => {
    await produce(broker.client, topic, batchOf(['a']))
    await produce(broker.client, topic, batchOf(['b'], { codec: Codec.ZSTD }))
    expect(recordsOf((await fetchOld(3)).records!).length).toBe(1)
    expect((await fetchOld(3, 1)).errorCode).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    expect((await fetchOld(9, 1)).errorCode).toBe(ErrorCode.NONE)
    await alterTopic(broker.client, topic, 'compression.type', 'zstd')
    expect((await fetchOld(9, 1)).errorCode).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    expect((await fetchOld(10, 1)).errorCode).toBe(ErrorCode.NONE)
  })

  test('a batch that went bad on disk is refused and logged, not given a new CRC', async () => {
    await produce(broker.client, topic, batchOf(['a'.repeat(100)]))
    await produce(broker.client, topic, batchOf(['b'.repeat(100)]))
    const { directory } = services().replicas.get(topic, 0)!.log
    const path = `${directory}/${'0'.repeat(20)}.log`
    const size = services().env.disk.stat(path)!.size
    const file = services().env.disk.open(path, 'write')
    file.write([Buffer.from('x')], size - 10)
    file.close()
    expect(recordsOf((await fetchOld(3)).records!).length).toBe(1)
    expect((await fetchOld(3, 1)).errorCode).toBe(ErrorCode.CORRUPT_MESSAGE)
    expect(broker.process.lines.at(-1)).toMatch(/older format is corrupt/)
  })

  test('a stretch of control batches larger than the limit is passed over', async () => {
    const partition = services().replicas.get(topic, 0)!
    for (let epoch = 0; epoch < 4; epoch++) partition.append(markerOf(epoch), 'coordinator', 1)
    await produce(broker.client, topic, batchOf(['behind']))
    expect(recordsOf((await fetchOld(2, 0, { maxBytes: 100 })).records!)).toMatchObject([{ offset: 4 }])
    expect(conversions().fetchMessageConversions).toBe(1)
  })
})

function markerOf(producerEpoch: number): Buffer {
  const key = Buffer.alloc(4)
  const value = Buffer.alloc(6)
  const marker = { timestampMs: EPOCH_MS, key, value }
  return rb.buildBatch({
    records: [marker],
    producerId: 1,
    producerEpoch,
    transactional: true,
    control: true,
  })
}

test('old and new clients read what the other wrote', async () => {
  await produce(broker.client, topic, messageSet(0, recordsFor(['v0']), { codec: Codec.LZ4 }), { version: 0 })
  await produce(broker.client, topic, messageSet(1, recordsFor(['v1']), { codec: Codec.LZ4 }), { version: 2 })
  await produce(broker.client, topic, batchOf(['v2'], { codec: Codec.LZ4 }))
  expect(valuesIn((await fetch(broker.client, topic)).records)).toEqual(['v0', 'v1', 'v2'])
  for (const version of [0, 2]) {
    const read = recordsOf((await fetchOld(version)).records!)
    expect(read.map(({ value }) => String(value))).toEqual(['v0', 'v1', 'v2'])
  }
})

describe('ListOffsets 0', () => {
  async function offsets(timestamp: number, maxNumOffsets = 10): Promise<number[]> {
    const partitions = [{ partitionIndex: 0, timestamp, maxNumOffsets }]
    const reply = await broker.client.request(listOffsetsApi, 0, {
      replicaId: -1,
      topics: [{ name: topic, partitions }],
    })
    const [partition] = reply.topics[0].partitions
    expect(partition.errorCode).toBe(ErrorCode.NONE)
    return partition.oldStyleOffsets
  }

  test('gives where segments begin, the newest first', async () => {
    expect(await offsets(-1)).toEqual([0])
    expect(await offsets(-2)).toEqual([0])
    await alterTopic(broker.client, topic, 'segment.bytes', '1024')
    for (let count = 0; count < 3; count++) await produce(broker.client, topic, batchOf(['a'.repeat(900)]))
    expect(await offsets(-1)).toEqual([3, 2, 1, 0])
    expect(await offsets(-1, 2)).toEqual([3, 2])
    expect(await offsets(-1, 0)).toEqual([])
    expect(await offsets(-2)).toEqual([0])
    expect(await offsets(services().env.clock.nowMs() + 60_000, 1)).toEqual([3])
    const { disk } = services().env
    const { directory } = services().replicas.get(topic, 0)!.log
    for (const offset of [0, 1, 2]) {
      disk.setModifiedTime(`${directory}/${String(offset).padStart(20, '0')}.log`, 1000 * (offset + 1))
    }
    expect(await offsets(2999)).toEqual([1, 0])
    expect(await offsets(999)).toEqual([])
  })

  test('begins at the log start', async () => {
    for (const value of ['a', 'b', 'c']) await produce(broker.client, topic, batchOf([value]))
    const partitions = [{ partitionIndex: 0, offset: 2 }]
    await broker.client.request(deleteRecordsApi, 1, {
      topics: [{ name: topic, partitions }],
      timeoutMs: 1000,
    })
    expect(await offsets(-2)).toEqual([2])
    expect(await offsets(-1)).toEqual([3, 2])
  })
})
