/**
 * A time index: 12 bytes an entry, the largest timestamp so far, relative offset. The batch with that last offset must be there,
 * and the largest timestamp of its records must be the entry's.
 */
import type { DiskFile } from '../../env/disk.ts'
import * as batch from '../../protocol/record-batch.ts'
import { BatchScan } from './batch-scan.ts'
import { MAX_HEADERS } from './dump-records.ts'
import { problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'
import { IndexEntries, MAX_INDEX_FAULTS } from './index-entries.ts'
import type { IndexOptions } from './index-entries.ts'

const ENTRY_BYTES = 12

/** `log`: the segment, null where the index is looked at alone. */
export function* dumpTimeIndex(
  file: DiskFile,
  log: DiskFile | null,
  { baseOffset, showEntries, maxBatchBytes }: IndexOptions,
): Generator<Dumped> {
  const entries = new IndexEntries(file, ENTRY_BYTES)
  yield* entries.checkSize()
  const batches = log === null ? null : new BatchesInOrder(log, maxBatchBytes)
  let [lastTimestampMs, lastOffset] = [-Infinity, -Infinity]
  let faults = 0
  while (entries.next()) {
    const timestampMs = Number(entries.bytes.readBigInt64BE(entries.at))
    const offset = baseOffset + entries.bytes.readInt32BE(entries.at + 8)
    if (showEntries) yield { type: 'timeIndexEntry', timestampMs, offset }
    if (faults >= MAX_INDEX_FAULTS) continue
    const isInOrder = timestampMs > lastTimestampMs && offset >= lastOffset && offset >= baseOffset
    const fault = isInOrder
      ? (batches?.faultOf(timestampMs, offset) ?? null)
      : `the entry (${timestampMs}, ${offset}) is out of order`
    lastTimestampMs = timestampMs
    lastOffset = offset
    if (fault === null) continue
    yield problem(fault)
    if (++faults === MAX_INDEX_FAULTS) yield problem('and so on: the rest of this index is not compared')
  }
  yield entries.end()
}

/** The segment, walked once: the entries ask for offsets that grow. */
class BatchesInOrder {
  readonly #scan: BatchScan
  readonly #maxBatchBytes: number
  #isAt: boolean

  constructor(log: DiskFile, maxBatchBytes: number) {
    this.#scan = new BatchScan(log, 0, log.size())
    this.#maxBatchBytes = maxBatchBytes
    this.#isAt = this.#scan.next()
  }

  faultOf(timestampMs: number, offset: number): string | null {
    const scan = this.#scan
    while (this.#isAt && scan.lastOffset < offset) this.#isAt = scan.next()
    if (!this.#isAt) return `indexed offset ${offset} is not in the segment`
    if (scan.lastOffset !== offset) {
      return `indexed offset ${offset} is not the last of a batch: the one there ends with ${scan.lastOffset}`
    }
    const foundMs = this.#maxTimestampMs()
    return foundMs === timestampMs
      ? null
      : `index timestamp ${timestampMs}, log timestamp ${foundMs} at offset ${offset}: they do not match`
  }

  /** Of the batch's records, where they can be read: what its header says may be wrong. */
  #maxTimestampMs(): number {
    const scan = this.#scan
    if (scan.magic !== batch.MAGIC_V2)
      return scan.magic === 0 ? -1 : Number(scan.bytes.readBigInt64BE(scan.at + 18))
    const claimedMs = batch.maxTimestamp(scan.bytes, scan.at)
    if (scan.sizeBytes > this.#maxBatchBytes || !scan.holdWhole()) return claimedMs
    if (batch.checkBatch(scan.bytes, scan.at, scan.sizeBytes) !== null) return claimedMs
    let foundMs = -1
    try {
      for (const record of batch.walkRecords(scan.bytes, scan.at, this.#maxBatchBytes, MAX_HEADERS)) {
        foundMs = Math.max(foundMs, record.timestampMs)
      }
    } catch (error) {
      if (error instanceof batch.MalformedRecordError || error instanceof batch.CompressionError)
        return claimedMs
      throw error
    }
    return foundMs
  }
}
