/**
 * Partitions on their way to other replicas (KIP-455): asked for by AlterPartitionReassignments or, by older tools, at
 * /admin/reassign_partitions. What is under way stands in the topics' znodes, so that a new controller goes on with it.
 * What is to be done is decided in decide/reassignment.ts.
 */
import { CoordinationError } from '../env/coordination.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../protocol/messages/45-alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../protocol/messages/46-list-partition-reassignments.ts'
import { keyOf, leadershipOf } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import {
  decideReassignment,
  decideReassignmentStep,
  isBeingReassigned,
  originalReplicas,
  targetReplicas,
  withAssignment,
} from './decide/reassignment.ts'
import type { ReassignmentStep, ReplicaAssignment } from './decide/reassignment.ts'
import { changePartitions, createPartitions, tellChanges } from './partition-changes.ts'
import { readNode } from './read-cluster.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'
import {
  REASSIGN_PARTITIONS_PATH,
  decodePartitions,
  decodeTopic,
  encodeReassignments,
  encodeTopic,
  topicPath,
} from './znodes.ts'

type AlteredPartition = AlterPartitionReassignmentsResponse['responses'][number]['partitions'][number]
type ListedPartition = ListPartitionReassignmentsResponse['topics'][number]['partitions'][number]

interface Outcome {
  readonly error: number
  readonly message: string | null
}

const ACCEPTED: Outcome = { error: ErrorCode.NONE, message: null }
const NO_PARTITION: Outcome = {
  error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  message: 'There is no such partition.',
}

export class Reassignments {
  readonly #term: Term
  /** By partition: replicas of plans that were given up. They leave the in-sync set, and then their logs go, with the next step. */
  readonly #dropped = new Map<string, readonly number[]>()

  constructor(term: Term) {
    this.#term = term
  }

  async alter({ topics }: AlterPartitionReassignmentsRequest): Promise<AlterPartitionReassignmentsResponse> {
    const responses: AlterPartitionReassignmentsResponse['responses'][number][] = []
    for (const { name, partitions } of topics) {
      const results: AlteredPartition[] = []
      for (const { partitionIndex, replicas } of partitions) {
        const { error, message } = await this.#reassign(name, partitionIndex, replicas)
        results.push({ partitionIndex, errorCode: error, errorMessage: message })
      }
      responses.push({ name, partitions: results })
    }
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, responses }
  }

  list({ topics }: ListPartitionReassignmentsRequest): ListPartitionReassignmentsResponse {
    const wanted =
      topics === null
        ? null
        : new Set(
            topics.flatMap(({ name, partitionIndexes }) =>
              partitionIndexes.map((partition) => keyOf({ topic: name, partition })),
            ),
          )
    const byTopic = new Map<string, { name: string; partitions: ListedPartition[] }>()
    for (const ref of this.#underWay()) {
      if (wanted !== null && !wanted.has(keyOf(ref))) continue
      let topic = byTopic.get(ref.topic)
      if (topic === undefined) byTopic.set(ref.topic, (topic = { name: ref.topic, partitions: [] }))
      const { replicas, addingReplicas, removingReplicas } = assignmentOfRef(ref)
      topic.partitions.push({
        partitionIndex: ref.partition,
        replicas: [...replicas],
        addingReplicas: [...addingReplicas],
        removingReplicas: [...removingReplicas],
      })
    }
    const head = { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null }
    return { ...head, topics: [...byTopic.values()] }
  }

  /** Goes on with what is under way; with `brokers`, only where one of them has a replica or is to have one. */
  async resume(brokers?: ReadonlySet<number>): Promise<void> {
    for (const ref of this.#underWay()) {
      const { replicas } = assignmentOfRef(ref)
      if (brokers === undefined || replicas.some((id) => brokers.has(id))) await this.#step(ref)
    }
  }

  /** In-sync sets have grown: moves whose target is in sync end. */
  async isrChanged(partitions: readonly PartitionRef[]): Promise<void> {
    for (const ref of partitions) {
      const assignment = assignmentOfRef(ref)
      if (!isBeingReassigned(assignment) || this.#term.state.deletions.has(ref.topic)) continue
      const isr = leadershipOf(ref)?.isr ?? []
      if (targetReplicas(assignment).every((id) => isr.includes(id))) await this.#step(ref)
    }
  }

  /** Their topic was deleted. */
  async partitionsGone(partitions: readonly PartitionRef[]): Promise<void> {
    const moved = partitions.filter((ref) => isBeingReassigned(assignmentOfRef(ref)))
    for (const ref of partitions) this.#dropped.delete(keyOf(ref))
    if (moved.length > 0) await this.#removeFromZnode(moved)
  }

  #underWay(): PartitionRef[] {
    return this.#term.state.servedPartitions().filter((ref) => isBeingReassigned(assignmentOfRef(ref)))
  }

  async #reassign(topic: string, partition: number, target: readonly number[] | null): Promise<Outcome> {
    const { state, logger } = this.#term
    const ref = state.partition(topic, partition)
    const current = ref && {
      assignment: assignmentOfRef(ref),
      leadership: leadershipOf(ref),
      isBeingDeleted: state.deletions.has(topic),
    }
    const decision = decideReassignment(current, target, state.liveBrokers())
    if ('error' in decision) return decision
    if (ref === undefined) return NO_PARTITION
    const { assignment, dropped } = decision
    logger.log('info', 'a partition is reassigned', {
      partition: keyOf(ref),
      from: originalReplicas(assignment).join(','),
      to: targetReplicas(assignment).join(','),
    })
    if (!(await this.#write(ref, assignment))) return NO_PARTITION
    const known = this.#dropped.get(keyOf(ref)) ?? []
    const all = [...new Set([...known, ...dropped])].filter((id) => !assignment.replicas.includes(id))
    this.#dropped.set(keyOf(ref), all)
    await this.#step(ref)
    return ACCEPTED
  }

  async #step(ref: PartitionRef): Promise<void> {
    const term = this.#term
    const { state, channels } = term
    if (leadershipOf(ref) === undefined && !(await this.#create(ref))) return
    const assignment = assignmentOfRef(ref)
    let step: ReassignmentStep = { kind: 'wait' }
    await changePartitions(term, [ref], (_, current) => {
      const isOnline = (replica: number): boolean => state.isOnline(ref, replica)
      step = decideReassignmentStep(assignment, current, isOnline, term.epoch)
      return step.kind === 'wait' ? null : step.leadership
    })
    // What the step says is what was decided last, and written.
    const decided = step as ReassignmentStep
    if (decided.kind === 'wait') return
    const batch = new RequestBatch(state, channels)
    const serving = (ids: readonly number[]): number[] => ids.filter((id) => state.isServing(ref, id))
    if (decided.kind === 'complete') {
      ref.topicState.assignments[ref.partition] = decided.assignment
      batch.leaderAndIsr(ref, serving(decided.assignment.replicas))
      for (const broker of serving(decided.removed)) batch.stopReplica(broker, ref, true)
    } else {
      batch.leaderAndIsr(ref, serving(originalReplicas(assignment)))
      batch.leaderAndIsr(ref, serving(assignment.addingReplicas), true)
    }
    for (const broker of serving(this.#dropped.get(keyOf(ref)) ?? [])) batch.stopReplica(broker, ref, true)
    this.#dropped.delete(keyOf(ref))
    batch.send()
    if (decided.kind !== 'complete') return
    await this.#write(ref, decided.assignment)
    await this.#removeFromZnode([ref])
  }

  /** A partition that never had a leader, since none of its replicas lives, may get one now. */
  async #create(ref: PartitionRef): Promise<boolean> {
    const { state, channels } = this.#term
    const created = await createPartitions(this.#term, [ref])
    const batch = new RequestBatch(state, channels)
    tellChanges(this.#term, batch, { created, changed: [] })
    batch.send()
    return created.length > 0
  }

  /** Into the topic's znode, beside whatever else stands there, then into memory. False: the topic is gone. */
  async #write(
    { topic, topicState, partition }: PartitionRef,
    assignment: ReplicaAssignment,
  ): Promise<boolean> {
    const { session, writes } = this.#term
    for (;;) {
      const node = await readNode(session, topicPath(topic))
      const content = decodeTopic(node?.data ?? null)
      if (node === null || content === null) return false
      const data = encodeTopic(
        withAssignment({ ...content, topicId: topicState.topicId }, partition, assignment),
      )
      try {
        await writes.multi([{ type: 'set', path: topicPath(topic), data, version: node.stat.version }])
        topicState.assignments[partition] = assignment
        return true
      } catch (error) {
        // Partitions were added meanwhile: they must not be lost.
        const isChanged = error instanceof CoordinationError && error.operationIndex > 0
        if (!isChanged || error.code !== 'BAD_VERSION') throw error
      }
    }
  }

  // The way of tools before Kafka 2.4

  readonly watch = (): void => this.#term.schedule('reassign partitions', () => this.reassignByZnode())

  async reassignByZnode(): Promise<void> {
    const { session, logger, state } = this.#term
    if ((await session.exists(REASSIGN_PARTITIONS_PATH, this.watch)) === null) return
    const node = await readNode(session, REASSIGN_PARTITIONS_PATH)
    for (const { topic, partition, replicas } of decodePartitions(node?.data ?? null)) {
      const ref = state.partition(topic, partition)
      const isUnderWay = ref !== undefined && isBeingReassigned(assignmentOfRef(ref))
      if (isUnderWay && String(targetReplicas(assignmentOfRef(ref))) === String(replicas)) continue
      const { error, message } = await this.#reassign(topic, partition, replicas ?? [])
      if (error === ErrorCode.NONE) continue
      logger.log('warn', 'a partition cannot be reassigned', { partition: `${topic}-${partition}`, message })
      await this.#removeFromZnode([{ topic, partition }])
    }
  }

  /** The node says what is still to be done, and goes when nothing is. */
  async #removeFromZnode(
    done: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<void> {
    const { session, writes } = this.#term
    const path = REASSIGN_PARTITIONS_PATH
    const node = await readNode(session, path)
    if (node === null) return
    const keys = new Set(done.map(keyOf))
    const rest = decodePartitions(node.data)
      .filter((one) => !keys.has(keyOf(one)))
      .flatMap(({ replicas, ...one }) => (replicas === null ? [] : [{ ...one, replicas }]))
    const { version } = node.stat
    const data = encodeReassignments(rest)
    try {
      await writes.multi([
        rest.length === 0 ? { type: 'delete', path, version } : { type: 'set', path, data, version },
      ])
    } catch (error) {
      // Another has written it: its watch tells.
      if (!(error instanceof CoordinationError && error.operationIndex > 0)) throw error
    }
  }
}

const assignmentOfRef = ({ topicState, partition }: PartitionRef): ReplicaAssignment =>
  topicState.assignments[partition]
