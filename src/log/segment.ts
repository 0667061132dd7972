/** One segment: a `.log` file with its indexes. Opens nothing before it is used. */
import { DiskError, type Disk, type DiskFile } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { baseOffset, batchSize, checkBatch, lastOffset } from '../protocol/record-batch.ts'
import { HeaderScan } from './header-scan.ts'
import { DELETED_SUFFIX, join, LOG_SUFFIX, offsetFileName, SEGMENT_SUFFIXES } from './file-names.ts'
import type { OffsetIndex } from './offset-index.ts'
import { EMPTY_SLICE, type ReadBuffers } from './read-buffers.ts'
import { RecentBatches } from './recent-batches.ts'
import type { Resident, ResidentSegments } from './resident-segments.ts'
import { SegmentReader } from './segment-reader.ts'
import { SegmentIndexes } from './segment-indexes.ts'
import type { TimeIndex, TimeIndexEntry } from './time-index.ts'
import type { TransactionIndex } from './transaction-index.ts'
import type { LogConfig, LogSlice, ReadOptions } from './types.ts'

/** What the segments of a manager share. */
export interface SegmentHost {
  readonly disk: Disk
  readonly logger: Logger
  readonly buffers: ReadBuffers
  readonly residents: ResidentSegments
}

/** One append: one or more batches that are written at once. */
export interface Chunk {
  readonly bytes: Buffer
  readonly firstOffset: number
  readonly lastOffset: number
  readonly maxTimestampMs: number
  /** Last offset of the first batch with that timestamp. */
  readonly offsetOfMaxTimestamp: number
}

/** A compacted log also rolls so that no record stays out of the cleaner's reach for longer than it may (KIP-354). */
function longestAgeMs({ cleanupPolicy, segmentMs, maxCompactionLagMs }: LogConfig): number {
  return cleanupPolicy.includes('compact') ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs
}

export class Segment implements Resident {
  readonly baseOffset: number
  readonly directory: string
  readonly #host: SegmentHost
  readonly indexes: SegmentIndexes
  #file: DiskFile | null = null
  #recent: RecentBatches | null = null
  /** -1: not asked yet */
  #sizeBytes: number
  /** Max timestamp of the first batch: what segment.ms counts from. null: not known. */
  #rollTimestampMs: number | null = null
  readonly #reader: SegmentReader
  createdMs: number
  isActive = true
  recentlyUsed = false
  /** Bytes were written that no sync has covered. */
  isDirty = false
  #syncUnderWay: Promise<void> | null = null

  constructor(
    host: SegmentHost,
    directory: string,
    baseOffset: number,
    state: { createdMs: number; isNew: boolean },
  ) {
    this.#host = host
    this.directory = directory
    this.baseOffset = baseOffset
    this.createdMs = state.createdMs
    this.#sizeBytes = state.isNew ? 0 : -1
    this.#reader = new SegmentReader(host.buffers, this)
    this.indexes = new SegmentIndexes(host, this, state)
  }

  path(suffix: string): string {
    return join(this.directory, offsetFileName(this.baseOffset, suffix))
  }

  get sizeBytes(): number {
    if (this.#sizeBytes < 0) this.#sizeBytes = this.#host.disk.stat(this.path(LOG_SUFFIX))?.size ?? 0
    return this.#sizeBytes
  }

  get indexMemoryBytes(): number {
    return this.indexes.memoryBytes
  }

  file(): DiskFile {
    this.recentlyUsed = true
    if (this.#file === null) {
      // A new segment's file is made by its first append; an old one that is gone must not come back empty.
      const mode = this.isActive ? 'write' : 'read'
      this.#file = this.#host.disk.open(this.path(LOG_SUFFIX), mode)
      this.#host.residents.admit(this)
    }
    return this.#file
  }

  get offsetIndex(): OffsetIndex {
    return this.indexes.offsets
  }

  get timeIndex(): TimeIndex {
    return this.indexes.times
  }

  get transactions(): TransactionIndex {
    return this.indexes.transactions
  }

  indexesLoaded(): void {
    this.#host.residents.admit(this)
  }

  /** The batch headers from a position on, where a batch must begin. */
  scan(position: number): HeaderScan {
    return new HeaderScan(this.file(), position, this.sizeBytes, this.baseOffset)
  }

  /**
   * The batch headers from at or before the batch that holds `offset` on. An index entry that leads to no batch, or past
   * it, is damaged: then the indexes are made anew. Throws DiskError.
   */
  scanFrom(offset: number): HeaderScan {
    const position = this.offsetIndex.lookup(offset)
    const scan = this.scan(position)
    if (position === 0) return scan
    if (scan.next() && scan.baseOffset <= offset) {
      scan.rewind()
      return scan
    }
    scan.done()
    return this.scan(this.indexes.mend() ? this.offsetIndex.lookup(offset) : 0)
  }

  /** (largest timestamp, last offset of its batch); (-1, base) when nothing has a timestamp. */
  largestTimestamp(): TimeIndexEntry {
    return this.indexes.largestTimestamp()
  }

  shouldRoll(chunk: Chunk, config: LogConfig, nowMs: number, jitterMs: number): boolean {
    if (this.sizeBytes === 0) return !this.offsetIndex.canHold(chunk.lastOffset)
    if (this.sizeBytes > config.segmentBytes - chunk.bytes.length) return true
    if (this.#waitedForRollMs(chunk.maxTimestampMs, nowMs) > longestAgeMs(config) - jitterMs) return true
    if (!this.offsetIndex.canHold(chunk.lastOffset)) return true
    return (
      this.offsetIndex.isFull(config.segmentIndexBytes) || this.timeIndex.isFull(config.segmentIndexBytes)
    )
  }

  #waitedForRollMs(maxTimestampMs: number, nowMs: number): number {
    const from = this.rollTimestampMs()
    return from >= 0 ? maxTimestampMs - from : nowMs - this.createdMs
  }

  /** Max timestamp of the first batch, -1 when there is none. */
  rollTimestampMs(): number {
    if (this.#rollTimestampMs === null) {
      const scan = this.scan(0)
      this.#rollTimestampMs = scan.next() ? scan.maxTimestampMs : -1
      scan.done()
    }
    return this.#rollTimestampMs
  }

  /** Throws DiskError; then nothing was appended, though bytes may lie past the end until `cutUnfinishedWrite`. */
  append(chunk: Chunk, indexIntervalBytes: number): void {
    const position = this.sizeBytes
    this.indexes.prepare()
    this.file().write([chunk.bytes], position)
    this.isDirty = true
    this.#sizeBytes = position + chunk.bytes.length
    if (position === 0) this.#rollTimestampMs = chunk.maxTimestampMs
    this.indexes.add(chunk, position, indexIntervalBytes)
    this.#remember(chunk, position)
  }

  #remember(chunk: Chunk, position: number): void {
    const recent = (this.#recent ??= new RecentBatches())
    const { bytes } = chunk
    let at = 0
    while (at < bytes.length) {
      const size = batchSize(bytes, at)
      recent.push(baseOffset(bytes, at), lastOffset(bytes, at), position + at, size)
      at += size
    }
  }

  /** After a failed append: the file gets back the size that it had. Throws DiskError. */
  cutUnfinishedWrite(): void {
    const file = this.file()
    if (file.size() > this.sizeBytes) file.truncate(this.sizeBytes)
  }

  /** Position of the first batch that ends at or above `offset`; the segment's size when there is none. */
  locate(offset: number): number {
    const slot = this.#recent === null ? -1 : this.#recent.find(offset)
    if (slot >= 0) return this.#recent!.position(slot)
    const known = this.#reader.positionOf(offset)
    if (known >= 0) return known
    const scan = this.scanFrom(offset)
    let found = false
    while (!found && scan.next()) found = scan.lastOffset >= offset
    scan.done()
    if (!found && scan.position !== this.sizeBytes) throw this.corrupt(scan.position)
    return scan.position
  }

  corrupt(position: number): DiskError {
    const path = this.path(LOG_SUFFIX)
    return new DiskError('IO', path, `${path} holds no valid batch at position ${position}`)
  }

  /**
   * null when every batch of this segment ends below `offset`. `endOffset`: what comes after the segment begins there. Throws
   * DiskError, also where the headers of the batches cannot be right.
   */
  read(offset: number, options: ReadOptions, endOffset = Infinity): LogSlice | null {
    const size = this.sizeBytes
    if (size === 0) return null
    const recent = this.#recent
    const slot = recent === null ? -1 : recent.find(offset)
    if (slot >= 0) {
      const last = recent!.lastWithin(slot, options.maxBytes, options.upperBoundOffset, options.minOneBatch)
      if (last < slot) return EMPTY_SLICE
      return this.#reader.readRange(recent!.position(slot), recent!.endOf(last), recent!.lastOffset(last) + 1)
    }
    const start = this.locate(offset)
    return start === size ? null : this.#reader.readFrom(start, offset, options, endOffset)
  }

  /** Of a batch that is in doubt: costs a CRC. */
  batchIsRight(position: number): boolean {
    const bytes = this.batchAt(position)
    return bytes !== null && checkBatch(bytes, 0, bytes.length) === null
  }

  /** null where none can be. */
  batchAt(position: number): Buffer | null {
    const scan = this.scan(position)
    const bytes = scan.next() ? Buffer.allocUnsafe(scan.sizeBytes) : null
    scan.done()
    if (bytes !== null && this.file().read(bytes, 0, bytes.length, position) < bytes.length) return null
    return bytes
  }

  /** Drops the batches that end at or above `offset`. Gives it, or where a batch began that held it. Throws DiskError. */
  truncateTo(offset: number, nowMs: number): number {
    const position = this.locate(offset)
    const end = Math.min(offset, this.#baseOffsetAt(position))
    this.cutTo(position, end)
    if (this.#sizeBytes === 0) {
      this.createdMs = nowMs
      this.#rollTimestampMs = null
    }
    this.indexes.findLargestTimestamp()
    return end
  }

  /** Of the batch at a position; Infinity at the end. */
  #baseOffsetAt(position: number): number {
    const scan = this.scan(position)
    const base = scan.next() ? scan.baseOffset : Infinity
    scan.done()
    return base
  }

  /** Cuts file and indexes at a position; batches from it on end at or above `offset`. */
  cutTo(position: number, offset: number): void {
    if (position < this.sizeBytes) this.file().truncate(position)
    this.isDirty = true
    this.#sizeBytes = position
    this.indexes.truncateTo(offset)
    this.#recent?.clear()
    this.#reader.forget()
  }

  /** The segment is full: last time index entry, index files written, memory of its batches freed. */
  becomeInactive(): void {
    this.finishIndexes()
    this.isActive = false
    this.isDirty = true
    this.#recent = null
  }

  becomeActive(): void {
    this.isActive = true
    this.#closeFile()
  }

  /** Nothing where the segment rests: that was done then. */
  finishIndexes(): void {
    if (this.#file !== null) this.indexes.finish()
  }

  /** Resolves when all bytes written so far are on disk. */
  sync(): Promise<void> {
    if (!this.isDirty) return this.#syncUnderWay ?? Promise.resolve()
    this.isDirty = false
    const sync = this.#syncFiles()
      .catch((error: unknown) => {
        this.isDirty = true
        throw error
      })
      .finally(() => {
        if (this.#syncUnderWay === sync) this.#syncUnderWay = null
      })
    this.#syncUnderWay = sync
    return sync
  }

  async #syncFiles(): Promise<void> {
    const syncs = [this.file().sync()]
    // The indexes of a segment that is not active are complete, and not looked at again after a crash.
    if (!this.isActive) syncs.push(this.indexes.sync())
    await Promise.all(syncs)
  }

  /** As `sync`, blocking. Throws DiskError. */
  syncNow(): void {
    if (!this.isDirty && this.#syncUnderWay === null) return
    this.file().syncNow()
    if (!this.isActive) this.indexes.syncNow()
    this.isDirty = false
  }

  rest(): void {
    // A roll or a stop that finds it at rest adds nothing.
    this.finishIndexes()
    this.#closeFile()
    this.indexes.release()
  }

  #closeFile(): void {
    this.#file?.close()
    this.#file = null
  }

  /** Files closed, indexes complete. */
  close(): void {
    this.finishIndexes()
    this.abandon()
  }

  /** Closes the file and writes nothing. */
  abandon(): void {
    // A flush that comes to it later finds nothing to do.
    this.isDirty = false
    this.#closeFile()
    this.#host.residents.leave(this)
  }

  /** Renames the files for removal and returns their new paths. The open file can be read until `abandon`. */
  markDeleted(): string[] {
    const renamed: string[] = []
    for (const suffix of SEGMENT_SUFFIXES) {
      const path = this.path(suffix)
      if (this.#host.disk.stat(path) === null) continue
      this.#host.disk.rename(path, path + DELETED_SUFFIX)
      renamed.push(path + DELETED_SUFFIX)
    }
    this.abandon()
    return renamed
  }

  /** When the `.log` file was last written, for retention of records without timestamps. */
  modifiedMs(): number {
    return this.#host.disk.stat(this.path(LOG_SUFFIX))?.modifiedMs ?? this.createdMs
  }
}
