/** Whether a leader's wish for another in-sync set (AlterPartition, KIP-497) is granted. Checks and order are Kafka's. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { PartitionStateZnode } from '../znodes.ts'

export interface IsrChange {
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  /** Lives of its members, as far as the leader knows them (KIP-903). */
  readonly brokerEpochs?: ReadonlyMap<number, number>
  /** The leader has not recovered yet from the unclean election that made it leader (KIP-704). */
  readonly recovering: boolean
  readonly partitionEpoch: number
}

export interface IsrChangeContext {
  /** The broker that asks. */
  readonly leader: number
  /** Lives and does not shut down; with an epoch: in that life. */
  readonly isLive: (broker: number, epoch?: number) => boolean
  readonly controllerEpoch: number
}

export type IsrDecision =
  | { readonly error: number }
  /** It is so already: the request came twice. */
  | 'unchanged'
  | { readonly state: PartitionStateZnode }

/** `current` undefined: there is no such partition, or it has never been led. */
export function decideIsrChange(
  current: (PartitionStateZnode & { readonly partitionEpoch: number }) | undefined,
  wish: IsrChange,
  { leader, isLive, controllerEpoch }: IsrChangeContext,
): IsrDecision {
  if (current === undefined) return { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
  // The broker has heard a later controller.
  if (wish.partitionEpoch > current.partitionEpoch || wish.leaderEpoch > current.leaderEpoch)
    return { error: ErrorCode.NOT_CONTROLLER }
  if (wish.leaderEpoch < current.leaderEpoch) return { error: ErrorCode.FENCED_LEADER_EPOCH }
  const isSame =
    leader === current.leader &&
    String(wish.isr) === String(current.isr) &&
    wish.recovering === current.recovering
  if (isSame) return 'unchanged'
  if (wish.partitionEpoch < current.partitionEpoch) return { error: ErrorCode.INVALID_UPDATE_VERSION }
  // Kafka would make it the leader. No leader asks so: of one leader epoch there is one leader.
  if (leader !== current.leader) return { error: ErrorCode.INVALID_REQUEST }
  const isRecoveryWrong = wish.recovering && (wish.isr.length > 1 || !current.recovering)
  if (wish.isr.length === 0 || isRecoveryWrong) return { error: ErrorCode.INVALID_REQUEST }
  const isEligible = (broker: number): boolean => isLive(broker, wish.brokerEpochs?.get(broker))
  if (!wish.isr.every(isEligible)) return { error: ErrorCode.INELIGIBLE_REPLICA }
  const { leaderEpoch, isr, recovering } = wish
  return { state: { leader, leaderEpoch, isr: [...isr], recovering, controllerEpoch } }
}
