/**
 * Builds a message as a list of chunks. Small fields go into slabs that many messages share; record bytes are spliced in
 * by reference and never copied, so that a reply costs what its fields cost, not what its records weigh.
 */
import { BugError } from '../base/assert.ts'
import { MAX_STRING_BYTES } from './reader.ts'
import { putUuid } from './uuid-text.ts'

const SLAB_BYTES = 64 * 1024
/** A slab with less room than this is not worth another message. */
const SLAB_REST_BYTES = 1024
const SHORT_TEXT_LENGTH = 64
const TWO_TO_32 = 4294967296

/** The unused end of the slab last written to. One writer at a time holds it; a second one starts a slab of its own. */
let spareSlab: Buffer | null = null
let spareStart = 0

export class Writer {
  private slab: Buffer
  /** Where the piece that is being written begins in the slab. */
  private start = 0
  private position = 0
  private readonly chunks: Buffer[] = []
  private chunkBytes = 0

  constructor() {
    if (spareSlab === null) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    } else {
      this.slab = spareSlab
      this.start = this.position = spareStart
      spareSlab = null
    }
  }

  /** Bytes written so far. */
  get length(): number {
    return this.chunkBytes + this.position - this.start
  }

  /** The message, in order. The writer must not be used afterwards. */
  finish(): Buffer[] {
    this.closePiece()
    if (spareSlab === null && this.slab.length - this.position >= SLAB_REST_BYTES) {
      spareSlab = this.slab
      spareStart = this.position
    }
    return this.chunks
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  int8(value: number): void {
    const at = this.reserve(1)
    this.slab[at] = value
  }

  int16(value: number): void {
    const at = this.reserve(2)
    const b = this.slab
    b[at] = value >> 8
    b[at + 1] = value
  }

  int32(value: number): void {
    const at = this.reserve(4)
    putInt32(this.slab, at, value)
  }

  int64(value: number): void {
    const at = this.reserve(8)
    putInt32(this.slab, at, Math.floor(value / TWO_TO_32))
    putInt32(this.slab, at + 4, value)
  }

  hash64(value: string): void {
    const at = this.reserve(8)
    if (value.length !== 16 || this.slab.write(value, at, 'hex') !== 8)
      throw new BugError(`not a hash: ${value}`)
  }

  float64(value: number): void {
    const at = this.reserve(8)
    this.slab.writeDoubleBE(value, at)
  }

  /** Up to 2^32 - 1. */
  uvarint(value: number): void {
    let at = this.reserve(5)
    const b = this.slab
    let rest = value
    while (rest >= 0x80) {
      b[at++] = (rest & 0x7f) | 0x80
      rest = rest >>> 7
    }
    b[at++] = rest
    this.position = at
  }

  uuid(value: string): void {
    const at = this.reserve(16)
    if (!putUuid(this.slab, at, value)) throw new BugError(`not a uuid: ${value}`)
  }

  /** A text of more than MAX_STRING_BYTES is cut: only an error message that quotes its input can be that long. */
  string(value: string): void {
    const length = value.length
    if (length <= SHORT_TEXT_LENGTH) {
      const at = this.reserve(2 + length)
      this.slab[at] = 0
      this.slab[at + 1] = length
      if (putAscii(this.slab, at + 2, value)) return
      this.position = at
    }
    const { text, size } = measure(value)
    this.int16(size)
    this.utf8(text, size)
  }

  nullableString(value: string | null): void {
    if (value === null) this.int16(-1)
    else this.string(value)
  }

  compactString(value: string): void {
    const length = value.length
    if (length <= SHORT_TEXT_LENGTH) {
      const at = this.reserve(1 + length)
      this.slab[at] = length + 1
      if (putAscii(this.slab, at + 1, value)) return
      this.position = at
    }
    const { text, size } = measure(value)
    this.uvarint(size + 1)
    this.utf8(text, size)
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.uvarint(0)
    else this.compactString(value)
  }

  bytes(value: Buffer | null): void {
    this.int32(value === null ? -1 : value.length)
    if (value !== null) this.copy(value)
  }

  compactBytes(value: Buffer | null): void {
    this.uvarint(value === null ? 0 : value.length + 1)
    if (value !== null) this.copy(value)
  }

  records(value: Buffer | readonly Buffer[] | null): void {
    this.int32(value === null ? -1 : sizeOf(value))
    if (value !== null) this.spliceAll(value)
  }

  compactRecords(value: Buffer | readonly Buffer[] | null): void {
    this.uvarint(value === null ? 0 : sizeOf(value) + 1)
    if (value !== null) this.spliceAll(value)
  }

  /** What another writer holds, which must not be used afterwards, behind its length: the form of a tagged field. */
  sized(other: Writer): void {
    this.uvarint(other.length)
    for (const chunk of other.finish()) {
      if (chunk.length < SLAB_REST_BYTES) this.copy(chunk)
      else this.splice(chunk)
    }
  }

  private copy(value: Buffer): void {
    const at = this.reserve(value.length)
    this.slab.set(value, at)
  }

  private spliceAll(value: Buffer | readonly Buffer[]): void {
    if (Buffer.isBuffer(value)) this.splice(value)
    else for (const chunk of value) this.splice(chunk)
  }

  private splice(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.closePiece()
    this.chunks.push(chunk)
    this.chunkBytes += chunk.length
  }

  private utf8(text: string, size: number): void {
    const at = this.reserve(size)
    this.slab.write(text, at, size, 'utf8')
  }

  /** Makes room for `size` bytes in one piece and gives their place in `slab`. */
  private reserve(size: number): number {
    if (this.position + size > this.slab.length) this.nextSlab(size)
    const at = this.position
    this.position = at + size
    return at
  }

  private nextSlab(size: number): void {
    this.closePiece()
    this.slab = Buffer.allocUnsafeSlow(Math.max(size, SLAB_BYTES))
    this.start = this.position = 0
  }

  private closePiece(): void {
    if (this.position === this.start) return
    this.chunks.push(this.slab.subarray(this.start, this.position))
    this.chunkBytes += this.position - this.start
    this.start = this.position
  }
}

export function putInt32(target: Buffer, at: number, value: number): void {
  target[at] = value >> 24
  target[at + 1] = value >> 16
  target[at + 2] = value >> 8
  target[at + 3] = value
}

/** False when the text is not ASCII; `target` then holds a part of it. */
function putAscii(target: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) return false
    target[at + i] = code
  }
  return true
}

function measure(value: string): { text: string; size: number } {
  const size = Buffer.byteLength(value)
  if (size <= MAX_STRING_BYTES) return { text: value, size }
  let end = MAX_STRING_BYTES
  const whole = Buffer.from(value)
  while ((whole[end] & 0xc0) === 0x80) end--
  return { text: whole.toString('utf8', 0, end), size: end }
}

function sizeOf(value: Buffer | readonly Buffer[]): number {
  if (Buffer.isBuffer(value)) return value.length
  let size = 0
  for (const chunk of value) size += chunk.length
  return size
}
