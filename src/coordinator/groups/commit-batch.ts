/**
 * Commits written as a batch of `__consumer_offsets`, in the bytes that `encodeRecord` gives each: the other side of CommitScan.
 * A request commits hundreds of partitions, so that nothing is made here of any of them, and the names of a record that has
 * those of the one before are copied. Source of the layout: coordinators.md 3.
 */
import { putInt16, putInt32, putInt64 } from '../../protocol/big-endian.ts'
import { BatchFiller } from '../../protocol/record-batch.ts'
import type { TransactionalProducer } from '../../protocol/record-batch.ts'
import type { Commit, CommittedOffset } from './group.ts'
import { EXPIRING_OFFSET_VALUE_VERSION, OFFSET_VALUE_VERSION, offsetKey } from './records.ts'

const PARTITION_BYTES = 4
/** Version, offset, leader epoch, the metadata's length, commit timestamp. */
const VALUE_BYTES = 2 + 8 + 4 + 2 + 8
/** Without the leader epoch, with an expiry behind all. */
const EXPIRING_VALUE_BYTES = VALUE_BYTES - 4 + 8
/** Of a record, besides the names and its metadata. */
const EXPECTED_RECORD_BYTES = 48

/** The most that is made to be offered to the log: a group's name may be long, and is in every record. */
const MAX_BATCH_BYTES = 128 * 1024 * 1024

/** Kafka's coordinators number no records, but begin at 0. */
const BASE_SEQUENCE = 0

/** One commit at least. null: more than any log would take. */
export function commitBatch(
  groupId: string,
  commits: readonly Commit[],
  timestampMs: number,
  producer?: Omit<TransactionalProducer, 'baseSequence'>,
): Buffer | null {
  let { topic } = commits[0]
  let names = namesOf(groupId, topic)
  const expectedBytes = commits.length * (names.length + EXPECTED_RECORD_BYTES)
  if (expectedBytes > MAX_BATCH_BYTES) return null
  const filler = new BatchFiller(expectedBytes)
  for (const { topic: next, partition, offset } of commits) {
    if (next !== topic) names = namesOf(groupId, (topic = next))
    putCommit(filler, names, partition, offset)
  }
  return filler.finish(timestampMs, producer && { ...producer, baseSequence: BASE_SEQUENCE })
}

/** A key without its partition, which comes last. */
function namesOf(groupId: string, topic: string): Buffer {
  return offsetKey(groupId, topic, 0).subarray(0, -PARTITION_BYTES)
}

function putCommit(filler: BatchFiller, names: Buffer, partition: number, commit: CommittedOffset): void {
  const { offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs } = commit
  const expires = expireTimestampMs !== -1
  const metadataBytes = metadata === '' ? 0 : Buffer.byteLength(metadata)
  filler.next(names.length + PARTITION_BYTES, metadataBytes + (expires ? EXPIRING_VALUE_BYTES : VALUE_BYTES))
  const { bytes, keyAt } = filler
  bytes.set(names, keyAt)
  putInt32(bytes, keyAt + names.length, partition)
  let at = filler.valueAt
  putInt16(bytes, at, expires ? EXPIRING_OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION)
  putInt64(bytes, at + 2, offset)
  at += 10
  if (!expires) {
    putInt32(bytes, at, leaderEpoch)
    at += 4
  }
  putInt16(bytes, at, metadataBytes)
  at += 2
  if (metadataBytes > 0) at += bytes.write(metadata, at)
  putInt64(bytes, at, commitTimestampMs)
  if (expires) putInt64(bytes, at + 8, expireTimestampMs)
}
