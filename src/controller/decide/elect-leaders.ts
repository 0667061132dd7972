/**
 * The outcome of an election that an administrator asks for (ElectLeaders, KIP-460): a new state of the partition, or the
 * error that says why there is none. The in-sync set, not the wish, decides who may lead; only `unclean` goes beyond it.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { PartitionStateZnode } from '../znodes.ts'

export type ManualElectionType = 'preferred' | 'unclean'

export interface ElectablePartition {
  /** The preferred leader first. */
  readonly replicas: readonly number[]
  /** undefined: its state has never been written. */
  readonly leadership: PartitionStateZnode | undefined
  /** Its topic has a deletion marker. */
  readonly isBeingDeleted: boolean
  /** The broker lives and does not shut down. */
  readonly isLive: (broker: number) => boolean
  /** It is live, and the directory of the replica's log is well. */
  readonly isOnline: (replica: number) => boolean
}

export type ManualElection =
  | { readonly error: number; readonly message: string }
  | {
      readonly leadership: PartitionStateZnode
      /** Who gets LeaderAndIsr. */
      readonly recipients: readonly number[]
    }

/** `partition` undefined: there is none. The errors are Kafka's. */
export function decideManualElection(
  type: ManualElectionType,
  partition: ElectablePartition | undefined,
  controllerEpoch: number,
): ManualElection {
  if (partition === undefined) {
    return { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message: 'There is no such partition.' }
  }
  if (partition.isBeingDeleted) {
    return { error: ErrorCode.INVALID_TOPIC_EXCEPTION, message: 'The topic is being deleted.' }
  }
  const elected = type === 'preferred' ? electPreferred(partition) : electUnclean(partition)
  if ('error' in elected) return elected
  const { leadership, recipients } = elected
  const leaderEpoch = leadership.leaderEpoch + 1
  return { leadership: { ...leadership, leaderEpoch, controllerEpoch }, recipients }
}

function electPreferred({ replicas, leadership, isOnline }: ElectablePartition): ManualElection {
  const preferred = replicas[0]
  if (leadership?.leader === preferred) {
    return { error: ErrorCode.ELECTION_NOT_NEEDED, message: 'The preferred leader leads.' }
  }
  if (leadership === undefined || !leadership.isr.includes(preferred) || !isOnline(preferred)) {
    const message = `The preferred leader ${preferred} is not online or not in sync.`
    return { error: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, message }
  }
  return { leadership: { ...leadership, leader: preferred }, recipients: replicas }
}

/** An in-sync replica goes before all others, here too. */
function electUnclean({ replicas, leadership, isLive, isOnline }: ElectablePartition): ManualElection {
  if (leadership !== undefined && leadership.leader >= 0 && isLive(leadership.leader)) {
    return { error: ErrorCode.ELECTION_NOT_NEEDED, message: 'The leader is live.' }
  }
  const recipients = replicas.filter(isOnline)
  if (leadership === undefined || recipients.length === 0) {
    return { error: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, message: 'No replica is online.' }
  }
  const clean = recipients.find((id) => leadership.isr.includes(id))
  if (clean !== undefined) {
    const isr = leadership.isr.filter(isOnline)
    return { leadership: { ...leadership, leader: clean, isr }, recipients }
  }
  const leader = recipients[0]
  // Until the new leader has looked its log through (KIP-704).
  return { leadership: { ...leadership, leader, isr: [leader], recovering: true }, recipients }
}
