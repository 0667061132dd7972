/** Record batches as Kafka's MemoryRecordsBuilder writes them (generate.sh), with every codec. */
import { describe, expect, test } from 'vitest'
import { endMarkerBatch } from '../../src/protocol/end-marker.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import type { Record } from '../../src/protocol/record-batch.ts'
import { readGolden, toJson } from './golden-data.ts'
import type { Json } from './golden-data.ts'

interface GoldenBatch {
  name: string
  sizeBytes: number
  baseOffset: number
  lastOffset: number
  partitionLeaderEpoch: number
  crc: number
  codec: number
  timestampType: 0 | 1
  transactional: boolean
  control: boolean
  maxTimestamp: number
  producerId: number
  producerEpoch: number
  baseSequence: number
  lastSequence: number
  recordCount: number
  /** Empty for the batch of 3000, which the test makes itself. */
  records: Json[]
  bytes: string
}

const TIME = 1_700_000_000_000
const batches = readGolden<GoldenBatch[]>('record-batches.json')!

/** The records of Golden.java's `many`. */
function manyRecords(baseOffset: number, ownTimestampMs: number | null): Record[] {
  return Array.from({ length: 3000 }, (_, index) => ({
    offset: baseOffset + index,
    timestampMs: ownTimestampMs ?? TIME + index,
    key: Buffer.from(`key ${index}`),
    value: Buffer.from(`record ${index} of the spool `.repeat(1 + (index % 5))),
    headers: [],
  }))
}

function expectedRecords(golden: GoldenBatch): Json {
  return golden.records.length > 0 ? golden.records : toJson(manyRecords(golden.baseOffset, null))
}

test('there are golden batches of every codec', () => {
  for (const codec of [0, 1, 2, 3, 4]) {
    expect(batches.filter((each) => each.codec === codec).length).toBeGreaterThanOrEqual(6)
  }
})

test.each([
  ['ABORT', true],
  ['COMMIT', false],
])('the marker of %s is written as Kafka writes it', (type, isAbort) => {
  const golden = batches.find(({ name }) => name === `control: ${type}`)!
  const { producerId, producerEpoch, baseOffset, partitionLeaderEpoch } = golden
  const marker = endMarkerBatch({ producerId, producerEpoch, coordinatorEpoch: 9, isAbort }, TIME)
  rb.setBaseOffset(marker, 0, baseOffset)
  rb.setPartitionLeaderEpoch(marker, 0, partitionLeaderEpoch)
  expect(marker.toString('base64')).toBe(golden.bytes)
})

describe.each(batches.map((golden) => [golden.name, golden] as const))('%s', (_name, golden) => {
  const bytes = Buffer.from(golden.bytes, 'base64')
  const bits = rb.attributes(bytes, 0)

  test('the header is read as Kafka reads it', () => {
    expect(rb.checkBatch(bytes, 0, bytes.length)).toBeNull()
    expect({
      sizeBytes: rb.batchSize(bytes, 0),
      baseOffset: rb.baseOffset(bytes, 0),
      lastOffset: rb.lastOffset(bytes, 0),
      partitionLeaderEpoch: rb.partitionLeaderEpoch(bytes, 0),
      crc: rb.crc(bytes, 0),
      codec: rb.codecOf(bits),
      timestampType: rb.timestampTypeOf(bits),
      transactional: rb.isTransactional(bits),
      control: rb.isControl(bits),
      maxTimestamp: rb.maxTimestamp(bytes, 0),
      producerId: rb.producerId(bytes, 0),
      producerEpoch: rb.producerEpoch(bytes, 0),
      baseSequence: rb.baseSequence(bytes, 0),
      lastSequence: rb.lastSequence(bytes, 0),
      recordCount: rb.recordCount(bytes, 0),
    }).toEqual({ ...golden, name: undefined, records: undefined, bytes: undefined })
  })

  test('the records are decoded as Kafka decodes them, and pass the check', () => {
    expect(toJson(rb.decodeRecords(bytes))).toEqual(expectedRecords(golden))
    // The broker refuses a producer's LogAppendTime only where it would set it itself.
    const verdict = rb.checkRecords(bytes)
    expect(verdict.fault).toBeNull()
    expect(verdict.maxTimestampMs).toBe(golden.maxTimestamp)
  })

  test('the same records are built into a batch with the same meaning, and the same bytes where nothing is compressed', () => {
    const decoded = rb.decodeRecords(bytes)
    const built = rb.buildBatch({
      records: decoded.map((record, index) => ({
        ...record,
        timestampMs: createTimeMs(golden, record, index),
      })),
      baseOffset: golden.baseOffset,
      codec: golden.codec,
      producerId: golden.producerId,
      producerEpoch: golden.producerEpoch,
      baseSequence: golden.baseSequence,
      transactional: golden.transactional,
      control: golden.control,
      partitionLeaderEpoch: golden.partitionLeaderEpoch,
      timestampType: golden.timestampType,
    })
    if (golden.timestampType === rb.LOG_APPEND_TIME) {
      rb.setMaxTimestampAndType(built, 0, golden.maxTimestamp, rb.LOG_APPEND_TIME)
    }
    expect(rb.checkBatch(built, 0, built.length)).toBeNull()
    expect(toJson(rb.decodeRecords(built))).toEqual(toJson(decoded))
    if (golden.codec === rb.Codec.NONE) expect(built.toString('hex')).toBe(bytes.toString('hex'))
    // The header's place is the same in all; the compressed bytes depend on the library that made them.
    else expect(withoutCompressed(built)).toBe(withoutCompressed(bytes))
  })
})

/** With LogAppendTime the records' own timestamps are not seen any more; Golden.java's are known. */
function createTimeMs(golden: GoldenBatch, record: Record, index: number): number {
  if (golden.timestampType === rb.CREATE_TIME) return record.timestampMs
  return TIME + [0, 5, -70_000, 4_000_000_000, 1][index]
}

/** The header, but for length and CRC. */
function withoutCompressed(batch: Buffer): string {
  return batch.toString('hex', 0, 8) + batch.toString('hex', 12, 17) + batch.toString('hex', 21, 61)
}
