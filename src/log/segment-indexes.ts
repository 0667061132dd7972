/**
 * The indexes of one segment: read when they are first needed, made anew from the batches where they are missing or wrong,
 * written when the segment rests or is full.
 */
import { DiskError, type Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX } from './file-names.ts'
import type { HeaderScan } from './header-scan.ts'
import { OffsetIndex } from './offset-index.ts'
import type { Chunk } from './segment.ts'
import { TimeIndex, type TimeIndexEntry } from './time-index.ts'
import { timeIndexEndsRight } from './time-index-check.ts'
import { TransactionIndex } from './transaction-index.ts'

/** Of indexes that are made anew while the log is in use: Kafka's default. */
const INDEX_INTERVAL_BYTES = 4096

/** The segment as its indexes need it. */
export interface IndexedSegment {
  readonly baseOffset: number
  readonly sizeBytes: number
  readonly timeIndex: TimeIndex
  path(suffix: string): string
  scan(position: number): HeaderScan
  scanFrom(offset: number): HeaderScan
  /** Indexes were read into memory. */
  indexesLoaded(): void
}

export class SegmentIndexes {
  readonly transactions: TransactionIndex
  readonly #host: { readonly disk: Disk; readonly logger: Logger }
  readonly #segment: IndexedSegment
  #offsets: OffsetIndex | null = null
  #times: TimeIndex | null = null
  #largest: TimeIndexEntry | null = null
  #bytesSinceEntry = 0
  /** The files were compared with the records, as far as that is cheap. */
  #isChecked = false
  #isMended = false
  /** The files of the offset and the time index have bytes that no sync has covered. */
  #isDirty = false

  constructor(
    host: { readonly disk: Disk; readonly logger: Logger },
    segment: IndexedSegment,
    { isNew }: { isNew: boolean },
  ) {
    this.#host = host
    this.#segment = segment
    this.transactions = new TransactionIndex(host.disk, segment.path(TRANSACTION_INDEX_SUFFIX))
    if (!isNew) return
    this.#isChecked = true
    this.#offsets = new OffsetIndex(segment.baseOffset)
    this.#times = new TimeIndex(segment.baseOffset)
  }

  /** Of the offset and the time index. */
  get memoryBytes(): number {
    return (this.#offsets?.memoryBytes ?? 0) + (this.#times?.memoryBytes ?? 0)
  }

  get offsets(): OffsetIndex {
    return this.#offsets ?? this.#load().offsets
  }

  get times(): TimeIndex {
    return this.#times ?? this.#load().times
  }

  #load(): { offsets: OffsetIndex; times: TimeIndex } {
    const segment = this.#segment
    const offsets = new OffsetIndex(segment.baseOffset)
    const times = new TimeIndex(segment.baseOffset)
    const offsetBytes = this.#readOrNull(OFFSET_INDEX_SUFFIX)
    const timeBytes = this.#readOrNull(TIME_INDEX_SUFFIX)
    this.#offsets = offsets
    this.#times = times
    const intact =
      offsetBytes !== null && offsets.load(offsetBytes) && timeBytes !== null && times.load(timeBytes)
    if (!intact) this.#rebuild()
    else if (!this.#isChecked && segment.sizeBytes > 0 && !timeIndexEndsRight(segment)) this.mend()
    this.#isChecked = true
    segment.indexesLoaded()
    return { offsets, times }
  }

  #readOrNull(suffix: string): Buffer | null {
    try {
      return this.#host.disk.readFile(this.#segment.path(suffix))
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  /**
   * An entry was found to be wrong: both indexes are made anew, once. False where that was done before, or where the batches
   * are damaged too; then what the indexes say is best not used. Throws DiskError.
   */
  mend(): boolean {
    if (this.#isMended) return false
    this.#isMended = true
    const [offsets, times, largest] = [this.#offsets, this.#times, this.#largest]
    this.#offsets = null
    this.#times = null
    const isWhole = this.#rebuild()
    if (!isWhole) [this.#offsets, this.#times, this.#largest] = [offsets, times, largest]
    const message = isWhole
      ? 'indexes are wrong, made anew from the batches'
      : 'indexes and batches are damaged'
    this.#host.logger.log('warn', message, { path: this.#segment.path(LOG_SUFFIX) })
    return isWhole
  }

  /**
   * From the batch headers, by the rule of recovery: an entry for each batch more than the interval after the last. False
   * where they cannot be followed to the end.
   */
  #rebuild(): boolean {
    this.beginRebuild()
    const scan = this.#segment.scan(0)
    let lastEntryPosition = 0
    while (scan.next()) {
      const { position, lastOffset, recordsMaxTimestampMs } = scan
      const batch = { position, lastOffset, maxTimestampMs: recordsMaxTimestampMs }
      lastEntryPosition = this.rebuildEntry(batch, lastEntryPosition, INDEX_INTERVAL_BYTES)
    }
    scan.done()
    this.endRebuild()
    return scan.position === this.#segment.sizeBytes
  }

  beginRebuild(): void {
    const { baseOffset } = this.#segment
    this.#offsets ??= new OffsetIndex(baseOffset)
    this.#times ??= new TimeIndex(baseOffset)
    this.#offsets.clear()
    this.#times.clear()
    this.#largest = { timestampMs: -1, offset: baseOffset }
  }

  /** Returns the position of the last entry. */
  rebuildEntry(
    batch: { position: number; lastOffset: number; maxTimestampMs: number },
    lastEntryPosition: number,
    indexIntervalBytes: number,
  ): number {
    this.#noteTimestamp(batch.maxTimestampMs, batch.lastOffset)
    if (batch.position - lastEntryPosition <= indexIntervalBytes) return lastEntryPosition
    this.#addEntry(batch.lastOffset, batch.position)
    return batch.position
  }

  endRebuild(): void {
    this.#times!.maybeAppend(this.#largest!.timestampMs, this.#largest!.offset)
  }

  /** (largest timestamp, last offset of its batch); (-1, base) when nothing has a timestamp. */
  largestTimestamp(): TimeIndexEntry {
    return (this.#largest ??= this.times.lastEntry())
  }

  /** After this nothing has to be read for an entry to be added. Throws DiskError. */
  prepare(): void {
    this.largestTimestamp()
    if (this.#offsets === null) this.#load()
  }

  /** A chunk was written at a position. */
  add(chunk: Chunk, position: number, indexIntervalBytes: number): void {
    this.#noteTimestamp(chunk.maxTimestampMs, chunk.offsetOfMaxTimestamp)
    if (this.#bytesSinceEntry > indexIntervalBytes) {
      this.#addEntry(chunk.lastOffset, position)
      this.#bytesSinceEntry = 0
    }
    this.#bytesSinceEntry += chunk.bytes.length
  }

  #noteTimestamp(timestampMs: number, offset: number): void {
    if (timestampMs > this.#largest!.timestampMs) this.#largest = { timestampMs, offset }
  }

  #addEntry(lastOffset: number, position: number): void {
    this.#offsets!.append(lastOffset, position)
    this.#times!.maybeAppend(this.#largest!.timestampMs, this.#largest!.offset)
  }

  /** Drops what is said of batches that end at or above `offset`, but for the largest timestamp. */
  truncateTo(offset: number): void {
    this.offsets.truncateTo(offset)
    this.times.truncateTo(offset)
    this.transactions.truncateTo(offset)
    this.#bytesSinceEntry = 0
  }

  /** Batches were dropped: from the last entry of the time index on the headers tell. */
  findLargestTimestamp(): void {
    this.#largest = this.times.lastEntry()
    const scan = this.#segment.scanFrom(this.#largest.offset)
    while (scan.next()) this.#noteTimestamp(scan.recordsMaxTimestampMs, scan.lastOffset)
    scan.done()
  }

  /** The last entry of the time index, and the files; nothing where the indexes are not in memory. */
  finish(): void {
    if (this.#offsets === null || this.#times === null) return
    const { disk } = this.#host
    const { timestampMs, offset } = this.largestTimestamp()
    this.#times.maybeAppend(timestampMs, offset)
    const offsetsWritten = this.#offsets.persist(disk, this.#segment.path(OFFSET_INDEX_SUFFIX))
    const timesWritten = this.#times.persist(disk, this.#segment.path(TIME_INDEX_SUFFIX))
    if (offsetsWritten || timesWritten) this.#isDirty = true
  }

  /** Frees their memory; the largest timestamp is kept. A new segment's have no file to come back from. */
  release(): void {
    this.#largest ??= this.#times === null ? null : this.#times.lastEntry()
    if (this.#segment.sizeBytes === 0) return
    this.#offsets = null
    this.#times = null
  }

  /** Resolves when what was written of them is on disk. */
  async sync(): Promise<void> {
    const suffixes = this.#isDirty ? [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX] : []
    if (this.transactions.isDirty) suffixes.push(TRANSACTION_INDEX_SUFFIX)
    this.#isDirty = false
    this.transactions.isDirty = false
    try {
      await Promise.all(suffixes.map((suffix) => this.#syncFile(suffix)))
    } catch (error) {
      this.#isDirty = true
      this.transactions.isDirty = true
      throw error
    }
  }

  async #syncFile(suffix: string): Promise<void> {
    const file = this.#host.disk.open(this.#segment.path(suffix), 'write')
    try {
      await file.sync()
    } finally {
      file.close()
    }
  }

  /** As `sync`, blocking, of both files whether they changed or not. Throws DiskError. */
  syncNow(): void {
    const suffixes = [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX]
    if (this.transactions.isDirty) suffixes.push(TRANSACTION_INDEX_SUFFIX)
    for (const suffix of suffixes) {
      const file = this.#host.disk.open(this.#segment.path(suffix), 'write')
      file.syncNow()
      file.close()
    }
  }
}
