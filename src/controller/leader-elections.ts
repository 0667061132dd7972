/**
 * Elections that nothing forces: asked for by an administrator (ElectLeaders, KIP-460; /admin/preferred_replica_election in
 * older tools), and those that give leadership back to preferred replicas from time to time.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { Timer } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from '../protocol/messages/43-elect-leaders.ts'
import { keyOf, leadershipOf, replicasOf } from './cluster-state.ts'
import type { Leadership, PartitionRef } from './cluster-state.ts'
import { decideManualElection } from './decide/elect-leaders.ts'
import type { ElectablePartition, ManualElectionType } from './decide/elect-leaders.ts'
import { decideRebalance } from './decide/imbalance.ts'
import { isBeingReassigned } from './decide/reassignment.ts'
import { changePartitions } from './partition-changes.ts'
import { readNode } from './read-cluster.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'
import { PREFERRED_ELECTION_PATH, decodePartitions } from './znodes.ts'

type PartitionResult = ElectLeadersResponse['replicaElectionResults'][number]['partitionResult'][number]

interface Outcome {
  readonly error: number
  readonly message: string | null
}

const ELECTED: Outcome = { error: ErrorCode.NONE, message: null }
/** As in Kafka: soon after an election, when brokers have come back from what caused it. */
const FIRST_REBALANCE_MS = 5000

export class LeaderElections {
  readonly #term: Term
  #timer: Timer | null = null

  constructor(term: Term) {
    this.#term = term
  }

  /** The partitions asked for, or all of them; those of all that need no election are left out of the answer. */
  async elect({ electionType, topicPartitions }: ElectLeadersRequest): Promise<ElectLeadersResponse> {
    const type = electionType === 1 ? 'unclean' : 'preferred'
    const { state } = this.#term
    const all = state.servedPartitions().map(({ topic, partition }) => ({ topic, partition }))
    const wanted =
      topicPartitions?.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      ) ?? all
    const outcomes = await this.#elect(type, wanted)
    const byTopic = new Map<string, { topic: string; partitionResult: PartitionResult[] }>()
    for (const { topic, partition } of wanted) {
      const { error, message } = outcomes.get(keyOf({ topic, partition }))!
      if (topicPartitions === null && error === ErrorCode.ELECTION_NOT_NEEDED) continue
      let results = byTopic.get(topic)
      if (results === undefined) byTopic.set(topic, (results = { topic, partitionResult: [] }))
      results.partitionResult.push({ partitionId: partition, errorCode: error, errorMessage: message })
    }
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, replicaElectionResults: [...byTopic.values()] }
  }

  async #elect(
    type: ManualElectionType,
    wanted: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<Map<string, Outcome>> {
    const term = this.#term
    const { state, epoch, channels } = term
    const outcomes = new Map<string, Outcome>()
    const recipients = new Map<string, readonly number[]>()
    const found: PartitionRef[] = []
    for (const { topic, partition } of wanted) {
      const ref = state.partition(topic, partition)
      if (ref !== undefined && leadershipOf(ref) !== undefined) found.push(ref)
      else {
        const refused = decideManualElection(type, ref && this.#electable(ref), epoch)
        if ('error' in refused) outcomes.set(keyOf({ topic, partition }), refused)
      }
    }
    const changed = await changePartitions(term, found, (ref, current) => {
      const election = decideManualElection(type, this.#electable(ref, current), epoch)
      if ('error' in election) {
        // After a conflict: what was to be done may have been done.
        if (!outcomes.has(keyOf(ref))) outcomes.set(keyOf(ref), election)
        return null
      }
      outcomes.set(keyOf(ref), ELECTED)
      recipients.set(keyOf(ref), election.recipients)
      return election.leadership
    })
    if (changed.length === 0) return outcomes
    const batch = new RequestBatch(state, channels)
    for (const ref of changed) batch.leaderAndIsr(ref, recipients.get(keyOf(ref)) ?? [])
    batch.send()
    return outcomes
  }

  #electable(ref: PartitionRef, leadership = leadershipOf(ref)): ElectablePartition {
    const { state } = this.#term
    return {
      replicas: replicasOf(ref),
      leadership,
      isBeingDeleted: state.deletions.has(ref.topic),
      isLive: (broker) => state.isLive(broker),
      isOnline: (replica) => state.isOnline(ref, replica),
    }
  }

  // Preferred leaders

  start(): void {
    this.#after(FIRST_REBALANCE_MS)
  }

  close(): void {
    this.#timer?.cancel()
  }

  #after(delayMs: number): void {
    const { timers, settings, schedule } = this.#term
    this.#timer = timers.after(delayMs, () => {
      schedule('rebalance', () => this.#rebalance())
      this.#after(settings.imbalanceCheckIntervalMs())
    })
  }

  async #rebalance(): Promise<void> {
    const { state, settings } = this.#term
    const served = state.servedPartitions()
    const moving = served.some(({ topicState, partition }) =>
      isBeingReassigned(topicState.assignments[partition]),
    )
    if (!settings.rebalanceEnabled() || moving) return
    const partitions = served.map((ref) => {
      const leadership: Leadership | undefined = leadershipOf(ref)
      return {
        ref,
        replicas: replicasOf(ref),
        leader: leadership?.leader ?? null,
        isr: leadership?.isr ?? [],
      }
    })
    const isOnline = (replica: number, { ref }: { ref: PartitionRef }): boolean =>
      state.isOnline(ref, replica)
    const chosen = decideRebalance(partitions, settings.imbalancePercentage(), isOnline)
    if (chosen.length === 0) return
    this.#term.logger.log('info', 'leadership goes back to preferred replicas', { partitions: chosen.length })
    await this.#elect(
      'preferred',
      chosen.map(({ ref }) => ref),
    )
  }

  readonly watch = (): void => this.#term.schedule('preferred election', () => this.electByZnode())

  /** The way of tools before Kafka 2.4. */
  async electByZnode(): Promise<void> {
    const { session, writes } = this.#term
    if ((await session.exists(PREFERRED_ELECTION_PATH, this.watch)) === null) return
    const node = await readNode(session, PREFERRED_ELECTION_PATH)
    await this.#elect('preferred', decodePartitions(node?.data ?? null))
    try {
      await writes.multi([{ type: 'delete', path: PREFERRED_ELECTION_PATH }])
    } catch (error) {
      if (!(error instanceof CoordinationError && error.code === 'NO_NODE')) throw error
    }
  }
}

/** Of elections whose outcome was not known here in time. */
export function electionsTimedOut(response: ElectLeadersResponse): ElectLeadersResponse {
  const ofPartition = (result: PartitionResult): PartitionResult =>
    result.errorCode === ErrorCode.NONE ? { ...result, errorCode: ErrorCode.REQUEST_TIMED_OUT } : result
  const replicaElectionResults = response.replicaElectionResults.map(({ topic, partitionResult }) => {
    return { topic, partitionResult: partitionResult.map(ofPartition) }
  })
  return { ...response, replicaElectionResults }
}
