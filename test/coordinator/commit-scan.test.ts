import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CommitScan } from '../../src/coordinator/groups/commit-scan.ts'
import { committedOffset, decodeRecord, encodeRecord } from '../../src/coordinator/groups/records.ts'
import type { GroupRecord } from '../../src/coordinator/groups/records.ts'
import { buildBatch, visitRecords } from '../../src/protocol/record-batch.ts'

interface Pair {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

const NAMES = ['orders', 'orders-2', 'ορδερς', 'a-name-that-is-longer-than-any-cache-of-short-names-holds']

const commit = fc
  .record({
    groupId: fc.constantFrom(...NAMES),
    topic: fc.constantFrom(...NAMES),
    partition: fc.integer({ min: 0, max: 1000 }),
    offset: fc.maxSafeNat(),
    leaderEpoch: fc.integer({ min: -1, max: 9 }),
    metadata: fc.constantFrom('', 'note'),
    expireTimestamp: fc.constantFrom(-1, 1_700_000_000_000),
  })
  .map(({ groupId, topic, partition, ...rest }) => {
    const value = { ...rest, commitTimestamp: 1_600_000_000_000 }
    return encodeRecord({ type: 'offset', groupId, topic, partition, value })
  })

const bytes = fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some))

/** Commits, commits that were cut short or have bytes too many, and what is none. */
const pair = fc.oneof(
  { weight: 4, arbitrary: commit },
  fc.tuple(commit, fc.nat(40)).map(([{ key, value }, cut]) => ({ key: key.subarray(0, cut), value })),
  fc.tuple(commit, fc.nat(40)).map(([{ key, value }, cut]) => ({ key, value: value!.subarray(0, cut) })),
  fc.tuple(commit, bytes).map(([{ key, value }, more]) => ({ key: Buffer.concat([key, more]), value })),
  fc.tuple(commit, bytes).map(([{ key, value }, more]) => ({ key, value: Buffer.concat([value!, more]) })),
  commit.map(({ key }) => ({ key, value: null })),
  fc.tuple(commit, fc.nat(9)).map(([{ key, value }, version]) => {
    const other = Buffer.from(value!)
    other.writeInt16BE(version, 0)
    return { key, value: other }
  }),
  fc.tuple(bytes, bytes).map(([key, value]) => ({ key, value })),
  fc.nat(12).map((length) => ({
    key: Buffer.from([0, 1, 0, 6, ...Buffer.alloc(8)]).subarray(0, length),
    value: Buffer.alloc(40),
  })),
  fc.constant({ key: null, value: Buffer.alloc(40) }),
)

function decoded({ key, value }: Pair): GroupRecord | null {
  try {
    return key === null ? null : decodeRecord(key, value)
  } catch {
    return null
  }
}

describe('commits read where they lie in a batch', () => {
  it('are those that the decoder of records finds, whatever lies between them', () => {
    fc.assert(
      fc.property(fc.array<Pair>(pair, { minLength: 1, maxLength: 12 }), (pairs) => {
        const batch = buildBatch({ records: pairs.map((each) => ({ timestampMs: 1, ...each })) })
        let scan: CommitScan | undefined
        let index = 0
        visitRecords(batch, 0, (plain, cursor, offset) => {
          scan ??= new CommitScan(plain)
          const found = scan.read(cursor, offset)
          const record = decoded(pairs[index++])
          if (found === null) return
          const { groupId, topic, partition } = scan
          const value = record?.type === 'offset' ? record.value : null
          expect(record).toMatchObject({ type: 'offset', groupId, topic, partition })
          expect(found).toEqual(committedOffset(value!, offset))
        })
        expect(index).toBe(pairs.length)
      }),
    )
  })

  it('are read without the decoder in every form that Kafka 3.9 writes', () => {
    fc.assert(
      fc.property(fc.array(commit, { minLength: 1, maxLength: 12 }), (pairs) => {
        const batch = buildBatch({ records: pairs.map((each) => ({ timestampMs: 1, ...each })) })
        let scan: CommitScan | undefined
        visitRecords(batch, 0, (plain, cursor, offset) => {
          scan ??= new CommitScan(plain)
          expect(scan.read(cursor, offset)).not.toBeNull()
        })
      }),
    )
  })
})
