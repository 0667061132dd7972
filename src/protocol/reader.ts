/**
 * A cursor over received bytes. Every length and count is checked against the bytes that are left before anything is
 * allocated for it; whatever does not fit throws MalformedMessageError, and nothing else is thrown.
 *
 * Bytes are combined by hand: on Node 20 Buffer.readInt32BE costs ten times as much.
 */
import { ZERO_UUID } from './schema.ts'
import { uuidText } from './uuid-text.ts'

/** The bytes are not the message they claim to be. An expected outcome: the connection that sent them is closed. */
export class MalformedMessageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedMessageError'
  }
}

/**
 * The most strings, structs and other variable elements that one message may hold in its arrays. An empty element takes
 * one byte on the wire and a hundred in memory, so that without this limit a frame could ask for a hundred times its size.
 */
export const MAX_ELEMENTS = 1_000_000

/** Kafka's own limit on a compact string; the length of the older form cannot say more. */
export const MAX_STRING_BYTES = 0x7fff

/** Texts up to this size are looked up among those read before: names of topics, groups and clients come all the time. */
const SHORT_TEXT_BYTES = 32
const RECENT_TEXTS = 1024
const recentTexts: string[] = new Array(RECENT_TEXTS).fill('')

const TWO_TO_32 = 4294967296
const EMPTY = Buffer.alloc(0)

export class Reader {
  position: number
  readonly limit: number
  private readonly bytes: Buffer
  private elementsLeft = MAX_ELEMENTS

  /** `bytes` from `position` up to `limit`; slices that are handed out share its memory. */
  constructor(bytes: Buffer, position = 0, limit = bytes.length) {
    this.bytes = bytes
    this.position = position
    this.limit = limit
  }

  get remaining(): number {
    return this.limit - this.position
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    const at = this.advance(1)
    return (this.bytes[at] << 24) >> 24
  }

  int16(): number {
    const at = this.advance(2)
    const b = this.bytes
    return (((b[at] << 8) | b[at + 1]) << 16) >> 16
  }

  int32(): number {
    const at = this.advance(4)
    const b = this.bytes
    return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]
  }

  /** Saturated at plus or minus Number.MAX_SAFE_INTEGER. */
  int64(): number {
    const at = this.advance(8)
    const b = this.bytes
    const high = (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]
    const low = ((b[at + 4] << 24) | (b[at + 5] << 16) | (b[at + 6] << 8) | b[at + 7]) >>> 0
    const value = high * TWO_TO_32 + low
    if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
    if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER
    return value
  }

  hash64(): string {
    const at = this.advance(8)
    return this.bytes.toString('hex', at, at + 8)
  }

  float64(): number {
    return this.bytes.readDoubleBE(this.advance(8))
  }

  /** Seven bits a byte, least significant first, at most five bytes (KIP-482). */
  uvarint(): number {
    const first = this.bytes[this.advance(1)]
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let shift = 7; shift < 35; shift += 7) {
      const next = this.bytes[this.advance(1)]
      value |= (next & 0x7f) << shift
      if (next < 0x80) return value >>> 0
    }
    return this.fail('a varint is longer than 5 bytes')
  }

  uuid(): string {
    const at = this.advance(16)
    const b = this.bytes
    let any = 0
    for (let i = at; i < at + 16; i++) any |= b[i]
    return any === 0 ? ZERO_UUID : uuidText(b, at)
  }

  string(): string {
    const length = this.int16()
    return length < 0 ? this.refuseNull('string') : this.text(length)
  }

  nullableString(): string | null {
    const length = this.int16()
    if (length < 0) return length === -1 ? null : this.refuseLength(length)
    return this.text(length)
  }

  compactString(): string {
    const length = this.uvarint() - 1
    return length < 0 ? this.refuseNull('string') : this.text(length)
  }

  compactNullableString(): string | null {
    const length = this.uvarint() - 1
    return length < 0 ? null : this.text(length)
  }

  /** The length of bytes or records, -1 for null. */
  byteLength(): number {
    const length = this.int32()
    if (length < -1 || length > this.limit - this.position) this.refuseLength(length)
    return length
  }

  compactByteLength(): number {
    const length = this.uvarint() - 1
    if (length > this.limit - this.position) this.refuseLength(length)
    return length
  }

  /** Bytes that may be kept: a copy. Null for a length of -1. */
  copy(length: number): Buffer | null {
    if (length <= 0) return length < 0 ? null : EMPTY
    const at = this.advance(length)
    return Buffer.from(this.bytes.subarray(at, at + length))
  }

  /** Bytes that share the frame's memory. Null for a length of -1. */
  slice(length: number): Buffer | null {
    if (length < 0) return null
    const at = this.advance(length)
    return this.bytes.subarray(at, at + length)
  }

  /** How many elements an array has, -1 for null; each takes at least `minElementBytes`. */
  arrayCount(minElementBytes: number): number {
    return this.checkCount(this.int32(), minElementBytes)
  }

  compactArrayCount(minElementBytes: number): number {
    return this.checkCount(this.uvarint() - 1, minElementBytes)
  }

  /** Charges elements that take more memory than bytes to MAX_ELEMENTS. */
  spendElements(count: number): void {
    this.elementsLeft -= count
    if (this.elementsLeft < 0) this.fail(`the arrays hold more than ${MAX_ELEMENTS} elements`)
  }

  /** Reads one tagged field's size and gives the position of its end. */
  tagEnd(): number {
    const size = this.uvarint()
    if (size > this.limit - this.position) this.refuseLength(size)
    return this.position + size
  }

  /** Steps over a whole tag section. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.position = this.tagEnd()
    }
  }

  refuseNull(what: string): never {
    return this.fail(`${what} is null where null is not allowed`)
  }

  refuseLength(length: number): never {
    return this.fail(`a length of ${length} where ${this.remaining} bytes are left`)
  }

  fail(reason: string): never {
    throw new MalformedMessageError(`${reason} (at byte ${this.position} of ${this.limit})`)
  }

  private checkCount(count: number, minElementBytes: number): number {
    if (count * minElementBytes > this.limit - this.position || count < -1) {
      this.fail(`an array of ${count} elements where ${this.remaining} bytes are left`)
    }
    return count
  }

  private advance(size: number): number {
    const at = this.position
    if (at + size > this.limit) this.refuseLength(size)
    this.position = at + size
    return at
  }

  private text(length: number): string {
    if (length > MAX_STRING_BYTES) this.refuseLength(length)
    const at = this.advance(length)
    return length <= SHORT_TEXT_BYTES
      ? recentText(this.bytes, at, length)
      : this.bytes.toString('utf8', at, at + length)
  }
}

/** The text from a cache of fixed size: half the cost of making it anew, and its hash is known to every Map. */
function recentText(bytes: Buffer, at: number, length: number): string {
  let hash = length
  let all = 0
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i]
    hash = (Math.imul(hash, 31) + byte) | 0
    all |= byte
  }
  if (all >= 0x80) return bytes.toString('utf8', at, at + length)
  const slot = (hash ^ (hash >>> 10)) & (RECENT_TEXTS - 1)
  const recent = recentTexts[slot]
  if (recent.length === length) {
    let same = 0
    while (same < length && recent.charCodeAt(same) === bytes[at + same]) same++
    if (same === length) return recent
  }
  return (recentTexts[slot] = bytes.toString('latin1', at, at + length))
}
