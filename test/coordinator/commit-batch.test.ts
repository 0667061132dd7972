import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commitBatch } from '../../src/coordinator/groups/commit-batch.ts'
import { NOT_APPENDED } from '../../src/coordinator/groups/group.ts'
import type { Commit } from '../../src/coordinator/groups/group.ts'
import { encodeRecord } from '../../src/coordinator/groups/records.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'

const NOW_MS = 1_700_000_000_000
const timestamp = fc.integer({ min: 0, max: NOW_MS })

const commit: fc.Arbitrary<Commit> = fc
  .record({
    topic: fc.constantFrom('orders', 'ορδερς', 'o'.repeat(249)),
    partition: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    offset: fc.maxSafeNat(),
    leaderEpoch: fc.integer({ min: -1 }),
    metadata: fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 300 })),
    commitTimestampMs: timestamp,
    expires: fc.option(timestamp),
  })
  .map(({ topic, partition, expires, leaderEpoch, ...rest }) => {
    const ends = { leaderEpoch: expires === null ? leaderEpoch : -1, expireTimestampMs: expires ?? -1 }
    return { topic, partition, offset: { ...rest, ...ends, recordOffset: NOT_APPENDED } }
  })

const group = fc.constantFrom('', 'g', 'ομάδα', 'g'.repeat(400))
const commits = fc.array(commit, { minLength: 1, maxLength: 80, size: 'max' })

/** As any other records are written. */
function encoded(groupId: string, written: readonly Commit[]) {
  return written.map(({ topic, partition, offset }) => {
    const { commitTimestampMs: commitTimestamp, expireTimestampMs: expireTimestamp, ...rest } = offset
    const value = { ...rest, commitTimestamp, expireTimestamp }
    return { timestampMs: NOW_MS, ...encodeRecord({ type: 'offset', groupId, topic, partition, value }) }
  })
}

const hex = (bytes: Buffer | null): string | undefined => bytes?.toString('hex')

describe('commits of a request', () => {
  it('are the batch that their records would be in', () => {
    fc.assert(
      fc.property(group, commits, (groupId, written) => {
        const batch = commitBatch(groupId, written, NOW_MS)
        expect(hex(batch)).toBe(hex(buildBatch({ records: encoded(groupId, written) })))
      }),
      { numRuns: 50 },
    )
  })

  it('are transactional and begin at sequence 0 where a producer commits them', () => {
    fc.assert(
      fc.property(group, commits, (groupId, written) => {
        const producer = { producerId: 2 ** 40, producerEpoch: 7 }
        const batch = commitBatch(groupId, written, NOW_MS, producer)
        const records = encoded(groupId, written)
        const expected = buildBatch({ records, ...producer, baseSequence: 0, transactional: true })
        expect(hex(batch)).toBe(hex(expected))
      }),
      { numRuns: 20 },
    )
  })

  it('are none where a long name makes them more than any log takes', () => {
    const offset = { offset: 1, leaderEpoch: 0, metadata: '', recordOffset: NOT_APPENDED }
    const times = { commitTimestampMs: NOW_MS, expireTimestampMs: -1 }
    const one: Commit = { topic: 'orders', partition: 0, offset: { ...offset, ...times } }
    const batchOf = (count: number) =>
      commitBatch(
        'g'.repeat(32767),
        Array.from({ length: count }, () => one),
        NOW_MS,
      )
    expect(batchOf(40)!.length).toBeGreaterThan(40 * 32767)
    expect(batchOf(4100)).toBeNull()
  })
})
