/** What is asked of record bytes before they enter a log as this broker's own (Produce; Kafka's LogValidator). */
import { batchOfMessages } from '../protocol/message-set/batch-of-messages.ts'
import { checkMessageSet } from '../protocol/message-set/check-message-set.ts'
import * as batch from '../protocol/record-batch.ts'
import { SMALLEST_MESSAGE_BYTES } from '../protocol/message-set/message.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { AppendOutcome, LogConfig } from './types.ts'

export type AppendFault = Extract<AppendOutcome, { message: string }>

export type Validated =
  | { readonly fault: AppendFault }
  | {
      readonly fault: null
      /** What to append: the caller's bytes, or a batch made of them. */
      readonly records: Buffer
      readonly maxTimestampMs: number
      /** The records that a new batch was made of: they came in an older format, or with another codec. */
      readonly convertedRecords: number
    }

/** The most that one compressed batch may unpack to while it is checked. */
const MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024

export function fault(error: number, message: string): AppendFault {
  return { error, message }
}

function invalid(message: string): Validated {
  return { fault: fault(ErrorCode.INVALID_RECORD, message) }
}

/** Exactly one batch of magic 2, or a message set of format 0 or 1, as a client may write it. */
export function validateClientBatch(records: Buffer, config: LogConfig, nowMs: number): Validated {
  const format = records.length >= SMALLEST_MESSAGE_BYTES ? batch.magic(records, 0) : batch.MAGIC_V2
  if (format === 0 || format === 1) return convertMessageSet(records, config, nowMs)
  if (records.length < batch.BATCH_OVERHEAD) {
    return invalid('Produce requests must contain exactly one record batch per partition')
  }
  const size = batch.batchSize(records, 0)
  const magic = batch.magic(records, 0)
  if (magic < 0 || magic > batch.MAGIC_V2)
    return { fault: fault(ErrorCode.CORRUPT_MESSAGE, `Invalid magic found in record: ${magic}`) }
  // What is cut short is no batch.
  if (size > records.length)
    return invalid('Produce requests must contain exactly one record batch per partition')
  if (size > config.maxMessageBytes) return { fault: tooLarge(size, config) }
  const bad = batch.checkBatch(records, 0, records.length)
  if (bad !== null) return { fault: fault(ErrorCode[bad.error], bad.message) }
  if (size !== records.length) {
    return invalid('Produce requests must contain exactly one record batch per partition')
  }
  const claim = badClaim(records)
  if (claim !== null) return invalid(claim)
  return validateRecords(records, config, nowMs)
}

function tooLarge(size: number, config: LogConfig): AppendFault {
  return fault(
    ErrorCode.MESSAGE_TOO_LARGE,
    `The record batch size is ${size} bytes which exceeds the maximum configured value of ${config.maxMessageBytes}`,
  )
}

/** Header fields that a client must not set so. */
function badClaim(records: Buffer): string | null {
  const attributes = batch.attributes(records, 0)
  if (batch.baseOffset(records, 0) !== 0) return 'The baseOffset of the record batch should be 0'
  if (batch.isControl(attributes)) return 'Clients are not allowed to write control records'
  if (batch.producerId(records, 0) >= 0 && batch.baseSequence(records, 0) < 0) {
    return `Invalid sequence number ${batch.baseSequence(records, 0)} in a record batch with a producer id`
  }
  if (batch.isTransactional(attributes) && batch.producerId(records, 0) < 0) {
    return 'A transactional record batch must have a producer id'
  }
  return null
}

/**
 * The walk over the records; compressed ones are unpacked for it, as Kafka does. Apart, so that a profile shows what it
 * costs.
 */
export function validateRecords(records: Buffer, config: LogConfig, nowMs: number): Validated {
  const verdict = batch.checkRecords(records, 0, rulesOf(config, nowMs))
  if (verdict.fault !== null) {
    const { error, message } = verdict.fault
    return { fault: { error: ErrorCode[error], message, recordErrors: verdict.recordErrors } }
  }
  const target = targetCodec(config)
  if (target === null || target.codec === batch.codecOf(batch.attributes(records, 0))) {
    return { fault: null, records, maxTimestampMs: verdict.maxTimestampMs, convertedRecords: 0 }
  }
  return converted(
    config,
    { count: batch.recordCount(records, 0), maxTimestampMs: verdict.maxTimestampMs },
    () => batch.recompressBatch(records, { ...target, maxDecompressedBytes: MAX_DECOMPRESSED_BYTES }),
  )
}

/** A batch made of a client's records; its size counts, too (Kafka's UnifiedLog looks again after the validation). */
function converted(
  config: LogConfig,
  { count, maxTimestampMs }: { count: number; maxTimestampMs: number },
  make: () => Buffer,
): Validated {
  try {
    const records = make()
    if (records.length > config.maxMessageBytes) return { fault: tooLarge(records.length, config) }
    return { fault: null, records, maxTimestampMs, convertedRecords: count }
  } catch (error) {
    // The topic names a codec that this machine has no native code for.
    if (!(error instanceof batch.CompressionError) || error.kind !== 'unavailable') throw error
    return { fault: fault(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, error.message) }
  }
}

function rulesOf(config: LogConfig, nowMs: number): batch.RecordRules {
  return {
    keyRequired: config.cleanupPolicy.includes('compact'),
    earliestTimestampMs: nowMs - config.messageTimestampBeforeMaxMs,
    latestTimestampMs: nowMs + config.messageTimestampAfterMaxMs,
    logAppendTime: config.messageTimestampType === 'LogAppendTime',
    maxDecompressedBytes: MAX_DECOMPRESSED_BYTES,
  }
}

/** Old formats are not written: what came in one is one batch of magic 2 (inter.broker.protocol.version 3.0 and later). */
function convertMessageSet(records: Buffer, config: LogConfig, nowMs: number): Validated {
  const { maxMessageBytes } = config
  const { fault: refusal, set } = checkMessageSet(records, { ...rulesOf(config, nowMs), maxMessageBytes })
  if (refusal !== null) return { fault: fault(ErrorCode[refusal.error], refusal.message) }
  const target = targetCodec(config)
  return converted(config, set, () => batchOfMessages(set, target?.codec ?? set.codec, target?.level))
}

/** null: as the producer sent it. */
function targetCodec({
  compressionType,
  compressionLevels: levels,
}: LogConfig): { codec: number; level?: number } | null {
  switch (compressionType) {
    case 'producer':
      return null
    case 'uncompressed':
      return { codec: batch.Codec.NONE }
    case 'gzip':
      return { codec: batch.Codec.GZIP, level: levels.gzip }
    case 'snappy':
      return { codec: batch.Codec.SNAPPY }
    case 'lz4':
      return { codec: batch.Codec.LZ4, level: levels.lz4 }
    case 'zstd':
      return { codec: batch.Codec.ZSTD, level: levels.zstd }
  }
}

/** This broker's own batches, one or more: what would break the log is looked at, and their size, which follows from what clients sent. */
export function validateOwnBatches(records: Buffer, config: LogConfig): Validated {
  if (records.length === 0) return invalid('There is no record batch to append')
  let position = 0
  let maxTimestampMs = -1
  while (position < records.length) {
    const bad = batch.checkBatch(records, position, records.length - position)
    if (bad !== null) return { fault: fault(ErrorCode[bad.error], bad.message) }
    maxTimestampMs = Math.max(maxTimestampMs, batch.maxTimestamp(records, position))
    const size = batch.batchSize(records, position)
    if (size > config.maxMessageBytes) return { fault: tooLarge(size, config) }
    position += size
  }
  return { fault: null, records, maxTimestampMs, convertedRecords: 0 }
}
