/**
 * Segments as files, written without a broker: a directory of gigabytes is made in seconds, and the same for everybody.
 * Plain batches of magic 2, an index entry as Kafka places it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'

export interface SegmentShape {
  readonly batches: number
  readonly recordsPerBatch: number
  readonly valueBytes: number
  /** An index entry for each batch that begins more than so many bytes after the last entry's. */
  readonly indexIntervalBytes: number
  /** So many different keys of eight digits, spread over the offsets; none when it is left out. */
  readonly keys?: number
}

export interface SegmentFiles {
  readonly log: Buffer
  readonly index: Buffer
  readonly timeindex: Buffer
  readonly indexEntries: number
}

const HEADER_BYTES = 61
/** Of the first record of a log; every record is a millisecond younger than the one before it. */
export const FIRST_TIMESTAMP_MS = 1_700_000_000_000

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return bytes
}

const KEY_BYTES = 8
const NO_KEY = [1]

/** A record without headers: its head up to the value. Offset and timestamp deltas are the same number. */
function recordHead(delta: number, { valueBytes, keys }: SegmentShape): Buffer {
  const key = keys === undefined ? NO_KEY : [...varint(KEY_BYTES), ...Buffer.alloc(KEY_BYTES)]
  const body = [0, ...varint(delta), ...varint(delta), ...key, ...varint(valueBytes)]
  return Buffer.from([...varint(body.length + valueBytes + 1), ...body])
}

/** Writes the key of every record; they are equally long, so that each lies where it lay in the template. */
function writeKeys(batch: Buffer, firstOffset: number, { keys, recordsPerBatch, valueBytes }: SegmentShape) {
  const valueAndRest = varint(valueBytes).length + valueBytes + 1
  let at = HEADER_BYTES
  for (let delta = 0; delta < recordsPerBatch; delta++) {
    const body = 1 + 2 * varint(delta).length + 1 + KEY_BYTES + valueAndRest
    const keyAt = at + varint(body).length + 1 + 2 * varint(delta).length + 1
    const key = (Math.imul(firstOffset + delta, 2654435761) >>> 0) % keys!
    batch.write(String(key).padStart(KEY_BYTES, '0'), keyAt, 'latin1')
    at += varint(body).length + body
  }
}

function batchTemplate(shape: SegmentShape): Buffer {
  const { recordsPerBatch, valueBytes } = shape
  const value = Buffer.alloc(valueBytes)
  for (let at = 0; at < valueBytes; at++) value[at] = (Math.imul(at + 7, 2654435761) >>> 24) & 127
  const records = Array.from({ length: recordsPerBatch }, (_, delta) => [
    recordHead(delta, shape),
    value,
    Buffer.of(0),
  ])
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...records.flat()])
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes[16] = 2
  bytes.writeInt32BE(recordsPerBatch - 1, 23)
  bytes.writeBigInt64BE(-1n, 43)
  bytes.writeInt16BE(-1, 51)
  bytes.writeInt32BE(-1, 53)
  bytes.writeInt32BE(recordsPerBatch, 57)
  return bytes
}

/** The bytes of one segment whose first record has offset `baseOffset`. */
export function segmentFiles(baseOffset: number, shape: SegmentShape): SegmentFiles {
  const { batches, recordsPerBatch, indexIntervalBytes } = shape
  const template = batchTemplate(shape)
  const log = Buffer.allocUnsafe(batches * template.length)
  const index = Buffer.alloc(8 * batches)
  const timeindex = Buffer.alloc(12 * batches)
  let entries = 0
  let sinceEntry = 0
  for (let batch = 0; batch < batches; batch++) {
    const position = batch * template.length
    const first = baseOffset + batch * recordsPerBatch
    const last = first + recordsPerBatch - 1
    template.copy(log, position)
    log.writeBigInt64BE(BigInt(first), position)
    log.writeBigInt64BE(BigInt(FIRST_TIMESTAMP_MS + first), position + 27)
    log.writeBigInt64BE(BigInt(FIRST_TIMESTAMP_MS + last), position + 35)
    if (shape.keys !== undefined) writeKeys(log.subarray(position, position + template.length), first, shape)
    log.writeUInt32BE(crc32c(log.subarray(position + 21, position + template.length)), position + 17)
    if (sinceEntry > indexIntervalBytes) {
      index.writeInt32BE(last - baseOffset, 8 * entries)
      index.writeInt32BE(position, 8 * entries + 4)
      timeindex.writeBigInt64BE(BigInt(FIRST_TIMESTAMP_MS + last), 12 * entries)
      timeindex.writeInt32BE(last - baseOffset, 12 * entries + 8)
      entries++
      sinceEntry = 0
    }
    sinceEntry += template.length
  }
  const written = { index: index.subarray(0, 8 * entries), timeindex: timeindex.subarray(0, 12 * entries) }
  return { log, ...written, indexEntries: entries }
}

/** Writes one segment into a partition's directory. */
export function writeSegment(directory: string, baseOffset: number, files: SegmentFiles): void {
  const path = (suffix: string) => join(directory, `${String(baseOffset).padStart(20, '0')}.${suffix}`)
  writeFileSync(path('log'), files.log)
  writeFileSync(path('index'), files.index)
  writeFileSync(path('timeindex'), files.timeindex)
}
