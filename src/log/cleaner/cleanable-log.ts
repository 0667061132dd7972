/** What the cleaner sees of a log. */
import type { Disk } from '../../env/disk.ts'
import type { Segment } from '../segment.ts'
import type { AbortedTransactionEntry } from '../transaction-index.ts'
import type { LogConfig } from '../types.ts'

export interface CleanableLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  /** The `log.dirs` entry it lies in. */
  readonly logDirectory: string
  readonly disk: Disk
  readonly config: LogConfig
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** First offset of the oldest transaction that is not settled below the high watermark, else the log end. Throws DiskError. */
  firstUnstableOffset(highWatermark: number): number
  /** Oldest first; the last one is active. */
  readonly segments: readonly Segment[]
  /** Counts truncations, deletions of segments, the end of the log: what was read of it before may be gone. */
  readonly cuts: number
  /** Transactions with records or their marker in [fromOffset, upperBoundOffset). Throws DiskError. */
  abortedBetween(fromOffset: number, upperBoundOffset: number): AbortedTransactionEntry[]
  /** By producer id. Throws DiskError. */
  lastRecordsOfProducers(): ReadonlyMap<number, LastRecord>
  /** Puts the `.cleaned` files of the first one's base in the place of these. Throws DiskError; then nothing has changed. */
  replaceSegments(old: readonly Segment[]): void
}

/** The last thing that an active producer wrote. */
export interface LastRecord {
  /** Last offset of its last data batch; -1: all that is known of it is a marker. */
  readonly lastDataOffset: number
  readonly producerEpoch: number
}
