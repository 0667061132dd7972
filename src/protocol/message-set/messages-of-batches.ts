/** Record batches of magic 2 become message sets of format 0 or 1, for clients that know nothing newer. */
import { Codec, CompressionError } from '../compression.ts'
import { checkBatch, plainRecords, anyRecord } from '../record-batch-check.ts'
import * as header from '../record-batch-header.ts'
import { MalformedRecordError, RecordCursor } from '../record-walk.ts'
import { messageOverhead, putMessage, type Message, type OldMagic } from './message.ts'
import { compressMessages } from './wrapped-messages.ts'

export interface ConversionWanted {
  readonly magic: OldMagic
  /** Plain messages below it are left out (some clients rely on it); compressed ones go as a whole, as in Kafka. */
  readonly fetchOffset: number
  /** No piece is added that would pass it; the first one is given in any case. */
  readonly maxBytes: number
}

export interface ConvertedMessages {
  /** Why nothing could be converted. What comes behind converted records ends them silently: it is met by the next Fetch. */
  readonly error: 'CORRUPT_MESSAGE' | 'UNSUPPORTED_COMPRESSION_TYPE' | null
  /** Whole messages, to be sent one after the other. */
  readonly messages: readonly Buffer[]
  readonly recordCount: number
  /** Behind the last batch that was looked at in full. */
  readonly nextOffset: number
}

/**
 * A batch is converted in pieces of about this many plain bytes. That bounds what a large batch of small records, which grow
 * to five times their size, takes at once; nearly all batches are one piece.
 */
const PIECE_BYTES = 1024 * 1024

/**
 * `batches` are whole. Control batches are skipped (the formats have none), headers dropped. Each batch's CRC is checked:
 * the messages get CRCs of their own, which would make bad bytes good. Memory: one batch unpacked (at most 128 MiB), one
 * piece, and the result.
 */
export function messagesOfBatches(batches: Buffer, wanted: ConversionWanted): ConvertedMessages {
  const result = { messages: [] as Buffer[], sizeBytes: 0, recordCount: 0, nextOffset: wanted.fetchOffset }
  let error: ConvertedMessages['error'] = null
  for (let at = 0; at < batches.length && error === null; at += header.batchSize(batches, at)) {
    error = refusal(batches, at)
    if (error !== null) break
    if (!header.isControl(header.attributes(batches, at)) && header.recordCount(batches, at) > 0) {
      try {
        if (!addPieces(result, batches, at, wanted)) break
      } catch (thrown) {
        if (!(thrown instanceof MalformedRecordError || thrown instanceof CompressionError)) throw thrown
        error =
          thrown instanceof CompressionError && thrown.kind === 'unavailable'
            ? 'UNSUPPORTED_COMPRESSION_TYPE'
            : 'CORRUPT_MESSAGE'
      }
    }
    result.nextOffset = header.lastOffset(batches, at) + 1
  }
  if (result.messages.length > 0) error = null
  return { error, ...result }
}

function refusal(batches: Buffer, at: number): ConvertedMessages['error'] {
  if (checkBatch(batches, at, batches.length - at) !== null) return 'CORRUPT_MESSAGE'
  const bits = header.attributes(batches, at)
  return header.codecOf(bits) === Codec.ZSTD && !header.isControl(bits)
    ? 'UNSUPPORTED_COMPRESSION_TYPE'
    : null
}

interface Result {
  readonly messages: Buffer[]
  sizeBytes: number
  recordCount: number
}

/** False when the limit was reached. Throws MalformedRecordError and CompressionError. */
function addPieces(result: Result, batches: Buffer, at: number, wanted: ConversionWanted): boolean {
  const source = new BatchSource(batches, at, wanted)
  for (;;) {
    // Plain messages fill the reply to its limit; what a wrapper takes is known when it is made.
    const left =
      source.isWrapped || result.messages.length === 0 ? PIECE_BYTES : wanted.maxBytes - result.sizeBytes
    const extent = source.nextExtent(Math.min(PIECE_BYTES, left))
    if (extent.count === 0) return true
    if (extent.lastOffset < wanted.fetchOffset && !extent.isLast) {
      source.at = extent.end
      continue
    }
    const piece = source.write(extent)
    if (result.messages.length > 0 && result.sizeBytes + piece.length > wanted.maxBytes) return false
    result.messages.push(piece)
    result.sizeBytes += piece.length
    result.recordCount += extent.count
  }
}

/** Some records of a batch that follow each other, and what they take as plain messages. */
interface Extent {
  readonly count: number
  readonly plainBytes: number
  readonly lastOffset: number
  readonly end: number
  readonly isLast: boolean
}

class BatchSource {
  /** Where the next record begins. */
  at: number
  private readonly codec: number
  private readonly magic: OldMagic
  private readonly firstOffset: number
  private readonly baseOffset: number
  private readonly baseTimestampMs: number
  private readonly ownTimestampMs: number | null
  private readonly records: { bytes: Buffer; start: number; end: number }

  constructor(batches: Buffer, at: number, wanted: ConversionWanted) {
    const bits = header.attributes(batches, at)
    const isLogAppendTime = header.timestampTypeOf(bits) === header.LOG_APPEND_TIME
    this.codec = header.codecOf(bits)
    this.magic = wanted.magic
    this.firstOffset = this.codec === Codec.NONE ? wanted.fetchOffset : 0
    this.baseOffset = header.baseOffset(batches, at)
    this.baseTimestampMs = header.baseTimestamp(batches, at)
    this.ownTimestampMs = isLogAppendTime ? header.maxTimestamp(batches, at) : null
    this.records = plainRecords(batches, at, anyRecord.maxDecompressedBytes)
    this.at = this.records.start
  }

  /** At least one record, where there are any, else as many as fit. Skips those below the first offset. */
  nextExtent(maxPlainBytes: number): Extent {
    const cursor = this.cursor()
    let count = 0
    let plainBytes = 0
    let lastOffset = -1
    let end = this.at
    while (cursor.at < cursor.end) {
      cursor.next()
      const offset = this.baseOffset + cursor.offsetDelta
      if (offset < this.firstOffset) {
        this.at = end = cursor.at
        continue
      }
      const size = messageOverhead(this.magic) + Math.max(0, cursor.keyBytes) + Math.max(0, cursor.valueBytes)
      if (count > 0 && plainBytes + size > maxPlainBytes) break
      count++
      plainBytes += size
      lastOffset = offset
      end = cursor.at
    }
    return { count, plainBytes, lastOffset, end, isLast: end === this.records.end }
  }

  get isWrapped(): boolean {
    return this.codec !== Codec.NONE
  }

  /** The messages of `extent`, in a wrapper where the batch is compressed, and moves behind it. */
  write(extent: Extent): Buffer {
    const plain = Buffer.allocUnsafe(extent.plainBytes)
    const cursor = this.cursor()
    const { isWrapped } = this
    let at = 0
    let firstOffset = 0
    let maxTimestampMs = -1
    for (let index = 0; index < extent.count; index++) {
      cursor.next()
      const message = this.messageAt(cursor)
      if (index === 0) firstOffset = message.offset
      // Inner offsets are relative in format 1, absolute in format 0.
      const offset = isWrapped && this.magic === 1 ? message.offset - firstOffset : message.offset
      at = putMessage(plain, at, { ...message, offset })
      maxTimestampMs = Math.max(maxTimestampMs, message.timestampMs)
    }
    this.at = extent.end
    return isWrapped ? this.wrap(plain, extent.lastOffset, maxTimestampMs) : plain
  }

  private wrap(plain: Buffer, offset: number, timestampMs: number): Buffer {
    const { codec, magic } = this
    const value = compressMessages(codec, magic, plain)
    const wrapper = Buffer.allocUnsafe(messageOverhead(magic) + value.length)
    const timestampType = this.timestampType
    putMessage(wrapper, 0, { magic, offset, timestampMs, timestampType, codec, key: null, value })
    return wrapper
  }

  private get timestampType(): header.TimestampType {
    return this.ownTimestampMs === null ? header.CREATE_TIME : header.LOG_APPEND_TIME
  }

  private messageAt(cursor: RecordCursor): Message {
    const { magic, timestampType, records } = this
    const { keyAt, keyBytes, valueAt, valueBytes } = cursor
    const slice = (at: number, length: number): Buffer | null =>
      length < 0 ? null : records.bytes.subarray(at, at + length)
    return {
      magic,
      offset: this.baseOffset + cursor.offsetDelta,
      // The old formats know no time before 1970; -1 is none.
      timestampMs: Math.max(-1, this.ownTimestampMs ?? this.baseTimestampMs + cursor.timestampDelta),
      timestampType,
      codec: Codec.NONE,
      key: slice(keyAt, keyBytes),
      value: slice(valueAt, valueBytes),
    }
  }

  private cursor(): RecordCursor {
    const { bytes, end } = this.records
    return new RecordCursor(bytes, this.at, end)
  }
}
