/** The output of a cleaning, as `.cleaned` files beside the segments that it is to replace. */
import type { Disk, DiskFile } from '../../env/disk.ts'
import {
  CLEANED_SUFFIX,
  join,
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  offsetFileName,
  SEGMENT_SUFFIXES,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
} from '../file-names.ts'
import { OffsetIndex } from '../offset-index.ts'
import { TimeIndex } from '../time-index.ts'
import { TransactionIndex, type AbortedTransactionEntry } from '../transaction-index.ts'

const WRITE_BYTES = 256 * 1024

export class CleanedSegment {
  readonly baseOffset: number
  readonly #disk: Disk
  readonly #directory: string
  readonly #indexIntervalBytes: number
  readonly #offsets: OffsetIndex
  readonly #times: TimeIndex
  readonly #transactions: TransactionIndex
  #file: DiskFile | null
  /** Written to the file. */
  #written = 0
  readonly #buffer = Buffer.allocUnsafeSlow(WRITE_BYTES)
  #buffered = 0
  #lastEntryPosition = 0
  #largestTimestampMs = -1
  #offsetOfLargest: number

  /** Throws DiskError. */
  constructor(
    disk: Disk,
    directory: string,
    { baseOffset, indexIntervalBytes }: { baseOffset: number; indexIntervalBytes: number },
  ) {
    this.baseOffset = baseOffset
    this.#disk = disk
    this.#directory = directory
    this.#indexIntervalBytes = indexIntervalBytes
    this.#offsets = new OffsetIndex(baseOffset)
    this.#times = new TimeIndex(baseOffset)
    this.#offsetOfLargest = baseOffset
    this.#removeFiles()
    this.#transactions = new TransactionIndex(disk, this.#path(TRANSACTION_INDEX_SUFFIX))
    this.#file = disk.open(this.#path(LOG_SUFFIX), 'write')
  }

  #path(suffix: string): string {
    return join(this.#directory, offsetFileName(this.baseOffset, suffix + CLEANED_SUFFIX))
  }

  get sizeBytes(): number {
    return this.#written + this.#buffered
  }

  /** The batch at `position`, which is copied. Throws DiskError. */
  append(bytes: Buffer, position: number, batch: AppendedBatch): void {
    const { sizeBytes, lastOffset, maxTimestampMs } = batch
    const at = this.sizeBytes
    if (maxTimestampMs > this.#largestTimestampMs) {
      this.#largestTimestampMs = maxTimestampMs
      this.#offsetOfLargest = lastOffset
    }
    if (at - this.#lastEntryPosition > this.#indexIntervalBytes) {
      this.#offsets.append(lastOffset, at)
      this.#times.maybeAppend(this.#largestTimestampMs, this.#offsetOfLargest)
      this.#lastEntryPosition = at
    }
    if (this.#buffered + sizeBytes > WRITE_BYTES) this.#writeOut()
    if (sizeBytes > WRITE_BYTES) {
      this.#file!.write([bytes.subarray(position, position + sizeBytes)], this.#written)
      this.#written += sizeBytes
    } else {
      bytes.copy(this.#buffer, this.#buffered, position, position + sizeBytes)
      this.#buffered += sizeBytes
    }
  }

  appendAborted(entry: AbortedTransactionEntry): void {
    this.#transactions.append(entry)
  }

  #writeOut(): void {
    if (this.#buffered === 0) return
    this.#file!.write([this.#buffer.subarray(0, this.#buffered)], this.#written)
    this.#written += this.#buffered
    this.#buffered = 0
  }

  /** Writes what is left and the indexes. Resolves when all of it is on the disk. Throws DiskError. */
  finish(modifiedMs: number): Promise<unknown> {
    this.#writeOut()
    this.#times.maybeAppend(this.#largestTimestampMs, this.#offsetOfLargest)
    this.#offsets.persist(this.#disk, this.#path(OFFSET_INDEX_SUFFIX))
    this.#times.persist(this.#disk, this.#path(TIME_INDEX_SUFFIX))
    const paths = SEGMENT_SUFFIXES.map((suffix) => this.#path(suffix))
    const present = paths.filter((path) => this.#disk.stat(path) !== null)
    // Retention of records without timestamps goes by it.
    for (const path of present) this.#disk.setModifiedTime(path, modifiedMs)
    this.#file!.close()
    this.#file = null
    return Promise.all(present.map((path) => this.#sync(path)))
  }

  async #sync(path: string): Promise<void> {
    const file = this.#disk.open(path, 'write')
    try {
      await file.sync()
    } finally {
      file.close()
    }
  }

  /** Ends the attempt. Throws DiskError; what stays is removed at the next start, or by the next attempt. */
  abandon(): void {
    this.#file?.close()
    this.#file = null
    this.#removeFiles()
  }

  #removeFiles(): void {
    for (const suffix of SEGMENT_SUFFIXES) this.#disk.remove(this.#path(suffix))
  }
}

export interface AppendedBatch {
  readonly sizeBytes: number
  readonly lastOffset: number
  /** Of its records; -1 without any. */
  readonly maxTimestampMs: number
}
