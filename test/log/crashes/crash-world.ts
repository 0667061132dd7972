/**
 * A log manager on a disk that remembers how it looked before each step, beside a model of what was promised by then.
 * A scenario drives it once; every remembered moment is then a crash to be tried (after-crash.ts).
 */
import type { DiskStep, SimDisk } from '../../../src/env/sim/disk.ts'
import { SimDisk as Disk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { SimScheduler } from '../../../src/env/sim/scheduler.ts'
import type { LogConfig, ReplicaLog } from '../../../src/log/types.ts'
import { buildBatch, baseOffset, lastOffset } from '../../../src/protocol/record-batch.ts'
import { baseConfig, batchOf, openLogs, START_MS, TOPIC_ID, type Fixture } from '../log-fixture.ts'

export interface KeptBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly bytes: Buffer
}

/** What one partition may look like after a crash. */
export class Promised {
  /** As appended, in order, from offset 0 on. */
  batches: KeptBatch[] = []
  /** Given to the log, not answered yet. */
  inFlight: Buffer | null = null
  /** Everything below it was answered: it survives the end of the process. */
  killEnd = 0
  /** Everything below it was flushed: it survives a power cut. */
  powerEnd = 0
  /** The log start lies between these. */
  lowestStart = 0
  highestStart = 0
  /** What truncations have cut; a power cut may undo those that no flush has followed. */
  undone: KeptBatch[][] = []
  /** The directory may have gone. */
  removable = false

  copy(): Promised {
    const copy = Object.assign(new Promised(), this)
    copy.batches = this.batches.slice()
    copy.undone = this.undone.slice()
    if (this.inFlight !== null) copy.inFlight = Buffer.from(this.inFlight)
    return copy
  }

  get end(): number {
    return (this.batches.at(-1)?.lastOffset ?? -1) + 1
  }
}

export type Promises = ReadonlyMap<string, Promised>

/** How a disk looked, and what it owed. */
export interface Moment {
  readonly disk: SimDisk
  readonly step: DiskStep
  readonly promises: Promises
  readonly nowMs: number
}

export interface Producer {
  readonly id: number
  epoch: number
  nextSequence: number
}

export interface AppendShape {
  readonly values?: readonly string[]
  readonly producer?: Producer
  readonly transactional?: boolean
  readonly leaderEpoch?: number
  readonly timestampMs?: number
  readonly codec?: number
  readonly key?: string
}

export class CrashWorld {
  readonly disk: SimDisk
  readonly random: SeededRandom
  readonly config: Partial<LogConfig>
  readonly moments: Moment[] = []
  readonly promises = new Map<string, Promised>()
  fixture: Fixture
  #leaderEpoch = 0

  constructor(seed: number, config: Partial<LogConfig>) {
    this.random = new SeededRandom(seed)
    const time = new SimScheduler({ startMs: START_MS, seed })
    this.disk = new Disk({ random: this.random, clock: time.clock })
    this.disk.makeDirectory('/data')
    this.disk.syncDirectory('/')
    this.config = config
    this.disk.onStep = (step) => this.#remember(step)
    this.fixture = openLogs({ disk: this.disk, config, time })
  }

  #remember(step: DiskStep): void {
    const promises = new Map([...this.promises].map(([key, promised]) => [key, promised.copy()]))
    const disk = this.disk.clone(new SeededRandom(this.moments.length))
    this.moments.push({ disk, step, promises, nowMs: this.fixture?.time.clock.nowMs() ?? START_MS })
  }

  get nowMs(): number {
    return this.fixture.time.clock.nowMs()
  }

  promised(topic = 't', partition = 0): Promised {
    const key = `${topic}-${partition}`
    let promised = this.promises.get(key)
    if (promised === undefined) this.promises.set(key, (promised = new Promised()))
    return promised
  }

  log(topic = 't', partition = 0, topicId = TOPIC_ID): ReplicaLog {
    this.promised(topic, partition)
    const config = { ...baseConfig, ...this.config }
    return this.fixture.manager.getOrCreate(topic, partition, topicId, config)
  }

  #values(): string[] {
    return Array.from({ length: 1 + this.random.integer(3) }, () => 'v'.repeat(this.random.integer(120)))
  }

  newLeader(): void {
    this.#leaderEpoch++
  }

  /** One answered Produce. */
  async append(shape: AppendShape = {}, topic = 't', partition = 0): Promise<void> {
    const { producer, values = this.#values(), timestampMs = this.nowMs } = shape
    const records = batchOf({
      values,
      timestampMs,
      key: shape.key ?? `k${this.random.integer(5)}`,
      codec: shape.codec,
      producerId: producer?.id,
      producerEpoch: producer?.epoch,
      baseSequence: producer?.nextSequence,
      transactional: shape.transactional,
    })
    if (producer) producer.nextSequence += values.length
    await this.#appendAs(records, 'client', this.log(topic, partition))
  }

  /** An end marker, as the transaction coordinator has it written. */
  async endTransaction(
    producer: Producer,
    outcome: 'commit' | 'abort',
    topic = 't',
    partition = 0,
  ): Promise<void> {
    const key = Buffer.alloc(4)
    key.writeInt16BE(outcome === 'commit' ? 1 : 0, 2)
    const value = Buffer.alloc(6)
    value.writeInt32BE(3, 2)
    const marker = buildBatch({
      records: [{ timestampMs: this.nowMs, key, value }],
      producerId: producer.id,
      producerEpoch: producer.epoch,
      transactional: true,
      control: true,
    })
    await this.#appendAs(marker, 'coordinator', this.log(topic, partition))
  }

  async #appendAs(records: Buffer, origin: 'client' | 'coordinator', log: ReplicaLog): Promise<void> {
    const promised = this.promised(log.topic, log.partition)
    promised.inFlight = records
    const outcome = log.appendAsLeader(records, { leaderEpoch: this.#leaderEpoch, origin })
    if (outcome.error !== 0) throw new Error(`append failed: ${JSON.stringify(outcome)}`)
    promised.inFlight = null
    this.#keep(promised, Buffer.from(records))
    if (log.flushDue) await this.flush(log.topic, log.partition)
  }

  #keep(promised: Promised, bytes: Buffer): void {
    promised.batches.push({ baseOffset: baseOffset(bytes, 0), lastOffset: lastOffset(bytes, 0), bytes })
    promised.killEnd = promised.end
  }

  /** What a leader of another broker has sent: one batch at the log end. */
  follow(leaderEpoch: number): void {
    const log = this.log()
    const promised = this.promised()
    const values = this.#values()
    const records = values.map((value) => ({ timestampMs: this.nowMs, key: null, value: Buffer.from(value) }))
    const bytes = buildBatch({ records, baseOffset: log.logEndOffset, partitionLeaderEpoch: leaderEpoch })
    promised.inFlight = bytes
    log.appendAsFollower(bytes)
    promised.inFlight = null
    this.#keep(promised, Buffer.from(bytes))
  }

  async flush(topic = 't', partition = 0): Promise<void> {
    const promised = this.promised(topic, partition)
    const { end } = promised
    const { undone } = promised
    await this.log(topic, partition).flush()
    promised.powerEnd = Math.max(promised.powerEnd, Math.min(end, promised.end))
    promised.undone = promised.undone.filter((each) => !undone.includes(each))
  }

  truncate(offset: number): void {
    const promised = this.promised()
    const log = this.log()
    const kept = promised.batches.filter((each) => each.lastOffset < offset)
    promised.undone.push(promised.batches)
    const end = (kept.at(-1)?.lastOffset ?? -1) + 1
    promised.killEnd = Math.min(promised.killEnd, end)
    promised.powerEnd = Math.min(promised.powerEnd, end)
    promised.lowestStart = Math.min(promised.lowestStart, end)
    log.truncateTo(offset)
    promised.batches = kept
    promised.killEnd = end
  }

  /** DeleteRecords. */
  async deleteRecords(offset: number): Promise<void> {
    const log = this.log()
    const promised = this.promised()
    promised.highestStart = Math.max(promised.highestStart, offset)
    log.raiseLogStart(offset, log.logEndOffset)
    await this.fixture.time.settle()
    promised.lowestStart = log.logStartOffset
  }

  retain(): void {
    const log = this.log()
    const promised = this.promised()
    promised.highestStart = log.logEndOffset
    log.applyRetention(this.nowMs, log.logEndOffset)
    promised.highestStart = log.logStartOffset
  }

  removeTopic(topic: string): void {
    this.promised(topic).removable = true
    this.fixture.manager.remove(topic, 0)
    this.promises.set(
      `${topic}-0`,
      Object.assign(new Promised(), { removable: true, undone: [this.promised(topic).batches] }),
    )
  }

  async pass(ms: number): Promise<void> {
    await this.fixture.time.advance(ms)
  }

  /** A clean stop, and the next start. What was closed is on the disk. */
  async restart(): Promise<void> {
    await this.stop()
    this.disk.kill()
    this.reopen()
  }

  async stop(): Promise<void> {
    await this.fixture.manager.stop()
    for (const promised of this.promises.values()) {
      promised.powerEnd = promised.end
      promised.undone = []
    }
  }

  /** The process is gone, and the next one starts. */
  kill(): void {
    this.disk.kill()
    this.reopen()
  }

  reopen(): void {
    const time = new SimScheduler({ startMs: this.nowMs, seed: 1 })
    this.fixture = openLogs({ disk: this.disk, config: this.config, time })
  }
}
