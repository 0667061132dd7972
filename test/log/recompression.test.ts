import * as zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { validateClientBatch } from '../../src/log/append-validation.ts'
import type { LogConfig } from '../../src/log/types.ts'
import { compress } from '../../src/protocol/compression.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import { append, baseConfig, batchOf, openLogs, readAll, START_MS } from './log-fixture.ts'

const types = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const codecs = [rb.Codec.NONE, rb.Codec.GZIP, rb.Codec.SNAPPY, rb.Codec.LZ4, rb.Codec.ZSTD]
const words = Array.from({ length: 2_000 }, (_, i) => `record ${(i * 7919) % 1000}`).join(',')

function stored(records: Buffer, config: Partial<LogConfig>) {
  const valid = validateClientBatch(records, { ...baseConfig, ...config }, START_MS)
  if (valid.fault !== null) throw new Error(valid.fault.message)
  return valid
}

const codecIn = (bytes: Buffer): number => rb.codecOf(rb.attributes(bytes, 0))

describe('compression.type', () => {
  it.each(types.flatMap((type) => codecs.map((codec) => [rb.codecNames[codec], type, codec] as const)))(
    'of %s makes %s: records, producer and times stay',
    (_name, type, codec) => {
      const sent = rb.buildBatch({
        codec,
        records: Array.from({ length: 40 }, (_, i) => ({
          timestampMs: START_MS + ((i * 7) % 40),
          key: i % 3 === 0 ? null : Buffer.from(`key ${i}`),
          value: i % 5 === 0 ? null : Buffer.from(words.slice(0, i * 200)),
          headers: [{ key: `header ${i}`, value: i % 2 === 0 ? null : Buffer.from('h') }],
        })),
        producerId: 4000,
        producerEpoch: 3,
        baseSequence: 17,
        transactional: true,
      })
      const { records, convertedRecords } = stored(sent, { compressionType: type })
      const target = codecs[types.indexOf(type)]
      expect(codecIn(records)).toBe(target)
      expect(convertedRecords).toBe(target === codec ? 0 : 40)
      expect(rb.checkBatch(records, 0, records.length)).toBe(null)
      expect(texts(records)).toEqual(texts(sent))
      const kept = [rb.producerId, rb.producerEpoch, rb.baseSequence, rb.maxTimestamp, rb.baseTimestamp]
      expect(kept.map((field) => field(records, 0))).toEqual(kept.map((field) => field(sent, 0)))
      expect(rb.isTransactional(rb.attributes(records, 0))).toBe(true)
    },
  )

  it('producer leaves every batch as it came', () => {
    for (const codec of codecs) {
      const sent = batchOf({ values: ['a', 'b'], codec })
      expect(stored(Buffer.from(sent), { compressionType: 'producer' }).records).toEqual(sent)
    }
  })

  it('sees snappy of several blocks, framed or not, and several streams', () => {
    const content = plainBytes(batchOf({ values: [words, words, words] }))
    const stream = compress(rb.Codec.SNAPPY, content)
    expect(content.length).toBeGreaterThan(32 * 1024)
    const half = compress(rb.Codec.SNAPPY, content.subarray(0, 40_000))
    const rest = compress(rb.Codec.SNAPPY, content.subarray(40_000))
    for (const compressed of [
      stream,
      Buffer.concat([half, rest]),
      Buffer.concat([half, rest.subarray(16)]),
    ]) {
      const sent = withContent(batchOf({ values: [words, words, words] }), rb.Codec.SNAPPY, compressed)
      const { records } = stored(sent, { compressionType: 'uncompressed' })
      expect(rb.decodeRecords(records).map(({ value }) => String(value))).toEqual([words, words, words])
    }
  })

  it('counts what is stored against max.message.bytes, and what came', () => {
    const zipped = batchOf({ values: ['x'.repeat(5000)], codec: rb.Codec.GZIP })
    const refused = (records: Buffer, compressionType: LogConfig['compressionType']) => {
      const config = { ...baseConfig, maxMessageBytes: 2000, compressionType }
      return validateClientBatch(records, config, START_MS).fault?.error
    }
    expect(zipped.length).toBeLessThan(2000)
    expect(refused(zipped, 'producer')).toBe(undefined)
    expect(refused(zipped, 'uncompressed')).toBe(ErrorCode.MESSAGE_TOO_LARGE)
    expect(refused(batchOf('x'.repeat(5000)), 'gzip')).toBe(ErrorCode.MESSAGE_TOO_LARGE)
  })

  it('takes LogAppendTime, whichever way the batch is stored', () => {
    for (const compressionType of ['producer', ...types] as const) {
      const config = { compressionType, messageTimestampType: 'LogAppendTime' as const }
      const log = openLogs({ disk: new SimDisk({ random: new SeededRandom(1) }), config }).log()
      expect(append(log, { values: ['a', 'b'], timestampMs: 5 })).toMatchObject({ logAppendTimeMs: START_MS })
      expect(rb.decodeRecords(readAll(log)).map(({ timestampMs }) => timestampMs)).toEqual([
        START_MS,
        START_MS,
      ])
    }
  })
})

describe('compression levels', () => {
  const sizeAt = (type: LogConfig['compressionType'], level: number): number => {
    const compressionLevels = { gzip: level, lz4: level, zstd: level }
    return stored(batchOf(words), { compressionType: type, compressionLevels }).records.length
  }

  it('of gzip and zstd take effect, fast ones of zstd, too', () => {
    expect(sizeAt('gzip', 9)).toBeLessThan(sizeAt('gzip', 1))
    expect(sizeAt('gzip', -1)).toBe(sizeAt('gzip', 6))
    expect(sizeAt('zstd', -50)).toBeGreaterThan(sizeAt('zstd', -1))
    expect(sizeAt('zstd', -131072)).toBeGreaterThan(sizeAt('zstd', -50))
    // Which is smaller depends on the library's version; that they differ shows that the level has reached it.
    expect(sizeAt('zstd', 22)).not.toBe(sizeAt('zstd', 3))
  })

  it('of lz4 have none: every level is readable and the same', () => {
    expect(new Set([1, 9, 17].map((level) => sizeAt('lz4', level))).size).toBe(1)
  })
})

describe('a batch that unpacks to more than it may', () => {
  /** One record over the limit of 128 MiB, of zeros. */
  const bombs: [string, number, () => Buffer][] = [
    ['gzip', rb.Codec.GZIP, () => zlib.gzipSync(Buffer.alloc(129 << 20), { level: 9 })],
    ['snappy', rb.Codec.SNAPPY, () => compress(rb.Codec.SNAPPY, Buffer.alloc(129 << 20))],
    ['lz4', rb.Codec.LZ4, () => compress(rb.Codec.LZ4, Buffer.alloc(129 << 20))],
    ['zstd', rb.Codec.ZSTD, () => compress(rb.Codec.ZSTD, Buffer.alloc(129 << 20))],
  ]

  it.each(bombs)(
    'in %s is refused before it is stored, and where it lies is no bug',
    async (_n, codec, make) => {
      const bomb = withContent(batchOf('x'), codec, make())
      const config = { maxMessageBytes: 20 << 20, compressionType: 'uncompressed' as const }
      expect(validateClientBatch(bomb, { ...baseConfig, ...config }, START_MS).fault?.error).toBe(
        ErrorCode.MESSAGE_TOO_LARGE,
      )
      // A leader without this limit, or a directory that Kafka wrote.
      const { log } = openLogs({ disk: new SimDisk({ random: new SeededRandom(1) }), config })
      log().appendAsFollower(bomb)
      expect(() => log().offsetForTimestamp(START_MS)).toThrow(/cannot be read: .*more than/)
      expect(() => log().offsetOfMaxTimestamp()).toThrow(/cannot be read: .*more than/)
    },
  )
})

/** Bytes as text: comparing buffers byte by byte takes its time. */
function texts(batch: Buffer): string[] {
  return rb.decodeRecords(batch).map(({ offset, timestampMs, key, value, headers }) => {
    const pairs = headers.map((header) => `${header.key}=${header.value}`)
    return `${offset} ${timestampMs} ${key} ${value} ${pairs.join()}`
  })
}

function plainBytes(batch: Buffer): Buffer {
  return batch.subarray(rb.BATCH_OVERHEAD)
}

/** The batch with other record bytes, and what its header must say of them. */
function withContent(batch: Buffer, codec: number, content: Buffer): Buffer {
  const bytes = Buffer.concat([batch.subarray(0, rb.BATCH_OVERHEAD), content])
  bytes.writeInt32BE(bytes.length - rb.LOG_OVERHEAD, 8)
  bytes.writeInt16BE(codec, 21)
  bytes.writeUInt32BE(rb.computeCrc(bytes, 0), 17)
  return bytes
}
