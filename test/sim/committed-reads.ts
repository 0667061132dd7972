/** What a READ_COMMITTED consumer makes of whole batches and the list of aborted transactions (KIP-98). */
import * as batch from '../../src/protocol/record-batch.ts'

export interface Aborted {
  readonly producerId: number
  readonly firstOffset: number
}

const ABORT = 0

/** Data records that are in no aborted transaction. */
export function committedRecords(
  bytes: Buffer | null,
  aborted: readonly Aborted[],
): { offset: number; value: string }[] {
  const records: { offset: number; value: string }[] = []
  if (bytes === null) return records
  const coming = [...aborted].sort((one, other) => one.firstOffset - other.firstOffset)
  const within = new Set<number>()
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
    while (coming.length > 0 && coming[0].firstOffset <= batch.lastOffset(bytes, at))
      within.add(coming.shift()!.producerId)
    const bits = batch.attributes(bytes, at)
    const producerId = batch.producerId(bytes, at)
    if (batch.isControl(bits)) {
      const [{ key }] = batch.decodeRecords(bytes, at)
      if (key!.readInt16BE(2) === ABORT) within.delete(producerId)
      continue
    }
    if (batch.isTransactional(bits) && within.has(producerId)) continue
    for (const { offset, value } of batch.decodeRecords(bytes, at))
      records.push({ offset, value: value?.toString() ?? '' })
  }
  return records
}

/** Where a consumer reads on behind whole batches, also those of which it has kept nothing. */
export function offsetBehind(bytes: Buffer | null, offset: number): number {
  let next = offset
  if (bytes === null) return next
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) next = batch.lastOffset(bytes, at) + 1
  return next
}
