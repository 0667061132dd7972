import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c, crc32cInJavaScript } from '../../src/protocol/crc32c.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import type { RecordInput, RecordRules } from '../../src/protocol/record-batch.ts'

const TIME = 1_700_000_000_000
const codecs = [0, 1, 2, 3, 4]

const record = (value: string | null, key: string | null = null, timestampMs = TIME): RecordInput => ({
  timestampMs,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

/** Makes the CRC right again after a test has changed bytes that it covers. */
function resealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

const rules = (change: Partial<RecordRules>): RecordRules => ({ ...rb.anyRecord, ...change })

describe('crc32c', () => {
  test('is the Castagnoli polynomial', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
    expect(crc32c(Buffer.alloc(0))).toBe(0)
  })

  test('gives the same in JavaScript and in native code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 200, maxLength: 3000 }), fc.nat(99), (bytes, start) => {
        return crc32c(bytes, start) === crc32cInJavaScript(bytes, start, bytes.length)
      }),
    )
  })
})

describe('a batch in bytes', () => {
  // Laid out by hand from the format's table.
  const bytes = Buffer.from(
    '0000000000000005' + // base offset 5
      '0000003e' + // length: 49 bytes behind it in the header, 13 of records
      '00000007' + // leader epoch
      '02' +
      '00000000' + // CRC, set below
      '0010' + // transactional
      '00000001' + // last offset delta
      '0000018bcfe56800' + // base timestamp
      '0000018bcfe56801' + // max timestamp
      '0000000000000309' + // producer id
      '000b' + // producer epoch
      '7fffffff' + // base sequence
      '00000002' + // records
      '0e' +
      '00' +
      '00' +
      '00' +
      '01' +
      '0276' +
      '00' + // null key, value "v"
      '14' +
      '00' +
      '02' +
      '02' +
      '026b' +
      '01' +
      '02' +
      '02' +
      '68' +
      '01' + // value null, one header, h: null
      '',
    'hex',
  )

  test('is read field by field', () => {
    const batch = Buffer.from(bytes)
    batch.writeInt32BE(batch.length - 12, 8)
    resealed(batch)
    expect(rb.checkBatch(batch, 0, batch.length)).toBeNull()
    expect(rb.batchSize(batch, 0)).toBe(batch.length)
    expect(rb.baseOffset(batch, 0)).toBe(5)
    expect(rb.lastOffset(batch, 0)).toBe(6)
    expect(rb.partitionLeaderEpoch(batch, 0)).toBe(7)
    expect(rb.magic(batch, 0)).toBe(2)
    expect(rb.crc(batch, 0)).toBe(crc32c(batch, 21))
    expect(rb.isTransactional(rb.attributes(batch, 0))).toBe(true)
    expect(rb.isControl(rb.attributes(batch, 0))).toBe(false)
    expect(rb.codecOf(rb.attributes(batch, 0))).toBe(0)
    expect(rb.timestampTypeOf(rb.attributes(batch, 0))).toBe(rb.CREATE_TIME)
    expect(rb.baseTimestamp(batch, 0)).toBe(TIME)
    expect(rb.maxTimestamp(batch, 0)).toBe(TIME + 1)
    expect(rb.producerId(batch, 0)).toBe(777)
    expect(rb.producerEpoch(batch, 0)).toBe(11)
    expect(rb.baseSequence(batch, 0)).toBe(0x7fffffff)
    expect(rb.lastSequence(batch, 0)).toBe(0)
    expect(rb.recordCount(batch, 0)).toBe(2)
    expect(rb.decodeRecords(batch)).toEqual([
      { offset: 5, timestampMs: TIME, key: null, value: Buffer.from('v'), headers: [] },
      {
        offset: 6,
        timestampMs: TIME + 1,
        key: Buffer.from('k'),
        value: null,
        headers: [{ key: 'h', value: null }],
      },
    ])
    expect(rb.checkRecords(batch).fault).toBeNull()
  })

  test('is built to the same bytes', () => {
    const expected = Buffer.from(bytes)
    expected.writeInt32BE(expected.length - 12, 8)
    const built = rb.buildBatch({
      records: [record('v'), { ...record(null, 'k', TIME + 1), headers: [{ key: 'h', value: null }] }],
      baseOffset: 5,
      partitionLeaderEpoch: 7,
      transactional: true,
      producerId: 777,
      producerEpoch: 11,
      baseSequence: 0x7fffffff,
    })
    expect(built.toString('hex')).toBe(resealed(expected).toString('hex'))
  })

  test('is patched in place: offset and epoch leave the CRC alone, the timestamp renews it', () => {
    const batch = Buffer.concat([
      Buffer.from('before'),
      rb.buildBatch({ records: [record('a'), record('b')] }),
    ])
    const sealed = rb.crc(batch, 6)
    rb.setBaseOffset(batch, 6, 5_000_000_000)
    rb.setPartitionLeaderEpoch(batch, 6, 12)
    expect(rb.crc(batch, 6)).toBe(sealed)
    expect(rb.baseOffset(batch, 6)).toBe(5_000_000_000)
    expect(rb.lastOffset(batch, 6)).toBe(5_000_000_001)
    rb.setMaxTimestampAndType(batch, 6, TIME, rb.CREATE_TIME)
    expect(rb.crc(batch, 6)).toBe(sealed)
    rb.setMaxTimestampAndType(batch, 6, TIME + 99, rb.LOG_APPEND_TIME)
    expect(rb.crc(batch, 6)).not.toBe(sealed)
    expect(rb.checkBatch(batch, 6, batch.length - 6)).toBeNull()
    expect(rb.decodeRecords(batch, 6).map((each) => each.timestampMs)).toEqual([TIME + 99, TIME + 99])
    expect(rb.decodeRecords(batch, 6).map((each) => each.offset)).toEqual([5_000_000_000, 5_000_000_001])
  })

  test('keeps negative and large 64-bit fields, saturated at the safe integers', () => {
    const batch = rb.buildBatch({ records: [record('a', null, -1)], producerId: 2 ** 53 - 1 })
    expect(rb.maxTimestamp(batch, 0)).toBe(-1)
    expect(rb.producerId(batch, 0)).toBe(2 ** 53 - 1)
    batch.writeBigInt64BE(-(2n ** 63n), 43)
    expect(rb.producerId(batch, 0)).toBe(-Number.MAX_SAFE_INTEGER)
    batch.writeBigInt64BE(2n ** 63n - 1n, 43)
    expect(rb.producerId(batch, 0)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

const arbitraryBytes = fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)))
const arbitraryRecord: fc.Arbitrary<RecordInput> = fc.record({
  timestampMs: fc.oneof(fc.integer({ min: 0, max: 2 ** 41 }), fc.integer({ min: TIME, max: TIME + 200 })),
  key: arbitraryBytes,
  value: arbitraryBytes,
  headers: fc.array(
    fc.record({ key: fc.string({ unit: 'grapheme', maxLength: 8 }), value: arbitraryBytes }),
    {
      maxLength: 3,
    },
  ),
})

test.each(codecs)('any records with codec %i are built, checked and decoded back', (codec) => {
  fc.assert(
    fc.property(
      fc.array(arbitraryRecord, { minLength: 1, maxLength: 40 }),
      fc.nat(2 ** 40),
      (records, baseOffset) => {
        const batch = rb.buildBatch({ records, codec, baseOffset })
        expect(rb.checkBatch(batch, 0, batch.length)).toBeNull()
        const maxTimestampMs = Math.max(...records.map((each) => each.timestampMs))
        expect(rb.checkRecords(batch)).toEqual({ fault: null, maxTimestampMs, recordErrors: [] })
        expect(rb.maxTimestamp(batch, 0)).toBe(maxTimestampMs)
        const expected = records.map((each, index) => ({ ...each, offset: baseOffset + index }))
        expect(rb.decodeRecords(batch)).toEqual(expected)
      },
    ),
    { numRuns: 60 },
  )
})

test('offsets with gaps are kept', () => {
  const records = [3, 10, 400].map((offset) => ({ ...record('x'), offset }))
  const batch = rb.buildBatch({ records, baseOffset: 3 })
  expect(rb.lastOffset(batch, 0)).toBe(400)
  expect(rb.decodeRecords(batch).map((each) => each.offset)).toEqual([3, 10, 400])
})

describe('checkBatch', () => {
  const good = rb.buildBatch({ records: [record('value', 'key')] })

  test('refuses every cut', () => {
    for (let length = 0; length < good.length; length++) {
      expect(rb.checkBatch(good.subarray(0, length), 0, length)?.error, `${length}`).toBe('CORRUPT_MESSAGE')
    }
  })

  test('refuses every flipped bit that the CRC covers, and of the CRC', () => {
    for (let bit = 17 * 8; bit < good.length * 8; bit++) {
      const damaged = Buffer.from(good)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      expect(rb.checkBatch(damaged, 0, damaged.length)?.error, `bit ${bit}`).toBe('CORRUPT_MESSAGE')
    }
  })

  test.each([-1, -0x80000000, 0, 48, 0x7fffffff])('refuses a claimed length of %i', (length) => {
    const damaged = Buffer.from(good)
    damaged.writeInt32BE(length, 8)
    expect(rb.checkBatch(damaged, 0, damaged.length)?.error).toBe('CORRUPT_MESSAGE')
  })

  test.each([0, 1, 3, 255])('refuses magic %i', (magic) => {
    const damaged = Buffer.from(good)
    damaged[16] = magic
    expect(rb.checkBatch(damaged, 0, damaged.length)?.error).toBe('INVALID_RECORD')
  })

  test('refuses a negative count and a negative last offset delta', () => {
    for (const at of [23, 57]) {
      const damaged = Buffer.from(good)
      damaged.writeInt32BE(-1, at)
      expect(rb.checkBatch(resealed(damaged), 0, damaged.length)?.error).toBe('INVALID_RECORD')
    }
  })
})

describe('checkRecords', () => {
  const build = (codec: number, count = 3) =>
    rb.buildBatch({
      codec,
      records: Array.from({ length: count }, (_, i) => record(`value ${i}`, `key ${i}`)),
    })

  test.each(codecs)('codec %i: refuses a count that disagrees with the bytes', (codec) => {
    for (const claimed of [0, 1, 2, 4, 1000, 0x7fffffff]) {
      const batch = build(codec)
      batch.writeInt32BE(claimed, 57)
      expect(rb.checkRecords(resealed(batch)).fault?.error, `count ${claimed}`).toBe('INVALID_RECORD')
      batch.writeInt32BE(claimed - 1, 23)
      expect(rb.checkRecords(resealed(batch)).fault?.error, `count and delta ${claimed}`).toBe(
        'INVALID_RECORD',
      )
    }
  })

  test('refuses offset deltas that are not 0 to n-1', () => {
    const batch = rb.buildBatch({ records: [record('a'), { ...record('b'), offset: 2 }] })
    batch.writeInt32BE(1, 23)
    const { fault } = rb.checkRecords(resealed(batch))
    expect(fault).toEqual({ error: 'INVALID_RECORD', message: 'record 1 has the offset delta 2' })
  })

  test('never throws, and never passes what cannot be decoded, whatever bytes are damaged', () => {
    const records = Array.from({ length: 5 }, (_, index) => ({
      ...record(`value ${index}`, `key ${index}`),
      headers: index === 2 ? [{ key: 'header', value: Buffer.from('x') }] : [],
    }))
    const batch = rb.buildBatch({ records })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 57, max: batch.length - 1 }), fc.nat(255)), {
          minLength: 1,
          maxLength: 4,
        }),
        (damages) => {
          const damaged = Buffer.from(batch)
          for (const [at, byte] of damages) damaged[at] = byte
          const { fault } = rb.checkRecords(damaged)
          if (fault === null) expect(rb.decodeRecords(damaged).length).toBe(5)
        },
      ),
      { numRuns: 3000 },
    )
  })

  test('refuses records without key where keys are required, naming each', () => {
    const batch = rb.buildBatch({ records: [record('a', 'k'), record('b'), record('c', ''), record('d')] })
    const verdict = rb.checkRecords(batch, 0, rules({ keyRequired: true }))
    expect(verdict.fault?.error).toBe('INVALID_RECORD')
    expect(verdict.recordErrors.map((each) => each.batchIndex)).toEqual([1, 3])
    expect(rb.checkRecords(batch).fault).toBeNull()
  })

  test('refuses timestamps out of range, except -1 and where the broker sets them', () => {
    const range = { earliestTimestampMs: TIME - 10, latestTimestampMs: TIME + 10 }
    const batch = rb.buildBatch({
      records: [TIME, TIME - 11, TIME - 10, TIME + 10, TIME + 11].map((timestampMs) =>
        record('v', 'k', timestampMs),
      ),
    })
    const verdict = rb.checkRecords(batch, 0, rules(range))
    expect(verdict.fault?.error).toBe('INVALID_TIMESTAMP')
    expect(verdict.recordErrors.map((each) => each.batchIndex)).toEqual([1, 4])
    expect(rb.checkRecords(batch, 0, rules({ ...range, logAppendTime: true })).fault).toBeNull()
    const without = rb.buildBatch({ records: [record('v', 'k', -1)] })
    expect(rb.checkRecords(without, 0, rules(range))).toEqual({
      fault: null,
      maxTimestampMs: -1,
      recordErrors: [],
    })
  })

  test('refuses a producer that sets LogAppendTime itself, where the broker would', () => {
    const batch = rb.buildBatch({ records: [record('v')], timestampType: rb.LOG_APPEND_TIME })
    expect(rb.checkRecords(batch, 0, rules({ logAppendTime: true })).fault?.error).toBe('INVALID_TIMESTAMP')
  })

  test('says the largest timestamp of the records, whatever the header claims', () => {
    const batch = rb.buildBatch({ records: [record('a', null, TIME + 5), record('b', null, TIME + 2)] })
    batch.writeBigInt64BE(BigInt(TIME + 1000), 35)
    expect(rb.checkRecords(resealed(batch)).maxTimestampMs).toBe(TIME + 5)
  })

  test('reads records of every length of varint alike', () => {
    const sizes = [0, 1, 55, 56, 63, 64, 8000, 8191, 8192, 1_048_575, 1_048_576]
    const steps = [0, 63, 64, -65, 8191, 8192, 1_048_575, 1_048_576, 2 ** 31, 2 ** 35, -(2 ** 33)]
    const records = sizes.map((size, index) => ({
      timestampMs: TIME + steps[index],
      key: Buffer.alloc(size, 1),
      value: Buffer.alloc(sizes[sizes.length - 1 - index], 2),
    }))
    const batch = rb.buildBatch({ records })
    const maxTimestampMs = TIME + 2 ** 35
    expect(rb.checkRecords(batch)).toEqual({ fault: null, maxTimestampMs, recordErrors: [] })
    expect(rb.decodeRecords(batch).map((each) => each.timestampMs)).toEqual(
      records.map((each) => each.timestampMs),
    )
    expect(rb.decodeRecords(batch).map((each) => each.key!.length)).toEqual(sizes)
  })

  test.each([1, 2, 3, 4])('codec %i: refuses data that is not of that codec', (codec) => {
    const batch = build(0, 20)
    batch.writeInt16BE(codec, 21)
    expect(rb.checkRecords(resealed(batch)).fault?.error).toBe('INVALID_RECORD')
  })

  test('refuses an unknown codec', () => {
    const batch = build(0)
    batch.writeInt16BE(5, 21)
    expect(rb.checkRecords(resealed(batch)).fault?.error).toBe('UNSUPPORTED_COMPRESSION_TYPE')
  })

  test.each([1, 2, 3, 4])('codec %i: refuses a batch that decompresses to more than the limit', (codec) => {
    const batch = rb.buildBatch({ codec, records: [{ ...record(null), value: Buffer.alloc(1_000_000) }] })
    const verdict = rb.checkRecords(batch, 0, rules({ maxDecompressedBytes: 500_000 }))
    expect(verdict.fault?.error).toBe('MESSAGE_TOO_LARGE')
  })
})

test('sequence numbers wrap from 2^31-1 to 0', () => {
  expect(rb.addSequence(0x7fffffff, 1)).toBe(0)
  expect(rb.addSequence(0x7ffffffe, 5)).toBe(3)
  expect(rb.addSequence(5, 5)).toBe(10)
})
