/** Requests of the classic protocol that find a consumer group (KIP-848): carried out there. */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import { andThen } from '../../later.ts'
import type { Later } from '../../later.ts'
import type { Group } from '../group.ts'
import type { LeavingMember } from '../leave-group.ts'
import { failedJoin, failedSync } from '../rebalance.ts'
import type { GroupPartition } from '../replay.ts'
import type { JoinResult, SyncResult } from '../turn.ts'
import { heartbeatAsClassic, joinAsClassic, leaveAsClassic, syncAsClassic } from './classic-members.ts'
import type { ClassicCall, ClassicSync } from './classic-members.ts'
import type { ClassicJoin } from '../join-group.ts'
import type { ConsumerGroups } from './consumer-groups.ts'
import { isRefusal } from './refusal.ts'

/** Each gives null where the group is a classic one. None is asked while the group's records are being stored. */
export class ClassicRequests {
  readonly #groups: ConsumerGroups

  constructor(groups: ConsumerGroups) {
    this.#groups = groups
  }

  /** 'again': the group had no members, and is a classic one now. */
  join(partition: GroupPartition, group: Group, call: ClassicJoin): Later<JoinResult | 'again'> | null {
    const { consumer } = group
    if (consumer === null) return null
    const refuse = (error: number): JoinResult => failedJoin(call.memberId, error)
    if (group.isDead) return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    if (consumer.members.size === 0) {
      const ended = this.#groups.endEmpty(partition, group)
      return andThen(ended, (error) => (error === ErrorCode.NONE ? 'again' : refuse(error)))
    }
    const decision = joinAsClassic(consumer, call, this.#groups.context())
    if (isRefusal(decision)) return refuse(decision.errorCode)
    return this.#groups.carryOut(partition, group, decision, refuse)
  }

  sync(partition: GroupPartition, group: Group, call: ClassicSync): SyncResult | null {
    const { consumer } = group
    if (consumer === null) return null
    if (group.isDead) return failedSync(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    const result = syncAsClassic(consumer, call, this.#groups.context())
    this.#groups.settle(partition, group)
    return result
  }

  /** The error code. */
  heartbeat(partition: GroupPartition, group: Group, call: ClassicCall): number | null {
    const { consumer } = group
    if (consumer === null) return null
    if (group.isDead) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const error = heartbeatAsClassic(consumer, call, this.#groups.context().nowMs)
    this.#groups.settle(partition, group)
    return error
  }

  /** The error codes in the order of the members, or one for all. */
  leave(
    partition: GroupPartition,
    group: Group,
    members: readonly LeavingMember[],
  ): Later<number[] | number> | null {
    const { consumer } = group
    if (consumer === null) return null
    const decision = leaveAsClassic(consumer, members, this.#groups.context())
    return this.#groups.carryOut<number[] | number>(partition, group, decision, (error) => error)
  }
}
