/** What a log serves after a start: its records, reads and lookups in them, and what it knows of a producer. */
import type { SeededRandom } from '../../src/env/sim/random.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import * as batch from '../../src/protocol/record-batch.ts'
import { readAll } from '../log/log-fixture.ts'
import { keyOf, type Found, type FoundRecord, type Topic } from './partitions.ts'

export const PRODUCER_ID = 77
const LOOKUPS = 4
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45

export interface Content {
  readonly found: Found
  readonly records: readonly (FoundRecord & { readonly timestampMs: number })[]
}

/** Throws where a record is none of ours. */
export function contentOf(log: ReplicaLog, from: number): Content {
  const { logStartOffset, logEndOffset, sizeBytes } = log
  const start = Math.max(from, logStartOffset)
  const bytes = start < logEndOffset ? readAll(log, start) : Buffer.alloc(0)
  const records = recordsOf(bytes).filter(({ offset }) => offset >= start)
  const marks = log.segmentMarks()
  const found: Found = {
    topic: log.topic as Topic,
    logStartOffset,
    logEndOffset,
    // The last mark is the log's end, unless the active segment is empty: then it is that one's, and nothing lies above it.
    activeBaseOffset: (marks.at(-2) ?? marks[0]).offset,
    sizeBytes,
    from: start,
    records: records.map(({ offset, id }) => ({ offset, id })),
  }
  return { found, records }
}

/** Throws where a record is none of ours. */
export function recordsOf(bytes: Buffer): Content['records'] {
  const records: Content['records'][number][] = []
  for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
    const bad = batch.checkBatch(bytes, at, bytes.length - at)
    if (bad !== null) throw new Error(`a bad batch at ${at}: ${bad.message}`)
    for (const { offset, key, value, timestampMs } of batch.decodeRecords(bytes, at)) {
      const id = Number.parseInt(value!.toString(), 10)
      if (key!.toString() !== keyOf(id)) throw new Error(`offset ${offset}: id ${id} under another's key`)
      records.push({ offset, id, timestampMs })
    }
  }
  return records
}

/** Throws where a read from the middle, or a lookup by timestamp (of what is whole alone), gives anything else. */
export function checkLookups(
  log: ReplicaLog,
  { records, found }: Content,
  { random, isWhole }: { random: SeededRandom; isWhole: boolean },
): void {
  for (let lookup = 0; lookup < LOOKUPS && records.length > 0; lookup++) {
    const { offset, timestampMs } = records[random.integer(records.length)]
    const slice = log.read(offset, { maxBytes: 1, upperBoundOffset: Infinity, minOneBatch: true })
    const served = slice === null ? [] : recordsOf(slice.bytes)
    slice?.release()
    if (!served.some((record) => record.offset === offset))
      throw new Error(`${log.topic}: offset ${offset} is not served`)
    if (!isWhole || found.from > found.logStartOffset) continue
    const first = records.find((record) => record.timestampMs >= timestampMs)!
    const answer = log.offsetForTimestamp(timestampMs)
    if (answer?.offset !== first.offset)
      throw new Error(`${log.topic}: timestamp ${timestampMs} is at ${answer?.offset}, not ${first.offset}`)
  }
}

/** The producer's last batch is known when it comes again, one that skips numbers is refused. Gives its next sequence number. */
export function checkProducers(log: ReplicaLog, leaderEpoch: number): number {
  if (log.topic !== 'idempotent' || log.logEndOffset === 0) return 0
  const bytes = Buffer.from(lastBatchOf(log))
  const lastOffset = batch.lastOffset(bytes, 0)
  const nextSequence = batch.lastSequence(bytes, 0) + 1
  batch.setBaseOffset(bytes, 0, 0)
  const again = log.appendAsLeader(bytes, { leaderEpoch, origin: 'client' })
  if (again.error !== 0 || !('duplicate' in again) || !again.duplicate || again.lastOffset !== lastOffset)
    throw new Error(`the last batch sent again gives ${JSON.stringify(again)}`)
  const skipping = batch.buildBatch({
    records: [{ timestampMs: 1, key: null, value: null }],
    producerId: PRODUCER_ID,
    producerEpoch: 0,
    baseSequence: nextSequence + 3,
  })
  const refusal = log.appendAsLeader(skipping, { leaderEpoch, origin: 'client' })
  if (refusal.error !== OUT_OF_ORDER_SEQUENCE_NUMBER)
    throw new Error(`skipped sequence numbers give ${JSON.stringify(refusal)}`)
  return nextSequence
}

function lastBatchOf(log: ReplicaLog): Buffer {
  const last = readAll(log, log.logEndOffset - 1)
  return last.subarray(0, batch.batchSize(last, 0))
}
