/**
 * Moves of partitions between the directories of `log.dirs` (KIP-113): the future log follows the current one in slices of a
 * turn, beside traffic, until both end at the same offset; then it takes its place.
 */
import { DiskError } from '../env/disk.ts'
import type { Logger, Timer, Timers } from '../env/env.ts'
import type { LogManager, ReplicaLog } from '../log/types.ts'
import { baseOffset, batchSize } from '../protocol/record-batch.ts'
import type { Partition } from './partition.ts'

/** Read and written in one turn: a fraction of a millisecond. */
const SLICE_BYTES = 256 * 1024
/** A rate that is changed takes effect within it. */
const MAX_PAUSE_MS = 1000
/** Copied since the last flush when the logs may change places: what that turn waits for the disk. */
const MAX_UNFLUSHED_BYTES = 1024 * 1024

export interface LogDirMovesParts {
  readonly logs: LogManager
  readonly timers: Timers
  readonly logger: Logger
  /** replica.alter.log.dirs.io.max.bytes.per.second, over all moves together */
  maxBytesPerSecond(): number
}

interface Move {
  readonly partition: Partition
  readonly future: ReplicaLog
  timer: Timer | null
  /** Copied faster than the rate allows. */
  owedBytes: number
  /** Copied since the last flush; Infinity before the first. */
  unflushedBytes: number
}

export class LogDirMoves {
  readonly #parts: LogDirMovesParts
  readonly #moves = new Map<Partition, Move>()

  constructor(parts: LogDirMovesParts) {
    this.#parts = parts
  }

  /** Goes on with the future log that there is; nothing happens where it is filled already. */
  start(partition: Partition, future: ReplicaLog): void {
    if (this.#moves.get(partition)?.future === future) return
    const move = { partition, future, timer: null, owedBytes: 0, unflushedBytes: Infinity }
    this.#moves.set(partition, move)
    this.#next(move)
  }

  /** Copies no more. The future log stays. */
  stop(partition: Partition): void {
    this.#moves.get(partition)?.timer?.cancel()
    this.#moves.delete(partition)
  }

  stopAll(): void {
    for (const partition of [...this.#moves.keys()]) this.stop(partition)
  }

  #isCurrent(move: Move): boolean {
    return this.#moves.get(move.partition) === move
  }

  #next(move: Move): void {
    const bytesPerMs = this.#parts.maxBytesPerSecond() / Math.max(1, this.#moves.size) / 1000
    if (bytesPerMs === Infinity) move.owedBytes = 0
    const pauseMs = move.owedBytes === 0 ? 0 : Math.min(MAX_PAUSE_MS, move.owedBytes / bytesPerMs)
    const paidBytes = pauseMs === 0 ? 0 : pauseMs * bytesPerMs
    const step = (): void => {
      move.timer = null
      if (!this.#isCurrent(move)) return
      move.owedBytes = Math.max(0, move.owedBytes - paidBytes)
      if (move.owedBytes >= 1) this.#next(move)
      else this.#guarded(move, () => this.#step(move))
    }
    if (pauseMs >= 1) move.timer = this.#parts.timers.after(pauseMs, step)
    else this.#parts.timers.soon(step)
  }

  /** A disk that fails ends the move; the current log serves on, unless it is its own. */
  #guarded(move: Move, action: () => void): void {
    try {
      action()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#failed(move, error)
    }
  }

  #failed(move: Move, error: unknown): void {
    const { partition } = move
    const { topic, index } = partition
    this.#parts.logger.log('error', 'a partition could not be moved to another log directory', {
      partition: `${topic}-${index}`,
      to: move.future.logDirectory,
      error: String(error),
    })
    this.stop(partition)
    // A copy of what cannot be read any more may be all that is left.
    if (!this.#isOnline(partition.log.logDirectory)) return
    try {
      this.#parts.logs.removeFuture(topic, index)
    } catch (removal) {
      if (!(removal instanceof DiskError)) throw removal
      // Its directory does not work: a start that finds it goes on with the move.
    }
  }

  #isOnline(logDirectory: string): boolean {
    return this.#parts.logs.logDirectories().some(({ path, online }) => path === logDirectory && online)
  }

  #step(move: Move): void {
    const { partition, future } = move
    if (this.#parts.logs.future(partition.topic, partition.index) !== future)
      throw new DiskError('IO', future.logDirectory, 'the log directory has failed')
    const copiedBytes = this.#copySlice(move)
    move.unflushedBytes += copiedBytes
    move.owedBytes += copiedBytes
    if (copiedBytes > 0) return this.#next(move)
    if (move.unflushedBytes > MAX_UNFLUSHED_BYTES) return this.#flush(move)
    this.#finish(move)
  }

  #flush(move: Move): void {
    move.unflushedBytes = 0
    move.future.flush().then(
      () => this.#isCurrent(move) && this.#next(move),
      (error: unknown) => this.#isCurrent(move) && this.#failed(move, error),
    )
  }

  #finish({ partition, future }: Move): void {
    const { topic, index } = partition
    this.stop(partition)
    const from = partition.log.logDirectory
    partition.replaceLog(this.#parts.logs.replaceWithFuture(topic, index))
    const to = future.logDirectory
    this.#parts.logger.log('info', 'partition moved to another log directory', {
      partition: `${topic}-${index}`,
      from,
      to,
    })
  }

  /** Bytes copied; 0: both logs end at the same offset. Throws DiskError. */
  #copySlice({ partition, future }: Move): number {
    const { log } = partition
    align(future, log)
    const slice = log.read(future.logEndOffset, {
      maxBytes: Math.min(SLICE_BYTES, log.config.segmentBytes),
      upperBoundOffset: log.logEndOffset,
      minOneBatch: true,
    })
    if (slice === null) return 0
    try {
      // The log start lies within a batch, which is copied whole.
      const first = slice.bytes.length === 0 ? Infinity : baseOffset(slice.bytes, 0)
      if (first < future.logEndOffset && future.sizeBytes === 0) future.truncateFullyAndStartAt(first)
      appendInPieces(future, slice.bytes, log.config.indexIntervalBytes)
      return slice.bytes.length
    } finally {
      slice.release()
    }
  }
}

/** Where the current log was cut at an end, so is the future one. */
function align(future: ReplicaLog, log: ReplicaLog): void {
  const shared = log.endOffsetForEpoch(future.latestLeaderEpoch).endOffset
  const end = shared < 0 ? log.logEndOffset : Math.min(shared, log.logEndOffset)
  if (future.logEndOffset > end) future.truncateTo(end)
  if (future.logEndOffset < log.logStartOffset) future.truncateFullyAndStartAt(log.logStartOffset)
}

/** As many batches at once as an entry of the offset index covers: what is appended at once gets one entry. */
function appendInPieces(future: ReplicaLog, bytes: Buffer, indexIntervalBytes: number): void {
  let start = 0
  for (let at = 0; at < bytes.length;) {
    at += batchSize(bytes, at)
    if (at - start <= indexIntervalBytes && at < bytes.length) continue
    future.appendAsFollower(bytes.subarray(start, at))
    start = at
  }
}
