/** Message sets of formats 0 and 1, as old clients make them and as they read them. */
import fc from 'fast-check'
import { Codec } from '../../src/protocol/compression.ts'
import {
  MessageCursor,
  putMessage,
  type Message,
  type OldMagic,
} from '../../src/protocol/message-set/message.ts'
import { compressMessages, decompressMessages } from '../../src/protocol/message-set/wrapped-messages.ts'

export interface OldRecord {
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface ReadRecord extends OldRecord {
  readonly offset: number
}

export interface SetOptions {
  readonly codec?: number
  /** Of the first record. */
  readonly firstOffset?: number
  readonly wrapper?: Partial<Message>
  readonly inner?: Partial<Message>
}

/** One message, with a right CRC. */
export function messageOf(message: Partial<Message>): Buffer {
  const whole: Message = {
    magic: 1,
    offset: 0,
    timestampMs: -1,
    timestampType: 0,
    codec: Codec.NONE,
    key: null,
    value: null,
    ...message,
  }
  const target = Buffer.alloc(34 + (whole.key?.length ?? 0) + (whole.value?.length ?? 0))
  return target.subarray(0, putMessage(target, 0, whole))
}

export function messageSet(magic: OldMagic, records: readonly OldRecord[], options: SetOptions = {}): Buffer {
  const { codec = Codec.NONE, firstOffset = 0 } = options
  const isRelative = codec !== Codec.NONE && magic === 1
  const messages = records.map((record, index) =>
    messageOf({ magic, ...record, offset: (isRelative ? 0 : firstOffset) + index, ...options.inner }),
  )
  const plain = Buffer.concat(messages)
  if (codec === Codec.NONE) return plain
  const value = compressMessages(codec, magic, plain)
  const timestampMs = Math.max(-1, ...records.map((record) => record.timestampMs))
  const offset = firstOffset + records.length - 1
  return messageOf({ magic, offset, timestampMs, codec, value, ...options.wrapper })
}

/** The records of a set, wrappers opened. */
export function recordsOf(bytes: Buffer): ReadRecord[] {
  const cursor = new MessageCursor(bytes, 0, bytes.length)
  const records: ReadRecord[] = []
  while (cursor.next()) {
    if (!cursor.crcIsRight()) throw new Error('the CRC is wrong')
    cursor.readParts()
    const { offset, codec, timestampMs, magic } = cursor
    const value = cursor.value()
    if (codec === Codec.NONE) {
      records.push({ offset, timestampMs, key: cursor.key(), value })
      continue
    }
    const inner = recordsOf(decompressMessages(codec, magic as OldMagic, value!, 1 << 27))
    const base = magic === 1 ? offset - inner.at(-1)!.offset : 0
    const own = cursor.isLogAppendTime ? timestampMs : null
    for (const record of inner) {
      records.push({ ...record, offset: base + record.offset, timestampMs: own ?? record.timestampMs })
    }
  }
  return records
}

const bytes = fc.option(fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)))

export const oldRecord: fc.Arbitrary<OldRecord> = fc.record({
  timestampMs: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 2 ** 42 })),
  key: bytes,
  value: bytes,
})

export const oldMagic: fc.Arbitrary<OldMagic> = fc.constantFrom<OldMagic[]>(0, 1)
export const oldCodec = fc.constantFrom<number[]>(Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4)
