import { createRequire } from 'node:module'
import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Codec, CompressionError, codecNames, compress, decompress } from '../../src/protocol/compression.ts'
import { xxhash32 } from '../../src/protocol/xxhash32.ts'

const codecs = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
const MIB = 1024 * 1024

/** `size` bytes that compress a little: words of a small vocabulary drawn from a fixed generator. */
function text(size: number, seed = 1): Buffer {
  const words = ['spool ', 'thread ', 'star ', 'stairs ', 'lungs ', 'leaves ']
  const parts: string[] = []
  let state = seed
  for (let length = 0; length < size; length += parts[parts.length - 1].length) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    parts.push(words[(state >>> 16) % words.length] + (state % 97))
  }
  return Buffer.from(parts.join('')).subarray(0, size)
}

function kindOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof CompressionError) return error.kind
    throw error
  }
  return 'none'
}

/** A frame header of LZ4 with the checksum byte that belongs to it. */
function lz4Header(flags: number, blockDescriptor: number, contentSize = Buffer.alloc(0)): Buffer {
  const descriptor = Buffer.concat([Buffer.from([flags, blockDescriptor]), contentSize])
  return Buffer.concat([
    Buffer.from([0x04, 0x22, 0x4d, 0x18]),
    descriptor,
    Buffer.from([(xxhash32(descriptor) >>> 8) & 0xff]),
  ])
}

function int32LE(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

function int32BE(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

describe.each(codecs.map((codec) => [codecNames[codec], codec] as const))('%s', (_name, codec) => {
  test.each([0, 1, 17, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 3 * MIB])('gives back %i bytes', (size) => {
    const data = text(size)
    expect(decompress(codec, compress(codec, data), size + 1).equals(data)).toBe(true)
  })

  test('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 40 }), (bytes, repeat) => {
        const data = Buffer.concat(Array.from({ length: repeat }, () => Buffer.from(bytes)))
        return decompress(codec, compress(codec, data), data.length).equals(data)
      }),
      { numRuns: 60 },
    )
  })

  test('makes text smaller and incompressible bytes hardly larger', () => {
    expect(compress(codec, text(MIB)).length).toBeLessThan(MIB * 0.75)
    const noise = Buffer.alloc(200_000)
    let state = 42
    for (let index = 0; index < noise.length; index++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      noise[index] = state
    }
    expect(compress(codec, noise).length).toBeLessThan(noise.length * 1.01 + 100)
    expect(decompress(codec, compress(codec, noise), noise.length).equals(noise)).toBe(true)
  })

  test('accepts output of exactly the limit and refuses one byte more', () => {
    const packed = compress(codec, text(300_000))
    expect(decompress(codec, packed, 300_000).length).toBe(300_000)
    expect(kindOf(() => decompress(codec, packed, 299_999))).toBe('too-large')
    expect(kindOf(() => decompress(codec, packed, 0))).toBe('too-large')
  })

  test('refuses a bomb', () => {
    const bomb = compress(codec, Buffer.alloc(64 * MIB))
    expect(bomb.length).toBeLessThan(4 * MIB)
    expect(kindOf(() => decompress(codec, bomb, MIB))).toBe('too-large')
  })

  test('refuses a stream that is cut short at any point', () => {
    const data = text(150_000)
    const packed = compress(codec, data)
    const step = Math.max(1, Math.floor(packed.length / 200))
    for (let length = 0; length < packed.length; length += step) {
      // A snappy stream may end behind any block; it then holds less, which the record count finds.
      const outcome = kindOf(() => {
        const part = decompress(codec, packed.subarray(0, length), data.length)
        if (codec === Codec.SNAPPY && part.length < data.length)
          throw new CompressionError('corrupt', 'short')
      })
      expect(outcome, `cut at ${length} of ${packed.length}`).toBe('corrupt')
    }
  })

  test('answers damaged bytes with other bytes or a typed error, within the limit', () => {
    const packed = compress(codec, text(100_000))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        (damages) => {
          const damaged = Buffer.from(packed)
          for (const [at, byte] of damages) damaged[at] = byte
          try {
            return decompress(codec, damaged, 200_000).length <= 200_000
          } catch (error) {
            return error instanceof CompressionError
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('answers arbitrary bytes with a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          return decompress(codec, Buffer.from(bytes), 1000).length <= 1000
        } catch (error) {
          return error instanceof CompressionError
        }
      }),
      { numRuns: 500 },
    )
  })
})

test('codec none gives the bytes themselves, within the limit', () => {
  const data = text(100)
  expect(compress(Codec.NONE, data)).toBe(data)
  expect(decompress(Codec.NONE, data, 100)).toBe(data)
  expect(kindOf(() => decompress(Codec.NONE, data, 99))).toBe('too-large')
})

test('codecs 5 to 7 are not available', () => {
  for (const codec of [5, 6, 7]) {
    expect(kindOf(() => compress(codec, text(10)))).toBe('unavailable')
    expect(kindOf(() => decompress(codec, text(10), 100))).toBe('unavailable')
  }
})

describe('gzip', () => {
  test('takes a level', () => {
    const data = text(200_000)
    expect(compress(Codec.GZIP, data, 9).length).toBeLessThan(compress(Codec.GZIP, data, 1).length)
  })
})

describe('snappy', () => {
  const { compressSync } = createRequire(import.meta.url)('@napi-rs/snappy') as {
    compressSync(input: Buffer): Buffer
  }
  const streamHeader = Buffer.from('82534e415050590000000001' + '00000001', 'hex')

  test('opens with the xerial header and cuts its input at 32 KiB', () => {
    const packed = compress(Codec.SNAPPY, Buffer.alloc(40_000, 7))
    expect(packed.subarray(0, 16)).toEqual(streamHeader)
    const firstBlock = packed.readInt32BE(16)
    // The raw block begins with its uncompressed length, 32768 as a varint.
    expect(packed.subarray(20, 23).toString('hex')).toBe('808002')
    expect(packed.length).toBe(16 + 4 + firstBlock + 4 + packed.readInt32BE(20 + firstBlock))
  })

  test('reads a raw block without header', () => {
    const data = text(100_000)
    expect(decompress(Codec.SNAPPY, compressSync(data), 100_000).equals(data)).toBe(true)
  })

  test('reads streams that follow each other', () => {
    const [a, b] = [text(1000), text(2000, 9)]
    const both = Buffer.concat([compress(Codec.SNAPPY, a), compress(Codec.SNAPPY, b)])
    expect(decompress(Codec.SNAPPY, both, 3000).equals(Buffer.concat([a, b]))).toBe(true)
  })

  test('refuses a block that claims more than its bytes can hold, before memory is taken', () => {
    const claimsTwoGiB = Buffer.from('ffffffff0700', 'hex')
    expect(kindOf(() => decompress(Codec.SNAPPY, claimsTwoGiB, 2 ** 31))).toBe('corrupt')
    const inStream = Buffer.concat([streamHeader, int32BE(claimsTwoGiB.length), claimsTwoGiB])
    expect(kindOf(() => decompress(Codec.SNAPPY, inStream, 2 ** 31))).toBe('corrupt')
  })

  test.each([-1, 0x7fffffff, 1000])('refuses a block length of %i', (length) => {
    const stream = Buffer.concat([streamHeader, int32BE(length), compressSync(text(10))])
    expect(kindOf(() => decompress(Codec.SNAPPY, stream, 1000))).toBe('corrupt')
  })
})

describe('lz4', () => {
  const hello = Buffer.from('hello, hello')
  const storedHello = Buffer.concat([int32LE(0x80000000 + hello.length), hello])
  const endMark = int32LE(0)

  test('writes the frame that Kafka writes: independent 64 KiB blocks, header checksum 0x82, end mark', () => {
    const packed = compress(Codec.LZ4, text(100_000))
    expect(packed.subarray(0, 7).toString('hex')).toBe('04224d18604082')
    expect(packed.subarray(-4)).toEqual(endMark)
  })

  test('stores a block that does not get smaller', () => {
    const packed = compress(Codec.LZ4, Buffer.from([1, 2, 3]))
    expect(packed.toString('hex')).toBe('04224d18604082' + '03000080' + '010203' + '00000000')
  })

  test('knows xxHash32', () => {
    expect(xxhash32(Buffer.from(''))).toBe(0x02cc5d05)
    expect(xxhash32(Buffer.from('a'))).toBe(0x550d7456)
    expect(xxhash32(Buffer.from('abc'))).toBe(0x32d153ff)
    expect(xxhash32(Buffer.from('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f)
  })

  test('reads frames with content size, block checksums and content checksum', () => {
    const contentSize = Buffer.alloc(8)
    contentSize.writeBigUInt64LE(12n)
    const frame = Buffer.concat([
      lz4Header(0x60 | 0x10 | 0x08 | 0x04, 0x70, contentSize),
      storedHello,
      int32LE(xxhash32(hello)),
      endMark,
      int32LE(xxhash32(hello)),
    ])
    expect(decompress(Codec.LZ4, frame, 100)).toEqual(hello)
    frame[frame.length - 12] ^= 1
    expect(kindOf(() => decompress(Codec.LZ4, frame, 100))).toBe('corrupt')
  })

  test.each([
    ['linked blocks', Buffer.concat([lz4Header(0x40, 0x40), storedHello, endMark])],
    ['another frame version', Buffer.concat([lz4Header(0xa0, 0x40), storedHello, endMark])],
    ['reserved flag bits', Buffer.concat([lz4Header(0x62, 0x40), storedHello, endMark])],
    ['a dictionary id', Buffer.concat([lz4Header(0x61, 0x40), storedHello, endMark])],
    ['reserved descriptor bits', Buffer.concat([lz4Header(0x60, 0xc0), storedHello, endMark])],
    ['an undefined block size', Buffer.concat([lz4Header(0x60, 0x30), storedHello, endMark])],
    ['a wrong header checksum', Buffer.concat([Buffer.from('04224d18604083', 'hex'), storedHello, endMark])],
    ['no end mark', Buffer.concat([lz4Header(0x60, 0x40), storedHello])],
    ['bytes behind the end mark', Buffer.concat([lz4Header(0x60, 0x40), storedHello, endMark, endMark])],
    [
      'a block over the frame limit',
      Buffer.concat([lz4Header(0x60, 0x40), int32LE(65537), Buffer.alloc(65537), endMark]),
    ],
    ['a missing content checksum', Buffer.concat([lz4Header(0x64, 0x40), storedHello, endMark])],
  ])('refuses %s', (_what, frame) => {
    expect(kindOf(() => decompress(Codec.LZ4, frame, 1000))).toBe('corrupt')
  })
})

describe('zstd', () => {
  const magic = Buffer.from('28b52ffd', 'hex')
  /** A block header: last block?, type (0 raw, 1 run-length, 2 compressed), size. */
  const block = (last: boolean, type: number, size: number): Buffer =>
    int32LE((last ? 1 : 0) | (type << 1) | (size << 3)).subarray(0, 3)

  test('takes a level, negative too', () => {
    const data = text(200_000)
    expect(compress(Codec.ZSTD, data, 19).length).toBeLessThan(compress(Codec.ZSTD, data, -5).length)
    expect(decompress(Codec.ZSTD, compress(Codec.ZSTD, data, -5), 200_000).equals(data)).toBe(true)
  })

  test('reads frames that follow each other and skips skippable ones', () => {
    const [a, b] = [text(1000), text(2000, 9)]
    const skippable = Buffer.concat([int32LE(0x184d2a53), int32LE(5), Buffer.from('notes')])
    const frames = Buffer.concat([compress(Codec.ZSTD, a), skippable, compress(Codec.ZSTD, b)])
    expect(decompress(Codec.ZSTD, frames, 3000).equals(Buffer.concat([a, b]))).toBe(true)
    expect(kindOf(() => decompress(Codec.ZSTD, frames, 2999))).toBe('too-large')
    expect(kindOf(() => decompress(Codec.ZSTD, skippable, 3000))).toBe('corrupt')
  })

  test('refuses a frame whose declared content size is over the limit, or is not what it holds', () => {
    const singleSegment = (declared: number) =>
      Buffer.concat([magic, Buffer.from([0xa0]), int32LE(declared), block(true, 0, 5), Buffer.from('hello')])
    expect(decompress(Codec.ZSTD, singleSegment(5), 5).toString()).toBe('hello')
    expect(kindOf(() => decompress(Codec.ZSTD, singleSegment(600_000_000), 1000))).toBe('too-large')
    expect(kindOf(() => decompress(Codec.ZSTD, singleSegment(6), 1000))).toBe('corrupt')
  })

  test('refuses a frame without content size whose blocks hold too much', () => {
    // 20,000 run-length blocks of 128 KiB: 2.6 GB in 80 KB.
    const run = Buffer.concat([block(false, 1, 128 * 1024), Buffer.from([0])])
    const blocks = Array.from({ length: 20_000 }, () => run)
    const frame = Buffer.concat([magic, Buffer.from([0x00, 0x58]), ...blocks, block(true, 0, 0)])
    expect(kindOf(() => decompress(Codec.ZSTD, frame, 10 * MIB))).toBe('too-large')
  })

  test('reads a frame of many small blocks whose bound alone is over the limit', () => {
    const part = compress(Codec.ZSTD, Buffer.alloc(1000, 5))
    // The blocks of many one-frame outputs, in one frame without content size.
    const header = Buffer.concat([magic, Buffer.from([0x00, 0x58])])
    const body = blocksOf(part)
    const middle = Buffer.from(body)
    middle[0] &= ~1
    const frame = Buffer.concat([header, ...Array.from({ length: 199 }, () => middle), body])
    expect(decompress(Codec.ZSTD, frame, 250_000).equals(Buffer.alloc(200_000, 5))).toBe(true)
    expect(decompress(Codec.ZSTD, frame, 200_000).length).toBe(200_000)
    expect(kindOf(() => decompress(Codec.ZSTD, frame, 199_999))).toBe('too-large')
  })

  test.each([
    ['a dictionary', Buffer.from([0x01, 0x58, 1])],
    ['a reserved descriptor bit', Buffer.from([0x08, 0x58])],
  ])('refuses %s', (_what, header) => {
    const frame = Buffer.concat([magic, header, block(true, 0, 5), Buffer.from('hello')])
    expect(kindOf(() => decompress(Codec.ZSTD, frame, 100))).toBe('corrupt')
  })

  test('refuses a block of a reserved type', () => {
    const frame = Buffer.concat([magic, Buffer.from([0x00, 0x58]), block(true, 3, 5), Buffer.from('hello')])
    expect(kindOf(() => decompress(Codec.ZSTD, frame, 100))).toBe('corrupt')
  })

  /** The blocks of a frame that has one block. */
  function blocksOf(frame: Buffer): Buffer {
    const descriptor = frame[4]
    const singleSegment = (descriptor & 0x20) !== 0
    const sizeCode = descriptor >> 6
    const sizeBytes = sizeCode === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeCode
    const end = descriptor & 0x04 ? frame.length - 4 : frame.length
    return frame.subarray(5 + (singleSegment ? 0 : 1) + sizeBytes, end)
  }
})

test('a gzip stream of other makers is read', () => {
  const data = text(10_000)
  expect(decompress(Codec.GZIP, zlib.gzipSync(data, { level: 9 }), 10_000).equals(data)).toBe(true)
})
