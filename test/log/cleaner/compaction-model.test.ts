/**
 * The compactor against a simple model: all that was ever appended, in a list. After each step the log must hold, of what
 * lies below the cleaner's checkpoint, exactly the newest committed record of each key, and of the rest everything.
 */
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { SimScheduler } from '../../../src/env/sim/scheduler.ts'
import type { ReplicaLog } from '../../../src/log/types.ts'
import { buildBatch, Codec } from '../../../src/protocol/record-batch.ts'
import type { Fixture } from '../log-fixture.ts'
import { batchesOf, cleanerSettings, openCompacted } from './cleaner-fixture.ts'

const DELETE_RETENTION_MS = 3_600_000
const CODECS = [Codec.NONE, Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4]
const IDEMPOTENT = 10
const TRANSACTIONAL = [1, 2]

interface ModelRecord {
  readonly offset: number
  readonly key: string
  readonly value: string | null
  readonly timestampMs: number
  /** Of the transaction; null: of none. */
  readonly producerId: number | null
}

interface Marker {
  readonly offset: number
  readonly producerId: number
  readonly isAbort: boolean
}

class Run {
  readonly random: SeededRandom
  readonly time: SimScheduler
  disk: SimDisk
  fixture: Fixture
  log: ReplicaLog
  records: ModelRecord[] = []
  markers: Marker[] = []
  sequences: { producerId: number; lastOffset: number; next: number }[] = []
  /** A crash may have come between a swap and its checkpoint. */
  checkpointMayLag = false
  nextValue = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.time = new SimScheduler({ seed })
    this.disk = new SimDisk({ random: this.random, clock: this.time.clock })
    this.fixture = this.open()
    this.log = this.fixture.log()
  }

  open(): Fixture {
    // Now and then the map is too small for one pass.
    const dedupeBufferBytes = this.random.next() < 0.3 ? 300 : cleanerSettings.dedupeBufferBytes
    return openCompacted({
      disk: this.disk,
      time: this.time,
      config: { deleteRetentionMs: DELETE_RETENTION_MS, flushMessages: Infinity },
      cleaner: { dedupeBufferBytes },
    })
  }

  pick(count: number): number {
    return Math.floor(this.random.next() * count)
  }

  nextSequence(producerId: number): number {
    return this.sequences.findLast((each) => each.producerId === producerId)?.next ?? 0
  }

  append(producerId: number | null): void {
    const transactional = producerId !== null && TRANSACTIONAL.includes(producerId)
    const timestampMs = this.time.clock.nowMs()
    const records = Array.from({ length: 1 + this.pick(5) }, (_, index) => ({
      timestampMs: timestampMs + index,
      key: `key${this.pick(12)}`,
      value: this.random.next() < 0.2 ? null : `value${this.nextValue++}`,
    }))
    const baseSequence = producerId === null ? -1 : this.nextSequence(producerId)
    const bytes = buildBatch({
      records: records.map(({ timestampMs: at, key, value }) => ({
        timestampMs: at,
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
      })),
      codec: CODECS[this.pick(CODECS.length)],
      transactional,
      ...(producerId === null ? {} : { producerId, producerEpoch: 0, baseSequence }),
    })
    const outcome = this.log.appendAsLeader(bytes, { leaderEpoch: 0, origin: 'client' })
    if (!('firstOffset' in outcome)) throw new Error(`append: ${outcome.message}`)
    expect(outcome.duplicate).toBe(false)
    records.forEach((record, index) => {
      const offset = outcome.firstOffset + index
      this.records.push({ ...record, offset, producerId: transactional ? producerId : null })
    })
    if (producerId === null) return
    const { lastOffset } = outcome
    this.sequences.push({ producerId, lastOffset, next: baseSequence + records.length })
  }

  endTransaction(producerId: number): void {
    const isAbort = this.random.next() < 0.5
    const key = Buffer.from([0, 0, 0, isAbort ? 0 : 1])
    const record = { timestampMs: this.time.clock.nowMs(), key, value: Buffer.alloc(6) }
    const bytes = buildBatch({
      records: [record],
      producerId,
      producerEpoch: 0,
      transactional: true,
      control: true,
    })
    const outcome = this.log.appendAsLeader(bytes, { leaderEpoch: 0, origin: 'coordinator' })
    if (!('firstOffset' in outcome)) throw new Error(`marker: ${outcome.message}`)
    this.markers.push({ offset: outcome.firstOffset, producerId, isAbort })
  }

  async restart(): Promise<void> {
    await this.fixture.manager.stop()
    this.reopen()
  }

  reopen(): void {
    this.fixture = this.open()
    this.log = this.fixture.log()
    const end = this.log.logEndOffset
    this.records = this.records.filter(({ offset }) => offset < end)
    this.markers = this.markers.filter(({ offset }) => offset < end)
    this.sequences = this.sequences.filter(({ lastOffset }) => lastOffset < end)
  }

  /** Everything that was appended is on the disk; then, somewhere in a cleaning, the power goes. */
  async crashInCleaning(): Promise<void> {
    await this.log.flush()
    const end = this.log.logEndOffset
    let left = 1 + this.pick(60)
    let copy: SimDisk | null = null
    this.disk.onStep = () => {
      if (--left === 0) copy = this.disk.clone(this.random)
    }
    await this.time.advance(cleanerSettings.backoffMs + 1)
    this.disk.onStep = null
    const crashed = copy ?? this.disk.clone(this.random)
    // Of the disk that is not looked at any more.
    await this.fixture.manager.stop()
    this.disk = crashed
    this.disk.crash('random')
    this.checkpointMayLag = true
    this.reopen()
    expect(this.log.logEndOffset).toBe(end)
  }

  /** undefined: its transaction is open. */
  fateOf(record: ModelRecord): 'committed' | 'aborted' | undefined {
    if (record.producerId === null) return 'committed'
    const marker = this.markers.find(
      ({ offset, producerId }) => producerId === record.producerId && offset > record.offset,
    )
    return marker === undefined ? undefined : marker.isAbort ? 'aborted' : 'committed'
  }

  checkpoint(): number {
    try {
      const text = this.disk.readFile('/data/cleaner-offset-checkpoint').toString()
      return Number(/^t 0 (\d+)$/m.exec(text)?.[1] ?? 0)
    } catch {
      return 0
    }
  }

  check(): void {
    const cleanTo = this.checkpoint()
    const nowMs = this.time.clock.nowMs()
    const newest = new Map<string, ModelRecord>()
    for (const record of this.records) {
      if (record.offset < cleanTo && this.fateOf(record) === 'committed') newest.set(record.key, record)
    }
    const held = this.held()
    const heldOffsets = new Set(held.map(({ offset }) => offset))
    const wanted = this.records.filter((record) => {
      if (this.fateOf(record) === 'aborted') return heldOffsets.has(record.offset) && record.offset >= cleanTo
      const isClean = record.offset < cleanTo
      if (isClean && newest.get(record.key) !== record) return false
      return heldOffsets.has(record.offset) || !this.mayBeGone(record, isClean, nowMs)
    })
    const facts = ({ offset, key, value, timestampMs }: Omit<ModelRecord, 'producerId'>) => {
      return { offset, key, value, timestampMs }
    }
    expect(held.map(facts)).toEqual(wanted.map(facts))
    this.checkState(held)
  }

  /** Of the newest committed record of its key below the checkpoint, or of one above it. */
  mayBeGone(record: ModelRecord, isClean: boolean, nowMs: number): boolean {
    // After a crash a swap may have come further than the checkpoint says.
    const isCleaned = isClean || this.checkpointMayLag
    if (!isCleaned) return false
    if (this.checkpointMayLag && this.isReplaced(record)) return true
    if (record.value !== null) return false
    // A cleaning that ends below it may have met it too, when its segment was written anew.
    return nowMs >= record.timestampMs + DELETE_RETENTION_MS
  }

  isReplaced({ offset, key }: ModelRecord): boolean {
    return this.records.some((later) => {
      return later.offset > offset && later.key === key && this.fateOf(later) === 'committed'
    })
  }

  held(): (Omit<ModelRecord, 'producerId'> & { producerId: number })[] {
    return batchesOf(this.log)
      .filter(({ isControl }) => !isControl)
      .flatMap(({ records, producerId }) =>
        records.map(({ offset, timestampMs, key, value }) => ({
          offset,
          timestampMs,
          key: key!.toString(),
          value: value?.toString() ?? null,
          producerId,
        })),
      )
  }

  /** What a reader of committed records ends up with, by the log's own index of what was aborted. */
  checkState(held: ReturnType<Run['held']>): void {
    const stableEnd = this.log.firstUnstableOffset(this.log.logEndOffset)
    const expected = new Map<string, string>()
    const put = (state: Map<string, string>, key: string, value: string | null) => {
      if (value === null) state.delete(key)
      else state.set(key, value)
    }
    for (const record of this.records) {
      const isRead = record.offset < stableEnd && this.fateOf(record) === 'committed'
      if (isRead) put(expected, record.key, record.value)
    }
    const aborted = this.log.abortedTransactions(this.log.logStartOffset, stableEnd)
    const found = new Map<string, string>()
    const markerOffsets = batchesOf(this.log).filter(({ isControl }) => isControl)
    for (const { offset, key, value, producerId } of held) {
      if (offset >= stableEnd) break
      const isAborted = aborted.some((transaction) => {
        if (transaction.producerId !== producerId || transaction.firstOffset > offset) return false
        const marker = markerOffsets.find(
          (each) => each.producerId === producerId && each.baseOffset > transaction.firstOffset,
        )
        return marker === undefined || offset < marker.baseOffset
      })
      if (!isAborted) put(found, key, value)
    }
    expect([...found].sort()).toEqual([...expected].sort())
  }
}

async function step(run: Run): Promise<void> {
  const kind = run.pick(20)
  if (kind < 9) return run.append(null)
  if (kind < 11) return run.append(IDEMPOTENT)
  if (kind < 14) return run.append(TRANSACTIONAL[run.pick(2)])
  if (kind < 16) return run.endTransaction(TRANSACTIONAL[run.pick(2)])
  if (kind < 18) return run.time.advance(run.random.next() < 0.2 ? 2 * DELETE_RETENTION_MS : 20_000)
  if (kind < 19) return run.restart()
  return run.crashInCleaning()
}

const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1)

describe('The compactor', () => {
  it.each(SEEDS)('agrees with the model (seed %i)', async (seed) => {
    const run = new Run(seed)
    for (let index = 0; index < 120; index++) {
      await step(run)
      try {
        run.check()
      } catch (error) {
        throw new Error(`seed ${seed}, step ${index}: ${(error as Error).message}`, { cause: error })
      }
    }
    await run.fixture.manager.stop()
  })
})
