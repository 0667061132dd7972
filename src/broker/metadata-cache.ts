/**
 * What this broker knows of the cluster, as the controller told it. Reads are synchronous and cost a map look-up: requests
 * are answered from here. A topic object is replaced, never changed, when something about it changes.
 */
import { LEADER_DURING_DELETE, type MetadataUpdate } from '../controller/metadata.ts'
import type { Timer, Timers } from '../env/env.ts'
import { isInternalTopic } from './topic-names.ts'

export interface PartitionMetadata {
  readonly index: number
  /** -1: none */
  readonly leader: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  readonly replicas: readonly number[]
  /** Replicas whose log directory has failed. */
  readonly failedReplicas: readonly number[]
  /** These, and replicas whose broker is not there. */
  readonly offlineReplicas: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  readonly topicId: string
  readonly isInternal: boolean
  /** By index, without gaps: a partition that has no leader yet has leader -1. */
  readonly partitions: readonly PartitionMetadata[]
}

export interface BrokerMetadata {
  readonly id: number
  /** czxid of its registration. */
  readonly epoch: number
  readonly rack: string | null
  /** By listener name. */
  readonly endpoints: ReadonlyMap<string, { readonly host: string; readonly port: number }>
}

export interface MetadataChange {
  /** Topics that are new, changed or gone. */
  readonly topics: ReadonlySet<string>
  readonly brokersChanged: boolean
  readonly controllerChanged: boolean
}

interface Waiting {
  readonly predicate: () => boolean
  readonly finish: (met: boolean) => void
}

const NONE: readonly number[] = []

export class MetadataCache {
  readonly clusterId: string
  readonly #timers: Timers
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #names = new Map<string, string>()
  #brokers = new Map<number, BrokerMetadata>()
  #controllerId = -1
  readonly #listeners: ((change: MetadataChange) => void)[] = []
  readonly #waiting = new Set<Waiting>()

  constructor(clusterId: string, timers: Timers) {
    this.clusterId = clusterId
    this.#timers = timers
  }

  /** -1 when there is none. */
  get controllerId(): number {
    return this.#controllerId
  }

  /** Live brokers. */
  brokers(): Iterable<BrokerMetadata> {
    return this.#brokers.values()
  }

  broker(id: number): BrokerMetadata | undefined {
    return this.#brokers.get(id)
  }

  get brokerCount(): number {
    return this.#brokers.size
  }

  topics(): Iterable<TopicMetadata> {
    return this.#topics.values()
  }

  get topicCount(): number {
    return this.#topics.size
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name)
  }

  topicById(topicId: string): TopicMetadata | undefined {
    const name = this.#names.get(topicId)
    return name === undefined ? undefined : this.#topics.get(name)
  }

  partition(topic: string, index: number): PartitionMetadata | undefined {
    return this.#topics.get(topic)?.partitions[index]
  }

  /** Runs after every update that changed something. */
  onChange(listener: (change: MetadataChange) => void): void {
    this.#listeners.push(listener)
  }

  /** Resolves with true as soon as `predicate` holds, with false when it does not within `timeoutMs`. */
  waitFor(predicate: () => boolean, timeoutMs: number): Promise<boolean> {
    if (predicate()) return Promise.resolve(true)
    if (timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      let timer: Timer | null = null
      const waiting: Waiting = {
        predicate,
        finish: (met) => {
          this.#waiting.delete(waiting)
          timer?.cancel()
          resolve(met)
        },
      }
      this.#waiting.add(waiting)
      timer = this.#timers.after(timeoutMs, () => waiting.finish(false))
    })
  }

  updateMetadata(controllerId: number, update: MetadataUpdate): void {
    const controllerChanged = this.#controllerId !== controllerId
    this.#controllerId = controllerId
    const brokersChanged = this.#setBrokers(update.brokers)
    const changed = new Set<string>()
    this.#forget(update.partitions, changed)
    this.#merge(update.partitions, changed)
    if (brokersChanged) this.#refreshOfflineReplicas(changed)
    if (changed.size > 0 || brokersChanged || controllerChanged)
      for (const listener of this.#listeners) listener({ topics: changed, brokersChanged, controllerChanged })
    for (const waiting of [...this.#waiting]) if (waiting.predicate()) waiting.finish(true)
  }

  /**
   * This broker's own log directory has failed: clients are sent away at once, and also where the controller cannot write
   * down who leads now, because its own journal lies in that directory. What it says later replaces this.
   */
  replicasFailedHere(brokerId: number, lost: readonly { topic: string; partition: number }[]): void {
    const topics = new Set<string>()
    for (const { topic: name, partition: index } of lost) {
      const topic = this.#topics.get(name)
      const known = topic?.partitions[index]
      if (topic === undefined || known === undefined) continue
      const failedReplicas = [...new Set([...known.failedReplicas, brokerId])]
      const offlineReplicas = this.#offline({ replicas: known.replicas, failedReplicas })
      const leader = known.leader === brokerId ? -1 : known.leader
      const partitions = topic.partitions.with(index, { ...known, leader, failedReplicas, offlineReplicas })
      this.#topics.set(name, { ...topic, partitions })
      topics.add(name)
    }
    if (topics.size === 0) return
    for (const listener of this.#listeners)
      listener({ topics, brokersChanged: false, controllerChanged: false })
  }

  #setBrokers(brokers: MetadataUpdate['brokers']): boolean {
    const before = this.#brokers
    this.#brokers = new Map()
    let changed = before.size !== brokers.length
    for (const { id, epoch, rack, endpoints } of brokers) {
      const byListener = new Map(
        endpoints.map(({ listenerName, host, port }) => [listenerName, { host, port }]),
      )
      const known = before.get(id)
      changed ||= known === undefined || known.epoch !== epoch || known.rack !== rack
      changed ||= !sameEndpoints(known!.endpoints, byListener)
      this.#brokers.set(id, { id, epoch, rack, endpoints: byListener })
    }
    return changed
  }

  #remove(name: string): boolean {
    const topic = this.#topics.get(name)
    if (topic === undefined) return false
    this.#topics.delete(name)
    this.#names.delete(topic.topicId)
    return true
  }

  /** Partitions that are being deleted; what is left of a topic keeps its numbers. */
  #forget(states: MetadataUpdate['partitions'], changed: Set<string>): void {
    const going = new Map<string, Set<number>>()
    for (const { topic: name, topicId, partition, leader } of states) {
      // One of another id is of a life of the topic that this broker has forgotten already.
      if (leader !== LEADER_DURING_DELETE || this.#topics.get(name)?.topicId !== topicId) continue
      const indexes = going.get(name)
      if (indexes === undefined) going.set(name, new Set([partition]))
      else indexes.add(partition)
    }
    for (const [name, indexes] of going) {
      const topic = this.#topics.get(name)!
      const partitions = topic.partitions.map((one) => {
        return indexes.has(one.index) ? unknownPartition(one.index) : one
      })
      if (partitions.every(({ leaderEpoch }) => leaderEpoch < 0)) this.#remove(name)
      else this.#topics.set(name, { ...topic, partitions })
      changed.add(name)
    }
  }

  #merge(states: MetadataUpdate['partitions'], changed: Set<string>): void {
    const touched = new Map<string, { topicId: string; partitions: PartitionMetadata[] }>()
    for (const state of states) {
      if (state.leader === LEADER_DURING_DELETE) continue
      let topic = touched.get(state.topic)
      if (topic === undefined) {
        const known = this.#topics.get(state.topic)
        const same = known !== undefined && known.topicId === state.topicId
        topic = { topicId: state.topicId, partitions: same ? [...known.partitions] : [] }
        touched.set(state.topic, topic)
      }
      while (topic.partitions.length < state.partition)
        topic.partitions.push(unknownPartition(topic.partitions.length))
      const { partition: index, leader, leaderEpoch, partitionEpoch, isr, replicas } = state
      const { offlineReplicas: failedReplicas } = state
      const offlineReplicas = this.#offline({ replicas, failedReplicas })
      const who = { isr, replicas, failedReplicas, offlineReplicas }
      topic.partitions[index] = { index, leader, leaderEpoch, partitionEpoch, ...who }
    }
    for (const [name, { topicId, partitions }] of touched) {
      this.#remove(name)
      this.#topics.set(name, { name, topicId, isInternal: isInternalTopic(name), partitions })
      this.#names.set(topicId, name)
      changed.add(name)
    }
  }

  #refreshOfflineReplicas(changed: Set<string>): void {
    for (const topic of this.#topics.values()) {
      const stale = topic.partitions.some((partition) => {
        return String(this.#offline(partition)) !== String(partition.offlineReplicas)
      })
      if (!stale) continue
      const partitions = topic.partitions.map((partition) => {
        return { ...partition, offlineReplicas: this.#offline(partition) }
      })
      this.#topics.set(topic.name, { ...topic, partitions })
      changed.add(topic.name)
    }
  }

  #offline(partition: Pick<PartitionMetadata, 'replicas' | 'failedReplicas'>): readonly number[] {
    const { replicas, failedReplicas } = partition
    if (failedReplicas.length === 0 && replicas.every((id) => this.#brokers.has(id))) return NONE
    return replicas.filter((id) => !this.#brokers.has(id) || failedReplicas.includes(id))
  }
}

function unknownPartition(index: number): PartitionMetadata {
  const nothing = { leader: -1, leaderEpoch: -1, partitionEpoch: -1 }
  return { index, ...nothing, isr: NONE, replicas: NONE, failedReplicas: NONE, offlineReplicas: NONE }
}

function sameEndpoints(one: BrokerMetadata['endpoints'], other: BrokerMetadata['endpoints']): boolean {
  if (one.size !== other.size) return false
  for (const [name, { host, port }] of one) {
    const match = other.get(name)
    if (match === undefined || match.host !== host || match.port !== port) return false
  }
  return true
}
