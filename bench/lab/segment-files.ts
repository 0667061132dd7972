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

/** A record without key and headers: its head up to the value. Offset and timestamp deltas are the same number. */
function recordHead(delta: number, valueBytes: number): Buffer {
  const body = [0, ...varint(delta), ...varint(delta), 1, ...varint(valueBytes)]
  return Buffer.from([...varint(body.length + valueBytes + 1), ...body])
}

function batchTemplate({ recordsPerBatch, valueBytes }: SegmentShape): Buffer {
  const value = Buffer.alloc(valueBytes)
  for (let at = 0; at < valueBytes; at++) value[at] = (Math.imul(at + 7, 2654435761) >>> 24) & 127
  const records = Array.from({ length: recordsPerBatch }, (_, delta) => [
    recordHead(delta, valueBytes),
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
