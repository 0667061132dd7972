/** A group coordinator in a world of its own: time stands still until told, the log is an array. */
import type { Clock, Logger, Random, Timer, Timers } from '../../src/env/env.ts'
import type { AppendResult, CoordinatorLog } from '../../src/coordinator/coordinator-log.ts'
import { DEFAULT_GROUP_COORDINATOR_CONFIG } from '../../src/coordinator/groups/config.ts'
import type { GroupCoordinatorConfig } from '../../src/coordinator/groups/config.ts'
import {
  GroupCoordinator,
  type GroupCoordinatorParts,
} from '../../src/coordinator/groups/group-coordinator.ts'
import type { GroupTopic, GroupTopics } from '../../src/coordinator/groups/consumer/topics.ts'
import * as batch from '../../src/protocol/record-batch.ts'

interface Task {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Wall time is monotonic time plus a million seconds. */
export class FakeTime implements Clock, Timers {
  #nowMs = 0
  #order = 0
  #tasks: Task[] = []
  /** Timers made so far. */
  timersMade = 0

  nowMs(): number {
    return 1_000_000_000 + this.#nowMs
  }

  /** Each look at the monotonic clock takes a millisecond. */
  ticks = false

  monotonicMs(): number {
    if (this.ticks) this.#nowMs++
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): Timer {
    this.timersMade++
    const task = { atMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, run: callback }
    this.#tasks.push(task)
    return { cancel: () => (this.#tasks = this.#tasks.filter((other) => other !== task)) }
  }

  soon(callback: () => void): void {
    this.after(0, callback)
  }

  get pending(): number {
    return this.#tasks.length
  }

  /** Runs everything that comes due within the time, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#tasks = this.#tasks.filter((task) => task !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = endMs
  }

  #next(endMs: number): Task | undefined {
    let next: Task | undefined
    for (const task of this.#tasks) {
      if (task.atMs > endMs) continue
      if (
        next === undefined ||
        task.atMs < next.atMs ||
        (task.atMs === next.atMs && task.order < next.order)
      ) {
        next = task
      }
    }
    return next
  }
}

/** mulberry32 */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => this.below(256)))
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }
}

/** Commits at once unless told otherwise. */
export class FakeLog implements CoordinatorLog {
  readonly batches = new Map<number, Buffer[]>()
  topicExists = true
  partitionCount = 1
  /** Error code that the next appends get. */
  appendError = 0
  /** Appends are written, and commit when `commitNext` says so. */
  late = false
  readFails = false
  /** Another broker leads, and nobody has said so. */
  isReplaced = false
  readonly waiting: { error: (code: number) => void }[] = []
  #nextOffset = new Map<number, number>()

  async ensureTopic(): Promise<number> {
    if (!this.topicExists) throw new Error('too few brokers')
    return this.partitionCount
  }

  append(partition: number, bytes: Buffer): AppendResult {
    if (this.appendError !== 0) return { error: this.appendError, baseOffset: -1, committed: null }
    const baseOffset = this.#nextOffset.get(partition) ?? 0
    const copy = Buffer.from(bytes)
    batch.setBaseOffset(copy, 0, baseOffset)
    this.#nextOffset.set(partition, baseOffset + batch.recordCount(copy, 0))
    const batches = this.batches.get(partition) ?? []
    batches.push(copy)
    this.batches.set(partition, batches)
    if (!this.late) return { error: 0, baseOffset, committed: null }
    const committed = new Promise<number>((resolve) => this.waiting.push({ error: resolve }))
    return { error: 0, baseOffset, committed }
  }

  /** Lets the oldest waiting append commit (0) or fail, and what follows from it happen. */
  async commitNext(error = 0): Promise<void> {
    this.waiting.shift()?.error(error)
    await settled()
  }

  leadsSurely(): boolean {
    return !this.isReplaced
  }

  *read(partition: number): Iterable<Buffer> {
    if (this.readFails) throw new Error('the disk is gone')
    yield* this.batches.get(partition) ?? []
  }

  records(partition = 0): batch.Record[] {
    return (this.batches.get(partition) ?? []).flatMap((bytes) => batch.decodeRecords(bytes))
  }
}

/** Lets promises that are resolved have their effects. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

export class CapturedLog implements Logger {
  readonly lines: string[] = []

  log(level: string, message: string, fields: Record<string, unknown> = {}): void {
    this.lines.push(
      [level, message, ...Object.entries(fields).map(([k, v]) => `${k}=${String(v)}`)].join(' '),
    )
  }
}

export interface World {
  readonly time: FakeTime
  readonly log: FakeLog
  readonly logger: CapturedLog
  readonly topics: Map<string, number>
  readonly groups: GroupCoordinator
  readonly config: { -readonly [K in keyof GroupCoordinatorConfig]: GroupCoordinatorConfig[K] }
}

export interface WorldOptions {
  readonly config?: Partial<GroupCoordinatorConfig>
  /** Another world's log: what a new coordinator makes of it. */
  readonly log?: FakeLog
  readonly time?: FakeTime
  readonly elect?: boolean
  readonly seed?: number
  /** Every transaction includes every partition unless told otherwise. */
  readonly verifyTransaction?: GroupCoordinatorParts['verifyTransaction']
}

/** A topic's id is made of its name. */
export function topicIdOf(name: string): string {
  return Buffer.from(name.padEnd(16, '.').slice(0, 16)).toString('base64url')
}

function groupTopics(topics: ReadonlyMap<string, number>): GroupTopics {
  const topic = (name: string): GroupTopic | undefined => {
    const partitionCount = topics.get(name)
    if (partitionCount === undefined) return undefined
    const racks = () => Array.from({ length: partitionCount }, () => [])
    return { name, topicId: topicIdOf(name), partitionCount, racks }
  }
  return {
    topic,
    topicById: (topicId) => topic([...topics.keys()].find((name) => topicIdOf(name) === topicId) ?? ''),
    names: () => topics.keys(),
  }
}

/** One partition, no initial rebalance delay, topics `orders` and `clicks` of 4 partitions. */
export function world(options: WorldOptions = {}): World {
  const time = options.time ?? new FakeTime()
  const log = options.log ?? new FakeLog()
  const logger = new CapturedLog()
  const topics = new Map([
    ['orders', 4],
    ['clicks', 4],
  ])
  const config = {
    ...DEFAULT_GROUP_COORDINATOR_CONFIG,
    groupInitialRebalanceDelayMs: 0,
    offsetsTopicPartitions: log.partitionCount,
    ...options.config,
  }
  const groups = new GroupCoordinator({
    clock: time,
    timers: time,
    random: new SeededRandom(options.seed ?? 1),
    logger,
    log,
    config,
    metadata: { partitionCount: (topic) => topics.get(topic) },
    verifyTransaction: options.verifyTransaction ?? (() => ({ error: 0, guard: undefined })),
    topics: groupTopics(topics),
  })
  groups.start()
  if (options.elect !== false) {
    for (let partition = 0; partition < log.partitionCount; partition++) groups.onElected(partition, 0)
    time.advance(1)
  }
  return { time, log, logger, topics, groups, config }
}
