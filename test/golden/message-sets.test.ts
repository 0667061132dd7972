/** Message sets of formats 0 and 1, and their conversions, beside what Kafka's own classes make (generate.sh). */
import { describe, expect, test } from 'vitest'
import { decompress } from '../../src/protocol/compression.ts'
import { batchOfMessages } from '../../src/protocol/message-set/batch-of-messages.ts'
import { checkMessageSet } from '../../src/protocol/message-set/check-message-set.ts'
import { MessageCursor, type OldMagic } from '../../src/protocol/message-set/message.ts'
import { messagesOfBatches } from '../../src/protocol/message-set/messages-of-batches.ts'
import { decompressMessages } from '../../src/protocol/message-set/wrapped-messages.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import { readGolden } from './golden-data.ts'

interface GoldenRecord {
  offset: number
  timestampMs: number
  key: string | null
  value: string | null
}

interface GoldenSet {
  name: string
  magic: OldMagic
  codec: number
  recordCount: number
  /** Ten at most. */
  firstRecords: GoldenRecord[]
  bytes: string
  /** What Kafka appends of it at offset 7 in leader epoch 3, uncompressed; not of the large ones. */
  batch?: string
}

interface GoldenConversion {
  name: string
  magic: OldMagic
  codec: number
  fetchOffset: number
  batch: string
  bytes: string
}

const sets = readGolden<GoldenSet[]>('message-sets.json')!
const conversions = readGolden<GoldenConversion[]>('message-sets-down.json')!

const rules = { ...rb.anyRecord, maxMessageBytes: 1 << 20 }
const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64')

interface ReadMessage {
  magic: number
  attributes: number
  offset: number
  timestampMs: number
  key: string | null
  value: string | null | ReadMessage[]
}

/** Every field of every message; a wrapper's value as the messages in it, read with the right checksum where format 1 has it. */
function messagesIn(bytes: Buffer): ReadMessage[] {
  const cursor = new MessageCursor(bytes, 0, bytes.length)
  const messages: ReadMessage[] = []
  while (cursor.next()) {
    expect(cursor.crcIsRight()).toBe(true)
    cursor.readParts()
    const { magic, attributes, offset, timestampMs, codec } = cursor
    const value = cursor.value()
    const inner =
      codec === 0 ? null : messagesIn(decompressMessages(codec, magic as OldMagic, value!, 1 << 24))
    const key = cursor.key()?.toString('base64') ?? null
    const plain = value?.toString('base64') ?? null
    messages.push({ magic, attributes, offset, timestampMs, key, value: inner ?? plain })
  }
  return messages
}

test('there are golden sets of both formats in every codec', () => {
  const kinds = new Set(sets.map(({ magic, codec }) => `${magic} ${codec}`))
  expect(kinds.size).toBe(2 * 4)
})

describe.each(sets.map((golden) => [golden.name, golden] as const))('%s', (_name, golden) => {
  test('is read as Kafka reads it', () => {
    const { fault, set } = checkMessageSet(bytesOf(golden.bytes), rules)
    expect(fault).toBeNull()
    expect(set).toMatchObject({ magic: golden.magic, codec: golden.codec, count: golden.recordCount })
    const cursor = new MessageCursor(set!.bytes, set!.start, set!.end)
    for (const { timestampMs, key, value } of golden.firstRecords) {
      expect(cursor.next()).toBe(true)
      cursor.readParts()
      expect(set!.ownTimestampMs ?? cursor.timestampMs).toBe(timestampMs)
      expect(cursor.key()?.toString('base64') ?? null).toBe(key)
      expect(cursor.value()?.toString('base64') ?? null).toBe(value)
    }
  })

  test('compressed, becomes a batch of the same records', () => {
    const { set } = checkMessageSet(bytesOf(golden.bytes), rules)
    const plain = batchOfMessages(set!, rb.Codec.NONE)
    for (const codec of [golden.codec, rb.Codec.GZIP, rb.Codec.LZ4]) {
      const batch = batchOfMessages(set!, codec)
      expect(rb.checkRecords(batch).fault).toBeNull()
      expect(rb.codecOf(rb.attributes(batch, 0))).toBe(codec)
      expect(JSON.stringify(rb.decodeRecords(batch))).toBe(JSON.stringify(rb.decodeRecords(plain)))
    }
  })

  test('comes back as it was', () => {
    const { set } = checkMessageSet(bytesOf(golden.bytes), rules)
    const batch = batchOfMessages(set!, golden.codec)
    rb.setBaseOffset(batch, 0, golden.firstRecords[0].offset)
    if (set!.ownTimestampMs !== null || isLogAppendTime(golden)) {
      rb.setMaxTimestampAndType(batch, 0, set!.maxTimestampMs, rb.LOG_APPEND_TIME)
    }
    const wanted = { magic: golden.magic, fetchOffset: golden.firstRecords[0].offset, maxBytes: 1 << 20 }
    const { error, messages } = messagesOfBatches(batch, wanted)
    expect(error).toBeNull()
    expect(messagesIn(Buffer.concat(messages))).toEqual(messagesIn(bytesOf(golden.bytes)))
  })
})

const isLogAppendTime = ({ name }: GoldenSet): boolean => name.endsWith('log append time')

describe('appended by Kafka, becomes the batch that we make of it, byte for byte', () => {
  test.each(sets.flatMap(({ name, bytes, batch }) => (batch ? [[name, bytes, batch]] : [])))(
    '%s',
    (_name, bytes, appended) => {
      const batch = batchOfMessages(checkMessageSet(bytesOf(bytes), rules).set!, rb.Codec.NONE)
      rb.setBaseOffset(batch, 0, 7)
      rb.setPartitionLeaderEpoch(batch, 0, 3)
      expect(batch.toString('base64')).toBe(appended)
    },
  )
})

describe('converted down', () => {
  test.each(conversions.map((golden) => [golden.name, golden] as const))('%s', (_name, golden) => {
    const { error, messages, recordCount } = messagesOfBatches(bytesOf(golden.batch), {
      magic: golden.magic,
      fetchOffset: golden.fetchOffset,
      maxBytes: 1 << 20,
    })
    expect(error).toBeNull()
    const bytes = Buffer.concat(messages)
    const read = messagesIn(bytes)
    expect(read).toEqual(messagesIn(bytesOf(golden.bytes)))
    if (golden.codec === 0) expect(bytes.toString('base64')).toBe(golden.bytes)
    expect(recordCount).toBe(golden.codec === 0 ? 45 - golden.fetchOffset : 5)
  })

  test("LZ4's header checksum is wrong in format 0, as its clients want it, and right in format 1", () => {
    const lz4 = conversions.filter(({ codec }) => codec === rb.Codec.LZ4)
    expect(lz4.length).toBeGreaterThan(0)
    for (const { magic, batch, fetchOffset, bytes } of lz4) {
      const ours = messagesOfBatches(bytesOf(batch), { magic, fetchOffset, maxBytes: 1 << 20 }).messages[0]
      for (const wrapper of [ours, bytesOf(bytes)]) {
        const cursor = new MessageCursor(wrapper, 0, wrapper.length)
        cursor.next()
        cursor.readParts()
        const value = cursor.value()!
        if (magic === 1) expect(decompress(rb.Codec.LZ4, value, 1 << 20).length).toBeGreaterThan(0)
        else expect(() => decompress(rb.Codec.LZ4, value, 1 << 20)).toThrow(/header checksum/)
      }
    }
  })
})
