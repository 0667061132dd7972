import { anyRecord, plainRecords } from './record-batch-check.ts'
import * as header from './record-batch-header.ts'
import { MalformedRecordError, RecordCursor } from './record-walk.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

export interface Record {
  readonly offset: number
  /** -1 when there is none */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/**
 * The records of the batch at `position`, whose header and CRC have been checked. Keys and values are slices: of `bytes`, or
 * of a new buffer when the batch is compressed. A control batch gives its records like any other. Throws MalformedRecordError
 * and CompressionError (which also says when more than `maxDecompressedBytes` would come out).
 */
export function decodeRecords(
  bytes: Buffer,
  position = 0,
  maxDecompressedBytes = anyRecord.maxDecompressedBytes,
): Record[] {
  return [...walkRecords(bytes, position, maxDecompressedBytes)]
}

/**
 * As `decodeRecords`, but no record is made: `visit` finds each where it lies, in `plain` at the cursor, which it must not move.
 * What is thrown is thrown on the way.
 */
export function visitRecords(
  bytes: Buffer,
  position: number,
  visit: (plain: Buffer, cursor: RecordCursor, offset: number) => void,
): void {
  const count = header.recordCount(bytes, position)
  if (count === 0) return
  const baseOffset = header.baseOffset(bytes, position)
  const plain = plainRecords(bytes, position, anyRecord.maxDecompressedBytes)
  const cursor = new RecordCursor(plain.bytes, plain.start, plain.end)
  for (let index = 0; index < count; index++) {
    cursor.next()
    visit(plain.bytes, cursor, baseOffset + cursor.offsetDelta)
  }
}

/** Of the record at the cursor: slices of `plain`. */
export function keyAndValue(
  plain: Buffer,
  { keyAt, keyBytes, valueAt, valueBytes }: RecordCursor,
): { key: Buffer | null; value: Buffer | null } {
  return { key: slice(plain, keyAt, keyBytes), value: slice(plain, valueAt, valueBytes) }
}

/**
 * As `decodeRecords`, one at a time: a bomb's records need not all be in memory. What is thrown is thrown on the way. Returns
 * how many bytes follow the last record: 0, unless the count is wrong.
 */
export function* walkRecords(
  bytes: Buffer,
  position: number,
  maxDecompressedBytes: number,
  maxHeaders = Infinity,
): Generator<Record, number> {
  const count = header.recordCount(bytes, position)
  // A compacted batch may have lost its records, and with them whatever a codec would have written.
  if (count === 0) return 0
  const bits = header.attributes(bytes, position)
  const baseOffset = header.baseOffset(bytes, position)
  const baseTimestampMs = header.baseTimestamp(bytes, position)
  const ownTimestampMs =
    header.timestampTypeOf(bits) === header.LOG_APPEND_TIME ? header.maxTimestamp(bytes, position) : null
  const plain = plainRecords(bytes, position, maxDecompressedBytes)
  const cursor = new RecordCursor(plain.bytes, plain.start, plain.end)
  for (let index = 0; index < count; index++) {
    cursor.next()
    const next = cursor.at
    if (cursor.headerCount > maxHeaders) {
      throw new MalformedRecordError(`a record has ${cursor.headerCount} headers, more than ${maxHeaders}`)
    }
    yield {
      offset: baseOffset + cursor.offsetDelta,
      timestampMs: ownTimestampMs ?? baseTimestampMs + cursor.timestampDelta,
      key: slice(plain.bytes, cursor.keyAt, cursor.keyBytes),
      value: slice(plain.bytes, cursor.valueAt, cursor.valueBytes),
      headers: cursor.headerCount === 0 ? NO_HEADERS : readHeaders(plain.bytes, cursor),
    }
    cursor.at = next
  }
  return plain.end - cursor.at
}

const NO_HEADERS: readonly RecordHeader[] = []

function readHeaders(bytes: Buffer, cursor: RecordCursor): RecordHeader[] {
  const headers: RecordHeader[] = []
  cursor.at = cursor.headersAt
  for (let index = 0; index < cursor.headerCount; index++) {
    const keyBytes = cursor.varint(cursor.end)
    const keyAt = cursor.at
    cursor.at += keyBytes
    const valueBytes = cursor.varint(cursor.end)
    headers.push({
      key: bytes.toString('utf8', keyAt, keyAt + keyBytes),
      value: slice(bytes, cursor.at, valueBytes),
    })
    if (valueBytes > 0) cursor.at += valueBytes
  }
  return headers
}

const slice = (bytes: Buffer, at: number, length: number): Buffer | null =>
  length < 0 ? null : bytes.subarray(at, at + length)
