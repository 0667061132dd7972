/**
 * What is checked about a batch before it is believed. `checkBatch` looks at the header and the CRC; `checkRecords` walks the
 * records, as Kafka's LogValidator does: their count, lengths, keys and timestamps. Bad bytes are a value here, named by
 * Kafka's error; nothing throws.
 */
import { CompressionError, Codec, decompress, decompressBriefly } from './compression.ts'
import * as header from './record-batch-header.ts'
import { MalformedRecordError, RecordCursor, summarizeRecords } from './record-walk.ts'
import type { RecordsSummary } from './record-walk.ts'

export type BatchError =
  | 'CORRUPT_MESSAGE'
  | 'INVALID_RECORD'
  | 'INVALID_TIMESTAMP'
  | 'MESSAGE_TOO_LARGE'
  | 'UNSUPPORTED_COMPRESSION_TYPE'

/** `error` is a key of ErrorCode (error-codes.ts). */
export interface BatchFault {
  readonly error: BatchError
  readonly message: string
}

/**
 * null when the bytes at `position` are a whole batch of magic 2 with a right CRC and a plausible count; `available` is the
 * number of bytes there are from `position` on. Costs one CRC over the batch.
 */
export function checkBatch(bytes: Buffer, position: number, available: number): BatchFault | null {
  if (available < header.LOG_OVERHEAD) return corruptMessage(`${available} bytes are no record batch`)
  const size = header.batchSize(bytes, position)
  if (size < header.BATCH_OVERHEAD) {
    return corruptMessage(
      `Record batch is corrupt (the size ${size} is smaller than the minimum allowed overhead ${header.BATCH_OVERHEAD})`,
    )
  }
  if (size > available) return corruptMessage(`Record batch of ${size} bytes is cut short at ${available}`)
  const magic = header.magic(bytes, position)
  if (magic !== header.MAGIC_V2) return invalidRecord(`Record batch has magic ${magic}, only 2 is accepted`)
  const stored = header.crc(bytes, position)
  const computed = header.computeCrc(bytes, position)
  if (stored !== computed) {
    return corruptMessage(`Record is corrupt (stored crc = ${stored}, computed crc = ${computed})`)
  }
  if (header.recordCount(bytes, position) < 0 || header.lastOffsetDelta(bytes, position) < 0) {
    return invalidRecord('Record batch has a negative count of records or last offset delta')
  }
  return null
}

/** What a topic asks of the records that a client sends. */
export interface RecordRules {
  /** Compacted topics refuse records without a key. */
  readonly keyRequired: boolean
  /** A record's timestamp must lie in [earliest, latest], unless it is -1; not looked at where `logAppendTime`. */
  readonly earliestTimestampMs: number
  readonly latestTimestampMs: number
  /** The topic's message.timestamp.type is LogAppendTime. */
  readonly logAppendTime: boolean
  /** The most that a compressed batch may hold. */
  readonly maxDecompressedBytes: number
}

export const anyRecord: RecordRules = {
  keyRequired: false,
  earliestTimestampMs: -Infinity,
  latestTimestampMs: Infinity,
  logAppendTime: false,
  maxDecompressedBytes: 128 * 1024 * 1024,
}

export interface RecordError {
  readonly batchIndex: number
  readonly message: string
}

export type RecordsVerdict =
  | {
      readonly fault: null
      /** Of the records themselves; -1 when none has one. The header's claim may differ: setMaxTimestampAndType. */
      readonly maxTimestampMs: number
      readonly recordErrors: readonly RecordError[]
    }
  | {
      readonly fault: BatchFault
      readonly maxTimestampMs: number
      /** One for each refused record (key or timestamp rules); empty when the bytes themselves are bad. */
      readonly recordErrors: readonly RecordError[]
    }

/**
 * Walks every record of the batch at `position` (checkBatch has passed): count = last offset delta + 1 = the records that are
 * there, offset deltas 0 to n-1, lengths that fill the bytes exactly, and `rules`. Compressed batches are decompressed.
 */
export function checkRecords(bytes: Buffer, position = 0, rules: RecordRules = anyRecord): RecordsVerdict {
  const count = header.recordCount(bytes, position)
  const lastDelta = header.lastOffsetDelta(bytes, position)
  if (count <= 0) return refused(invalidRecord(`Invalid reported count for record batch: ${count}`))
  if (count !== lastDelta + 1) {
    return refused(
      invalidRecord(`Inconsistent batch offset range [0, ${lastDelta}] and count of records ${count}`),
    )
  }
  try {
    const plain = plainRecords(bytes, position, rules.maxDecompressedBytes, decompressBriefly)
    const times = timesOf(bytes, position)
    const summary = summarizeRecords(new RecordCursor(plain.bytes, plain.start, plain.end), count)
    const maxTimestampMs = times.ownMs ?? Math.max(-1, times.baseMs + summary.maxTimestampDelta)
    if (mayBreak(rules, times, summary)) {
      const cursor = new RecordCursor(plain.bytes, plain.start, plain.end)
      return recordErrors(cursor, count, times, rules, maxTimestampMs)
    }
    return { fault: null, maxTimestampMs, recordErrors: [] }
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null) throw error
    return refused(fault)
  }
}

/** The records of a batch as plain bytes, with where they begin and end. Throws CompressionError. */
export function plainRecords(bytes: Buffer, position: number, maxBytes: number, unpack = decompress) {
  const start = position + header.BATCH_OVERHEAD
  const end = position + header.batchSize(bytes, position)
  const codec = header.codecOf(header.attributes(bytes, position))
  if (codec === Codec.NONE) return { bytes, start, end }
  const plain = unpack(codec, bytes.subarray(start, end), maxBytes)
  return { bytes: plain, start: 0, end: plain.length }
}

const MAX_LISTED_ERRORS = 1000

interface BatchTimes {
  /** What the records' timestamp deltas count from. */
  readonly baseMs: number
  /** With LogAppendTime every record has the batch's maxTimestamp. */
  readonly ownMs: number | null
}

function timesOf(bytes: Buffer, position: number): BatchTimes {
  const logAppendTime = header.timestampTypeOf(header.attributes(bytes, position)) === header.LOG_APPEND_TIME
  return {
    baseMs: header.baseTimestamp(bytes, position),
    ownMs: logAppendTime ? header.maxTimestamp(bytes, position) : null,
  }
}

/** false: no record breaks a rule. true: one may, and the records have to be looked at one by one. */
function mayBreak(rules: RecordRules, times: BatchTimes, summary: RecordsSummary): boolean {
  if (rules.keyRequired && summary.hasNullKey) return true
  if (times.ownMs !== null) return true
  if (rules.logAppendTime) return false
  return (
    times.baseMs + summary.minTimestampDelta < rules.earliestTimestampMs ||
    times.baseMs + summary.maxTimestampDelta > rules.latestTimestampMs
  )
}

function recordErrors(
  cursor: RecordCursor,
  count: number,
  times: BatchTimes,
  rules: RecordRules,
  maxTimestampMs: number,
): RecordsVerdict {
  const errors: RecordError[] = []
  let worst: BatchError | null = null
  let refusedCount = 0
  for (let index = 0; index < count; index++) {
    cursor.next()
    const fault = recordFault(cursor, times, rules)
    if (fault === null) continue
    // One bad timestamp names the error of all, wherever it stands (LogValidator).
    if (worst !== 'INVALID_TIMESTAMP') worst = fault.error
    refusedCount++
    if (errors.length < MAX_LISTED_ERRORS) errors.push({ batchIndex: index, message: fault.message })
  }
  if (worst === null) return { fault: null, maxTimestampMs, recordErrors: errors }
  const message =
    worst === 'INVALID_TIMESTAMP'
      ? 'One or more records have been rejected due to invalid timestamp'
      : `One or more records have been rejected due to ${refusedCount} record errors in total`
  return { fault: { error: worst, message }, maxTimestampMs, recordErrors: errors }
}

/** The rules for one record, in the order of LogValidator: its key, then its timestamp. */
function recordFault(cursor: RecordCursor, times: BatchTimes, rules: RecordRules): BatchFault | null {
  if (rules.keyRequired && cursor.keyBytes < 0) {
    return invalidRecord('Compacted topic cannot accept message without key')
  }
  const timestampMs = times.ownMs ?? times.baseMs + cursor.timestampDelta
  return timestampFault(timestampMs, times.ownMs !== null, cursor.offsetDelta, rules)
}

/** `isLogAppendTime`: so says the client, of a record whose offset is `offset`. */
export function timestampFault(
  timestampMs: number,
  isLogAppendTime: boolean,
  offset: number,
  rules: RecordRules,
): BatchFault | null {
  if (!rules.logAppendTime && timestampMs !== -1) {
    if (timestampMs >= rules.earliestTimestampMs && timestampMs <= rules.latestTimestampMs) return null
    const message =
      `Timestamp ${timestampMs} of message with offset ${offset} is out of range. ` +
      `The timestamp should be within [${rules.earliestTimestampMs}, ${rules.latestTimestampMs}]`
    return { error: 'INVALID_TIMESTAMP', message }
  }
  if (!isLogAppendTime) return null
  const message = 'Invalid timestamp type: a producer should not set the timestamp type to LogAppendTime.'
  return { error: 'INVALID_TIMESTAMP', message }
}

/** null: not an error of the bytes. */
export function faultOf(error: unknown): BatchFault | null {
  if (error instanceof MalformedRecordError) return invalidRecord(error.message)
  if (!(error instanceof CompressionError)) return null
  switch (error.kind) {
    case 'corrupt':
      // Not CORRUPT_MESSAGE: clients retry that one, and these bytes will never be right.
      return invalidRecord(error.message)
    case 'too-large':
      return { error: 'MESSAGE_TOO_LARGE', message: error.message }
    case 'unavailable':
      return { error: 'UNSUPPORTED_COMPRESSION_TYPE', message: error.message }
  }
}

const refused = (fault: BatchFault): RecordsVerdict => ({ fault, maxTimestampMs: -1, recordErrors: [] })
export const corruptMessage = (message: string): BatchFault => ({ error: 'CORRUPT_MESSAGE', message })
export const invalidRecord = (message: string): BatchFault => ({ error: 'INVALID_RECORD', message })
