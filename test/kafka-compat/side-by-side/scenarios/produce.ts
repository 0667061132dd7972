import { produceApi } from '../../../../src/protocol/messages/00-produce.ts'
import { listOffsetsApi } from '../../../../src/protocol/messages/02-list-offsets.ts'
import { deleteRecordsApi } from '../../../../src/protocol/messages/21-delete-records.ts'
import { initProducerIdApi } from '../../../../src/protocol/messages/22-init-producer-id.ts'
import { apiVersionsApi } from '../../../../src/protocol/messages/18-api-versions.ts'
import { fetchApi } from '../../../../src/protocol/messages/01-fetch.ts'
import { Codec } from '../../../../src/protocol/compression.ts'
import { buildBatch } from '../../../../src/protocol/record-batch.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Replies, Scenario, Step } from '../scenario.ts'
import { batchOf, createTopic, produceBody, recentMs, tampered, untilCoordinator } from './data.ts'

const HOUR_MS = 3_600_000
const AT = {
  length: 8,
  magic: 16,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  count: 57,
}

const three = batchOf(['a', 'b', 'c'])

/** A message of format 1 alone, as clients before 0.11 sent: CRC-32 is not looked at before the magic byte. */
function magic1(): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.writeInt32BE(28, 8)
  bytes[16] = 1
  return bytes
}

function manyTimes(value: string, count: number): string[] {
  return Array.from({ length: count }, () => value)
}

/** The record bytes by what is special about them. */
const payloads: Record<string, Buffer | null> = {
  good: three,
  'no bytes': Buffer.alloc(0),
  'a few bytes': Buffer.alloc(5),
  'bad CRC': Buffer.from(three).fill(0x55, 17, 21),
  'count too high': tampered(three, (bytes) => bytes.writeInt32BE(4, AT.count)),
  'count too low': tampered(three, (bytes) => bytes.writeInt32BE(2, AT.count)),
  'count 0': tampered(three, (bytes) => bytes.writeInt32BE(0, AT.count)),
  'count -1': tampered(three, (bytes) => bytes.writeInt32BE(-1, AT.count)),
  'last offset delta too high': tampered(three, (bytes) => bytes.writeInt32BE(5, AT.lastOffsetDelta)),
  'last offset delta too low': tampered(three, (bytes) => bytes.writeInt32BE(1, AT.lastOffsetDelta)),
  'last offset delta -1': tampered(three, (bytes) => bytes.writeInt32BE(-1, AT.lastOffsetDelta)),
  'base offset 5': batchOf(['a', 'b'], { baseOffset: 5 }),
  'base offset -1': tampered(three, (bytes) => bytes.writeBigInt64BE(-1n, 0)),
  'magic 1': magic1(),
  'magic 0': (() => {
    const bytes = magic1()
    bytes[16] = 0
    return bytes
  })(),
  'magic 3': Buffer.from(three).fill(3, AT.magic, AT.magic + 1),
  'length beyond the bytes': tampered(three, (bytes) => bytes.writeInt32BE(three.length, AT.length)),
  'length below a header': tampered(three, (bytes) => bytes.writeInt32BE(20, AT.length)),
  'length -1': tampered(three, (bytes) => bytes.writeInt32BE(-1, AT.length)),
  'cut off': three.subarray(0, three.length - 3),
  'control batch': batchOf(['a'], { control: true }),
  'control batch of a producer': batchOf(['a'], {
    control: true,
    transactional: true,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
  }),
  'two batches': Buffer.concat([batchOf(['a']), batchOf(['b'])]),
  'unknown codec 5': tampered(three, (bytes) => bytes.writeInt16BE(5, AT.attributes)),
  'unknown codec 7': tampered(three, (bytes) => bytes.writeInt16BE(7, AT.attributes)),
  'says gzip, is not': tampered(three, (bytes) => bytes.writeInt16BE(1, AT.attributes)),
  'says log append time': batchOf(['a', 'b'], { timestampType: 1 }),
  'unused attribute bits': tampered(three, (bytes) => bytes.writeInt16BE(0x4000, AT.attributes)),
  'records that are no records': tampered(three, (bytes) => bytes.fill(0xff, 61)),
  'first record too long': tampered(three, (bytes) => bytes.fill(0x7e, 61, 62)),
  gzip: batchOf(manyTimes('aaaaaaaaaaaaaaaaaaaaaaaa', 20), { codec: Codec.GZIP }),
  snappy: batchOf(manyTimes('aaaaaaaaaaaaaaaaaaaaaaaa', 20), { codec: Codec.SNAPPY }),
  lz4: batchOf(manyTimes('aaaaaaaaaaaaaaaaaaaaaaaa', 20), { codec: Codec.LZ4 }),
  zstd: batchOf(manyTimes('aaaaaaaaaaaaaaaaaaaaaaaa', 20), { codec: Codec.ZSTD }),
  'gzip with a wrong count': tampered(batchOf(['a', 'b', 'c'], { codec: Codec.GZIP }), (bytes) => {
    bytes.writeInt32BE(5, AT.count)
    bytes.writeInt32BE(4, AT.lastOffsetDelta)
  }),
  'in an hour less a minute': batchOf(['a'], { timestampMs: recentMs + 2 * HOUR_MS - 60_000 }),
  'in two hours': batchOf(['a', 'b'], { timestampMs: recentMs + 3 * HOUR_MS }),
  'in two hours, gzip': batchOf(['a', 'b'], { timestampMs: recentMs + 3 * HOUR_MS, codec: Codec.GZIP }),
  'ten days ago': batchOf(['a'], { timestampMs: recentMs - 240 * HOUR_MS }),
  'timestamp -1': batchOf(['a'], { timestampMs: -1 }),
  'timestamp -2': batchOf(['a'], { timestampMs: -2 }),
  'max timestamp too low': tampered(three, (bytes) =>
    bytes.writeBigInt64BE(BigInt(recentMs), AT.maxTimestamp),
  ),
  'null key and value': batchOf(['a'], { keyed: false }),
}

const latest = (topic: string): Step =>
  step('end offset', listOffsetsApi, 4, {
    replicaId: -1,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  })

function produceSteps(version: number): Step[] {
  const name = `p${version}`
  const send = (label: string, topic: string, records: Buffer | null, options = {}): Step =>
    step(label, produceApi, version, produceBody(topic, records, options))
  return [
    createTopic(name, { partitions: 2 }),
    createTopic(`${name}-small`, { configs: { 'max.message.bytes': '200' } }),
    createTopic(`${name}-compact`, { configs: { 'cleanup.policy': 'compact' } }),
    createTopic(`${name}-append-time`, { configs: { 'message.timestamp.type': 'LogAppendTime' } }),
    createTopic(`${name}-gzip`, { configs: { 'compression.type': 'gzip' } }),
    createTopic(`${name}-uncompressed`, { configs: { 'compression.type': 'uncompressed' } }),
    createTopic(`${name}-before`, { configs: { 'message.timestamp.before.max.ms': '7200000' } }),
    ...Object.entries(payloads).flatMap(([label, records]) => [send(label, name, records), latest(name)]),
    ...[0, 1, -1].map((acks) =>
      acks === 0
        ? step('acks 0', produceApi, version, produceBody(name, three, { acks }), { oneWay: true })
        : send(`acks ${acks}`, name, three, { acks }),
    ),
    latest(name),
    ...[2, -2].map((acks) => send(`acks ${acks}`, name, three, { acks })),
    latest(name),
    step('acks 0 and nothing wrong', produceApi, version, produceBody(name, three, { acks: 0 }), {
      oneWay: true,
      on: 'second',
    }),
    step('the connection is there', apiVersionsApi, 0, {}, { on: 'second' }),
    step('acks 0 and an unknown topic', produceApi, version, produceBody('p-gone', three, { acks: 0 }), {
      oneWay: true,
      on: 'third',
    }),
    step('is the connection there', apiVersionsApi, 0, {}, { on: 'third' }),
    ...([3, 9].includes(version)
      ? [
          step('null records', produceApi, version, produceBody(name, null), {
            on: 'fourth',
            patienceMs: 1500,
          }),
        ]
      : []),
    send('unknown topic', 'p-gone', three),
    send('unknown partition', name, three, { partition: 7 }),
    send('partition -1', name, three, { partition: -1 }),
    send('bad topic name', 'a/b', three),
    send('empty topic name', '', three),
    send('internal topic', '__consumer_offsets', three),
    send('bytes behind', `${name}-small`, Buffer.concat([three, Buffer.alloc(7)])),
    send('too large', `${name}-small`, batchOf(manyTimes('0123456789', 40))),
    send(
      'too large, but compressed',
      `${name}-small`,
      batchOf(manyTimes('0123456789', 40), { codec: Codec.GZIP }),
    ),
    send('compacted, keyed', `${name}-compact`, three),
    send('compacted, no key', `${name}-compact`, batchOf(['a', 'b'], { keyed: false })),
    send(
      'compacted, no key, gzip',
      `${name}-compact`,
      batchOf(['a', 'b'], { keyed: false, codec: Codec.GZIP }),
    ),
    latest(`${name}-compact`),
    send('append time', `${name}-append-time`, three),
    send('append time, gzip', `${name}-append-time`, batchOf(['a', 'b'], { codec: Codec.GZIP })),
    send('append time, in two hours', `${name}-append-time`, payloads['in two hours']),
    send('append time, said so', `${name}-append-time`, payloads['says log append time']),
    send('too old', `${name}-before`, payloads['ten days ago']),
    send('made gzip', `${name}-gzip`, batchOf(manyTimes('aaaaaaaaaa', 9))),
    send('gzip as it should', `${name}-gzip`, batchOf(manyTimes('aaaaaaaaaa', 9), { codec: Codec.GZIP })),
    send('made plain', `${name}-uncompressed`, batchOf(manyTimes('aaaaaaaaaa', 9), { codec: Codec.LZ4 })),
    step('several partitions', produceApi, version, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [
        { name, partitionData: [0, 1, 2].map((index) => ({ index, records: three })) },
        { name: 'p-gone', partitionData: [{ index: 0, records: three }] },
      ],
    }),
    step('no topics', produceApi, version, { acks: -1, timeoutMs: 5000, topicData: [] }),
    step('no partitions', produceApi, version, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ name, partitionData: [] }],
    }),
    latest(name),
  ]
}

/** What was stored: every batch's header and a digest of its records. */
function readBack(topic: string): Step {
  return step(`read ${topic}`, fetchApi, 11, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 10_000_000 }] }],
  })
}

/** A record without a key, and one of ten days ago: either alone, and both in either order. */
function oddBatches(): [string, Buffer][] {
  const unkeyed = { timestampMs: recentMs, key: null, value: Buffer.from('v') }
  const old = { timestampMs: recentMs - 240 * HOUR_MS, key: Buffer.from('k'), value: Buffer.from('v') }
  const orders = {
    unkeyed: [unkeyed],
    old: [old],
    'unkeyed, old': [unkeyed, old],
    'old, unkeyed': [old, unkeyed],
  }
  return Object.entries(orders).map(([label, records]) => [label, buildBatch({ records })])
}

/** Every codec into a topic of every compression.type; levels; and which of two errors a batch is refused with. */
function storedAnewSteps(): Step[] {
  const send = (label: string, topic: string, records: Buffer): Step =>
    step(label, produceApi, 9, produceBody(topic, records))
  const values = manyTimes('aaaaaaaaaa bbbbbbbbbb', 30)
  const types = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd', 'producer']
  const levels: Record<string, string>[] = [
    { 'compression.type': 'gzip', 'compression.gzip.level': '9' },
    { 'compression.type': 'zstd', 'compression.zstd.level': '-5' },
    { 'compression.type': 'lz4', 'compression.lz4.level': '17' },
    ...['0', '10', '-2'].map((level) => ({ 'compression.gzip.level': level })),
    ...['0', '18'].map((level) => ({ 'compression.lz4.level': level })),
    ...['23', '-131073'].map((level) => ({ 'compression.zstd.level': level })),
  ]
  return [
    ...types.flatMap((type) => [
      createTopic(`anew-${type}`, { configs: { 'compression.type': type } }),
      ...Object.entries(Codec).map(([name, codec]) =>
        send(`${name} to ${type}`, `anew-${type}`, batchOf(values, { codec, timestampMs: recentMs + codec })),
      ),
      readBack(`anew-${type}`),
    ]),
    ...levels.map((configs, index) => createTopic(`anew-level-${index}`, { configs })),
    ...[0, 1, 2].flatMap((index) => [
      send(`at level ${index}`, `anew-level-${index}`, batchOf(values)),
      readBack(`anew-level-${index}`),
    ]),
    createTopic('anew-small', {
      configs: { 'compression.type': 'uncompressed', 'max.message.bytes': '400' },
    }),
    send('too large once unpacked', 'anew-small', batchOf(values, { codec: Codec.GZIP })),
    createTopic('anew-strict', {
      configs: { 'cleanup.policy': 'compact', 'message.timestamp.before.max.ms': '7200000' },
    }),
    ...oddBatches().map(([label, records]) => send(label, 'anew-strict', records)),
    latest('anew-strict'),
  ]
}

interface Producer {
  readonly id: number
  readonly epoch: number
}

function producerOf(replies: Replies, label: string): Producer {
  const { producerId, producerEpoch } = replies.get(label)
  return { id: producerId, epoch: producerEpoch }
}

function idempotentSteps(version: number): Step[] {
  const name = `idempotent${version}`
  const init = (label: string): Step =>
    step(
      label,
      initProducerIdApi,
      Math.min(version, 5),
      { transactionalId: null, transactionTimeoutMs: 60_000 },
      // Kafka fetches its first block of ids on demand.
      { until: ({ errorCode }) => errorCode === 0 },
    )
  const send = (
    label: string,
    baseSequence: number,
    { epoch = 0, count = 1, producer = 'producer', value = 'v', transactional = false } = {},
  ): Step =>
    step(label, produceApi, version, (replies) => {
      const { id, epoch: own } = producerOf(replies, producer)
      const identity = { producerId: id, producerEpoch: own + epoch, baseSequence, transactional }
      return produceBody(name, batchOf(manyTimes(value, count), identity))
    })
  return [
    createTopic(name),
    init('producer'),
    init('other'),
    send('first', 0),
    send('second', 1, { count: 3 }),
    send('second again', 1, { count: 3 }),
    send('first again', 0),
    send('second, shorter', 1, { count: 2 }),
    send('second, later begin', 2, { count: 2 }),
    send('gap', 6),
    send('third', 4),
    ...[5, 6, 7, 8, 9].map((sequence) => send(`sequence ${sequence}`, sequence)),
    send('fifth last again', 5),
    send('sixth last again', 4),
    send('long ago again', 0),
    send('sequence -1', -1),
    send('sequence -2', -2),
    send('another producer in the middle', 7, { producer: 'other' }),
    send('another producer goes on', 8, { producer: 'other' }),
    send('another producer begins again', 0, { producer: 'other' }),
    send('new epoch not from 0', 10, { epoch: 1 }),
    send('new epoch', 0, { epoch: 1 }),
    send('new epoch again', 0, { epoch: 1 }),
    send('old epoch', 10),
    send('old epoch from 0', 0),
    send('epoch -1', 0, { epoch: -1 }),
    send('transactional without a transaction', 1, { epoch: 1, transactional: true }),
    send('after it', 1, { epoch: 1 }),
    step('near the end of sequences', produceApi, version, (replies) =>
      produceBody(
        name,
        batchOf(['a', 'b'], {
          producerId: producerOf(replies, 'producer').id,
          producerEpoch: 5,
          baseSequence: 0,
        }),
      ),
    ),
    step('never seen producer id', produceApi, version, () =>
      produceBody(
        name,
        batchOf(['a', 'b'], { producerId: 99_999_999, producerEpoch: 3, baseSequence: 2147483646 }),
      ),
    ),
    step('sequences wrap', produceApi, version, () =>
      produceBody(name, batchOf(['a', 'b'], { producerId: 99_999_999, producerEpoch: 3, baseSequence: 0 })),
    ),
    ...atTheEndOfNumbers(version, name),
    latest(name),
    readBack(name),
    step('transactional id', produceApi, version, {
      ...produceBody(name, three),
      transactionalId: 'tx',
    }),
    step('all is deleted', deleteRecordsApi, 2, {
      topics: [{ name, partitions: [{ partitionIndex: 0, offset: -1 }] }],
      timeoutMs: 10_000,
    }),
    send('gap behind what is gone', 20, { producer: 'other' }),
    send('of a batch that is gone', 8, { producer: 'other' }),
    send('old epoch behind what is gone', 0),
    send('next behind what is gone', 9, { producer: 'other' }),
    readBack(name),
  ]
}

/** The last sequence number and the last epoch. */
function atTheEndOfNumbers(version: number, name: string): Step[] {
  const send = (label: string, producerEpoch: number, baseSequence: number): Step => {
    const identity = { producerId: 99_999_998, producerEpoch, baseSequence }
    return step(label, produceApi, version, produceBody(name, batchOf(['a', 'b', 'c'], identity)))
  }
  return [
    send('sequences wrap in a batch', 32_766, 2_147_483_646),
    send('sequences wrap in a batch, again', 32_766, 2_147_483_646),
    send('gap behind the wrap', 32_766, 2),
    send('behind the wrap', 32_766, 1),
    send('the last epoch', 32_767, 0),
    send('the last epoch goes on', 32_767, 3),
    send('epoch 0 behind the last one', 0, 0),
    send('the last epoch but one', 32_766, 4),
  ]
}

export const produceScenarios: Scenario[] = [
  { name: 'Produce: the offsets topic is there', steps: [untilCoordinator('produce')] },
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11].map((version) => ({
    name: `Produce v${version}`,
    steps: produceSteps(version),
  })),
  ...[3, 5, 7, 8, 11].map((version) => ({
    name: `Produce v${version}: idempotent producers`,
    steps: idempotentSteps(version),
  })),
  { name: 'Produce: what a topic stores anew', steps: storedAnewSteps() },
  {
    name: 'What producers wrote is what Kafka would keep',
    steps: everyVersion(
      produceApi,
      (version) =>
        ['', '-small', '-compact', '-append-time', '-gzip', '-uncompressed', '-before'].map((suffix) =>
          readBack(`p${version}${suffix}`),
        ),
      3,
      11,
    ),
  },
  {
    name: 'InitProducerId',
    steps: everyVersion(initProducerIdApi, (version) => [
      step('no transactional id', initProducerIdApi, version, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
      }),
      step('another', initProducerIdApi, version, { transactionalId: null, transactionTimeoutMs: 60_000 }),
      step('timeout 0', initProducerIdApi, version, { transactionalId: null, transactionTimeoutMs: 0 }),
      step('timeout -1', initProducerIdApi, version, { transactionalId: null, transactionTimeoutMs: -1 }),
      step('empty transactional id', initProducerIdApi, version, {
        transactionalId: '',
        transactionTimeoutMs: 60_000,
      }),
      ...(version >= 3
        ? [
            [5, 3],
            [5, -1],
            [-1, 3],
          ].map(([producerId, producerEpoch]) =>
            step(`was ${producerId} ${producerEpoch}`, initProducerIdApi, version, {
              transactionalId: null,
              transactionTimeoutMs: 60_000,
              producerId,
              producerEpoch,
            }),
          )
        : []),
    ]),
  },
]
