/**
 * Do the files of a partition directory agree with each other? They are read here as plain bytes, by the rules of Kafka's
 * formats and by nothing of src/log, so that a mistake there is not made twice.
 */
import * as batch from '../../src/protocol/record-batch.ts'
import { crc32c } from '../../src/protocol/crc32c.ts'

export interface StoredBatch {
  readonly position: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly maxTimestampMs: number
  readonly indexedTimestampMs: number
  readonly leaderEpoch: number
  readonly bytes: Buffer
}

export interface FilesReport {
  /** All batches of all segments, in order. */
  readonly batches: readonly StoredBatch[]
  /** One line for each contradiction. */
  readonly problems: readonly string[]
}

export interface FilesCheck {
  /** What was deleted below it may be forgotten. */
  readonly logStartOffset?: number
  /** The log was closed: the last segment's indexes are complete as well. */
  readonly closed: boolean
  /** Appends of several batches at once: an index entry names the first one's position and the last one's offset. */
  readonly chunks?: boolean
  /** Batches may be missing: what is derived from them cannot be expected whole. */
  readonly compacted?: boolean
}

interface Producer {
  epoch: number
  lastSequence: number
  lastOffset: number
  offsetDelta: number
  timestampMs: number
  coordinatorEpoch: number
  transactionFirstOffset: number
}

interface Aborted {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly lastStableOffset: number
}

const SEGMENT_NAME = /^(\d{20})\.log$/
const nameOf = (offset: number, suffix: string): string => String(offset).padStart(20, '0') + suffix

/** `files`: every file of the directory by its name. */
export function checkPartitionFiles(files: ReadonlyMap<string, Buffer>, check: FilesCheck): FilesReport {
  return new FilesChecker(files, check).run()
}

class FilesChecker {
  readonly #files: ReadonlyMap<string, Buffer>
  readonly #check: FilesCheck
  readonly #problems: string[] = []
  readonly #batches: StoredBatch[] = []
  readonly #producers = new Map<number, Producer>()
  #bases: number[] = []

  constructor(files: ReadonlyMap<string, Buffer>, check: FilesCheck) {
    this.#files = files
    this.#check = check
  }

  run(): FilesReport {
    this.#bases = [...this.#files.keys()]
      .map((name) => SEGMENT_NAME.exec(name))
      .filter((match) => match !== null)
      .map((match) => Number(match[1]))
      .sort((a, b) => a - b)
    this.#bases.forEach((base, index) => this.#segment(base, index === this.#bases.length - 1))
    this.#snapshot(this.#end())
    for (const name of this.#files.keys()) this.#hasItsLog(name)
    this.#leaderEpochs()
    return { batches: this.#batches, problems: this.#problems }
  }

  #problem(name: string, text: string): void {
    this.#problems.push(`${name}: ${text}`)
  }

  #end(): number {
    return (this.#batches.at(-1)?.lastOffset ?? -1) + 1
  }

  #hasItsLog(name: string): void {
    if (/\.(tmp|cleaned|swap)$/.test(name)) return this.#problem(name, 'a leftover')
    const match = /^(\d{20})\.(index|timeindex|txnindex|snapshot)$/.exec(name)
    if (match === null) return
    const offset = Number(match[1])
    if (match[2] !== 'snapshot' && !this.#bases.includes(offset)) this.#problem(name, 'of no segment')
    if (match[2] === 'snapshot' && offset > Math.max(this.#end(), this.#bases.at(-1) ?? 0))
      this.#problem(name, 'beyond the end of the log')
  }

  #segment(base: number, isLast: boolean): void {
    this.#snapshot(base)
    const batches = this.#readBatches(base)
    const complete = !isLast || this.#check.closed
    this.#offsetIndex(base, batches)
    this.#timeIndex(base, batches, complete)
    this.#transactionIndex(base, this.#replay(batches))
    this.#batches.push(...batches)
  }

  #readBatches(base: number): StoredBatch[] {
    const name = nameOf(base, '.log')
    const bytes = this.#files.get(name)!
    const batches: StoredBatch[] = []
    let next = Math.max(base, this.#end())
    if (base < this.#end()) this.#problem(name, `begins below ${this.#end()}, where the one before ends`)
    for (let at = 0; at < bytes.length;) {
      const bad = batch.checkBatch(bytes, at, bytes.length - at)
      if (bad !== null) {
        this.#problem(name, `at ${at}: ${bad.message}`)
        break
      }
      const size = batch.batchSize(bytes, at)
      const stored: StoredBatch = {
        position: at,
        baseOffset: batch.baseOffset(bytes, at),
        lastOffset: batch.lastOffset(bytes, at),
        maxTimestampMs: batch.maxTimestamp(bytes, at),
        // What is not there needs no index.
        indexedTimestampMs: batch.recordCount(bytes, at) === 0 ? -1 : batch.maxTimestamp(bytes, at),
        leaderEpoch: batch.partitionLeaderEpoch(bytes, at),
        bytes: bytes.subarray(at, at + size),
      }
      if (stored.baseOffset < next) this.#problem(name, `offset ${stored.baseOffset} where ${next} is next`)
      next = stored.lastOffset + 1
      batches.push(stored)
      at += size
    }
    return batches
  }

  #offsetIndex(base: number, batches: readonly StoredBatch[]): void {
    const name = nameOf(base, '.index')
    const bytes = this.#files.get(name)
    if (bytes === undefined) {
      if (this.#check.closed && batches.length > 0) this.#problem(name, 'is missing')
      return
    }
    if (bytes.length % 8 !== 0) this.#problem(name, `has ${bytes.length} bytes`)
    let last = -1
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      const offset = base + bytes.readInt32BE(at)
      const position = bytes.readInt32BE(at + 4)
      if (offset <= last) this.#problem(name, `offset ${offset} after ${last}`)
      last = offset
      const target = batches.find((each) => each.position === position)
      const right =
        target !== undefined &&
        (this.#check.chunks === true
          ? target.lastOffset <= offset && batches.some((each) => each.lastOffset === offset)
          : target.lastOffset === offset)
      if (!right) this.#problem(name, `offset ${offset} is not at ${position}`)
    }
  }

  #timeIndex(base: number, batches: readonly StoredBatch[], complete: boolean): void {
    const name = nameOf(base, '.timeindex')
    const bytes = this.#files.get(name)
    if (bytes === undefined) {
      if (this.#check.closed && batches.length > 0) this.#problem(name, 'is missing')
      return
    }
    if (bytes.length % 12 !== 0) this.#problem(name, `has ${bytes.length} bytes`)
    let last = -1
    for (let at = 0; at + 12 <= bytes.length; at += 12) {
      const timestampMs = Number(bytes.readBigInt64BE(at))
      const offset = base + bytes.readInt32BE(at + 8)
      if (timestampMs <= last) this.#problem(name, `${timestampMs} after ${last}`)
      last = timestampMs
      const holder = batches.find((each) => each.lastOffset === offset)
      if (holder?.indexedTimestampMs !== timestampMs)
        this.#problem(name, `${timestampMs} is not at offset ${offset}`)
      if (batches.some((each) => each.lastOffset < offset && each.indexedTimestampMs > timestampMs))
        this.#problem(name, `offset ${offset} has greater timestamps before it than ${timestampMs}`)
    }
    const largest = Math.max(-1, ...batches.map(({ indexedTimestampMs }) => indexedTimestampMs))
    if (complete && last !== largest) this.#problem(name, `ends with ${last}, the greatest is ${largest}`)
  }

  /** Gives the transactions that the batches say were aborted. */
  #replay(batches: readonly StoredBatch[]): Aborted[] {
    const aborted: Aborted[] = []
    for (const stored of batches) {
      const { bytes } = stored
      const producerId = batch.producerId(bytes, 0)
      if (producerId < 0) continue
      const producer = this.#producerOf(producerId, batch.producerEpoch(bytes, 0))
      producer.timestampMs = stored.maxTimestampMs
      if (!batch.isControl(batch.attributes(bytes, 0))) {
        producer.lastSequence = batch.lastSequence(bytes, 0)
        producer.lastOffset = stored.lastOffset
        producer.offsetDelta = stored.lastOffset - stored.baseOffset
        if (batch.isTransactional(batch.attributes(bytes, 0)) && producer.transactionFirstOffset < 0)
          producer.transactionFirstOffset = stored.baseOffset
        continue
      }
      const [{ key, value }] = batch.decodeRecords(bytes)
      const firstOffset = producer.transactionFirstOffset
      producer.coordinatorEpoch = value!.readInt32BE(2)
      producer.transactionFirstOffset = -1
      if (key!.readInt16BE(2) !== 0 || firstOffset < 0) continue
      const open = [...this.#producers.values()].map((each) => each.transactionFirstOffset)
      const lastStableOffset = Math.min(stored.lastOffset + 1, ...open.filter((first) => first >= 0))
      aborted.push({ producerId, firstOffset, lastOffset: stored.lastOffset, lastStableOffset })
    }
    return aborted
  }

  #producerOf(producerId: number, epoch: number): Producer {
    let producer = this.#producers.get(producerId)
    if (producer === undefined || producer.epoch !== epoch) {
      const { coordinatorEpoch = -1, transactionFirstOffset = -1 } = producer ?? {}
      const nothing = { lastSequence: -1, lastOffset: -1, offsetDelta: 0, timestampMs: -1 }
      producer = { epoch, ...nothing, coordinatorEpoch, transactionFirstOffset }
      this.#producers.set(producerId, producer)
    }
    return producer
  }

  /** Entries that began below the first segment are known to nobody else. */
  #transactionIndex(base: number, expected: readonly Aborted[]): void {
    const name = nameOf(base, '.txnindex')
    const bytes = this.#files.get(name) ?? Buffer.alloc(0)
    if (bytes.length % 34 !== 0) this.#problem(name, `has ${bytes.length} bytes`)
    const found: Aborted[] = []
    for (let at = 0; at + 34 <= bytes.length; at += 34) {
      const number = (from: number): number => Number(bytes.readBigInt64BE(at + from))
      if (bytes.readInt16BE(at) !== 0) this.#problem(name, 'an entry is not of version 0')
      found.push({
        producerId: number(2),
        firstOffset: number(10),
        lastOffset: number(18),
        lastStableOffset: number(26),
      })
    }
    if (this.#check.compacted === true) return
    const whole = this.#bases[0] === 0
    const comparable = (entry: Aborted): string =>
      JSON.stringify(whole ? entry : { ...entry, lastStableOffset: 0 })
    const known = found.filter(({ firstOffset }) => firstOffset >= this.#bases[0]).map(comparable)
    if (known.join() !== expected.map(comparable).join())
      this.#problem(name, `holds ${known.join()}, the batches say ${expected.map(comparable).join()}`)
  }

  /** A snapshot at `offset`, beside the producers of the batches read so far. */
  #snapshot(offset: number): void {
    const name = nameOf(offset, '.snapshot')
    const bytes = this.#files.get(name)
    if (bytes === undefined) return
    if (bytes.length < 10 || bytes.readInt16BE(0) !== 1 || bytes.readUInt32BE(2) !== crc32c(bytes, 6))
      return this.#problem(name, 'is broken')
    const found = new Map<number, Producer>()
    for (let at = 10; at < bytes.length; at += 46) {
      found.set(Number(bytes.readBigInt64BE(at)), {
        epoch: bytes.readInt16BE(at + 8),
        lastSequence: bytes.readInt32BE(at + 10),
        lastOffset: Number(bytes.readBigInt64BE(at + 14)),
        offsetDelta: bytes.readInt32BE(at + 22),
        timestampMs: Number(bytes.readBigInt64BE(at + 26)),
        coordinatorEpoch: bytes.readInt32BE(at + 34),
        transactionFirstOffset: Number(bytes.readBigInt64BE(at + 38)),
      })
    }
    for (const [producerId, replayed] of this.#producers) {
      const said = found.get(producerId)
      if (said === undefined && replayed.lastOffset < (this.#check.logStartOffset ?? 0)) continue
      // A transaction that began below the first segment, or a marker of one, is seen in part.
      const compared = (producer: Producer | undefined): string =>
        JSON.stringify(
          this.#bases[0] === 0 || producer === undefined
            ? producer
            : { ...producer, coordinatorEpoch: 0, transactionFirstOffset: 0 },
        )
      if (compared(said) !== compared(replayed))
        this.#problem(
          name,
          `producer ${producerId}: ${compared(said)}, the batches say ${compared(replayed)}`,
        )
    }
  }

  #leaderEpochs(): void {
    const name = 'leader-epoch-checkpoint'
    const text = this.#files.get(name)?.toString()
    if (text === undefined) {
      if (this.#check.closed && this.#batches.length > 0) this.#problem(name, 'is missing')
      return
    }
    if (!this.#check.closed) return
    const lines = text.split('\n')
    const entries = lines.slice(2, -1).map((line) => line.split(' ').map(Number))
    if (lines[0] !== '0' || Number(lines[1]) !== entries.length) this.#problem(name, 'is malformed')
    for (const { baseOffset, leaderEpoch } of this.#batches) {
      const covering = entries.findLast(([, startOffset]) => startOffset <= baseOffset)
      if (covering !== undefined && covering[0] === leaderEpoch) continue
      // A batch that reaches below the log start is older than the first epoch that is kept.
      if (covering === undefined && baseOffset < (entries[0]?.[1] ?? 0)) continue
      this.#problem(name, `${covering?.[0]} at offset ${baseOffset}, its batch says ${leaderEpoch}`)
    }
  }
}
