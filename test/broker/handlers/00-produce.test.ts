import { beforeEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { produceApi } from '../../../src/protocol/messages/00-produce.ts'
import { encodeRequest } from '../../../src/protocol/frame.ts'
import {
  attributes,
  buildBatch,
  codecNames,
  computeCrc,
  decodeRecords,
  setMaxTimestampAndType,
  timestampTypeOf,
} from '../../../src/protocol/record-batch.ts'
import { useBroker } from '../use-broker.ts'
import {
  allValues,
  alterTopic,
  batchOf,
  createTopic,
  EPOCH_MS,
  fetch,
  produce,
  valuesIn,
} from '../requests.ts'

const RECORD_COUNT_AT = 57
const ATTRIBUTES_AT = 21
const CRC_AT = 17
/** Offsets and leader epoch are the broker's; everything from the magic byte on is the producer's. */
const PRODUCERS_BYTES_AT = 16

const broker = useBroker()
let topic = ''
let topics = 0

beforeEach(async () => {
  topic = `topic-${topics++}`
  expect(await createTopic(broker.client, topic, {}, 2)).toBe(ErrorCode.NONE)
})

/** The batch with other header bytes and, unless told otherwise, the CRC that belongs to them. */
function altered(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(computeCrc(copy, 0) >>> 0, CRC_AT)
  return copy
}

describe('what is appended', () => {
  test('gets the next offsets, and is there for readers as soon as it is answered', async () => {
    const first = await produce(broker.client, topic, batchOf(['a', 'b']))
    expect(first).toMatchObject({
      errorCode: ErrorCode.NONE,
      baseOffset: 0,
      logAppendTimeMs: -1,
      logStartOffset: 0,
      errorMessage: null,
    })
    expect((await produce(broker.client, topic, batchOf(['c']), { acks: 1 })).baseOffset).toBe(2)
    expect((await produce(broker.client, topic, batchOf(['x']), { partition: 1 })).baseOffset).toBe(0)
    const fetched = await fetch(broker.client, topic)
    expect(valuesIn(fetched.records)).toEqual(['a', 'b', 'c'])
    expect(fetched.highWatermark).toBe(3)
  })

  test('all partitions of a request are answered, each with its own outcome', async () => {
    const partitionData = [
      { index: 0, records: batchOf(['a']) },
      { index: 7, records: batchOf(['b']) },
      { index: 1, records: Buffer.from('no batch at all') },
    ]
    const topicData = [
      { name: topic, partitionData },
      { name: 'nowhere', partitionData: [{ index: 0, records: batchOf(['c']) }] },
    ]
    const reply = await broker.client.request(produceApi, 9, { acks: -1, timeoutMs: 1000, topicData })
    const codes = reply.responses.map(({ name, partitionResponses }) => {
      return [name, partitionResponses.map(({ index, errorCode }) => [index, errorCode])]
    })
    expect(codes).toEqual([
      [
        topic,
        [
          [0, ErrorCode.NONE],
          [7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
          [1, ErrorCode.INVALID_RECORD],
        ],
      ],
      ['nowhere', [[0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]]],
    ])
  })

  test.each(Object.entries(codecNames).filter(([codec]) => Number(codec) <= 4))(
    'codec %s (%s) is stored as it came, byte for byte',
    async (codec) => {
      const values = Array.from({ length: 50 }, (_, index) => `a value that compresses ${index % 3}`)
      const batch = batchOf(values, { codec: Number(codec) })
      expect((await produce(broker.client, topic, batch)).errorCode).toBe(ErrorCode.NONE)
      const { records } = await fetch(broker.client, topic)
      expect(records!.subarray(PRODUCERS_BYTES_AT).equals(batch.subarray(PRODUCERS_BYTES_AT))).toBe(true)
      expect(valuesIn(records)).toEqual(values)
    },
  )

  test('acks=0 is not answered, and the next request on the connection is', async () => {
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: batchOf(['silent']) }] }]
    broker.client.send(
      Buffer.concat(encodeRequest(produceApi, 9, 99, 'wire-client', { acks: 0, timeoutMs: 1000, topicData })),
    )
    expect(await allValues(broker.client, topic)).toEqual(['silent'])
  })
})

describe('what is refused', () => {
  const refusals: [string, (batch: Buffer) => Buffer | null, number, RegExp][] = [
    [
      'a CRC that is wrong',
      (batch) => {
        const copy = Buffer.from(batch)
        copy[copy.length - 1] ^= 1
        return copy
      },
      ErrorCode.CORRUPT_MESSAGE,
      /crc/,
    ],
    [
      'a count of records that is more than there are',
      (batch) => altered(batch, (copy) => copy.writeInt32BE(9, RECORD_COUNT_AT)),
      ErrorCode.INVALID_RECORD,
      /Inconsistent batch offset range/,
    ],
    [
      'a count and a last offset that are more than there are',
      (batch) =>
        altered(batch, (copy) => {
          copy.writeInt32BE(9, RECORD_COUNT_AT)
          copy.writeInt32BE(8, 23)
        }),
      ErrorCode.INVALID_RECORD,
      /record/i,
    ],
    [
      'a count that is less than there are',
      (batch) =>
        altered(batch, (copy) => {
          copy.writeInt32BE(1, RECORD_COUNT_AT)
          copy.writeInt32BE(0, 23)
        }),
      ErrorCode.INVALID_RECORD,
      /record/i,
    ],
    [
      'a count of 2147483647',
      (batch) =>
        altered(batch, (copy) => {
          copy.writeInt32BE(0x7fffffff, RECORD_COUNT_AT)
          copy.writeInt32BE(0x7ffffffe, 23)
        }),
      ErrorCode.INVALID_RECORD,
      /record/i,
    ],
    [
      'a batch of no records',
      (batch) =>
        altered(batch.subarray(0, 61), (copy) => {
          copy.writeInt32BE(49, 8)
          copy.writeInt32BE(0, RECORD_COUNT_AT)
        }),
      ErrorCode.INVALID_RECORD,
      /count/,
    ],
    [
      'two batches',
      (batch) => Buffer.concat([batch, batch]),
      ErrorCode.INVALID_RECORD,
      /exactly one record batch/,
    ],
    ['null instead of records', () => null, ErrorCode.INVALID_RECORD, /exactly one/],
    ['no bytes at all', () => Buffer.alloc(0), ErrorCode.INVALID_RECORD, /exactly one/],
    [
      'the older format (magic 1)',
      (batch) => altered(batch, (copy) => (copy[16] = 1)),
      ErrorCode.INVALID_RECORD,
      /magic 1/,
    ],
    [
      'a format of the future (magic 3)',
      (batch) => altered(batch, (copy) => (copy[16] = 3)),
      ErrorCode.CORRUPT_MESSAGE,
      /magic/,
    ],
    [
      'a batch that is cut short',
      (batch) => batch.subarray(0, batch.length - 3),
      ErrorCode.INVALID_RECORD,
      /exactly one record batch/,
    ],
    [
      'a control batch',
      (batch) => altered(batch, (copy) => (copy[ATTRIBUTES_AT + 1] |= 0x20)),
      ErrorCode.INVALID_RECORD,
      /control/,
    ],
    [
      'bytes that are not of the codec they claim',
      (batch) => altered(batch, (copy) => (copy[ATTRIBUTES_AT + 1] |= 1)),
      ErrorCode.INVALID_RECORD,
      /gzip/i,
    ],
  ]
  test.each(refusals)('%s', async (_, spoil, errorCode, message) => {
    const reply = await produce(broker.client, topic, spoil(batchOf(['a', 'b'])))
    expect(reply.errorCode).toBe(errorCode)
    expect(reply.errorMessage).toMatch(message)
    expect([reply.baseOffset, reply.logAppendTimeMs]).toEqual([-1, -1])
    expect(await allValues(broker.client, topic)).toEqual([])
  })

  test('a batch over max.message.bytes, until the topic allows it', async () => {
    expect(await alterTopic(broker.client, topic, 'max.message.bytes', '200')).toBe(ErrorCode.NONE)
    const large = batchOf(['x'.repeat(500)])
    expect((await produce(broker.client, topic, large)).errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE)
    expect((await produce(broker.client, topic, batchOf(['small']))).errorCode).toBe(ErrorCode.NONE)
    expect(await alterTopic(broker.client, topic, 'max.message.bytes', null)).toBe(ErrorCode.NONE)
    expect((await produce(broker.client, topic, large)).errorCode).toBe(ErrorCode.NONE)
  })

  test('transactional records, with and without a transactional id', async () => {
    const batch = batchOf(['a'], { producerId: 1, producerEpoch: 0, baseSequence: 0, transactional: true })
    expect((await produce(broker.client, topic, batch)).errorCode).toBe(
      ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    )
    // Of a transaction that no coordinator knows.
    const reply = await produce(broker.client, topic, batch, { transactionalId: 't' })
    expect(reply.errorCode).toBe(ErrorCode.NOT_ENOUGH_REPLICAS)
    expect((await fetch(broker.client, topic, 0, { isolationLevel: 1 })).lastStableOffset).toBe(0)
  })

  test('a batch over segment.bytes', async () => {
    expect(await alterTopic(broker.client, topic, 'segment.bytes', '300')).toBe(ErrorCode.NONE)
    const reply = await produce(broker.client, topic, batchOf(['x'.repeat(500)]))
    expect(reply.errorCode).toBe(ErrorCode.RECORD_LIST_TOO_LARGE)
  })

  test.each([2, -2, 127])('acks=%i', async (acks) => {
    const reply = await produce(broker.client, topic, batchOf(['a']), { acks })
    expect(reply.errorCode).toBe(ErrorCode.INVALID_REQUIRED_ACKS)
  })

  test('an unknown topic before its batch, its batch before acks, as in Kafka', async () => {
    const code = async (name: string, batch: Buffer | null) =>
      (await produce(broker.client, name, batch, { acks: 2 })).errorCode
    expect(await code('nowhere', null)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await code(topic, null)).toBe(ErrorCode.INVALID_RECORD)
    expect(await code(topic, batchOf(['a']))).toBe(ErrorCode.INVALID_REQUIRED_ACKS)
  })

  test.each(['nowhere', '', 'bad name', '..', 'x'.repeat(250)])('the unknown topic "%s"', async (name) => {
    const reply = await produce(broker.client, name, batchOf(['a']))
    expect(reply.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  })

  test.each([2, -1, 0x7fffffff])('the unknown partition %i', async (partition) => {
    const reply = await produce(broker.client, topic, batchOf(['a']), { partition })
    expect(reply.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  })

  test('zstd below version 7', async () => {
    const batch = batchOf(['a'], { codec: 4 })
    const reply = await produce(broker.client, topic, batch, { version: 6 })
    expect(reply.errorCode).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    expect((await produce(broker.client, topic, batch, { version: 7 })).errorCode).toBe(ErrorCode.NONE)
  })

  test('the internal topic, unless an administrator repairs it', async () => {
    const internal = '__consumer_offsets'
    await createTopic(broker.client, internal, { 'cleanup.policy': 'compact' })
    const reply = await produce(broker.client, internal, batchOf(['a']))
    expect(reply.errorCode).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION)
    const repair = await produce(broker.client, internal, batchOf(['a']), { clientId: '__admin_client' })
    expect(repair.errorCode).toBe(ErrorCode.NONE)
  })

  test('a record without a key on a compacted topic, named by its place in the batch', async () => {
    expect(await alterTopic(broker.client, topic, 'cleanup.policy', 'compact')).toBe(ErrorCode.NONE)
    const record = { timestampMs: EPOCH_MS, value: Buffer.from('v') }
    const keys = [Buffer.from('k'), null, Buffer.from('k'), null]
    const batch = buildBatch({ records: keys.map((key) => ({ ...record, key })) })
    const reply = await produce(broker.client, topic, batch, { version: 8 })
    expect(reply.errorCode).toBe(ErrorCode.INVALID_RECORD)
    expect(reply.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3])
    expect(reply.recordErrors[0].batchIndexErrorMessage).toMatch(/key/)
  })

  test('timestamps outside of what the topic allows', async () => {
    expect(await alterTopic(broker.client, topic, 'message.timestamp.before.max.ms', '1000')).toBe(
      ErrorCode.NONE,
    )
    const reply = await produce(broker.client, topic, batchOf(['long ago']))
    expect(reply.errorCode).toBe(ErrorCode.INVALID_TIMESTAMP)
    expect(reply.recordErrors).toHaveLength(1)
  })

  test.each([
    ['an unknown topic', 'nowhere', (batch: Buffer) => batch],
    ['a corrupt batch', null, (batch: Buffer) => batch.fill(7, 61)],
  ])('with acks=0, %s closes the connection', async (_, name, spoil) => {
    const doomed = await broker.process.connect()
    const partitionData = [{ index: 0, records: spoil(batchOf(['a'])) }]
    const topicData = [{ name: name ?? topic, partitionData }]
    doomed.send(Buffer.concat(encodeRequest(produceApi, 9, 1, null, { acks: 0, timeoutMs: 1000, topicData })))
    await doomed.closed
    expect(broker.process.lines.at(-1)).toMatch(/acks=0/)
  })
})

describe('LogAppendTime', () => {
  test('gives all records of a batch the time of its append, and the reply says it', async () => {
    expect(await alterTopic(broker.client, topic, 'message.timestamp.type', 'LogAppendTime')).toBe(
      ErrorCode.NONE,
    )
    const before = Date.now()
    const reply = await produce(broker.client, topic, batchOf(['a', 'b'], { codec: 1 }))
    expect(reply.logAppendTimeMs).toBeGreaterThanOrEqual(before)
    const { records } = await fetch(broker.client, topic)
    expect(decodeRecords(records!).map(({ timestampMs }) => timestampMs)).toEqual([
      reply.logAppendTimeMs,
      reply.logAppendTimeMs,
    ])
  })

  test('is not for producers to claim: refused where the topic has it, CreateTime where it has not', async () => {
    const batch = batchOf(['a', 'b'])
    setMaxTimestampAndType(batch, 0, EPOCH_MS + 5, 1)
    expect((await produce(broker.client, topic, batch)).errorCode).toBe(ErrorCode.NONE)
    const { records } = await fetch(broker.client, topic)
    expect(timestampTypeOf(attributes(records!, 0))).toBe(0)
    expect(await alterTopic(broker.client, topic, 'message.timestamp.type', 'LogAppendTime')).toBe(
      ErrorCode.NONE,
    )
    expect((await produce(broker.client, topic, batch)).errorCode).toBe(ErrorCode.INVALID_TIMESTAMP)
  })

  test('the header takes the greatest timestamp of the records, whatever it claimed', async () => {
    const batch = batchOf(['a', 'b'])
    setMaxTimestampAndType(batch, 0, EPOCH_MS + 1_000_000, 0)
    expect((await produce(broker.client, topic, batch)).errorCode).toBe(ErrorCode.NONE)
    const { records } = await fetch(broker.client, topic)
    expect(Number(records!.readBigInt64BE(35))).toBe(EPOCH_MS + 1)
  })
})

test('compression.type of the topic is what batches are stored with', async () => {
  expect(await alterTopic(broker.client, topic, 'compression.type', 'lz4')).toBe(ErrorCode.NONE)
  expect((await produce(broker.client, topic, batchOf(['a', 'b'], { codec: 1 }))).errorCode).toBe(
    ErrorCode.NONE,
  )
  const { records } = await fetch(broker.client, topic)
  expect(records![ATTRIBUTES_AT + 1] & 7).toBe(3)
  expect(valuesIn(records)).toEqual(['a', 'b'])
})

describe('idempotent producers (KIP-98)', () => {
  const from = (producerId: number, baseSequence: number, values: string[], producerEpoch = 0) =>
    produce(broker.client, topic, batchOf(values, { producerId, producerEpoch, baseSequence }))

  test('each of the last five batches, sent again, is answered with its first offset and not appended', async () => {
    for (let batch = 0; batch < 6; batch++) {
      expect((await from(10, batch * 2, [`${batch}a`, `${batch}b`])).baseOffset).toBe(batch * 2)
    }
    for (let batch = 1; batch < 6; batch++) {
      expect(await from(10, batch * 2, [`${batch}a`, `${batch}b`])).toMatchObject({
        errorCode: ErrorCode.NONE,
        baseOffset: batch * 2,
      })
    }
    expect(await from(10, 0, ['0a', '0b'])).toMatchObject({
      errorCode: ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
      baseOffset: -1,
    })
    expect(await allValues(broker.client, topic)).toHaveLength(12)
  })

  test('a gap is refused, and what fills it is taken', async () => {
    expect((await from(11, 0, ['a'])).errorCode).toBe(ErrorCode.NONE)
    expect((await from(11, 2, ['c'])).errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect((await from(11, 1, ['b'])).errorCode).toBe(ErrorCode.NONE)
    expect((await from(11, 2, ['c'])).errorCode).toBe(ErrorCode.NONE)
    expect(await allValues(broker.client, topic)).toEqual(['a', 'b', 'c'])
  })

  test('a part of an earlier batch is not a duplicate of it', async () => {
    expect((await from(12, 0, ['a', 'b'])).errorCode).toBe(ErrorCode.NONE)
    expect((await from(12, 1, ['b'])).errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
  })

  test('an older epoch is refused, a newer one begins at 0', async () => {
    expect((await from(13, 0, ['a'], 5)).errorCode).toBe(ErrorCode.NONE)
    expect((await from(13, 1, ['b'], 4)).errorCode).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect((await from(13, 1, ['b'], 6)).errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect((await from(13, 0, ['b'], 6)).errorCode).toBe(ErrorCode.NONE)
  })

  test('the sequence number after 2147483647 is 0', async () => {
    expect((await from(14, 0x7ffffffe, ['a', 'b'])).errorCode).toBe(ErrorCode.NONE)
    expect((await from(14, 0, ['c'])).errorCode).toBe(ErrorCode.NONE)
    expect((await from(14, 0x7ffffffe, ['a', 'b'])).baseOffset).toBe(0)
  })

  test('a producer id without a sequence number is refused', async () => {
    expect((await from(15, -1, ['a'])).errorCode).toBe(ErrorCode.INVALID_RECORD)
  })

  test('partitions count apart', async () => {
    const options = { producerId: 16, producerEpoch: 0 }
    const first = batchOf(['a'], { ...options, baseSequence: 0 })
    expect((await produce(broker.client, topic, first)).baseOffset).toBe(0)
    expect((await produce(broker.client, topic, first, { partition: 1 })).baseOffset).toBe(0)
    expect(await allValues(broker.client, topic, 1)).toEqual(['a'])
  })
})
