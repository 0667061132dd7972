/**
 * Whether the aborted transactions that an index names are those that the batches of its segment tell of. Nothing in the file
 * guards its entries, and a wrong one has consumers take aborted records for good, or leave out good ones.
 */
import { recordProducer } from './produced-batch.ts'
import type { ProducerState } from './producer-state.ts'
import * as batch from '../protocol/record-batch.ts'
import type { Segment } from './segment.ts'
import type { AbortedTransactionEntry } from './transaction-index.ts'

interface Header {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: number
  readonly attributes: number
}

/** A few headers are read for each entry. What whole entries at the end are missing is not seen. Throws DiskError. */
export function transactionsAreRight(segment: Segment): boolean {
  return segment.transactions.entries().every((entry) => entryIsRight(segment, entry))
}

function entryIsRight(segment: Segment, entry: AbortedTransactionEntry): boolean {
  const { producerId, firstOffset, lastOffset, lastStableOffset } = entry
  const marker = holderOf(segment, lastOffset)
  const isMarker = marker !== null && marker.lastOffset === lastOffset && batch.isControl(marker.attributes)
  if (!isMarker || marker.producerId !== producerId) return false
  const first = holderOf(segment, firstOffset)
  // A compaction may have taken the records; what began in an earlier segment is not looked for.
  if (first !== null && (first.baseOffset !== firstOffset || first.producerId !== producerId)) return false
  return lastStableOffset === lastOffset + 1 || isBatchStart(segment, lastStableOffset)
}

function isBatchStart(segment: Segment, offset: number): boolean {
  const holder = holderOf(segment, offset)
  return holder === null || (holder.baseOffset === offset && batch.isTransactional(holder.attributes))
}

/** null where no batch of this segment holds `offset`. */
function holderOf(segment: Segment, offset: number): Header | null {
  if (offset < segment.baseOffset) return null
  const scan = segment.scanFrom(offset)
  try {
    while (scan.next()) {
      const { baseOffset, lastOffset, producerId, attributes } = scan
      if (lastOffset >= offset)
        return baseOffset > offset ? null : { baseOffset, lastOffset, producerId, attributes }
    }
    return null
  } finally {
    scan.done()
  }
}

/** From the batches. `producers`: as they were at the segment's base; brought to its end. Throws DiskError. */
export function rebuildTransactions(segment: Segment, producers: ProducerState): void {
  const aborted: AbortedTransactionEntry[] = []
  const scan = segment.scan(0)
  while (scan.next()) {
    if (scan.producerId < 0) continue
    const control = batch.isControl(scan.attributes) ? segment.batchAt(scan.position) : null
    if (control !== null && batch.checkBatch(control, 0, control.length) !== null) break
    const completed =
      control === null
        ? recordProducer(producers, scan.bytes, scan.at)
        : recordProducer(producers, control, 0)
    if (completed?.isAborted) aborted.push(producers.abortedEntryOf(completed))
  }
  scan.done()
  if (scan.position + scan.sizeBytes !== segment.sizeBytes) throw segment.corrupt(scan.position)
  segment.transactions.clear()
  for (const entry of aborted) segment.transactions.append(entry)
}
