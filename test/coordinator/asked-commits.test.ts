import { describe, expect, it } from 'vitest'
import { AskedCommits } from '../../src/coordinator/groups/asked-commits.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'

const TIMES = { wallMs: 1000, retentionMs: -1 }
const MAX_METADATA_BYTES = 4

const offset = (partitionIndex: number, committedMetadata: string | null = null) => ({
  partitionIndex,
  committedOffset: 10 + partitionIndex,
  committedLeaderEpoch: 2,
  committedMetadata,
})
const stored = (partition: number, metadata = '') => ({
  topic: 'orders',
  partition,
  offset: {
    offset: 10 + partition,
    leaderEpoch: 2,
    metadata,
    commitTimestampMs: 1000,
    expireTimestampMs: -1,
    recordOffset: -1,
  },
})

/** `orders` has four partitions. */
const ask = (...topics: { name: string; partitions: ReturnType<typeof offset>[] }[]) =>
  new AskedCommits(topics, (topic) => (topic === 'orders' ? 4 : undefined))

const { UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE, NOT_COORDINATOR } = ErrorCode

describe('what a request asks to commit', () => {
  it('is refused of partitions and topics that do not exist, and goes on without them', () => {
    const asked = ask(
      { name: 'gone', partitions: [offset(0)] },
      { name: 'orders', partitions: [offset(3), offset(4), offset(-1), offset(0, 'note')] },
    )
    expect(asked.hasAny).toBe(true)
    expect(asked.commits(MAX_METADATA_BYTES, TIMES)).toEqual([stored(3), stored(0, 'note')])
    expect(asked.answered(ErrorCode.NONE)).toEqual({
      topics: [
        { name: 'gone', partitions: [{ partitionIndex: 0, errorCode: UNKNOWN_TOPIC_OR_PARTITION }] },
        {
          name: 'orders',
          partitions: [
            { partitionIndex: 3, errorCode: 0 },
            { partitionIndex: 4, errorCode: UNKNOWN_TOPIC_OR_PARTITION },
            { partitionIndex: -1, errorCode: UNKNOWN_TOPIC_OR_PARTITION },
            { partitionIndex: 0, errorCode: 0 },
          ],
        },
      ],
    })
  })

  it('is nothing where all of it is refused', () => {
    expect(ask({ name: 'gone', partitions: [offset(0)] }, { name: 'orders', partitions: [] }).hasAny).toBe(
      false,
    )
  })

  it('keeps what is wrong with one alone, when all the others fail', () => {
    const asked = ask({ name: 'orders', partitions: [offset(0, 'notes'), offset(1), offset(9)] })
    // Asked again after something else was stored: the same.
    expect(asked.commits(MAX_METADATA_BYTES, TIMES)).toEqual([stored(1)])
    expect(asked.commits(MAX_METADATA_BYTES, TIMES)).toEqual([stored(1)])
    const [{ partitions }] = asked.answered(NOT_COORDINATOR).topics
    expect(partitions.map(({ errorCode }) => errorCode)).toEqual([
      OFFSET_METADATA_TOO_LARGE,
      NOT_COORDINATOR,
      UNKNOWN_TOPIC_OR_PARTITION,
    ])
  })
})
