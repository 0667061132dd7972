import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { MAX_ELEMENTS, MAX_STRING_BYTES, MalformedMessageError, Reader } from '../../src/protocol/reader.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { Writer } from '../../src/protocol/writer.ts'

function written(write: (writer: Writer) => void): string {
  const writer = new Writer()
  write(writer)
  return Buffer.concat(writer.finish()).toString('hex')
}

const reader = (hex: string): Reader => new Reader(Buffer.from(hex, 'hex'))

/** Of any code points, half of them ASCII, lone surrogates too. */
const anyText = fc
  .array(fc.oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0x10ffff })), { maxLength: 200 })
  .map((codePoints) => String.fromCodePoint(...codePoints))

/** One value, the bytes worked out by hand, and both directions. */
const vectors: [
  what: string,
  hex: string,
  write: (w: Writer) => void,
  read: (r: Reader) => unknown,
  value: unknown,
][] = [
  ['true', '01', (w) => w.bool(true), (r) => r.bool(), true],
  ['false', '00', (w) => w.bool(false), (r) => r.bool(), false],
  ['int8 127', '7f', (w) => w.int8(127), (r) => r.int8(), 127],
  ['int8 -1', 'ff', (w) => w.int8(-1), (r) => r.int8(), -1],
  ['int16 258', '0102', (w) => w.int16(258), (r) => r.int16(), 258],
  ['int16 -2', 'fffe', (w) => w.int16(-2), (r) => r.int16(), -2],
  ['int32 2147483647', '7fffffff', (w) => w.int32(2147483647), (r) => r.int32(), 2147483647],
  ['int32 -2147483648', '80000000', (w) => w.int32(-2147483648), (r) => r.int32(), -2147483648],
  ['int64 2^32', '0000000100000000', (w) => w.int64(2 ** 32), (r) => r.int64(), 2 ** 32],
  ['int64 -1', 'ffffffffffffffff', (w) => w.int64(-1), (r) => r.int64(), -1],
  ['int64 -2^32 - 1', 'fffffffeffffffff', (w) => w.int64(-(2 ** 32) - 1), (r) => r.int64(), -(2 ** 32) - 1],
  ['int64 2^53 - 1', '001fffffffffffff', (w) => w.int64(2 ** 53 - 1), (r) => r.int64(), 2 ** 53 - 1],
  ['int64 1 - 2^53', 'ffe0000000000001', (w) => w.int64(1 - 2 ** 53), (r) => r.int64(), 1 - 2 ** 53],
  ['float64 -2.5', 'c004000000000000', (w) => w.float64(-2.5), (r) => r.float64(), -2.5],
  ['uvarint 0', '00', (w) => w.uvarint(0), (r) => r.uvarint(), 0],
  ['uvarint 127', '7f', (w) => w.uvarint(127), (r) => r.uvarint(), 127],
  ['uvarint 128', '8001', (w) => w.uvarint(128), (r) => r.uvarint(), 128],
  ['uvarint 300', 'ac02', (w) => w.uvarint(300), (r) => r.uvarint(), 300],
  ['uvarint 2^31', '8080808008', (w) => w.uvarint(2 ** 31), (r) => r.uvarint(), 2 ** 31],
  ['uvarint 2^32 - 1', 'ffffffff0f', (w) => w.uvarint(2 ** 32 - 1), (r) => r.uvarint(), 2 ** 32 - 1],
  ['string', '000368c3a9', (w) => w.string('hé'), (r) => r.string(), 'hé'],
  ['empty string', '0000', (w) => w.string(''), (r) => r.string(), ''],
  ['null string', 'ffff', (w) => w.nullableString(null), (r) => r.nullableString(), null],
  ['compact string', '036162', (w) => w.compactString('ab'), (r) => r.compactString(), 'ab'],
  ['empty compact string', '01', (w) => w.compactString(''), (r) => r.compactString(), ''],
  ['null compact string', '00', (w) => w.compactNullableString(null), (r) => r.compactNullableString(), null],
  [
    'uuid',
    '000102030405060708090a0b0c0d0e0f',
    (w) => w.uuid('AAECAwQFBgcICQoLDA0ODw'),
    (r) => r.uuid(),
    'AAECAwQFBgcICQoLDA0ODw',
  ],
  [
    'uuid of ones',
    'ff'.repeat(16),
    (w) => w.uuid('_____________________w'),
    (r) => r.uuid(),
    '_____________________w',
  ],
  ['zero uuid', '00'.repeat(16), (w) => w.uuid(ZERO_UUID), (r) => r.uuid(), ZERO_UUID],
  [
    'bytes',
    '0000000209ff',
    (w) => w.bytes(Buffer.of(9, 255)),
    (r) => r.copy(r.byteLength()),
    Buffer.of(9, 255),
  ],
  ['null bytes', 'ffffffff', (w) => w.bytes(null), (r) => r.copy(r.byteLength()), null],
  [
    'compact bytes',
    '0209',
    (w) => w.compactBytes(Buffer.of(9)),
    (r) => r.copy(r.compactByteLength()),
    Buffer.of(9),
  ],
  ['null compact bytes', '00', (w) => w.compactBytes(null), (r) => r.copy(r.compactByteLength()), null],
  ['records', '0000000107', (w) => w.records(Buffer.of(7)), (r) => r.slice(r.byteLength()), Buffer.of(7)],
  [
    'records of two chunks',
    '030708',
    (w) => w.compactRecords([Buffer.of(7), Buffer.of(8)]),
    (r) => r.slice(r.compactByteLength()),
    Buffer.of(7, 8),
  ],
]

describe('a value has the bytes of the protocol, both ways', () => {
  test.each(vectors)('%s is %s', (_what, hex, write, read, value) => {
    expect(written(write)).toBe(hex)
    const from = reader(hex)
    expect(read(from)).toEqual(value)
    expect(from.remaining).toBe(0)
  })
})

describe('the reader', () => {
  test('saturates 64-bit integers at the safe ones', () => {
    expect(reader('7fffffffffffffff').int64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(reader('0020000000000000').int64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(reader('8000000000000000').int64()).toBe(Number.MIN_SAFE_INTEGER)
    expect(reader('ffe0000000000000').int64()).toBe(Number.MIN_SAFE_INTEGER)
  })

  test('takes any byte but 0 for true', () => {
    expect(reader('02').bool()).toBe(true)
  })

  test('copies bytes and slices records', () => {
    const frame = Buffer.from('000000020102', 'hex')
    const copied = new Reader(frame)
    const copy = copied.copy(copied.byteLength())
    const sliced = new Reader(frame)
    const slice = sliced.slice(sliced.byteLength())
    frame[4] = 99
    expect(copy?.[0]).toBe(1)
    expect(slice?.[0]).toBe(99)
  })

  test('gives the right text when short texts share a place in the cache', () => {
    const texts = Array.from({ length: 5000 }, (_, i) => `topic-${i}`)
    const wires = texts.map((text) => written((w) => w.compactString(text)))
    for (let round = 0; round < 2; round++) {
      expect(wires.map((wire) => reader(wire).compactString())).toEqual(texts)
    }
  })

  test('does not read behind its limit, even where the buffer goes on', () => {
    const bounded = new Reader(Buffer.alloc(8), 0, 3)
    expect(() => bounded.int32()).toThrow(MalformedMessageError)
  })

  const malformed: [what: string, hex: string, read: (r: Reader) => unknown][] = [
    ['no byte for an int8', '', (r) => r.int8()],
    ['one byte for an int16', '00', (r) => r.int16()],
    ['three bytes for an int32', '000000', (r) => r.int32()],
    ['seven bytes for an int64', '00000000000000', (r) => r.int64()],
    ['seven bytes for a float64', '00000000000000', (r) => r.float64()],
    ['fifteen bytes for a uuid', '00'.repeat(15), (r) => r.uuid()],
    ['a varint that ends early', '80', (r) => r.uvarint()],
    ['a varint of six bytes', '808080808001', (r) => r.uvarint()],
    ['a string longer than its bytes', '000361', (r) => r.string()],
    ['a null string where null is not allowed', 'ffff', (r) => r.string()],
    ['a string of length -2', 'fffe', (r) => r.nullableString()],
    ['a compact string longer than its bytes', '0361', (r) => r.compactString()],
    ['a null compact string where null is not allowed', '00', (r) => r.compactString()],
    ['a compact string of 4 GB', 'ffffffff0f', (r) => r.compactNullableString()],
    [
      'a compact string over the limit',
      '818002' + '61'.repeat(MAX_STRING_BYTES + 1),
      (r) => r.compactString(),
    ],
    ['bytes longer than what is left', '0000000401', (r) => r.byteLength()],
    ['bytes of 2 GB', '7fffffff', (r) => r.byteLength()],
    ['bytes of length -2', 'fffffffe', (r) => r.byteLength()],
    ['compact bytes longer than what is left', '0501', (r) => r.compactByteLength()],
    ['an array of more elements than bytes', '0000000300', (r) => r.arrayCount(1)],
    ['an array whose elements do not fit', '000000020000', (r) => r.arrayCount(2)],
    ['an array of 2^31 - 1 elements', '7fffffff' + '00'.repeat(100), (r) => r.arrayCount(1)],
    ['an array of -2 elements', 'fffffffe', (r) => r.arrayCount(1)],
    ['a compact array of more elements than bytes', '0400', (r) => r.compactArrayCount(1)],
    ['a tag longer than what is left', '0001', (r) => (r.uvarint(), r.tagEnd())],
    ['a tag section that ends early', '0200', (r) => r.skipTags()],
    ['tags without end', 'ffffffff0f' + '0000'.repeat(50), (r) => r.skipTags()],
  ]
  test.each(malformed)('refuses %s', (_what, hex, read) => {
    expect(() => read(reader(hex))).toThrow(MalformedMessageError)
  })

  test(`lets the arrays of one message hold ${MAX_ELEMENTS} elements and no more`, () => {
    const budget = reader('')
    budget.spendElements(MAX_ELEMENTS - 1)
    budget.spendElements(1)
    expect(() => budget.spendElements(1)).toThrow(MalformedMessageError)
  })
})

describe('the writer', () => {
  test('splices records by reference between its own pieces', () => {
    const batch = Buffer.from('batch')
    const writer = new Writer()
    writer.int8(1)
    writer.records(batch)
    writer.int8(2)
    const length = writer.length
    const chunks = writer.finish()
    expect(chunks[1]).toBe(batch)
    expect(chunks.map((chunk) => chunk.toString('hex'))).toEqual(['0100000005', batch.toString('hex'), '02'])
    expect(length).toBe(11)
  })

  test('splices nothing for no records', () => {
    const writer = new Writer()
    writer.records(Buffer.alloc(0))
    writer.compactRecords(null)
    expect(writer.finish().map((chunk) => chunk.toString('hex'))).toEqual(['0000000000'])
  })

  test('goes on in a new slab when one is full, and keeps what was written', () => {
    const writer = new Writer()
    for (let i = 0; i < 100_000; i++) writer.int32(i)
    const wire = Buffer.concat(writer.finish())
    expect(wire.length).toBe(400_000)
    for (let i = 0; i < 100_000; i += 997) expect(wire.readInt32BE(i * 4)).toBe(i)
  })

  test('takes bytes larger than a slab', () => {
    const large = Buffer.alloc(300_000, 7)
    expect(written((w) => w.bytes(large))).toBe('000493e0' + large.toString('hex'))
  })

  test('gives finished messages bytes of their own, also when two are built at once', () => {
    const first = new Writer()
    const second = new Writer()
    first.int32(1)
    second.int32(2)
    const [a] = first.finish()
    const [b] = second.finish()
    const third = new Writer()
    third.int32(3)
    const [c] = third.finish()
    expect([a, b, c].map((chunk) => chunk.readInt32BE(0))).toEqual([1, 2, 3])
  })

  test('writes any text as Buffer would', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const body = Buffer.from(text)
        const head = Buffer.alloc(2)
        head.writeInt16BE(body.length)
        expect(written((w) => w.string(text))).toBe(Buffer.concat([head, body]).toString('hex'))
        expect(reader(written((w) => w.compactString(text))).compactString()).toBe(body.toString())
      }),
    )
  })

  test('cuts a text that the protocol cannot carry, between two characters', () => {
    const text = 'é'.repeat(20_000)
    const cut = reader(written((w) => w.string(text))).string()
    expect(cut).toBe('é'.repeat(16_383))
    expect(reader(written((w) => w.compactString('a'.repeat(40_000)))).compactString()).toHaveLength(
      MAX_STRING_BYTES,
    )
  })

  test('holds a text that is no uuid for a bug', () => {
    for (const text of ['', 'abc', 'é'.repeat(22), '*'.repeat(22), 'A'.repeat(23)]) {
      expect(() => new Writer().uuid(text)).toThrow(BugError)
    }
  })

  test('writes a uuid as base64url would', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex')
        const text = Buffer.from(bytes).toString('base64url')
        expect(written((w) => w.uuid(text))).toBe(hex)
        expect(reader(hex).uuid()).toBe(text)
      }),
    )
  })
})
