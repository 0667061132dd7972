/**
 * Compacts the logs whose cleanup.policy says so: looks for the dirtiest one that is due, cleans it, looks again; with
 * nothing due it waits (log.cleaner.backoff.ms). One cleaning at a time, in slices (turns.ts), since all of the broker
 * is one thread. Kafka: LogCleaner, LogCleanerManager.
 */
import { DiskError } from '../../env/disk.ts'
import type { Env, Timer } from '../../env/env.ts'
import { CompressionError, MalformedRecordError } from '../../protocol/record-batch.ts'
import { partitionKey, type PartitionOffset } from '../checkpoint-file.ts'
import type { CleanableLog } from './cleanable-log.ts'
import { cleanableRange, isDue, type CleanableRange } from './cleanable-range.ts'
import { CleanerStats } from './cleaner-stats.ts'
import { compact } from './compaction.ts'
import { KeyHash } from './key-hash.ts'
import { OffsetMap } from './offset-map.ts'
import type { Pause } from './pause.ts'
import { Turns, type Ending } from './turns.ts'

/** Read when they are needed, for all but `enabled` change while running. */
export interface CleanerSettings {
  /** log.cleaner.enable; read at the start. */
  readonly enabled: boolean
  /** log.cleaner.threads: each has its share of the buffers. One cleaning runs at a time; 0: none. */
  readonly threads: number
  /** log.cleaner.dedupe.buffer.size */
  readonly dedupeBufferBytes: number
  /** log.cleaner.io.buffer.size */
  readonly ioBufferBytes: number
  /** log.cleaner.io.buffer.load.factor */
  readonly loadFactor: number
  /** log.cleaner.io.max.bytes.per.second */
  readonly maxBytesPerSecond: number
  /** log.cleaner.backoff.ms */
  readonly backoffMs: number
}

/** A `log.dirs` entry with its cleaner-offset-checkpoint. */
export interface CheckpointDirectory {
  readonly path: string
  readonly online: boolean
  /** Throws DiskError. */
  readCheckpoint(checkpoint: 'cleanerOffset'): ReadonlyMap<string, number>
  writeCheckpoint(checkpoint: 'cleanerOffset', entries: readonly PartitionOffset[]): void
}

export interface LogCleanerOptions {
  readonly env: Pick<Env, 'clock' | 'timers' | 'random' | 'logger'>
  readonly settings: CleanerSettings
  readonly directories: readonly CheckpointDirectory[]
  logs(): Iterable<CleanableLog>
  /** A partition that is on its way to another directory is left alone: its copy must not lag behind what was cleaned. */
  isMoving(topic: string, partition: number): boolean
  highWatermarkOf(topic: string, partition: number): number
}

/** A log that could not be cleaned is tried again after this, then after twice as long, and so on. */
const FIRST_RETRY_MS = 10 * 60_000
const MAX_RETRY_MS = 24 * 3_600_000
const MIN_WINDOW_BYTES = 4096
const MAX_WINDOW_BYTES = 1024 * 1024

interface Cleaning {
  readonly log: CleanableLog
  readonly key: string
  readonly range: CleanableRange
  /** `log.cuts` at its beginning. */
  readonly cuts: number
  readonly startMs: number
}

export class LogCleaner {
  readonly stats = new CleanerStats()
  readonly #options: LogCleanerOptions
  readonly #turns: Turns<number | null>
  /** First dirty offsets by `partitionKey`. */
  readonly #checkpoints = new Map<string, number>()
  readonly #uncleanable = new Map<string, { retryAtMs: number; waitMs: number }>()
  #hash: KeyHash | null = null
  #cleaning: Cleaning | null = null
  #timer: Timer | null = null
  #isStopped = true

  constructor(options: LogCleanerOptions) {
    const { env, settings } = options
    this.#options = options
    this.#turns = new Turns({
      env,
      ioBytes: () => this.stats.ioBytes,
      maxBytesPerSecond: () => settings.maxBytesPerSecond,
      isCutOff: () => this.#isCutOff(),
      onSlice: (tookMs) => this.#sliceTook(tookMs),
    })
  }

  /** The logs are loaded. */
  start(): void {
    if (!this.#options.settings.enabled) return
    for (const directory of this.#options.directories) if (directory.online) this.#readCheckpoint(directory)
    this.#isStopped = false
    this.#lookLater()
  }

  #readCheckpoint(directory: CheckpointDirectory): void {
    const offsets = checkpointIn(directory)
    for (const { topic, partition, logDirectory } of this.#options.logs()) {
      const key = partitionKey(topic, partition)
      const offset = offsets.get(key)
      if (logDirectory === directory.path && offset !== undefined) this.#checkpoints.set(key, offset)
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#turns.stop()
  }

  /** No retention meanwhile: it would end the cleaning. */
  isCleaning(log: CleanableLog): boolean {
    return this.#cleaning?.log === log
  }

  /** What was cut off and comes anew is dirty. */
  truncated(log: CleanableLog): void {
    const key = partitionKey(log.topic, log.partition)
    const checkpoint = this.#checkpoints.get(key)
    if (checkpoint === undefined || checkpoint <= log.logEndOffset) return
    this.#setCheckpoint(log, log.logEndOffset)
  }

  /** The partition is hosted no more, or not in this directory: a cleaning of it ends, and its checkpoint goes. */
  removed(log: CleanableLog): void {
    const key = partitionKey(log.topic, log.partition)
    this.#uncleanable.delete(key)
    this.stats.uncleanablePartitions = this.#uncleanable.size
    if (this.#cleaning?.log === log) this.#turns.stop()
    if (this.#checkpoints.delete(key)) this.#writeCheckpoint(log.logDirectory)
  }

  /** Up to where a log is clean; undefined when it never was cleaned. */
  checkpointOf(topic: string, partition: number): number | undefined {
    return this.#checkpoints.get(partitionKey(topic, partition))
  }

  #setCheckpoint(log: CleanableLog, offset: number): void {
    this.#checkpoints.set(partitionKey(log.topic, log.partition), offset)
    this.#writeCheckpoint(log.logDirectory)
  }

  #writeCheckpoint(path: string): void {
    const entries: PartitionOffset[] = []
    for (const { topic, partition, logDirectory } of this.#options.logs()) {
      const offset = this.#checkpoints.get(partitionKey(topic, partition))
      if (logDirectory === path && offset !== undefined) entries.push({ topic, partition, offset })
    }
    this.#options.directories
      .find((directory) => directory.path === path)
      ?.writeCheckpoint('cleanerOffset', entries)
  }

  #lookLater(): void {
    const { env, settings } = this.#options
    this.#timer = env.timers.after(settings.backoffMs, () => this.#look())
  }

  #look(): void {
    if (this.#options.settings.threads === 0) return this.#lookLater()
    this.#turns.run(this.#chooseAndClean(), (ending) => this.#ended(ending))
  }

  /** Gives up to where the log is clean then; null when no log was due. */
  *#chooseAndClean(): Generator<Pause, number | null> {
    const cleaning = yield* this.#choose()
    if (cleaning === null || !this.#isStillWanted(cleaning)) return null
    this.#cleaning = cleaning
    const { env, settings } = this.#options
    const { log, range } = cleaning
    const { firstDirtyOffset, endOffset } = range
    this.#hash ??= new KeyHash(env.random.bytes(16))
    const map = new OffsetMap({
      hash: this.#hash,
      maxBytes: settings.dedupeBufferBytes / settings.threads,
      loadFactor: settings.loadFactor,
      firstOffset: firstDirtyOffset,
      endOffset,
    })
    const windowBytes = settings.ioBufferBytes / settings.threads / 2
    const cleanTo = yield* compact({
      log,
      map,
      firstDirtyOffset,
      endOffset,
      nowMs: env.clock.nowMs(),
      windowBytes: Math.floor(Math.max(MIN_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES, windowBytes))),
      stats: this.stats,
    })
    this.stats.lastMapUtilization = map.count / map.maxEntries
    return cleanTo
  }

  *#choose(): Generator<Pause, Cleaning | null> {
    const { env } = this.#options
    let best: Cleaning | null = null
    for (const log of [...this.#options.logs()]) {
      if (!log.config.cleanupPolicy.includes('compact') || log.segments.length < 2) continue
      const key = partitionKey(log.topic, log.partition)
      if (this.#isMoving(log) || this.#isUncleanable(key)) continue
      const { cuts } = log
      try {
        const range = this.#dueRange(log, key)
        if (range !== null && range.dirtyRatio > (best?.range.dirtyRatio ?? -1)) {
          best = { log, key, range, cuts, startMs: env.clock.monotonicMs() }
        }
      } catch (error) {
        this.#failed(log, error)
      }
      yield
    }
    return best
  }

  #dueRange(log: CleanableLog, key: string): CleanableRange | null {
    const { config, logStartOffset, logEndOffset } = log
    const highWatermark = this.#options.highWatermarkOf(log.topic, log.partition)
    const nowMs = this.#options.env.clock.nowMs()
    const state = {
      segments: log.segments.map((segment) => ({
        baseOffset: segment.baseOffset,
        sizeBytes: segment.sizeBytes,
        largestTimestampMs: () => segment.largestTimestamp().timestampMs,
        firstTimestampMs: () => segment.rollTimestampMs(),
      })),
      logStartOffset,
      logEndOffset,
      checkpoint: this.#checkpoints.get(key),
      config,
      nowMs,
    }
    const upToHighWatermark = cleanableRange({ ...state, lastStableOffset: highWatermark })
    // Open transactions are looked for last: it may take a replay of the log.
    if (!isDue(upToHighWatermark, config)) return null
    const lastStableOffset = Math.min(highWatermark, log.firstUnstableOffset(highWatermark))
    const range = cleanableRange({ ...state, lastStableOffset })
    return isDue(range, config) ? range : null
  }

  #isUncleanable(key: string): boolean {
    const mark = this.#uncleanable.get(key)
    return mark !== undefined && this.#options.env.clock.monotonicMs() < mark.retryAtMs
  }

  /** Before every step: whatever was read of the log may be gone, or nobody wants it cleaned any more. */
  #isCutOff(): boolean {
    if (this.#cleaning === null) return false
    const { log, cuts } = this.#cleaning
    return log.cuts !== cuts || !log.config.cleanupPolicy.includes('compact') || this.#isMoving(log)
  }

  #isStillWanted({ log, cuts }: Cleaning): boolean {
    return log.cuts === cuts && !this.#isMoving(log)
  }

  #isMoving({ topic, partition }: CleanableLog): boolean {
    return this.#options.isMoving(topic, partition)
  }

  #ended(ending: Ending<number | null>): void {
    const cleaning = this.#cleaning
    this.#cleaning = null
    if (cleaning !== null) this.#cleaningEnded(cleaning, ending)
    else if (ending.kind === 'failed') throw ending.error
    if (this.#isStopped) return
    const hasCleaned = ending.kind === 'done' && ending.value !== null
    if (hasCleaned) this.#look()
    else this.#lookLater()
  }

  #cleaningEnded({ log, key, range, startMs }: Cleaning, ending: Ending<number | null>): void {
    if (ending.kind === 'failed') return this.#failed(log, ending.error)
    if (ending.kind === 'cut off' || ending.value === null) {
      this.stats.aborted++
      return
    }
    const tookMs = this.#options.env.clock.monotonicMs() - startMs
    this.stats.cleaningMs += tookMs
    this.#uncleanable.delete(key)
    this.stats.uncleanablePartitions = this.#uncleanable.size
    this.#setCheckpoint(log, ending.value)
    this.#options.env.logger.log('info', 'log compacted', {
      partition: key,
      from: range.firstDirtyOffset,
      to: ending.value,
      ms: Math.round(tookMs),
    })
  }

  /** This partition's cleaning ends here; every other goes on. */
  #failed(log: CleanableLog, error: unknown): void {
    const isExpected =
      error instanceof DiskError || error instanceof CompressionError || error instanceof MalformedRecordError
    if (!isExpected) throw error
    const key = partitionKey(log.topic, log.partition)
    const lastWaitMs = this.#uncleanable.get(key)?.waitMs ?? FIRST_RETRY_MS / 2
    const waitMs = Math.min(2 * lastWaitMs, MAX_RETRY_MS)
    this.#uncleanable.set(key, { waitMs, retryAtMs: this.#options.env.clock.monotonicMs() + waitMs })
    this.stats.failed++
    this.stats.uncleanablePartitions = this.#uncleanable.size
    this.#options.env.logger.log('error', 'log cannot be compacted, it is left alone for a while', {
      path: log.directory,
      error: error.message,
      retryAfterMs: waitMs,
    })
  }

  #sliceTook(tookMs: number): void {
    this.stats.slices++
    this.stats.busyMs += tookMs
    this.stats.longestSliceMs = Math.max(this.stats.longestSliceMs, tookMs)
  }
}

/** Nothing where the disk fails: its partitions are known no more. */
function checkpointIn(directory: CheckpointDirectory): ReadonlyMap<string, number> {
  try {
    return directory.readCheckpoint('cleanerOffset')
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    return new Map()
  }
}
