/**
 * A partition of `__consumer_offsets` as files, written without a broker, the same for everybody: what commits of consumers
 * have left, a batch each.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { int16, int32, int64, string } from '../lab/wire.ts'

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

/** Signed, as records have them. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

interface Commit {
  readonly group: string
  readonly topic: string
  readonly offset: number
}

const KEY_VERSION_BYTES = 2
const LENGTH_BYTES = 2

/**
 * The batch of a commit of all partitions. Names are equally long, so that all batches look alike: what differs is written into a
 * copy of the first.
 */
class Template {
  readonly #bytes: Buffer
  readonly #group: string
  readonly #topic: string
  /** Where the key, and the offset in the value, of each record begin. */
  readonly #places: { readonly keyAt: number; readonly offsetAt: number }[] = []

  constructor(group: string, topic: string, partitions: number, timestampMs: number) {
    this.#group = group
    this.#topic = topic
    const records: Buffer[] = []
    let at = BATCH_HEADER_BYTES
    for (let partition = 0; partition < partitions; partition++) {
      // Key version 1, value version 3: what Kafka 3.9 and 4.1 write.
      const key = Buffer.concat([int16(1), string(group), string(topic), int32(partition)])
      const leaderEpoch = int32(0)
      const value = Buffer.concat([int16(3), int64(0), leaderEpoch, string(''), int64(timestampMs)])
      const attributesAndTimestampDelta = Buffer.alloc(2)
      const beforeKey = Buffer.concat([attributesAndTimestampDelta, varint(partition), varint(key.length)])
      const noHeaders = varint(0)
      const body = Buffer.concat([beforeKey, key, varint(value.length), value, noHeaders])
      const length = varint(body.length)
      const keyAt = at + length.length + beforeKey.length
      const offsetAt = keyAt + key.length + varint(value.length).length + 2
      this.#places.push({ keyAt, offsetAt })
      records.push(length, body)
      at += length.length + body.length
    }
    this.#bytes = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), ...records])
    this.#writeHeader(partitions, timestampMs)
  }

  #writeHeader(records: number, timestampMs: number): void {
    const bytes = this.#bytes
    bytes.writeInt32BE(bytes.length - 12, 8)
    bytes[16] = 2
    bytes.writeInt32BE(records - 1, 23)
    bytes.writeBigInt64BE(BigInt(timestampMs), 27)
    bytes.writeBigInt64BE(BigInt(timestampMs), 35)
    bytes.writeBigInt64BE(-1n, 43)
    bytes.writeInt16BE(-1, 51)
    bytes.writeInt32BE(-1, 53)
    bytes.writeInt32BE(records, 57)
  }

  get bytes(): number {
    return this.#bytes.length
  }

  /** Writes the batch at `position`. */
  write(into: Buffer, position: number, baseOffset: number, { group, topic, offset }: Commit): void {
    if (group.length !== this.#group.length || topic.length !== this.#topic.length)
      throw new Error(`${group} and ${topic} are not as long as the others`)
    this.#bytes.copy(into, position)
    into.writeBigInt64BE(BigInt(baseOffset), position)
    for (const { keyAt, offsetAt } of this.#places) {
      const groupAt = position + keyAt + KEY_VERSION_BYTES + LENGTH_BYTES
      into.write(group, groupAt, 'latin1')
      into.write(topic, groupAt + group.length + LENGTH_BYTES, 'latin1')
      into.writeInt32BE(offset, position + offsetAt + 4)
    }
    into.writeUInt32BE(crc32c(into.subarray(position + 21, position + this.bytes)), position + 17)
  }
}

/** Writes the one segment of the partition, committed just now. Gives the number of records. */
export function writeOffsetLog(directory: string, log: OffsetLog): number {
  const { groups, topics, partitions, commits } = log
  const timestampMs = Date.now()
  const template = new Template(groupName(0), topicName(0), partitions, timestampMs)
  const bytes = Buffer.allocUnsafe(template.bytes * commits * groups * topics)
  const index: Buffer[] = []
  let offset = 0
  let position = 0
  let sinceEntry = 0
  for (let commit = 1; commit <= commits; commit++)
    for (let group = 0; group < groups; group++)
      for (let topic = 0; topic < topics; topic++) {
        template.write(bytes, position, offset, {
          group: groupName(group),
          topic: topicName(topic),
          offset: commit,
        })
        if (sinceEntry > INDEX_INTERVAL_BYTES) {
          index.push(Buffer.concat([int32(offset + partitions - 1), int32(position)]))
          sinceEntry = 0
        }
        sinceEntry += template.bytes
        position += template.bytes
        offset += partitions
      }
  mkdirSync(directory, { recursive: true })
  const path = (suffix: string) => join(directory, `${'0'.repeat(20)}.${suffix}`)
  writeFileSync(path('log'), bytes)
  writeFileSync(path('index'), Buffer.concat(index))
  // One entry: all records are of the same moment.
  writeFileSync(path('timeindex'), Buffer.concat([int64(timestampMs), int32(partitions - 1)]))
  return offset
}
