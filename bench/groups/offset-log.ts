/**
 * A partition of `__consumer_offsets` as files, written without a broker, the same for everybody: what commits of consumers
 * have left, a batch each.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'

export interface OffsetLog {
  readonly groups: number
  readonly topics: number
  /** Of each topic; one request commits all partitions of one. */
  readonly partitions: number
  /** How often each of them was committed. */
  readonly commits: number
}

export const groupName = (index: number): string => `service-${String(index).padStart(5, '0')}`
export const topicName = (index: number): string => `events-${String(index).padStart(3, '0')}`

const BATCH_HEADER_BYTES = 61
const INDEX_INTERVAL_BYTES = 4096

function shorts(...values: readonly number[]): number[] {
  return values.flatMap((value) => [(value >> 8) & 255, value & 255])
}

function text(value: string): number[] {
  return [...shorts(value.length), ...Buffer.from(value)]
}

/** Signed, as records have them. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return bytes
}

function int32(value: number): number[] {
  return [...shorts(value >> 16), ...shorts(value & 65535)]
}

function int64(value: number): number[] {
  return [...int32(Math.floor(value / 2 ** 32)), ...int32(value | 0)]
}

/** Key version 1, value version 3: what Kafka 3.9 and 4.1 write. */
function record(
  delta: number,
  group: string,
  topic: string,
  { partition, offset, timestampMs }: Commit,
): number[] {
  const key = [...shorts(1), ...text(group), ...text(topic), ...int32(partition)]
  const leaderEpoch = 0
  const value = [...shorts(3), ...int64(offset), ...int32(leaderEpoch), ...text(''), ...int64(timestampMs)]
  const noTimestampDelta = 0
  const noHeaders = 0
  const body = [
    0,
    noTimestampDelta,
    ...varint(delta),
    ...varint(key.length),
    ...key,
    ...varint(value.length),
    ...value,
    noHeaders,
  ]
  return [...varint(body.length), ...body]
}

interface Commit {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
}

function commitBatch(baseOffset: number, records: readonly number[][], timestampMs: number): Buffer {
  const batch = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), ...records.map((each) => Buffer.from(each))])
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch[16] = 2
  batch.writeInt32BE(records.length - 1, 23)
  batch.writeBigInt64BE(BigInt(timestampMs), 27)
  batch.writeBigInt64BE(BigInt(timestampMs), 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(records.length, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** Writes the one segment of the partition, committed just now. Gives the number of records. */
export function writeOffsetLog(directory: string, log: OffsetLog): number {
  const batches: Buffer[] = []
  const index: Buffer[] = []
  const timeIndex: Buffer[] = []
  const timestampMs = Date.now()
  let offset = 0
  let position = 0
  let sinceEntry = 0
  for (let commit = 1; commit <= log.commits; commit++)
    for (let group = 0; group < log.groups; group++)
      for (let topic = 0; topic < log.topics; topic++) {
        const records = Array.from({ length: log.partitions }, (_, partition) =>
          record(partition, groupName(group), topicName(topic), { partition, offset: commit, timestampMs }),
        )
        const batch = commitBatch(offset, records, timestampMs)
        if (sinceEntry > INDEX_INTERVAL_BYTES) {
          index.push(Buffer.from([...int32(offset + log.partitions - 1), ...int32(position)]))
          if (timeIndex.length === 0)
            timeIndex.push(Buffer.from([...int64(timestampMs), ...int32(offset + log.partitions - 1)]))
          sinceEntry = 0
        }
        sinceEntry += batch.length
        position += batch.length
        offset += log.partitions
        batches.push(batch)
      }
  mkdirSync(directory, { recursive: true })
  const path = (suffix: string) => join(directory, `${'0'.repeat(20)}.${suffix}`)
  writeFileSync(path('log'), Buffer.concat(batches))
  writeFileSync(path('index'), Buffer.concat(index))
  writeFileSync(path('timeindex'), Buffer.concat(timeIndex))
  return offset
}
