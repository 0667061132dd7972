/** The segments of one log, oldest first; the last one is active. Empty before the first append. */
import { assert } from '../base/assert.ts'
import type { Random } from '../env/env.ts'
import { EMPTY_SLICE } from './read-buffers.ts'
import { lastAtOrBelow } from './search.ts'
import { Segment, type Chunk, type SegmentHost } from './segment.ts'
import { findByTimestamp, findMaxTimestamp } from './timestamp-lookup.ts'
import { transactionsAreRight } from './transaction-check.ts'
import { abortedBetween, type AbortedTransactionEntry, type TransactionIndex } from './transaction-index.ts'
import type { LogConfig, LogSlice, ReadOptions, TimestampOffset } from './types.ts'

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
  /** Counts deletions and truncations: what was read before may be gone. */
  cuts = 0
  /** Asked where the transaction index of a segment is wrong. Throws DiskError. */
  rebuildTransactions: (segment: Segment) => void = () => {}

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
    this.cuts++
    this.#segments = this.#segments.filter((segment) => !doomed.includes(segment))
    const paths = doomed.flatMap((segment) => segment.markDeleted())
    this.#host.removeLater(paths, fileDeleteDelayMs)
  }

  /**
   * Drops the batches that end at or above `offset`, which must lie above the first base. Gives where the log ends then:
   * there, or where a batch began that held it. Throws DiskError.
   */
  truncateTo(offset: number, nowMs: number, fileDeleteDelayMs: number): number {
    this.cuts++
    const kept = this.indexOf(offset - 1) + 1
    this.delete(this.#segments.slice(kept), fileDeleteDelayMs)
    // Were they to come back behind what is appended next, two histories would be one.
    this.#host.disk.syncDirectory(this.#directory)
    const active = this.#segments[kept - 1]
    active.becomeActive()
    return active.truncateTo(offset, nowMs)
  }

  /** The files of a cleaned segment lie under the first one's base now; gives the new segment. */
  replace(old: readonly Segment[], nowMs: number): Segment {
    const first = this.#segments.indexOf(old[0])
    assert(
      first >= 0 && old.every((segment, index) => this.#segments[first + index] === segment),
      'neighbours that are in the list are replaced',
    )
    const { baseOffset } = old[0]
    const cleaned = new Segment(this.#host, this.#directory, baseOffset, { createdMs: nowMs, isNew: false })
    cleaned.isActive = false
    const segments = this.#segments.slice()
    segments.splice(first, old.length, cleaned)
    this.#segments = segments
    for (const segment of old) segment.abandon()
    return cleaned
  }

  /** From `offset`, which must lie in the log, on; empty where nothing lies there. */
  read(offset: number, options: ReadOptions): LogSlice {
    const segments = this.#segments
    for (let index = this.indexOf(offset); index < segments.length; index++) {
      const slice = segments[index].read(offset, options, segments[index + 1]?.baseOffset)
      if (slice !== null) return slice
    }
    return EMPTY_SLICE
  }

  /** Those with records, or their marker, in [fromOffset, upperBoundOffset). */
  abortedTransactions(fromOffset: number, upperBoundOffset: number): AbortedTransactionEntry[] {
    return abortedBetween(this.#transactionsFrom(this.indexOf(fromOffset)), fromOffset, upperBoundOffset)
  }

  /** Looked at when they are first asked for. */
  *#transactionsFrom(index: number): Generator<TransactionIndex> {
    for (const segment of this.#segments.slice(index)) {
      const { transactions } = segment
      if (!transactions.isChecked && !transactionsAreRight(segment)) this.rebuildTransactions(segment)
      transactions.isChecked = true
      yield transactions
    }
  }

  offsetForTimestamp(timestampMs: number, logStartOffset: number): TimestampOffset | null {
    return findByTimestamp(this.#segments, timestampMs, logStartOffset)
  }

  offsetOfMaxTimestamp(logStartOffset: number): TimestampOffset | null {
    return findMaxTimestamp(this.#segments, logStartOffset)
  }
}
