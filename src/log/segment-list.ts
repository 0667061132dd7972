/** The segments of one log, oldest first; the last one is active. Empty before the first append. */
import type { Random } from '../env/env.ts'
import { EMPTY_SLICE } from './read-buffers.ts'
import { lastAtOrBelow } from './search.ts'
import { Segment, type Chunk, type SegmentHost } from './segment.ts'
import { findByTimestamp, findMaxTimestamp } from './timestamp-lookup.ts'
import { abortedBetween } from './transaction-index.ts'
import type { AbortedTransaction, LogConfig, LogSlice, ReadOptions, TimestampOffset } from './types.ts'

export interface SegmentListHost extends SegmentHost {
  readonly random: Random
  /** Deletes files after a while. */
  removeLater(paths: readonly string[], delayMs: number): void
}

export class SegmentList {
  readonly #host: SegmentListHost
  readonly #directory: string
  #segments: Segment[]
  /** Of the active segment: taken off segment.ms. null: not drawn yet. */
  #jitterMs: number | null = null

  constructor(host: SegmentListHost, directory: string, segments: readonly Segment[]) {
    this.#host = host
    this.#directory = directory
    this.#segments = segments.slice()
  }

  /** Not to be changed, and not kept over a change of the list. */
  get all(): readonly Segment[] {
    return this.#segments
  }

  get count(): number {
    return this.#segments.length
  }

  get first(): Segment | undefined {
    return this.#segments[0]
  }

  get active(): Segment | undefined {
    return this.#segments.at(-1)
  }

  /** Where the log's files begin; 0 without any. */
  get firstBaseOffset(): number {
    return this.#segments[0]?.baseOffset ?? 0
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  /** Index of the segment with the greatest base at or below `offset`; 0 when all lie above. */
  indexOf(offset: number): number {
    const segments = this.#segments
    return Math.max(
      0,
      lastAtOrBelow(segments.length, offset, (slot) => segments[slot].baseOffset),
    )
  }

  /** Whether the active segment, which there must be, is not to take this chunk. */
  shouldRoll(chunk: Chunk, config: LogConfig, nowMs: number): boolean {
    this.#jitterMs ??= this.#drawJitterMs(config)
    return this.#segments[this.#segments.length - 1].shouldRoll(chunk, config, nowMs, this.#jitterMs)
  }

  /** A new active segment. Its file is made by its first append. */
  open(baseOffset: number, config: LogConfig, nowMs: number): Segment {
    const segment = new Segment(this.#host, this.#directory, baseOffset, { createdMs: nowMs, isNew: true })
    this.#jitterMs = this.#drawJitterMs(config)
    this.#segments.push(segment)
    return segment
  }

  /** One draw for each segment, so that the segments of many partitions do not all roll at once. */
  #drawJitterMs({ segmentJitterMs, segmentMs }: LogConfig): number {
    return segmentJitterMs > 0 ? this.#host.random.next() * Math.min(segmentJitterMs, segmentMs) : 0
  }

  /** Renames the files, to be removed after a while. Throws DiskError. */
  delete(doomed: readonly Segment[], fileDeleteDelayMs: number): void {
    if (doomed.length === 0) return
    this.#segments = this.#segments.filter((segment) => !doomed.includes(segment))
    const paths = doomed.flatMap((segment) => segment.markDeleted())
    this.#host.removeLater(paths, fileDeleteDelayMs)
  }

  /** From `offset`, which must lie in the log, on; empty where nothing lies there. */
  read(offset: number, options: ReadOptions): LogSlice {
    const segments = this.#segments
    for (let index = this.indexOf(offset); index < segments.length; index++) {
      const slice = segments[index].read(offset, options)
      if (slice !== null) return slice
    }
    return EMPTY_SLICE
  }

  abortedTransactions(fromOffset: number, upperBoundOffset: number): AbortedTransaction[] {
    const segments = this.#segments.slice(this.indexOf(fromOffset))
    const indexes = segments.map(({ transactions }) => transactions)
    return abortedBetween(indexes, fromOffset, upperBoundOffset)
  }

  offsetForTimestamp(timestampMs: number, logStartOffset: number): TimestampOffset | null {
    return findByTimestamp(this.#segments, timestampMs, logStartOffset)
  }

  offsetOfMaxTimestamp(logStartOffset: number): TimestampOffset | null {
    return findMaxTimestamp(this.#segments, logStartOffset)
  }
}
