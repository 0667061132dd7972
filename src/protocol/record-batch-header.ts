/**
 * The header of a record batch of magic 2, read and patched in place by byte arithmetic: each function takes the bytes and
 * the position where the batch begins, allocates nothing and checks nothing (checkBatch does). Layout:
 * `baseOffset int64 | batchLength int32 | partitionLeaderEpoch int32 | magic int8 | crc uint32 | attributes int16 |
 * lastOffsetDelta int32 | baseTimestamp int64 | maxTimestamp int64 | producerId int64 | producerEpoch int16 |
 * baseSequence int32 | recordCount int32 | records`. The CRC-32C covers everything from the attributes on.
 */
import { int16, int32, int64, putInt16, putInt32, putInt64 } from './big-endian.ts'
import { crc32c } from './crc32c.ts'

/** baseOffset and batchLength: what must be there to know a batch's size. */
export const LOG_OVERHEAD = 12
/** The whole header: a batch without records is this long. */
export const BATCH_OVERHEAD = 61
export const MAGIC_V2 = 2
export const NO_PRODUCER_ID = -1
export const NO_SEQUENCE = -1

export const CREATE_TIME = 0
export const LOG_APPEND_TIME = 1
export type TimestampType = typeof CREATE_TIME | typeof LOG_APPEND_TIME

const CODEC_MASK = 0x07
const TIMESTAMP_TYPE_BIT = 0x08
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20
const DELETE_HORIZON_BIT = 0x40

const LENGTH_AT = 8
const LEADER_EPOCH_AT = 12
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const PRODUCER_EPOCH_AT = 51
const BASE_SEQUENCE_AT = 53
const RECORD_COUNT_AT = 57

/** Bytes from the batch's first to the next one's, header included; what is claimed, checked by nobody yet. */
export const batchSize = (bytes: Uint8Array, position: number): number =>
  LOG_OVERHEAD + int32(bytes, position + LENGTH_AT)
export const baseOffset = (bytes: Uint8Array, position: number): number => int64(bytes, position)
export const lastOffsetDelta = (bytes: Uint8Array, position: number): number =>
  int32(bytes, position + LAST_OFFSET_DELTA_AT)
export const lastOffset = (bytes: Uint8Array, position: number): number =>
  int64(bytes, position) + int32(bytes, position + LAST_OFFSET_DELTA_AT)
export const partitionLeaderEpoch = (bytes: Uint8Array, position: number): number =>
  int32(bytes, position + LEADER_EPOCH_AT)
export const magic = (bytes: Uint8Array, position: number): number => (bytes[position + MAGIC_AT] << 24) >> 24
/** As stored, unsigned. */
export const crc = (bytes: Uint8Array, position: number): number => int32(bytes, position + CRC_AT) >>> 0
export const attributes = (bytes: Uint8Array, position: number): number =>
  int16(bytes, position + ATTRIBUTES_AT)
/** Milliseconds since the epoch; -1 when the batch has none; the delete horizon where hasDeleteHorizon. */
export const baseTimestamp = (bytes: Uint8Array, position: number): number =>
  int64(bytes, position + BASE_TIMESTAMP_AT)
/** Milliseconds since the epoch; -1 when the batch has none. */
export const maxTimestamp = (bytes: Uint8Array, position: number): number =>
  int64(bytes, position + MAX_TIMESTAMP_AT)
/** -1 when the producer is not idempotent. */
export const producerId = (bytes: Uint8Array, position: number): number =>
  int64(bytes, position + PRODUCER_ID_AT)
export const producerEpoch = (bytes: Uint8Array, position: number): number =>
  int16(bytes, position + PRODUCER_EPOCH_AT)
/** -1 when the producer is not idempotent. */
export const baseSequence = (bytes: Uint8Array, position: number): number =>
  int32(bytes, position + BASE_SEQUENCE_AT)
export const recordCount = (bytes: Uint8Array, position: number): number =>
  int32(bytes, position + RECORD_COUNT_AT)
/** As maxTimestamp, but -1 where compaction has left no record that has it. */
export const recordsMaxTimestamp = (bytes: Uint8Array, position: number): number =>
  recordCount(bytes, position) === 0 ? -1 : maxTimestamp(bytes, position)

/** Sequence of the last record; wraps from 2^31-1 to 0. -1 when there is none. */
export function lastSequence(bytes: Uint8Array, position: number): number {
  const first = baseSequence(bytes, position)
  if (first < 0) return NO_SEQUENCE
  return addSequence(first, lastOffsetDelta(bytes, position))
}

/** Sequence numbers count from 0 to 2^31-1 and begin again. */
export function addSequence(sequence: number, count: number): number {
  const sum = sequence + count
  return sum > 0x7fffffff ? sum - 0x80000000 : sum
}

export const codecOf = (attributeBits: number): number => attributeBits & CODEC_MASK
export const timestampTypeOf = (attributeBits: number): TimestampType =>
  attributeBits & TIMESTAMP_TYPE_BIT ? LOG_APPEND_TIME : CREATE_TIME
export const isTransactional = (attributeBits: number): boolean => (attributeBits & TRANSACTIONAL_BIT) !== 0
export const isControl = (attributeBits: number): boolean => (attributeBits & CONTROL_BIT) !== 0
export const hasDeleteHorizon = (attributeBits: number): boolean => (attributeBits & DELETE_HORIZON_BIT) !== 0

export function attributeBits(
  codec: number,
  flags: { timestampType?: TimestampType; transactional?: boolean; control?: boolean },
): number {
  return (
    codec |
    (flags.timestampType === LOG_APPEND_TIME ? TIMESTAMP_TYPE_BIT : 0) |
    (flags.transactional ? TRANSACTIONAL_BIT : 0) |
    (flags.control ? CONTROL_BIT : 0)
  )
}

export const withDeleteHorizon = (attributeBits: number): number => attributeBits | DELETE_HORIZON_BIT

/** Outside the CRC: nothing else changes. */
export function setBaseOffset(bytes: Uint8Array, position: number, offset: number): void {
  putInt64(bytes, position, offset)
}

/** Outside the CRC: nothing else changes. */
export function setPartitionLeaderEpoch(bytes: Uint8Array, position: number, epoch: number): void {
  putInt32(bytes, position + LEADER_EPOCH_AT, epoch)
}

/** Inside the CRC, which is computed again, unless both were so already. The batch must be whole. */
export function setMaxTimestampAndType(
  bytes: Uint8Array,
  position: number,
  maxTimestampMs: number,
  timestampType: TimestampType,
): void {
  const bits = attributes(bytes, position)
  if (timestampTypeOf(bits) === timestampType && maxTimestamp(bytes, position) === maxTimestampMs) return
  const changed = timestampType === LOG_APPEND_TIME ? bits | TIMESTAMP_TYPE_BIT : bits & ~TIMESTAMP_TYPE_BIT
  putInt16(bytes, position + ATTRIBUTES_AT, changed)
  putInt64(bytes, position + MAX_TIMESTAMP_AT, maxTimestampMs)
  updateCrc(bytes, position)
}

/** The CRC-32C that the batch should carry. */
export function computeCrc(bytes: Uint8Array, position: number): number {
  return crc32c(bytes, position + ATTRIBUTES_AT, position + batchSize(bytes, position))
}

function updateCrc(bytes: Uint8Array, position: number): void {
  putInt32(bytes, position + CRC_AT, computeCrc(bytes, position))
}

export interface BatchHeader {
  sizeBytes: number
  baseOffset: number
  partitionLeaderEpoch: number
  attributes: number
  lastOffsetDelta: number
  baseTimestampMs: number
  maxTimestampMs: number
  producerId: number
  producerEpoch: number
  baseSequence: number
  recordCount: number
}

/** Writes the header at the start of `batch`, whose records are in place already, and its CRC. */
export function writeHeader(batch: Uint8Array, header: BatchHeader): void {
  putInt64(batch, 0, header.baseOffset)
  putInt32(batch, LENGTH_AT, header.sizeBytes - LOG_OVERHEAD)
  putInt32(batch, LEADER_EPOCH_AT, header.partitionLeaderEpoch)
  batch[MAGIC_AT] = MAGIC_V2
  putInt16(batch, ATTRIBUTES_AT, header.attributes)
  putInt32(batch, LAST_OFFSET_DELTA_AT, header.lastOffsetDelta)
  putInt64(batch, BASE_TIMESTAMP_AT, header.baseTimestampMs)
  putInt64(batch, MAX_TIMESTAMP_AT, header.maxTimestampMs)
  putInt64(batch, PRODUCER_ID_AT, header.producerId)
  putInt16(batch, PRODUCER_EPOCH_AT, header.producerEpoch)
  putInt32(batch, BASE_SEQUENCE_AT, header.baseSequence)
  putInt32(batch, RECORD_COUNT_AT, header.recordCount)
  updateCrc(batch, 0)
}
