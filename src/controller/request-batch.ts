/**
 * What one event of the controller has to tell the brokers, gathered and sent at its end: to each broker LeaderAndIsr, then
 * UpdateMetadata, then StopReplica. Whatever LeaderAndIsr says of a partition to some, UpdateMetadata says to all.
 */
import type { BrokerChannels } from './broker-channels.ts'
import { goneState, keyOf, leadershipOf } from './cluster-state.ts'
import type { ClusterState, PartitionRef } from './cluster-state.ts'
import { EPOCH_DURING_DELETE } from './metadata.ts'
import type { BrokerInfo, PartitionState, ReplicaToStop } from './metadata.ts'

export class RequestBatch {
  readonly #state: ClusterState
  readonly #channels: BrokerChannels
  readonly #leaderAndIsr = new Map<number, Map<string, { ref: PartitionRef; isNew: boolean }>>()
  readonly #stops = new Map<number, Map<string, ReplicaToStop>>()
  readonly #metadata = new Map<string, PartitionRef>()
  #hasUpdate = false

  constructor(state: ClusterState, channels: BrokerChannels) {
    this.#state = state
    this.#channels = channels
  }

  /** To those of `recipients` that can be told. Partitions without a state are left out. */
  leaderAndIsr(ref: PartitionRef, recipients: Iterable<number>, isNew = false): void {
    if (leadershipOf(ref) === undefined) return
    const key = keyOf(ref)
    for (const broker of recipients) {
      let states = this.#leaderAndIsr.get(broker)
      if (states === undefined) this.#leaderAndIsr.set(broker, (states = new Map()))
      // Once new, new for the whole batch: the broker has not heard of it yet.
      states.set(key, { ref, isNew: isNew || (states.get(key)?.isNew ?? false) })
    }
    this.updateMetadata([ref])
  }

  /** All brokers hear of these partitions, and of the live brokers in any case. */
  updateMetadata(partitions: Iterable<PartitionRef>): void {
    this.#hasUpdate = true
    for (const ref of partitions) this.#metadata.set(keyOf(ref), ref)
  }

  stopReplica(broker: number, ref: PartitionRef, deleteLog: boolean): void {
    let replicas = this.#stops.get(broker)
    if (replicas === undefined) this.#stops.set(broker, (replicas = new Map()))
    const { topic, partition } = ref
    const isDeleted = this.#state.deletions.has(topic)
    const leaderEpoch = isDeleted ? EPOCH_DURING_DELETE : (leadershipOf(ref)?.leaderEpoch ?? -1)
    const key = keyOf(ref)
    const deletes = deleteLog || (replicas.get(key)?.deleteLog ?? false)
    replicas.set(key, { topic, partition, leaderEpoch, deleteLog: deletes })
  }

  /** The states are those that are known now. */
  send(): void {
    const brokers = this.#state.reachableBrokers()
    const partitions = this.#hasUpdate ? metadataOf(this.#state, this.#metadata.values()) : []
    for (const { id } of brokers) {
      const states = this.#statesFor(id)
      if (states.length > 0) {
        const named = new Set(states.map(({ leader }) => leader))
        const leaders = brokers.filter((broker) => named.has(broker.id))
        this.#channels.send(id, { type: 'leaderAndIsr', states, leaders })
      }
      if (this.#hasUpdate)
        this.#channels.send(id, { type: 'updateMetadata', update: { brokers, partitions } })
      const replicas = [...(this.#stops.get(id)?.values() ?? [])]
      if (replicas.length > 0) this.#channels.send(id, { type: 'stopReplicas', replicas })
    }
  }

  #statesFor(broker: number): PartitionState[] {
    const states: PartitionState[] = []
    for (const { ref, isNew } of this.#leaderAndIsr.get(broker)?.values() ?? [])
      if (leadershipOf(ref) !== undefined) states.push(this.#state.stateOf(ref, isNew))
    return states
  }
}

/**
 * Newcomers learn of all partitions, the others of the newcomers: before anybody is told to follow a leader, it must know
 * where the leader is.
 */
export function introduce(
  state: ClusterState,
  channels: BrokerChannels,
  newcomers: ReadonlySet<number>,
): void {
  const brokers: BrokerInfo[] = state.reachableBrokers()
  const everything = metadataOf(state, state.partitions())
  for (const { id } of brokers) {
    const partitions = newcomers.has(id) ? everything : []
    channels.send(id, { type: 'updateMetadata', update: { brokers, partitions } })
  }
}

/** Of topics that are to be deleted brokers hear that they are gone; of partitions without a state, nothing. */
function metadataOf(state: ClusterState, partitions: Iterable<PartitionRef>): PartitionState[] {
  const states: PartitionState[] = []
  for (const ref of partitions) {
    if (!state.topics.has(ref.topic) || state.deletions.has(ref.topic)) states.push(goneState(ref))
    else if (leadershipOf(ref) !== undefined) states.push(state.stateOf(ref, false))
  }
  return states
}
