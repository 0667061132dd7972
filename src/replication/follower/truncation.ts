/**
 * Where a follower cuts its log, so that what is left is a beginning of its leader's. Pure. (KIP-101, KIP-279, KIP-595)
 */
import type { EpochEndOffset } from '../../log/types.ts'

/** What a follower's own log says. */
export interface OwnLog {
  readonly logEndOffset: number
  readonly latestLeaderEpoch: number
  endOffsetForEpoch(leaderEpoch: number): EpochEndOffset
}

/**
 * A log that knows of no leader epoch cannot be compared: all above the high watermark goes before the first fetch, since
 * only what is below it is known to be the leader's as well. null: the log is compared by the fetch itself.
 */
export function truncationBeforeFetching(log: OwnLog, highWatermark: number): number | null {
  return log.latestLeaderEpoch < 0 ? highWatermark : null
}

/**
 * The leader has said that the logs went different ways: `diverging.epoch` is its largest epoch up to the one that the
 * follower named, and `diverging.endOffset` where it ended there. Gives the offset to cut at, at most the log's end.
 *
 * Where this log has that epoch, all up to the lesser of both ends is the same. Where it has not, the largest epoch below
 * is all that may be: it is cut after that, and the next fetch, which names that epoch, goes on from there (KIP-279). A
 * leader that cannot say where the epoch ended leaves only the high watermark.
 */
export function truncationForDivergence(
  log: OwnLog,
  highWatermark: number,
  diverging: { readonly epoch: number; readonly endOffset: number },
): number {
  const { logEndOffset } = log
  if (diverging.endOffset < 0) return Math.min(highWatermark, logEndOffset)
  const own = log.endOffsetForEpoch(diverging.epoch)
  if (own.endOffset < 0) return Math.min(diverging.endOffset, logEndOffset)
  if (own.leaderEpoch === diverging.epoch) {
    return Math.min(own.endOffset, diverging.endOffset, logEndOffset)
  }
  return Math.min(own.endOffset, logEndOffset)
}

/** What to do where the leader has nothing at the offset that was asked for. */
export type OutOfRangeAction =
  | { readonly kind: 'truncate'; readonly offset: number }
  /** The leader's log begins above this one's end: nothing here is of use. */
  | { readonly kind: 'startOver'; readonly offset: number }
  | { readonly kind: 'continue' }

/**
 * The leader's log ends below the own one's: an unclean election has made a leader of one that had less. Else it begins
 * above the own one's end: the follower was away for longer than the leader keeps records.
 */
export function actionOutOfRange(
  logEndOffset: number,
  leader: { readonly logStartOffset: number; readonly logEndOffset: number },
): OutOfRangeAction {
  if (leader.logEndOffset < logEndOffset) return { kind: 'truncate', offset: leader.logEndOffset }
  if (leader.logStartOffset > logEndOffset) return { kind: 'startOver', offset: leader.logStartOffset }
  return { kind: 'continue' }
}
