/**
 * One pass over the records of a batch (uncompressed bytes), without making an object of any of them. Record:
 * `length varint | attributes int8 | timestampDelta varlong | offsetDelta varint | keyLength varint, key | valueLength varint,
 * value | headerCount varint | { keyLength varint, key | valueLength varint, value }`. Varints are zig-zag; -1 is null.
 *
 * `RecordCursor.next` moves to the next record and leaves where its parts are in the cursor's fields. It is the one place that
 * knows the layout: the check and the decoder both stand on it.
 */

/** Bytes that are not the records they claim to be. Always caught inside src/protocol's record-batch files. */
export class MalformedRecordError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedRecordError'
  }
}

export class RecordCursor {
  timestampDelta = 0
  offsetDelta = 0
  offsetDeltaAt = 0
  keyAt = 0
  /** -1: null */
  keyBytes = -1
  valueAt = 0
  /** -1: null */
  valueBytes = -1
  headerCount = 0
  headersAt = 0
  /** Where the next record begins. */
  at: number
  readonly bytes: Uint8Array
  readonly end: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  /** Throws MalformedRecordError when the record's lengths do not agree with the bytes there are. */
  next(): void {
    const { bytes, end } = this
    const length = this.varint(end)
    const recordEnd = this.at + length
    if (length < 0 || recordEnd > end) {
      const left = end - this.at
      throw new MalformedRecordError(
        `a record of ${length} bytes does not fit into the ${left} that are left`,
      )
    }
    this.at++ // attributes: none are defined
    this.timestampDelta = this.varlong(recordEnd)
    this.offsetDeltaAt = this.at
    this.offsetDelta = this.varint(recordEnd)
    this.keyBytes = this.varint(recordEnd)
    this.keyAt = this.at
    if (this.keyBytes > 0) this.at += this.keyBytes
    this.valueBytes = this.varint(recordEnd)
    this.valueAt = this.at
    if (this.valueBytes > 0) this.at += this.valueBytes
    // Nearly every record ends here, with a header count of 0.
    if (this.at + 1 === recordEnd && bytes[this.at] === 0) {
      this.headerCount = 0
      this.headersAt = ++this.at
      return
    }
    this.headerCount = this.varint(recordEnd)
    this.headersAt = this.at
    this.skipHeaders(recordEnd)
    if (this.at !== recordEnd) {
      throw new MalformedRecordError(
        `a record of ${length} bytes has parts of ${length + this.at - recordEnd}`,
      )
    }
  }

  private skipHeaders(recordEnd: number): void {
    if (this.headerCount < 0 || this.headerCount > recordEnd - this.at) {
      throw new MalformedRecordError(`a record claims ${this.headerCount} headers`)
    }
    for (let index = 0; index < this.headerCount; index++) {
      const keyBytes = this.varint(recordEnd)
      if (keyBytes < 0) throw new MalformedRecordError(`a header key of ${keyBytes} bytes`)
      this.at += keyBytes
      const valueBytes = this.varint(recordEnd)
      if (valueBytes > 0) this.at += valueBytes
    }
  }

  /** A zig-zag varint at the cursor, which must not be at or behind `end`. */
  varint(end: number): number {
    const { bytes } = this
    let at = this.at
    if (at >= end) throw new MalformedRecordError('a record is cut short')
    let byte = bytes[at++]
    let raw = byte & 0x7f
    if (byte > 0x7f) {
      let shift = 7
      do {
        if (at >= end) throw new MalformedRecordError('a record is cut short')
        if (shift > 28) throw new MalformedRecordError('a varint is longer than 5 bytes')
        byte = bytes[at++]
        raw |= (byte & 0x7f) << shift
        shift += 7
      } while (byte > 0x7f)
    }
    this.at = at
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** A zig-zag varint of up to 64 bits, saturated at the safe integers. */
  private varlong(end: number): number {
    const start = this.at
    if (start < end && this.bytes[start] < 0x80) {
      this.at = start + 1
      const raw = this.bytes[start]
      return (raw >>> 1) ^ -(raw & 1)
    }
    return this.longVarlong(end)
  }

  private longVarlong(end: number): number {
    const { bytes } = this
    let at = this.at
    let low = 0
    let high = 0
    // 28 bits in `low`, the other 36 in `high`: both exact.
    for (let shift = 0; ; shift += 7) {
      if (at >= end) throw new MalformedRecordError('a record is cut short')
      if (shift > 63) throw new MalformedRecordError('a varlong is longer than 10 bytes')
      const byte = bytes[at++]
      if (shift < 28) low |= (byte & 0x7f) << shift
      else high += (byte & 0x7f) * 2 ** (shift - 28)
      if (byte < 0x80) break
    }
    this.at = at
    // raw = high * 2^28 + low; zig-zag: an even raw is raw / 2, an odd one -(raw + 1) / 2
    const half = high * 2 ** 27 + (low >>> 1)
    const value = low & 1 ? -half - 1 : half
    return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
  }
}

export interface RecordsSummary {
  minTimestampDelta: number
  maxTimestampDelta: number
  hasNullKey: boolean
}

/**
 * Walks `count` records from the cursor to its end, which they must fill exactly, with offset deltas 0 to count-1. Throws
 * MalformedRecordError. It is on the produce path: a record of the common shape (varints of up to 3 bytes) is
 * read here by hand, 3 to 5 times as fast as by `cursor.next`, which takes any other.
 */
export function summarizeRecords(cursor: RecordCursor, count: number): RecordsSummary {
  const { bytes, end } = cursor
  let minTimestampDelta = Infinity
  let maxTimestampDelta = -Infinity
  let hasNullKey = false
  let at = cursor.at
  for (let index = 0; index < count; index++) {
    const start = at
    let timestampDelta = 0
    let keyBytes = 0
    quick: {
      if (end - at < 7) break quick
      // Five varints: length, timestamp delta, offset delta, key length, value length. `raw` is still zig-zag.
      let byte = bytes[at++]
      let raw = byte & 0x7f
      if (byte > 0x7f) {
        raw |= ((byte = bytes[at++]) & 0x7f) << 7
        if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 14
      }
      const recordEnd = at + (raw >>> 1)
      if (byte > 0x7f || (raw & 1) === 1 || recordEnd > end) break quick
      at++
      raw = (byte = bytes[at++]) & 0x7f
      if (byte > 0x7f) {
        raw |= ((byte = bytes[at++]) & 0x7f) << 7
        if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 14
      }
      timestampDelta = (raw >>> 1) ^ -(raw & 1)
      if (byte > 0x7f) break quick
      raw = (byte = bytes[at++]) & 0x7f
      if (byte > 0x7f) {
        raw |= ((byte = bytes[at++]) & 0x7f) << 7
        if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 14
      }
      if (byte > 0x7f || raw !== index * 2) break quick
      raw = (byte = bytes[at++]) & 0x7f
      if (byte > 0x7f) {
        raw |= ((byte = bytes[at++]) & 0x7f) << 7
        if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 14
      }
      keyBytes = (raw >>> 1) ^ -(raw & 1)
      if (byte > 0x7f) break quick
      if (keyBytes > 0) at += keyBytes
      raw = (byte = bytes[at++]) & 0x7f
      if (byte > 0x7f) {
        raw |= ((byte = bytes[at++]) & 0x7f) << 7
        if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 14
      }
      if (byte > 0x7f) break quick
      if ((raw & 1) === 0) at += raw >>> 1
      // Nearly always one byte is left, a header count of 0. Ending where the record ends, every read was inside it.
      if ((at + 1 !== recordEnd || bytes[at] !== 0) && !headersFill(bytes, at, recordEnd)) break quick
      at = -recordEnd
    }
    if (at < 0) at = -at
    else {
      ;({ at, timestampDelta, keyBytes } = carefully(cursor, start, index, count))
    }
    if (timestampDelta < minTimestampDelta) minTimestampDelta = timestampDelta
    if (timestampDelta > maxTimestampDelta) maxTimestampDelta = timestampDelta
    if (keyBytes < 0) hasNullKey = true
  }
  if (at !== end) {
    throw new MalformedRecordError(`Incorrect declared batch size: ${end - at} bytes follow ${count} records`)
  }
  return { minTimestampDelta, maxTimestampDelta, hasNullKey }
}

/** True when well-formed headers of a common shape (63 at most, keys below 64 bytes) lie exactly between the two. */
function headersFill(bytes: Uint8Array, start: number, recordEnd: number): boolean {
  let at = start
  const count = bytes[at++]
  if (start >= recordEnd || count > 0x7f || (count & 1) === 1) return false
  for (let left = count >>> 1; left > 0 && at < recordEnd; left--) {
    const key = bytes[at++]
    if (key > 0x7f || (key & 1) === 1) return false
    at += key >>> 1
    let byte = bytes[at++]
    let raw = byte & 0x7f
    if (byte > 0x7f) raw |= ((byte = bytes[at++]) & 0x7f) << 7
    if (byte > 0x7f) return false
    if ((raw & 1) === 0) at += raw >>> 1
    if (left === 1) return at === recordEnd
  }
  return false
}

function carefully(cursor: RecordCursor, start: number, index: number, count: number) {
  if (start === cursor.end) {
    throw new MalformedRecordError(`Incorrect declared batch size: ${count} records declared, ${index} found`)
  }
  cursor.at = start
  cursor.next()
  if (cursor.offsetDelta !== index) {
    throw new MalformedRecordError(`record ${index} has the offset delta ${cursor.offsetDelta}`)
  }
  return cursor
}
