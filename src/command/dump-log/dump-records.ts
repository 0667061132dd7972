/** The records of one batch of format 2, whose CRC is right. */
import { CompressionError, MalformedRecordError } from '../../protocol/record-batch.ts'
import * as batch from '../../protocol/record-batch.ts'
import { MalformedMessageError } from '../../protocol/reader.ts'
import { timestampTypeName } from './batch-scan.ts'
import type { BatchScan } from './batch-scan.ts'
import { note, problem } from './dumped.ts'
import type { ControlMarker, DecodedRecord, Dumped, DumpedRecord } from './dumped.ts'

/** null: a record of a kind that is not known. Throws MalformedMessageError. */
export type RecordDecoder = (key: Buffer | null, value: Buffer | null) => DecodedRecord | null

export interface RecordOptions {
  readonly records: 'none' | 'metadata' | 'contents'
  readonly decode: RecordDecoder | null
  /** The most that is held of one batch, stored or decompressed. */
  readonly maxBatchBytes: number
}

/** A record with more is not read: two bytes of it would take a hundred of memory. */
export const MAX_HEADERS = 100_000

export function* dumpRecords(scan: BatchScan, options: RecordOptions): Generator<Dumped> {
  const { bytes, at } = scan
  const where = `the batch at ${scan.position}`
  const bits = batch.attributes(bytes, at)
  const timestampType = timestampTypeName(bits)
  const baseOffset = batch.baseOffset(bytes, at)
  const baseSequence = batch.baseSequence(bytes, at)
  const records = batch.walkRecords(bytes, at, options.maxBatchBytes, MAX_HEADERS)
  let nextOffset = baseOffset
  let maxTimestampMs = -1
  for (;;) {
    const step = stepOf(records)
    if (step instanceof Error) return yield problem(`${where}: ${step.message}`)
    if (step.done) {
      if (step.value > 0) yield problem(`${where}: ${step.value} bytes follow the last record`)
      break
    }
    const record = step.value
    const { offset } = record
    if (offset < nextOffset || offset > batch.lastOffset(bytes, at)) {
      yield problem(`${where}: a record has offset ${offset}, where ${nextOffset} or later is expected`)
    }
    nextOffset = Math.max(nextOffset, offset + 1)
    maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs)
    const sequence = baseSequence < 0 ? -1 : batch.addSequence(baseSequence, offset - baseOffset)
    const dumped: DumpedRecord = {
      type: 'record',
      offset,
      timestampType,
      timestampMs: record.timestampMs,
      keySize: record.key?.length ?? -1,
      valueSize: record.value?.length ?? -1,
      sequence,
      headerKeys: record.headers.map(({ key }) => key),
    }
    if (batch.isControl(bits)) yield { ...dumped, control: controlMarker(record) }
    else if (options.records === 'metadata') yield dumped
    else yield* contentsOf(dumped, record, options.decode)
  }
  const claimedMs = batch.maxTimestamp(bytes, at)
  if (batch.recordCount(bytes, at) > 0 && claimedMs !== maxTimestampMs) {
    yield problem(`${where}: its largest timestamp is ${maxTimestampMs}, and it says ${claimedMs}`)
  }
}

/** What the next record, or its absence, is; the error that keeps it from being read. */
function stepOf(records: Generator<batch.Record, number>): IteratorResult<batch.Record, number> | Error {
  try {
    return records.next()
  } catch (error) {
    if (error instanceof MalformedRecordError || error instanceof CompressionError) return error
    throw error
  }
}

export function* contentsOf(
  dumped: DumpedRecord,
  { key, value, headers }: Pick<batch.Record, 'key' | 'value' | 'headers'>,
  decode: RecordDecoder | null,
): Generator<Dumped> {
  const raw = { ...dumped, key, value, headers }
  if (decode === null) return yield raw
  try {
    const decoded = decode(key, value)
    if (decoded !== null) return yield { ...dumped, decoded }
    yield raw
    yield note(`offset ${dumped.offset}: a record of a kind that is not known here`)
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error
    yield raw
    yield problem(`offset ${dumped.offset}: ${error.message}`)
  }
}

/** By ControlRecordType. */
const CONTROL_TYPES = ['ABORT', 'COMMIT', 'LEADER_CHANGE', 'SNAPSHOT_HEADER', 'SNAPSHOT_FOOTER']

/** Key: version int16, type int16. Value of the first two: version int16, coordinatorEpoch int32. */
function controlMarker({ key, value }: batch.Record): ControlMarker {
  const type = key !== null && key.length >= 4 ? key.readInt16BE(2) : -1
  const controlType = CONTROL_TYPES[type] ?? `UNKNOWN (${type})`
  const endsTransaction = type === 0 || type === 1
  if (!endsTransaction || value === null || value.length < 6) return { controlType }
  return { controlType, coordinatorEpoch: value.readInt32BE(2) }
}
