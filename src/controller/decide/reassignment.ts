/**
 * Moving a partition to other replicas (KIP-455): what a wish makes of the assignment, and what the next step is.
 *
 * While a reassignment is under way `replicas` is the target followed by those of the originals that are to go, so both
 * can be had back from it. A wish is first written to the topic's znode (phase U in Kafka's controller), then steps are
 * decided whenever the in-sync set or the live brokers have changed: `grow` until the whole target is in sync (phase A),
 * then `complete` (phase B). A new controller goes on with what it finds there.
 *
 * Two things are as in no Kafka: a wish that would drop every in-sync replica is refused (Kafka deletes their logs and
 * waits for a leader), and a complete target that is offline as a whole waits while originals serve.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { PartitionStateZnode, TopicZnode } from '../znodes.ts'

export interface ReplicaAssignment {
  /** All that have a replica or are to have one, the preferred leader first. */
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
}

/** An assignment that nothing is under way for. */
export const settled = (replicas: readonly number[]): ReplicaAssignment => {
  return { replicas, addingReplicas: [], removingReplicas: [] }
}

export const isBeingReassigned = (assignment: ReplicaAssignment): boolean =>
  assignment.addingReplicas.length > 0 || assignment.removingReplicas.length > 0

export const originalReplicas = (assignment: ReplicaAssignment): number[] =>
  without(assignment.replicas, assignment.addingReplicas)

export const targetReplicas = (assignment: ReplicaAssignment): number[] =>
  without(assignment.replicas, assignment.removingReplicas)

/** The assignment under which the originals of `current` become `target`. */
export function reassignedTo(current: ReplicaAssignment, target: readonly number[]): ReplicaAssignment {
  const original = originalReplicas(current)
  const replicas = [...new Set([...target, ...original])]
  return {
    replicas,
    addingReplicas: without(replicas, original),
    removingReplicas: without(replicas, target),
  }
}

/** What a topic's znode says of one partition; undefined where it has none of that number. */
export function assignmentOf(topic: TopicZnode, partition: number): ReplicaAssignment | undefined {
  const replicas = topic.partitions[partition]
  if (replicas === undefined) return undefined
  return {
    replicas,
    addingReplicas: topic.addingReplicas[partition] ?? [],
    removingReplicas: topic.removingReplicas[partition] ?? [],
  }
}

/** The topic's znode with another assignment of one partition. */
export function withAssignment(
  topic: TopicZnode,
  partition: number,
  assignment: ReplicaAssignment,
): TopicZnode {
  const put = (all: TopicZnode['addingReplicas'], replicas: readonly number[]) => {
    const others = Object.entries(all).filter(([key]) => Number(key) !== partition)
    return Object.fromEntries(replicas.length === 0 ? others : [...others, [partition, replicas]])
  }
  return {
    ...topic,
    partitions: topic.partitions.map((replicas, i) => (i === partition ? assignment.replicas : replicas)),
    addingReplicas: put(topic.addingReplicas, assignment.addingReplicas),
    removingReplicas: put(topic.removingReplicas, assignment.removingReplicas),
  }
}

export interface ReassignablePartition {
  readonly assignment: ReplicaAssignment
  /** undefined: its state has never been written. */
  readonly leadership: PartitionStateZnode | undefined
  /** Its topic has a deletion marker. */
  readonly isBeingDeleted: boolean
}

export type ReassignmentDecision =
  | { readonly error: number; readonly message: string }
  | {
      /** To be written to the topic's znode, unless it stands there already. */
      readonly assignment: ReplicaAssignment
      /**
       * Replicas of a plan that this one replaces: with the next step that does not wait they leave the in-sync set and
       * their logs go.
       */
      readonly dropped: readonly number[]
    }

/**
 * What becomes of a wish for `target`, or, where it is null, of the wish to end what is under way and to go back. The
 * checks are in Kafka's order. `liveBrokers`: without those that shut down. `partition` undefined: there is none.
 */
export function decideReassignment(
  partition: ReassignablePartition | undefined,
  target: readonly number[] | null,
  liveBrokers: ReadonlySet<number>,
): ReassignmentDecision {
  const current = partition?.assignment ?? settled([])
  const fault = target === null ? null : targetFault(current, target, liveBrokers)
  if (fault !== null) return { error: ErrorCode.INVALID_REPLICA_ASSIGNMENT, message: fault }
  if (target === null && !isBeingReassigned(current)) {
    return { error: ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, message: 'No reassignment is in progress.' }
  }
  if (partition === undefined || partition.isBeingDeleted) {
    return { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message: 'There is no such partition.' }
  }
  const assignment = reassignedTo(current, target ?? originalReplicas(current))
  const dropped = without(current.replicas, assignment.replicas)
  const isr = partition.leadership?.isr ?? []
  if (isr.length > 0 && without(isr, dropped).length === 0) {
    const message = `Only replicas that would be dropped are in sync: ${isr.join(', ')}.`
    return { error: ErrorCode.INVALID_REPLICA_ASSIGNMENT, message }
  }
  return { assignment, dropped }
}

function targetFault(
  current: ReplicaAssignment,
  target: readonly number[],
  liveBrokers: ReadonlySet<number>,
): string | null {
  if (target.length === 0) return 'The list of replicas is empty.'
  const list = target.join(', ')
  if (new Set(target).size !== target.length) return `A broker is twice in the list of replicas: ${list}.`
  if (target.some((id) => id < 0)) return `A broker id in the list of replicas is negative: ${list}.`
  const dead = reassignedTo(current, target).addingReplicas.filter((id) => !liveBrokers.has(id))
  return dead.length === 0
    ? null
    : `Brokers that replicas are to be added on are not alive: ${dead.join(', ')}.`
}

export type ReassignmentStep =
  | {
      /**
       * The target is not in sync yet. Write the leadership, send it to the originals and, as new replicas, to the added
       * ones, and stop and delete what was dropped. There is nothing else to do until the in-sync set grows.
       */
      readonly kind: 'grow'
      readonly leadership: PartitionStateZnode
    }
  | {
      /**
       * The target is in sync. Write the leadership, send it to the target, stop and delete `removed` and what was dropped,
       * and only then write the assignment: whoever takes over in between still finds what has to be done.
       */
      readonly kind: 'complete'
      readonly leadership: PartitionStateZnode
      readonly assignment: ReplicaAssignment
      readonly removed: readonly number[]
    }
  /** Nothing can be done before a replica that stays is in sync and, where the target is complete, online. */
  | { readonly kind: 'wait' }

/** A replica's broker is live and does not shut down, and the directory of its log is well. */
export type IsOnline = (replica: number) => boolean

/**
 * The next step of an assignment that stands in the topic's znode. Each writes the partition's state with the next leader
 * epoch, so that leader and followers take the new list of replicas. The in-sync set keeps those alone that stay.
 */
export function decideReassignmentStep(
  assignment: ReplicaAssignment,
  current: PartitionStateZnode,
  isOnline: IsOnline,
  controllerEpoch: number,
): ReassignmentStep {
  const target = targetReplicas(assignment)
  const reassigning = isBeingReassigned(assignment)
  const complete = !reassigning || target.every((id) => current.isr.includes(id))
  const staying = complete ? target : assignment.replicas
  const isr = current.isr.filter((id) => staying.includes(id))
  if (isr.length === 0) return { kind: 'wait' }
  // A leader that is gone is replaced by whoever notices, unless all moves on without it.
  const keepsLeader = staying.includes(current.leader) && (!complete || isOnline(current.leader))
  const next = staying.find((id) => isr.includes(id) && isOnline(id)) ?? -1
  const leader = keepsLeader ? current.leader : next
  if (complete && reassigning && leader < 0) return { kind: 'wait' }
  const leadership = { ...current, leader, isr, leaderEpoch: current.leaderEpoch + 1, controllerEpoch }
  if (!complete) return { kind: 'grow', leadership }
  return { kind: 'complete', leadership, assignment: settled(target), removed: assignment.removingReplicas }
}

function without(all: readonly number[], some: readonly number[]): number[] {
  return all.filter((id) => !some.includes(id))
}
