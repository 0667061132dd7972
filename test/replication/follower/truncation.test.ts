import { describe, expect, test } from 'vitest'
import {
  actionOutOfRange,
  truncationBeforeFetching,
  truncationForDivergence,
  type OwnLog,
} from '../../../src/replication/follower/truncation.ts'

/** A log by its epochs: [epoch, start offset], and its end. */
function logOf(epochs: readonly (readonly [number, number])[], logEndOffset: number): OwnLog {
  const latestLeaderEpoch = epochs.at(-1)?.[0] ?? -1
  return {
    logEndOffset,
    latestLeaderEpoch,
    endOffsetForEpoch(epoch) {
      if (epoch < 0 || epoch > latestLeaderEpoch) return { leaderEpoch: -1, endOffset: -1 }
      const above = epochs.findIndex(([known]) => known > epoch)
      if (above === 0) return { leaderEpoch: epoch, endOffset: epochs[0][1] }
      if (above < 0) return { leaderEpoch: epoch, endOffset: logEndOffset }
      return { leaderEpoch: epochs[above - 1][0], endOffset: epochs[above][1] }
    },
  }
}

describe('where a follower cuts its log', () => {
  test('an epoch that both have is kept up to the lesser end', () => {
    const log = logOf(
      [
        [0, 0],
        [2, 5],
        [4, 8],
      ],
      12,
    )
    expect(truncationForDivergence(log, 0, { epoch: 2, endOffset: 7 })).toBe(7)
    expect(truncationForDivergence(log, 0, { epoch: 2, endOffset: 11 })).toBe(8)
    expect(truncationForDivergence(log, 0, { epoch: 4, endOffset: 99 })).toBe(12)
  })

  test('an epoch that it does not have leaves what is below it, to be compared again', () => {
    const log = logOf(
      [
        [0, 0],
        [2, 5],
        [4, 8],
      ],
      12,
    )
    expect(truncationForDivergence(log, 0, { epoch: 3, endOffset: 10 })).toBe(8)
    expect(truncationForDivergence(log, 0, { epoch: 1, endOffset: 10 })).toBe(5)
  })

  test('epochs that all lie above the named one leave what is below them', () => {
    expect(truncationForDivergence(logOf([[5, 3]], 9), 0, { epoch: 2, endOffset: 3 })).toBe(3)
  })

  test('a log that has no epoch as high is cut where the leader ends', () => {
    expect(truncationForDivergence(logOf([[0, 0]], 9), 0, { epoch: 2, endOffset: 4 })).toBe(4)
    expect(truncationForDivergence(logOf([[0, 0]], 9), 0, { epoch: 2, endOffset: 40 })).toBe(9)
  })

  test('a leader that cannot say where the epoch ended leaves the high watermark', () => {
    expect(truncationForDivergence(logOf([[0, 0]], 9), 6, { epoch: 0, endOffset: -1 })).toBe(6)
  })

  test('a log without epochs is cut at the high watermark before anything is fetched', () => {
    expect(truncationBeforeFetching(logOf([], 9), 6)).toBe(6)
    expect(truncationBeforeFetching(logOf([[0, 0]], 9), 6)).toBe(null)
  })

  test.each([
    ['is shorter', { logStartOffset: 0, logEndOffset: 7 }, { kind: 'truncate', offset: 7 }],
    ['begins later', { logStartOffset: 10, logEndOffset: 20 }, { kind: 'startOver', offset: 10 }],
    ['begins at the end of the own', { logStartOffset: 9, logEndOffset: 20 }, { kind: 'continue' }],
    ['has the offset', { logStartOffset: 0, logEndOffset: 9 }, { kind: 'continue' }],
  ])('out of range, where the log of the leader %s', (_, leader, action) => {
    expect(actionOutOfRange(9, leader)).toEqual(action)
  })
})
