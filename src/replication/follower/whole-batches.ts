import { batchSize, LOG_OVERHEAD } from '../../protocol/record-batch.ts'

/**
 * What a leader sent without the batch at its end that a byte limit has cut in two: brokers of Kafka's slice their files
 * where the limit falls. Sizes that are none are left for the log to refuse.
 */
export function wholeBatches(records: Buffer): Buffer {
  let at = 0
  while (at + LOG_OVERHEAD <= records.length) {
    const size = batchSize(records, at)
    if (size < LOG_OVERHEAD) return records
    if (at + size > records.length) break
    at += size
  }
  return at === records.length ? records : records.subarray(0, at)
}
