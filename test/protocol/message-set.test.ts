import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/protocol/crc32.ts'
import { Codec } from '../../src/protocol/compression.ts'
import { batchOfMessages } from '../../src/protocol/message-set/batch-of-messages.ts'
import {
  checkMessageSet,
  hasWholeMessage,
  type MessageSetRules,
} from '../../src/protocol/message-set/check-message-set.ts'
import { compressMessages } from '../../src/protocol/message-set/wrapped-messages.ts'
import { messagesOfBatches } from '../../src/protocol/message-set/messages-of-batches.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import {
  messageOf,
  messageSet,
  oldCodec,
  oldMagic,
  oldRecord,
  recordsOf,
  type OldRecord,
} from './message-sets.ts'
import { mutated, mutation } from './mutations.ts'

const NOW = 1_700_000_000_000
const rules: MessageSetRules = { ...rb.anyRecord, maxMessageBytes: 1 << 20 }
const record = (value: string, more: Partial<OldRecord> = {}): OldRecord => ({
  timestampMs: NOW,
  key: Buffer.from('key'),
  value: Buffer.from(value),
  ...more,
})
const two = [record('a'), record('b')]

function refusal(records: Buffer, more: Partial<MessageSetRules> = {}): string | null {
  return checkMessageSet(records, { ...rules, ...more }).fault?.error ?? null
}

/** A wrapper of these bytes. */
function gzipped(inner: Buffer, more: Parameters<typeof messageOf>[0] = {}): Buffer {
  return messageOf({ codec: Codec.GZIP, value: compressMessages(Codec.GZIP, 1, inner), ...more })
}

/** Every message that still has a size gets the CRC of its bytes, so that more than the CRC is tried. */
function withRightCrc(set: Buffer): Buffer {
  for (let at = 0; at + 26 <= set.length;) {
    const end = at + 12 + set.readInt32BE(at + 8)
    if (end < at + 26 || end > set.length) break
    set.writeUInt32BE(crc32(set, at + 16, end), at + 12)
    at = end
  }
  return set
}

describe('a set', () => {
  test('becomes a batch and comes back, whatever its format, codec and records', () => {
    fc.assert(
      fc.property(
        oldMagic,
        oldCodec,
        fc.array(oldRecord, { minLength: 1, maxLength: 20 }),
        fc.nat({ max: 2 ** 40 }),
        (magic, codec, records, firstOffset) => {
          const { fault, set } = checkMessageSet(messageSet(magic, records, { codec, firstOffset }), rules)
          expect(fault).toBeNull()
          const batch = batchOfMessages(set!, codec)
          expect(rb.checkBatch(batch, 0, batch.length)).toBeNull()
          expect(rb.checkRecords(batch).fault).toBeNull()
          rb.setBaseOffset(batch, 0, firstOffset)
          const kept = records.map((each) => (magic === 0 ? { ...each, timestampMs: -1 } : each))
          const expected = kept.map((each, index) => ({ offset: firstOffset + index, ...each }))
          expect(rb.decodeRecords(batch)).toEqual(expected.map((each) => ({ ...each, headers: [] })))
          const down = messagesOfBatches(batch, { magic, fetchOffset: firstOffset, maxBytes: 1 << 20 })
          expect(down).toMatchObject({ error: null, recordCount: records.length })
          expect(down.nextOffset).toBe(firstOffset + records.length)
          expect(recordsOf(Buffer.concat(down.messages))).toEqual(expected)
        },
      ),
    )
  })

  test('that is cut short loses the message that is cut, as in Kafka', () => {
    const set = messageSet(0, two)
    const cut = checkMessageSet(set.subarray(0, set.length - 1), rules)
    expect(cut.set).toMatchObject({ count: 1, end: set.length / 2 })
    expect(hasWholeMessage(set.subarray(0, set.length / 2 - 1))).toBe(false)
    expect(hasWholeMessage(Buffer.alloc(0))).toBe(false)
    expect(hasWholeMessage(set)).toBe(true)
  })

  test('with relative offsets that do not count from 0 is taken: some clients wrote them so', () => {
    const inner = Buffer.concat(two.map((each) => messageOf({ ...each, offset: 0 })))
    expect(checkMessageSet(gzipped(inner), rules).set).toMatchObject({ count: 2 })
  })

  test("whose wrapper says LogAppendTime has the wrapper's time", () => {
    const wrapper = { timestampType: rb.LOG_APPEND_TIME, timestampMs: NOW + 9 } as const
    const { set } = checkMessageSet(messageSet(1, two, { codec: Codec.GZIP, wrapper }), rules)
    expect(rb.decodeRecords(batchOfMessages(set!, 0)).map(({ timestampMs }) => timestampMs)).toEqual([
      NOW + 9,
      NOW + 9,
    ])
  })
})

describe('refused', () => {
  const inner = messageSet(1, two)
  const broken = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes)
    copy[at] ^= 1
    return copy
  }
  const sizeless = Buffer.from(inner)
  sizeless.writeInt32BE(13, 8)
  const cases: [string, Buffer, string][] = [
    ['a wrong CRC', broken(inner, inner.length - 1), 'CORRUPT_MESSAGE'],
    ['a wrong CRC inside a wrapper', gzipped(broken(inner, inner.length - 1)), 'CORRUPT_MESSAGE'],
    ['a size that none has', sizeless, 'CORRUPT_MESSAGE'],
    ['a size that none has, inside a wrapper', gzipped(sizeless), 'CORRUPT_MESSAGE'],
    ['messages of two formats', Buffer.concat([messageSet(1, two), messageSet(0, two)]), 'INVALID_RECORD'],
    ['another format inside a wrapper', gzipped(messageSet(0, two)), 'INVALID_RECORD'],
    ['a wrapper inside a wrapper', gzipped(gzipped(inner)), 'INVALID_RECORD'],
    ['two wrappers', Buffer.concat([gzipped(inner), gzipped(inner)]), 'INVALID_RECORD'],
    ['a wrapper behind a plain message', Buffer.concat([inner, gzipped(inner)]), 'INVALID_RECORD'],
    ['an empty wrapper', gzipped(Buffer.alloc(0)), 'INVALID_RECORD'],
    ['a wrapper without a value', messageOf({ codec: Codec.GZIP }), 'INVALID_RECORD'],
    ['a wrapper of what its codec did not write', messageOf({ codec: 1, value: inner }), 'INVALID_RECORD'],
    [
      'a wrapper offset below the last inner one',
      gzipped(messageSet(1, [...two, ...two]), { offset: 1 }),
      'INVALID_RECORD',
    ],
    ['zstd', messageOf({ codec: Codec.ZSTD, value: inner }), 'INVALID_RECORD'],
    ['an unknown codec', messageOf({ codec: 7, value: inner }), 'UNSUPPORTED_COMPRESSION_TYPE'],
    ['a time before 1970', messageSet(1, [record('a', { timestampMs: -2 })]), 'INVALID_TIMESTAMP'],
  ]
  test.each(cases)('%s', (_name, bytes, error) => {
    expect(refusal(bytes)).toBe(error)
  })

  test('a message larger than the topic takes', () => {
    expect(refusal(inner, { maxMessageBytes: inner.length / 2 - 1 })).toBe('MESSAGE_TOO_LARGE')
    expect(refusal(inner, { maxMessageBytes: inner.length / 2 })).toBeNull()
  })

  test('a wrapper that holds more than it may', () => {
    expect(refusal(gzipped(inner), { maxDecompressedBytes: inner.length - 1 })).toBe('MESSAGE_TOO_LARGE')
  })

  test('a record without a key, where keys are asked for', () => {
    const keyless = [two[0], record('b', { key: null })]
    for (const codec of [Codec.NONE, Codec.SNAPPY]) {
      expect(refusal(messageSet(0, keyless, { codec }), { keyRequired: true })).toBe('INVALID_RECORD')
      expect(refusal(messageSet(0, keyless, { codec }))).toBeNull()
    }
  })

  test('a time out of the range, but not where the topic sets the time, and none of format 0', () => {
    const range = { earliestTimestampMs: NOW + 1 }
    for (const codec of [Codec.NONE, Codec.LZ4]) {
      expect(refusal(messageSet(1, two, { codec }), range)).toBe('INVALID_TIMESTAMP')
      expect(refusal(messageSet(1, two, { codec }), { ...range, logAppendTime: true })).toBeNull()
      expect(refusal(messageSet(0, two, { codec }), range)).toBeNull()
    }
  })

  test('LogAppendTime from a client, where the topic sets the time', () => {
    const said = { timestampType: rb.LOG_APPEND_TIME } as const
    for (const logAppendTime of [true, false]) {
      const expected = logAppendTime ? 'INVALID_TIMESTAMP' : null
      expect(refusal(messageSet(1, two, { inner: said }), { logAppendTime })).toBe(expected)
      const wrapped = messageSet(1, two, { codec: Codec.GZIP, wrapper: said })
      expect(refusal(wrapped, { logAppendTime })).toBe(expected)
    }
  })
})

describe('converted down', () => {
  const batch = (more: Partial<rb.BatchInput> = {}): Buffer =>
    rb.buildBatch({
      records: two.map((each) => ({ ...each, headers: [{ key: 'h', value: null }] })),
      ...more,
    })
  const down = (batches: Buffer, more = {}) =>
    messagesOfBatches(batches, { magic: 1, fetchOffset: 0, maxBytes: 1 << 20, ...more })
  const marker = rb.buildBatch({
    records: [{ timestampMs: NOW, key: Buffer.alloc(4), value: Buffer.alloc(6) }],
    baseOffset: 2,
    producerId: 1,
    producerEpoch: 0,
    transactional: true,
    control: true,
  })

  test('control batches and headers are left out, and it is told how far was read', () => {
    const read = down(Buffer.concat([batch(), marker, batch({ baseOffset: 3 })]))
    expect(recordsOf(Buffer.concat(read.messages)).map(({ offset }) => offset)).toEqual([0, 1, 3, 4])
    expect(down(marker)).toMatchObject({ error: null, messages: [], nextOffset: 3 })
  })

  test('zstd is refused where it is the first, and ends the reply where it follows others', () => {
    const zstd = batch({ baseOffset: 2, codec: Codec.ZSTD })
    expect(down(zstd)).toMatchObject({ error: 'UNSUPPORTED_COMPRESSION_TYPE', messages: [] })
    expect(down(Buffer.concat([batch(), zstd]))).toMatchObject({ error: null, recordCount: 2, nextOffset: 2 })
  })

  test('bytes that went bad are not given a new CRC', () => {
    const bad = batch()
    bad[bad.length - 1] ^= 1
    expect(down(bad)).toMatchObject({ error: 'CORRUPT_MESSAGE', messages: [] })
  })

  test('gaps in the offsets of a compacted batch stay', () => {
    const records = [5, 8, 13].map((offset) => ({ ...two[0], offset }))
    for (const codec of [Codec.NONE, Codec.GZIP]) {
      for (const magic of [0, 1]) {
        const { messages } = down(rb.buildBatch({ records, baseOffset: 5, codec }), { magic })
        expect(recordsOf(messages[0]).map(({ offset }) => offset)).toEqual([5, 8, 13])
      }
    }
  })

  test('a large batch of small records comes in pieces, each below the limit, all of them in the end', () => {
    const records = Array.from({ length: 60_000 }, () => ({
      timestampMs: NOW,
      key: null,
      value: Buffer.from('v'),
    }))
    for (const codec of [Codec.NONE, Codec.SNAPPY]) {
      const large = rb.buildBatch({ records, codec })
      let offset = 0
      let replies = 0
      while (offset < records.length) {
        const { messages, recordCount } = down(large, { fetchOffset: offset, maxBytes: 1 })
        expect(messages.length).toBe(1)
        expect(recordCount).toBeLessThanOrEqual((1 << 20) / 35)
        const read = recordsOf(messages[0])
        expect(read[0].offset).toBe(codec === Codec.NONE || replies > 0 ? read[0].offset : 0)
        expect(read[0].offset).toBeLessThanOrEqual(offset)
        offset = read.at(-1)!.offset + 1
        replies++
      }
      expect(replies).toBe(3)
    }
  })
})

describe('hostile bytes', () => {
  test('a changed set is taken or refused with an error of its own; what is taken can be read', () => {
    fc.assert(
      fc.property(
        oldMagic,
        oldCodec,
        fc.array(oldRecord, { minLength: 1, maxLength: 5 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (magic, codec, records, changes, isInside) => {
          const set =
            isInside && codec !== Codec.NONE
              ? messageOf({
                  magic,
                  codec,
                  value: compressMessages(codec, magic, mutated(messageSet(magic, records), changes)),
                })
              : withRightCrc(mutated(messageSet(magic, records, { codec }), changes))
          if (!hasWholeMessage(set) || (set[16] !== 0 && set[16] !== 1)) return
          const { fault, set: taken } = checkMessageSet(set, rules)
          if (fault !== null) return
          const batch = batchOfMessages(taken, Codec.NONE)
          expect(batch.length).toBeLessThanOrEqual(rb.BATCH_OVERHEAD + taken.end - taken.start)
          expect(rb.checkRecords(batch).fault).toBeNull()
        },
      ),
      { numRuns: 3000 },
    )
  })
})
