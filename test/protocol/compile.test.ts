import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { codec, versioned } from '../../src/protocol/compile.ts'
import { MAX_ELEMENTS, MalformedMessageError, Reader } from '../../src/protocol/reader.ts'
import { array, bytes, int16, int32, int64, schema, string, struct } from '../../src/protocol/schema.ts'
import type { Decoded, Encodable, Fields, Schema } from '../../src/protocol/schema.ts'
import { Writer } from '../../src/protocol/writer.ts'

function encoded<F extends Fields>(of: Schema<F>, version: number, value: Encodable<F>): string {
  const writer = new Writer()
  codec(of, version).encode(writer, value)
  return Buffer.concat(writer.finish()).toString('hex')
}

function decoded<F extends Fields>(of: Schema<F>, version: number, hex: string): Decoded<F> {
  return codec(of, version).decode(new Reader(Buffer.from(hex, 'hex')))
}

describe('versions', () => {
  const message = schema({
    name: 'Versions',
    versions: [0, 3],
    flexibleFrom: null,
    fields: {
      old: int16.until(1).default(7),
      always: int16,
      young: int16.from(2).default(-1),
      name: string.nullable(3),
    },
  })

  test('a field is on the wire in its own versions only', () => {
    const value = { old: 1, always: 2, young: 3, name: 'x' }
    expect(encoded(message, 1, value)).toBe('00010002' + '000178')
    expect(encoded(message, 2, value)).toBe('00020003' + '000178')
  })

  test('a field that a version does not carry has its default', () => {
    expect(decoded(message, 2, '00020003000178')).toEqual({ old: 7, always: 2, young: 3, name: 'x' })
    expect(decoded(message, 0, '00010002000178')).toEqual({ old: 1, always: 2, young: -1, name: 'x' })
  })

  test('a field that is left out is written with its default', () => {
    expect(encoded(message, 1, { always: 2, name: '' })).toBe('0007' + '0002' + '0000')
  })

  test('null is allowed from its version on', () => {
    expect(encoded(message, 3, { always: 2, name: null })).toBe('0002ffff' + 'ffff')
    expect(decoded(message, 3, '0002ffffffff').name).toBe(null)
    expect(() => decoded(message, 2, '0002ffffffff')).toThrow(MalformedMessageError)
    expect(() => encoded(message, 2, { always: 2, name: null })).toThrow(BugError)
  })

  test('bytes behind the message stay unread', () => {
    const reader = new Reader(Buffer.from('00020003000178' + 'abcd', 'hex'))
    codec(message, 2).decode(reader)
    expect(reader.remaining).toBe(2)
  })

  test('a version that the schema does not have is a bug', () => {
    expect(() => codec(message, 4)).toThrow(BugError)
    expect(() => codec(message, -1)).toThrow(BugError)
    expect(() => codec(message, 0.5)).toThrow(BugError)
  })
})

describe('arrays and structs', () => {
  const message = schema({
    name: 'Nested',
    versions: [0, 1],
    flexibleFrom: 1,
    fields: {
      numbers: array(int32),
      rows: array({ name: string, cells: array(int16).nullable() }).nullable(),
      cursor: struct({ at: int32 }).nullable().default(null),
    },
  })
  const value = {
    numbers: [1, -1],
    rows: [
      { name: 'a', cells: [5] },
      { name: 'b', cells: null },
    ],
    cursor: { at: 9 },
  }

  test('have a count of 32 bits and no tags before the flexible version', () => {
    const hex = [
      '00000002' + '00000001' + 'ffffffff',
      '00000002' + '000161' + '00000001' + '0005',
      '000162' + 'ffffffff',
      '01' + '00000009',
    ].join('')
    expect(encoded(message, 0, value)).toBe(hex)
    expect(decoded(message, 0, hex)).toEqual(value)
  })

  test('have a varint count plus one and a tag section from the flexible version on', () => {
    const hex = [
      '0300000001ffffffff',
      '03' + '0261' + '020005' + '00',
      '0262' + '00' + '00',
      '01' + '00000009' + '00',
      '00',
    ].join('')
    expect(encoded(message, 1, value)).toBe(hex)
    expect(decoded(message, 1, hex)).toEqual(value)
  })

  test('null', () => {
    const nothing = { numbers: [], rows: null, cursor: null }
    expect(encoded(message, 0, nothing)).toBe('00000000' + 'ffffffff' + 'ff')
    expect(encoded(message, 1, nothing)).toBe('01' + '00' + 'ff' + '00')
    expect(decoded(message, 0, '00000000ffffffffff')).toEqual(nothing)
    expect(decoded(message, 1, '0100ff00')).toEqual(nothing)
    expect(() => decoded(message, 0, 'ffffffffffffffffff')).toThrow('numbers is null')
    expect(() => decoded(message, 1, '0000ff00')).toThrow('numbers is null')
    expect(() => encoded(message, 0, { ...value, numbers: null as never })).toThrow(BugError)
  })

  test('a count is held against the least that its elements take', () => {
    // 3 rows of at least 6 bytes each, in 17 bytes.
    expect(() => decoded(message, 0, '00000000' + '00000003' + '00'.repeat(17))).toThrow(
      'an array of 3 elements',
    )
  })

  test('elements that are small on the wire and large in memory have a limit', () => {
    const empty = schema({ name: 'Empty', versions: [0, 0], flexibleFrom: 0, fields: { rows: array({}) } })
    const writer = new Writer()
    writer.uvarint(MAX_ELEMENTS + 2)
    const wire = Buffer.concat([...writer.finish(), Buffer.alloc(MAX_ELEMENTS + 2)])
    expect(() => codec(empty, 0).decode(new Reader(wire))).toThrow(`more than ${MAX_ELEMENTS} elements`)
  })
})

describe('tagged fields', () => {
  const message = schema({
    name: 'Tagged',
    versions: [0, 1],
    flexibleFrom: 1,
    fields: {
      last: string.nullable().default(null).tagged(300, 1),
      id: int16,
      leader: struct({ id: int32.default(-1), epoch: int32.default(-1) }).tagged(0, 1),
      nodes: array({ host: string, note: string.nullable().default(null).tagged(0, 1) }).tagged(1, 1),
      offset: int64.default(-1).tagged(2, 1),
    },
  })
  const defaults = { last: null, leader: { id: -1, epoch: -1 }, nodes: [], offset: -1 }

  test('do not exist before the flexible version', () => {
    expect(encoded(message, 0, { id: 1, offset: 5 })).toBe('0001')
    expect(decoded(message, 0, '0001')).toEqual({ id: 1, ...defaults })
  })

  test('are not written when they have their defaults, given or not', () => {
    expect(encoded(message, 1, { id: 1 })).toBe('000100')
    expect(encoded(message, 1, { id: 1, ...defaults })).toBe('000100')
    expect(encoded(message, 1, { id: 1, leader: {} })).toBe('000100')
    expect(decoded(message, 1, '000100')).toEqual({ id: 1, ...defaults })
  })

  test('are written by ascending tag, each behind its size', () => {
    const value = {
      id: 1,
      last: 'z',
      leader: { id: 7, epoch: -1 },
      nodes: [{ host: 'h', note: 'n' }],
      offset: 5,
    }
    const hex = [
      '0001' + '04',
      '00' + '09' + '00000007' + 'ffffffff' + '00',
      '01' + '08' + '02' + '0268' + '01' + '00' + '02' + '026e',
      '02' + '08' + '0000000000000005',
      'ac02' + '02' + '027a',
    ].join('')
    expect(encoded(message, 1, value)).toBe(hex)
    expect(decoded(message, 1, hex)).toEqual(value)
  })

  test('are skipped when they are not known, wherever they stand', () => {
    const hex = '0001' + '03' + '05' + '02abcd' + '02' + '080000000000000005' + 'ff7f' + '00'
    expect(decoded(message, 1, hex)).toEqual({ id: 1, ...defaults, offset: 5 })
  })

  test('are malformed when their content is not as long as they say', () => {
    expect(() => decoded(message, 1, '0001' + '01' + '02' + '07' + '0000000000000005')).toThrow(
      MalformedMessageError,
    )
    expect(() => decoded(message, 1, '0001' + '01' + '02' + '09' + '000000000000000500')).toThrow(
      MalformedMessageError,
    )
    expect(() => decoded(message, 1, '0001' + '01' + '02' + '7f' + '0000000000000005')).toThrow(
      MalformedMessageError,
    )
  })

  test('decoding gives each message defaults of its own', () => {
    const one = decoded(message, 1, '000100')
    const two = decoded(message, 1, '000100')
    expect(one.leader).not.toBe(two.leader)
    expect(one.nodes).not.toBe(two.nodes)
  })

  test('a table that tags a field in a version without tags is a bug', () => {
    const wrong = schema({
      name: 'Wrong',
      versions: [0, 1],
      flexibleFrom: 1,
      fields: { id: int16.tagged(0, 0) },
    })
    expect(() => encoded(wrong, 0, {})).toThrow(BugError)
  })
})

describe('a struct behind its version', () => {
  const record = versioned(
    schema({
      name: 'Record',
      versions: [0, 1],
      flexibleFrom: 1,
      fields: { group: string, data: bytes, epoch: int32.from(1).default(-1) },
    }),
  )

  test('begins with the version as int16', () => {
    const value = { group: 'g', data: Buffer.of(1) }
    expect(record.encode(0, value).toString('hex')).toBe('0000' + '000167' + '0000000101')
    expect(record.encode(1, value).toString('hex')).toBe('0001' + '0267' + '0201' + 'ffffffff' + '00')
  })

  test('says which version it had', () => {
    const wire = record.encode(1, { group: 'g', data: Buffer.of(1), epoch: 4 })
    expect(record.decode(wire)).toEqual({ version: 1, value: { group: 'g', data: Buffer.of(1), epoch: 4 } })
  })

  test('is malformed at a version that the schema does not have', () => {
    expect(() => record.decode(Buffer.from('0002', 'hex'))).toThrow(MalformedMessageError)
    expect(() => record.decode(Buffer.from('ffff', 'hex'))).toThrow(MalformedMessageError)
    expect(() => record.decode(Buffer.from('00', 'hex'))).toThrow(MalformedMessageError)
  })
})
