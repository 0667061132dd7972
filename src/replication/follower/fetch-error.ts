/** What a follower makes of the error that a partition's Fetch came back with. */
import { ErrorCode } from '../../protocol/error-codes.ts'

export type Reaction =
  /** Asks the leader where its log begins and ends. */
  | 'findRange'
  /** Asks no more until the controller says again whom to follow. */
  | 'await'
  /** Asks again, later. */
  | 'retry'

/**
 * Fenced: the leader knows of a newer epoch than the one followed, so LeaderAndIsr is on its way. All others may be gone
 * with the next try: the leader has not heard yet that it leads, or its disk has failed and another will be elected, or
 * bytes were hurt on the way.
 */
export function reactionTo(error: number): Reaction {
  if (error === ErrorCode.OFFSET_OUT_OF_RANGE) return 'findRange'
  return error === ErrorCode.FENCED_LEADER_EPOCH ? 'await' : 'retry'
}
