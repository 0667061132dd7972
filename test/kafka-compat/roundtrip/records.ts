import { crc32 } from '@node-rs/crc32'
import { codecNames } from '../harness/kafkajs-client.ts'

/**
 * The records of a lane of the round trip, the same for everyone who knows the seed. RoundTrip.java and
 * roundtrip.c make the same ones: a change here is a change there.
 */
export interface Lane {
  /** Topics are named `<name>-<codec>`, one for each codec. */
  name: string
  seed: number
  count: number
  /**
   * The first record's timestamp; each later one is a millisecond later. It is about now: a broker that starts
   * again forgets producers whose last record is older than producer.id.expiration.ms by its timestamp, and then
   * takes a record twice.
   */
  firstTimestampMs: number
}

/** Partitions of each topic. */
export const PARTITIONS = 4

const POOL_BYTES = 1 << 20
const KEYS = 5_000
/** Every so many records there is one of up to 900 KB. */
const LARGE_EVERY = 1_501

export interface LaneRecord {
  /** Which of the lane's topics, by the codec's place among codecNames. */
  topic: number
  partition: number
  key: string
  value: Buffer | null
  headers: [name: string, value: string][]
  timestampMs: number
}

export function topicName(lane: Lane, topic: number): string {
  return `${lane.name}-${codecNames[topic]}`
}

/** A hash of 32 bits in which every bit of the input reaches every bit of the result. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

/** Random numbers of 32 bits from one seed. */
class Sequence {
  #state: number

  constructor(seed: number) {
    this.#state = mix(seed | 0)
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    return mix(this.#state)
  }
}

/** The bytes that values are cut from: letters and spaces, so that they compress by about a half. */
function makePool(seed: number): Buffer {
  const pool = Buffer.alloc(POOL_BYTES)
  const sequence = new Sequence(seed)
  for (let position = 0; position < POOL_BYTES; position += 4) {
    const bits = sequence.next()
    pool[position] = 97 + (bits & 15)
    pool[position + 1] = 97 + ((bits >>> 4) & 15)
    pool[position + 2] = 97 + ((bits >>> 8) & 15)
    pool[position + 3] = 32
  }
  return pool
}

function valueBytes(index: number, bits: number): number {
  if (index % LARGE_EVERY === LARGE_EVERY - 1) return 10_000 + (bits % 890_000)
  const kind = bits % 100
  const rest = bits >>> 8
  if (kind < 70) return rest % 200
  if (kind < 95) return rest % 800
  return 800 + (rest % 224)
}

/** The lane's records in the order they are sent. */
export function* laneRecords(lane: Lane): Generator<LaneRecord> {
  const pool = makePool(lane.seed)
  const sent = codecNames.map(() => Array<number>(PARTITIONS).fill(0))
  for (let index = 0; index < lane.count; index++) {
    const sequence = new Sequence((lane.seed + Math.imul(index, 0x9e3779b9)) | 0)
    const topic = index % codecNames.length
    const keyNumber = sequence.next() % KEYS
    const partition = keyNumber % PARTITIONS
    const size = valueBytes(index, sequence.next())
    const start = sequence.next() % (POOL_BYTES - size)
    const flags = sequence.next()
    const headers: LaneRecord['headers'] = [['seq', String(sent[topic][partition]++)]]
    if (((flags >>> 8) & 3) === 0) headers.push(['index', String(index)])
    if (((flags >>> 12) & 15) === 0) headers.push(['empty', ''])
    const isNull = (flags & 127) === 0 && size < 10_000
    const value = isNull ? null : pool.subarray(start, start + size)
    yield {
      topic,
      partition,
      key: `key-${keyNumber}`,
      value,
      headers,
      timestampMs: lane.firstTimestampMs + index,
    }
  }
}

/** What was sent to or read from one partition: how many records, and a checksum over all they hold, in order. */
export class PartitionSum {
  count = 0
  crc = 0

  add(record: Omit<LaneRecord, 'topic' | 'partition'>): void {
    const { key, value, headers, timestampMs } = record
    this.crc = crc32(`${key}|${timestampMs}|${value === null ? -1 : value.length}|`, this.crc)
    if (value !== null && value.length > 0) this.crc = crc32(value, this.crc)
    const written = headers.map(([name, text]) => `${name}=${text};`)
    this.crc = crc32(`${written.join('')}\n`, this.crc)
    this.count++
  }

  toString(): string {
    return `${this.count} ${this.crc.toString(16).padStart(8, '0')}`
  }
}

/** Sums by `<topic> <partition>`, as every consumer reports them. */
export type Sums = Map<string, PartitionSum>

export function sumOf(sums: Sums, topic: string, partition: number): PartitionSum {
  const place = `${topic} ${partition}`
  let sum = sums.get(place)
  if (sum === undefined) sums.set(place, (sum = new PartitionSum()))
  return sum
}

/** What a lane's consumer must report, a line for each partition. */
export function expectedReport(lane: Lane): string[] {
  const sums: Sums = new Map()
  for (const record of laneRecords(lane)) {
    sumOf(sums, topicName(lane, record.topic), record.partition).add(record)
  }
  return report(sums)
}

export function report(sums: Sums): string[] {
  return [...sums].map(([place, sum]) => `${place} ${sum}`).sort()
}
