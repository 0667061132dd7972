/**
 * Messages of formats 0 and 1, in place. A message set is messages back to back, each
 * `offset int64 | size int32 | crc uint32 | magic int8 | attributes int8 | timestamp int64 (format 1 only) |
 * keyLength int32, key | valueLength int32, value`; a negative length is null. `size` counts from the crc on; the CRC-32
 * covers everything behind it. Attributes: bits 0 to 2 codec, bit 3 (format 1) LogAppendTime. Where a codec is named, the
 * message is a wrapper and its value a compressed message set.
 */
import { int32, int64, putInt32, putInt64 } from '../big-endian.ts'
import { crc32 } from '../crc32.ts'
import { LOG_APPEND_TIME, LOG_OVERHEAD, type TimestampType } from '../record-batch-header.ts'
import { MalformedRecordError } from '../record-walk.ts'

export type OldMagic = 0 | 1

const SIZE_AT = 8
const CRC_AT = 12
const MAGIC_AT = 16
const ATTRIBUTES_AT = 17
const TIMESTAMP_AT = 18
const SMALLEST_SIZE = 14
const CODEC_MASK = 0x07
const TIMESTAMP_TYPE_BIT = 0x08

/** A message of format 0 with neither key nor value. */
export const SMALLEST_MESSAGE_BYTES = LOG_OVERHEAD + SMALLEST_SIZE

/** From the message's first byte to its key length. */
const keyLengthAt = (magic: number): number => (magic === 0 ? TIMESTAMP_AT : TIMESTAMP_AT + 8)

/** What a message takes besides its key and its value. */
export const messageOverhead = (magic: OldMagic): number => keyLengthAt(magic) + 8

/** Moves from message to message. What it says is claimed, until `crcIsRight`; `readParts` leaves where key and value are. */
export class MessageCursor {
  offset = 0
  /** All of the message, its offset and size fields too. */
  sizeBytes = 0
  magic = 0
  attributes = 0
  /** -1 where there is none: all of format 0. */
  timestampMs = -1
  keyAt = 0
  /** -1: null */
  keyBytes = -1
  valueAt = 0
  /** -1: null */
  valueBytes = -1
  /** Where this message begins. */
  at = 0
  readonly bytes: Buffer
  private nextAt: number
  private readonly end: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes
    this.nextAt = start
    this.end = end
  }

  get codec(): number {
    return this.attributes & CODEC_MASK
  }

  get isLogAppendTime(): boolean {
    return this.magic === 1 && (this.attributes & TIMESTAMP_TYPE_BIT) !== 0
  }

  /** True where the next message claims a size that none has: nothing can be read from there on. */
  sizeIsWrong(): boolean {
    return this.nextAt + LOG_OVERHEAD <= this.end && int32(this.bytes, this.nextAt + SIZE_AT) < SMALLEST_SIZE
  }

  /** False at the end, and where what is left is no whole message: Kafka drops what is cut short. */
  next(): boolean {
    const { bytes, nextAt: at, end } = this
    if (end - at < SMALLEST_MESSAGE_BYTES || this.sizeIsWrong()) return false
    const sizeBytes = LOG_OVERHEAD + int32(bytes, at + SIZE_AT)
    if (sizeBytes > end - at) return false
    this.at = at
    this.nextAt = at + sizeBytes
    this.offset = int64(bytes, at)
    this.sizeBytes = sizeBytes
    this.magic = (bytes[at + MAGIC_AT] << 24) >> 24
    this.attributes = bytes[at + ATTRIBUTES_AT]
    return true
  }

  crcIsRight(): boolean {
    const { bytes, at } = this
    return int32(bytes, at + CRC_AT) >>> 0 === crc32(bytes, at + MAGIC_AT, at + this.sizeBytes)
  }

  /** Throws MalformedRecordError where the lengths do not fit into the message, which must be of format 0 or 1. */
  readParts(): void {
    const { bytes, at, magic } = this
    const end = at + this.sizeBytes
    if (this.sizeBytes < messageOverhead(magic as OldMagic)) {
      throw new MalformedRecordError(`a message of format ${magic} has ${this.sizeBytes} bytes`)
    }
    this.timestampMs = magic === 0 ? -1 : int64(bytes, at + TIMESTAMP_AT)
    const lengthAt = at + keyLengthAt(magic)
    this.keyBytes = Math.max(-1, int32(bytes, lengthAt))
    this.keyAt = lengthAt + 4
    const valueLengthAt = this.keyAt + Math.max(0, this.keyBytes)
    if (valueLengthAt + 4 > end) {
      throw new MalformedRecordError(`a key of ${this.keyBytes} bytes does not fit into its message`)
    }
    this.valueBytes = Math.max(-1, int32(bytes, valueLengthAt))
    this.valueAt = valueLengthAt + 4
    if (this.valueAt + Math.max(0, this.valueBytes) > end) {
      throw new MalformedRecordError(`a value of ${this.valueBytes} bytes does not fit into its message`)
    }
  }

  key(): Buffer | null {
    return this.keyBytes < 0 ? null : this.bytes.subarray(this.keyAt, this.keyAt + this.keyBytes)
  }

  value(): Buffer | null {
    return this.valueBytes < 0 ? null : this.bytes.subarray(this.valueAt, this.valueAt + this.valueBytes)
  }
}

export interface Message {
  readonly magic: OldMagic
  readonly offset: number
  /** Not in format 0. */
  readonly timestampMs: number
  readonly timestampType: TimestampType
  /** Not 0: the value is a compressed message set. */
  readonly codec: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** Writes a message, which takes `messageOverhead` + key + value bytes, and gives where it ends. */
export function putMessage(target: Buffer, at: number, message: Message): number {
  const { magic, codec, key, value } = message
  const hasLogAppendTime = magic === 1 && message.timestampType === LOG_APPEND_TIME
  putInt64(target, at, message.offset)
  target[at + MAGIC_AT] = magic
  target[at + ATTRIBUTES_AT] = codec | (hasLogAppendTime ? TIMESTAMP_TYPE_BIT : 0)
  if (magic === 1) putInt64(target, at + TIMESTAMP_AT, message.timestampMs)
  const valueLengthAt = putBytes(target, at + keyLengthAt(magic), key)
  const end = putBytes(target, valueLengthAt, value)
  putInt32(target, at + SIZE_AT, end - at - LOG_OVERHEAD)
  putInt32(target, at + CRC_AT, crc32(target, at + MAGIC_AT, end))
  return end
}

function putBytes(target: Buffer, at: number, bytes: Buffer | null): number {
  putInt32(target, at, bytes?.length ?? -1)
  return at + 4 + (bytes?.copy(target, at + 4) ?? 0)
}
