/**
 * What is checked about a batch before it is believed. `checkBatch` looks at the header and the CRC; `checkRecords` walks the
 * records, as Kafka's LogValidator does: their count, lengths, keys and timestamps. Bad bytes are a value here, named by
 * Kafka's error; nothing throws.
 */
import { CompressionError, Codec, decompress } from './compression.ts'
import * as header from './record-batch-header.ts'
import { MalformedRecordError, RecordCursor } from './record-walk.ts'

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
  const walk = new RecordsWalk(bytes, position, rules)
  try {
    walk.run(count)
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null) throw error
    return refused(fault)
  }
  return walk.verdict()
}

/** The records of a batch as plain bytes, with where they begin and end. Throws CompressionError. */
export function plainRecords(bytes: Buffer, position: number, maxBytes: number) {
  const start = position + header.BATCH_OVERHEAD
  const end = position + header.batchSize(bytes, position)
  const codec = header.codecOf(header.attributes(bytes, position))
  if (codec === Codec.NONE) return { bytes, start, end }
  const plain = decompress(codec, bytes.subarray(start, end), maxBytes)
  return { bytes: plain, start: 0, end: plain.length }
}

const MAX_LISTED_ERRORS = 1000

class RecordsWalk {
  private readonly cursor: RecordCursor
  private readonly baseTimestampMs: number
  private readonly ownTimestampMs: number | null
  private readonly rules: RecordRules
  private readonly errors: RecordError[] = []
  private firstError: BatchError | null = null
  private errorCount = 0
  private maxTimestampMs = -1

  constructor(bytes: Buffer, position: number, rules: RecordRules) {
    const plain = plainRecords(bytes, position, rules.maxDecompressedBytes)
    this.cursor = new RecordCursor(plain.bytes, plain.start, plain.end)
    const bits = header.attributes(bytes, position)
    const logAppendTime = header.timestampTypeOf(bits) === header.LOG_APPEND_TIME
    this.baseTimestampMs = header.baseTimestamp(bytes, position)
    this.ownTimestampMs = logAppendTime ? header.maxTimestamp(bytes, position) : null
    this.rules = rules
  }

  run(count: number): void {
    const { cursor, rules, baseTimestampMs, ownTimestampMs } = this
    const checksTime = !rules.logAppendTime
    for (let index = 0; index < count; index++) {
      if (cursor.at === cursor.end) {
        throw new MalformedRecordError(
          `Incorrect declared batch size, ${count} records declared, ${index} found`,
        )
      }
      cursor.next()
      if (cursor.offsetDelta !== index) {
        throw new MalformedRecordError(`record ${index} has the offset delta ${cursor.offsetDelta}`)
      }
      const timestampMs = ownTimestampMs ?? baseTimestampMs + cursor.timestampDelta
      if (timestampMs > this.maxTimestampMs) this.maxTimestampMs = timestampMs
      if (rules.keyRequired && cursor.keyBytes < 0) {
        this.refuse(index, 'INVALID_RECORD', 'Compacted topic cannot accept message without key')
      } else if (checksTime && timestampMs !== -1) {
        if (timestampMs < rules.earliestTimestampMs || timestampMs > rules.latestTimestampMs) {
          this.refuse(index, 'INVALID_TIMESTAMP', this.outOfRange(index, timestampMs))
        }
      } else if (ownTimestampMs !== null) {
        this.refuse(index, 'INVALID_TIMESTAMP', 'Producer should not set timestamp type to LogAppendTime.')
      }
    }
    if (cursor.at !== cursor.end) {
      throw new MalformedRecordError(
        `Incorrect declared batch size, records still remaining in file: ${count} declared, ${cursor.end - cursor.at} bytes follow`,
      )
    }
  }

  verdict(): RecordsVerdict {
    const { maxTimestampMs, errors } = this
    if (this.firstError === null) return { fault: null, maxTimestampMs, recordErrors: errors }
    const message =
      this.firstError === 'INVALID_TIMESTAMP'
        ? 'One or more records have been rejected due to invalid timestamp'
        : `One or more records have been rejected due to ${this.errorCount} record errors in total`
    return { fault: { error: this.firstError, message }, maxTimestampMs, recordErrors: errors }
  }

  private refuse(batchIndex: number, error: BatchError, message: string): void {
    this.firstError ??= error
    this.errorCount++
    if (this.errors.length < MAX_LISTED_ERRORS) this.errors.push({ batchIndex, message })
  }

  private outOfRange(index: number, timestampMs: number): string {
    const { earliestTimestampMs, latestTimestampMs } = this.rules
    return (
      `Timestamp ${timestampMs} of message with offset ${index} is out of range. ` +
      `The timestamp should be within [${earliestTimestampMs}, ${latestTimestampMs}]`
    )
  }
}

/** null: not an error of the bytes. */
function faultOf(error: unknown): BatchFault | null {
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
const corruptMessage = (message: string): BatchFault => ({ error: 'CORRUPT_MESSAGE', message })
const invalidRecord = (message: string): BatchFault => ({ error: 'INVALID_RECORD', message })
