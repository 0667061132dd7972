/** Clients of the time before record batches: Produce 0-2, Fetch 0-3, ListOffsets 0. */
import { Codec } from '../../../../src/protocol/compression.ts'
import { produceApi } from '../../../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../../../src/protocol/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../../src/protocol/messages/02-list-offsets.ts'
import type { OldMagic } from '../../../../src/protocol/message-set/message.ts'
import { compressMessages } from '../../../../src/protocol/message-set/wrapped-messages.ts'
import { messageOf, messageSet, type OldRecord, type SetOptions } from '../../../protocol/message-sets.ts'
import { step } from '../scenario.ts'
import type { Scenario, Step } from '../scenario.ts'
import { batchOf, createTopic, produce, produceBody, recentMs } from './data.ts'

const HOUR_MS = 3_600_000
const CODECS = { plain: Codec.NONE, gzip: Codec.GZIP, snappy: Codec.SNAPPY, lz4: Codec.LZ4 }

const recordsFor = (values: readonly string[], timestampMs = recentMs): OldRecord[] =>
  values.map((value, index) => ({
    timestampMs: timestampMs + index,
    key: Buffer.from(`key-${index}`),
    value: Buffer.from(value),
  }))

const three = recordsFor(['a', 'b', 'c'])

/** The record bytes of one format by what is special about them. */
function payloads(magic: OldMagic): Record<string, Buffer> {
  const set = (records: readonly OldRecord[] = three, options: SetOptions = {}): Buffer =>
    messageSet(magic, records, options)
  const gzip = (inner: Buffer, more: Parameters<typeof messageOf>[0] = {}): Buffer =>
    messageOf({
      magic,
      codec: Codec.GZIP,
      value: compressMessages(Codec.GZIP, magic, inner),
      offset: 2,
      ...more,
    })
  const broken = (bytes: Buffer): Buffer => Buffer.from(bytes).fill(0x55, bytes.length - 1)
  const other = messageSet(magic === 0 ? 1 : 0, three)
  const logAppendTime = { timestampType: 1, timestampMs: recentMs + 9 } as const
  const all: Record<string, Buffer> = {
    'no bytes': Buffer.alloc(0),
    'a few bytes': Buffer.alloc(11),
    'cut off': set().subarray(0, set().length - 3),
    'only a part': set([three[0]]).subarray(0, 30),
    'bad CRC': broken(set()),
    'bad CRC inside': gzip(broken(set())),
    'two formats': Buffer.concat([set(), other]),
    'another format inside': gzip(other),
    'nested wrappers': gzip(gzip(set())),
    'two wrappers': Buffer.concat([gzip(set()), gzip(set())]),
    'a wrapper behind a plain message': Buffer.concat([set(), gzip(set())]),
    'an empty wrapper': gzip(Buffer.alloc(0)),
    'a wrapper without a value': messageOf({ magic, codec: Codec.GZIP }),
    'a wrapper cut short inside': gzip(set().subarray(0, set().length - 3)),
    'wrapper offset 0': gzip(set(), { offset: 0 }),
    'wrapper offset 1': gzip(set(), { offset: 1 }),
    'inner offsets all 0': gzip(Buffer.concat(three.map((record) => messageOf({ magic, ...record })))),
    'offsets from 77': set(three, { firstOffset: 77 }),
    'zstd wrapper': messageOf({ magic, codec: Codec.ZSTD, value: set() }),
    'unknown codec 5': messageOf({ magic, codec: 5, value: set() }),
    'says gzip, is not': messageOf({ magic, codec: Codec.GZIP, value: set() }),
    'null key and value': set([{ timestampMs: recentMs, key: null, value: null }]),
    'in three hours': set(recordsFor(['a', 'b'], recentMs + 4 * HOUR_MS)),
    'in three hours, gzip': set(recordsFor(['a', 'b'], recentMs + 4 * HOUR_MS), { codec: Codec.GZIP }),
    'timestamp -1': set([{ ...three[0], timestampMs: -1 }]),
    'timestamp -2': set([{ ...three[0], timestampMs: -2 }]),
    'says log append time': set(three, { inner: logAppendTime }),
    'says log append time, gzip': set(three, { codec: Codec.GZIP, wrapper: logAppendTime }),
    'a batch of magic 2': batchOf(['a', 'b']),
    'a batch and a message': Buffer.concat([batchOf(['a']), set()]),
    'a message and a batch': Buffer.concat([set(), batchOf(['a'])]),
    'two batches of magic 2': Buffer.concat([batchOf(['a']), batchOf(['b'])]),
    'a transactional batch': batchOf(['a'], {
      transactional: true,
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
    }),
  }
  for (const [name, codec] of Object.entries(CODECS)) {
    all[name] = set(three, { codec })
    all[`${name}, many`] = set(
      recordsFor(Array.from({ length: 900 }, (_, index) => `value ${index}`.repeat(9))),
      {
        codec,
      },
    )
  }
  return all
}

const latest = (topic: string): Step =>
  step('end offset', listOffsetsApi, 0, {
    replicaId: -1,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1, maxNumOffsets: 1 }] }],
  })

function read(label: string, version: number, topic: string, offset: number, maxBytes = 10_000_000): Step {
  return step(label, fetchApi, version, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic, partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: maxBytes }] }],
  })
}

/** Topics of one setting each, by suffix. */
const settings: Record<string, Record<string, string>> = {
  '': {},
  '-compact': { 'cleanup.policy': 'compact' },
  '-append-time': { 'message.timestamp.type': 'LogAppendTime' },
  '-gzip': { 'compression.type': 'gzip' },
  '-uncompressed': { 'compression.type': 'uncompressed' },
  '-small': { 'max.message.bytes': '200' },
}

function produceSteps(version: number): Step[] {
  const name = `old${version}`
  const magic = version < 2 ? 0 : 1
  const all = payloads(magic)
  const send = (label: string, topic: string, records: Buffer): Step =>
    step(`${topic}: ${label}`, produceApi, version, produceBody(topic, records))
  const some = [
    'plain',
    'lz4',
    'null key and value',
    'says log append time',
    'says log append time, gzip',
    'in three hours',
    'plain, many',
  ]
  return [
    ...Object.entries(settings).map(([suffix, configs]) => createTopic(name + suffix, { configs })),
    ...Object.entries(all).map(([label, records]) => send(label, name, records)),
    latest(name),
    // Where it is not kept: Kafka gives old readers nothing that is near zstd.
    send('a batch of magic 2, zstd', `${name}-gzip`, batchOf(['a', 'b'], { codec: Codec.ZSTD })),
    ...Object.keys(settings)
      .slice(1)
      .flatMap((suffix) => some.map((label) => send(label, name + suffix, all[label]))),
    step('unknown topic', produceApi, version, produceBody('old-gone', all.plain)),
    step('acks 2', produceApi, version, produceBody(name, all.plain, { acks: 2 })),
    step('null records', produceApi, version, produceBody(name, null)),
    ...Object.keys(settings).flatMap((suffix) =>
      [1, 3, 11].map((fetchVersion) => read(`read ${name}${suffix}`, fetchVersion, name + suffix, 0)),
    ),
  ]
}

/** One topic: plain 0-2, gzip 3-5, snappy 6-8, lz4 9-11, plain 12, 13, 14, 15. */
function fetchSteps(version: number): Step[] {
  const name = `old-fetch${version}`
  const fill = Object.values(CODECS).map((codec, index) =>
    produce(`fill ${index}`, name, batchOf(['a', 'b', 'c'], { codec })),
  )
  const zstd = `${name}-zstd`
  return [
    createTopic(name),
    ...fill,
    // Several, so that no limit lies where the codecs' few bytes of difference would decide.
    ...[1, 2, 3, 4].map((index) => produce(`fill last ${index}`, name, batchOf(['last']))),
    ...[0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 16, 17, -1].map((offset) =>
      read(`from ${offset}`, version, name, offset),
    ),
    ...[0, 1, 50, 200].map((maxBytes) => read(`${maxBytes} bytes`, version, name, 0, maxBytes)),
    read('unknown topic', version, 'old-gone', 0),
    createTopic(zstd),
    produce('before zstd', zstd, batchOf(['a'])),
    produce('zstd', zstd, batchOf(['b'], { codec: Codec.ZSTD })),
    read('zstd behind', version, zstd, 0),
    read('zstd', version, zstd, 1),
    createTopic(`${zstd}-topic`, { configs: { 'compression.type': 'zstd' } }),
    read('topic of zstd, empty', version, `${zstd}-topic`, 0),
    ...[4, 9, 10].map((fetchVersion) => read('topic of zstd, empty', fetchVersion, `${zstd}-topic`, 0)),
    createTopic(`${name}-off`, { configs: { 'message.downconversion.enable': 'false' } }),
    read('no conversion, empty', version, `${name}-off`, 0),
    produce('before no conversion', `${name}-off`, batchOf(['a'])),
    read('no conversion', version, `${name}-off`, 0),
    read('no conversion, beyond the end', version, `${name}-off`, 9),
  ]
}

function listOffsetsSteps(): Step[] {
  const name = 'old-offsets'
  const ask = (label: string, timestamp: number, maxNumOffsets: number, partitionIndex = 0): Step =>
    step(label, listOffsetsApi, 0, {
      replicaId: -1,
      topics: [{ name, partitions: [{ partitionIndex, timestamp, maxNumOffsets }] }],
    })
  const value = 'x'.repeat(900)
  return [
    createTopic(name, { partitions: 2, configs: { 'segment.bytes': '1024' } }),
    ...[0, 1, 2].map((index) => produce(`fill ${index}`, name, batchOf([value]))),
    ...[-1, -2].flatMap((timestamp) =>
      [0, 1, 2, 10].map((count) => ask(`${timestamp}, at most ${count}`, timestamp, count)),
    ),
    ask('by time, all', Date.now() + HOUR_MS, 10),
    ask('by time, one', Date.now() + HOUR_MS, 1),
    ask('by time, none', 1, 10),
    ask('time 0', 0, 10),
    ask('-3', -3, 10),
    ask('empty, latest', -1, 10, 1),
    ask('empty, earliest', -2, 10, 1),
    ask('empty, by time', Date.now() + HOUR_MS, 10, 1),
    ask('unknown partition', -1, 1, 9),
    ask('minus one offset', -1, -1),
  ]
}

export const oldFormatScenarios: Scenario[] = [
  ...[0, 1, 2].map((version) => ({ name: `Old formats: Produce v${version}`, steps: produceSteps(version) })),
  ...[0, 1, 2, 3].map((version) => ({ name: `Old formats: Fetch v${version}`, steps: fetchSteps(version) })),
  { name: 'Old formats: ListOffsets v0', steps: listOffsetsSteps() },
]
