/** What the active controller knows. It changes only in events of the controller. */
import { ErrorCode } from '../protocol/error-codes.ts'
import type { ReplicaAssignment } from './decide/reassignment.ts'
import { LEADER_DURING_DELETE } from './metadata.ts'
import type { BrokerInfo, PartitionAnswer, PartitionState } from './metadata.ts'
import type { PartitionStateZnode } from './znodes.ts'

export interface Leadership extends PartitionStateZnode {
  /** Version of the state znode. */
  readonly partitionEpoch: number
}

export interface TopicState {
  readonly topicId: string
  /** Of partition 0, 1, ... */
  readonly assignments: ReplicaAssignment[]
  /** By partition; undefined: its state has never been written. */
  readonly leadership: (Leadership | undefined)[]
  /** The znode above the partitions is known to exist. */
  hasPartitionsNode: boolean
  /** By partition: replicas whose log directory has failed. */
  readonly failedReplicas: (readonly number[] | undefined)[]
}

export const newTopicState = (topicId: string, assignments: readonly ReplicaAssignment[]): TopicState => {
  return {
    topicId,
    assignments: [...assignments],
    leadership: [],
    hasPartitionsNode: false,
    failedReplicas: [],
  }
}

/** One partition of a topic that the controller knows. */
export interface PartitionRef {
  readonly topic: string
  readonly topicState: TopicState
  readonly partition: number
}

export const keyOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}-${partition}`

export const replicasOf = ({ topicState, partition }: PartitionRef): readonly number[] =>
  topicState.assignments[partition].replicas

export const leadershipOf = ({ topicState, partition }: PartitionRef): Leadership | undefined =>
  topicState.leadership[partition]

export class ClusterState {
  /** Registered, as they were last read. */
  readonly brokers = new Map<number, BrokerInfo>()
  /** Those that have asked to leave (ControlledShutdown): they serve, but are to lead nothing more. */
  readonly shuttingDown = new Set<number>()
  /** Registered, but their process is gone: they are dealt with as if they were not registered (fast failover). */
  readonly lost = new Set<number>()
  readonly topics = new Map<string, TopicState>()
  readonly #namesById = new Map<string, string>()
  /** Topics with a deletion marker that have not gone yet. */
  readonly deletions = new Set<string>()
  /** Topics whose deletion waits: a replica is not there or could not be deleted. */
  readonly ineligibleForDeletion = new Set<string>()

  /** The broker can be told things. */
  isReachable(broker: number): boolean {
    return this.brokers.has(broker) && !this.lost.has(broker)
  }

  /** The broker may be asked to lead, and to be in sync. */
  isLive(broker: number): boolean {
    return this.isReachable(broker) && !this.shuttingDown.has(broker)
  }

  reachableBrokers(): BrokerInfo[] {
    return [...this.brokers.values()].filter(({ id }) => !this.lost.has(id))
  }

  liveBrokers(): Set<number> {
    return new Set([...this.brokers.keys()].filter((id) => this.isLive(id)))
  }

  /** A replica that may lead: its broker is live, and the directory of its log works. */
  isOnline({ topicState, partition }: PartitionRef, replica: number): boolean {
    return this.isLive(replica) && !topicState.failedReplicas[partition]?.includes(replica)
  }

  /** A replica that serves, if only until its broker has shut down. */
  isServing({ topicState, partition }: PartitionRef, replica: number): boolean {
    return this.isReachable(replica) && !topicState.failedReplicas[partition]?.includes(replica)
  }

  addTopic(name: string, topic: TopicState): void {
    this.topics.set(name, topic)
    this.#namesById.set(topic.topicId, name)
  }

  removeTopic(name: string): void {
    const topic = this.topics.get(name)
    if (topic === undefined) return
    this.topics.delete(name)
    this.#namesById.delete(topic.topicId)
  }

  topicNameOf(topicId: string): string | undefined {
    return this.#namesById.get(topicId)
  }

  partition(topic: string, partition: number): PartitionRef | undefined {
    const topicState = this.topics.get(topic)
    if (topicState?.assignments[partition] === undefined) return undefined
    return { topic, topicState, partition }
  }

  /** Of the topics named, or of all. */
  partitions(names: Iterable<string> = this.topics.keys()): PartitionRef[] {
    const refs: PartitionRef[] = []
    for (const topic of names) {
      const topicState = this.topics.get(topic)
      if (topicState === undefined) continue
      for (let partition = 0; partition < topicState.assignments.length; partition++)
        refs.push({ topic, topicState, partition })
    }
    return refs
  }

  /** Those that are served: not of topics that are to be deleted. */
  servedPartitions(names?: Iterable<string>): PartitionRef[] {
    return this.partitions(names).filter(({ topic }) => !this.deletions.has(topic))
  }

  /** The broker's answers to LeaderAndIsr say something new of its log directories. */
  saysNews(broker: number, answers: readonly PartitionAnswer[]): boolean {
    return answers.some((answer) => this.#newsIn(broker, answer) !== null)
  }

  /**
   * Takes a broker's answers to LeaderAndIsr; gives the partitions whose replica there is offline now and was not before.
   * Errors that tell of no log directory change nothing.
   */
  noteAnswers(broker: number, answers: readonly PartitionAnswer[]): PartitionRef[] {
    return answers.flatMap((answer) => {
      const ref = this.#newsIn(broker, answer)
      if (ref === null) return []
      const { failedReplicas } = ref.topicState
      const others = (failedReplicas[ref.partition] ?? []).filter((id) => id !== broker)
      const isFailed = answer.error === ErrorCode.KAFKA_STORAGE_ERROR
      failedReplicas[ref.partition] = isFailed ? [...others, broker] : others
      return isFailed ? [ref] : []
    })
  }

  #newsIn(broker: number, { topic, partition, error }: PartitionAnswer): PartitionRef | null {
    const isFailed = error === ErrorCode.KAFKA_STORAGE_ERROR
    if (!isFailed && error !== ErrorCode.NONE) return null
    const ref = this.partition(topic, partition)
    if (ref === undefined) return null
    const isKnown = ref.topicState.failedReplicas[partition]?.includes(broker) ?? false
    return isFailed === isKnown ? null : ref
  }

  /** Nothing is known any more of the directories of brokers that have gone or started anew. */
  forgetFailedReplicas(brokers: ReadonlySet<number>): void {
    for (const { failedReplicas } of this.topics.values()) {
      for (const [partition, replicas] of failedReplicas.entries())
        if (replicas !== undefined) failedReplicas[partition] = replicas.filter((id) => !brokers.has(id))
    }
  }

  /** As brokers are told of it; the partition must have a state. */
  stateOf(ref: PartitionRef, isNew: boolean): PartitionState {
    const { topic, topicState, partition } = ref
    const { leader, leaderEpoch, isr, partitionEpoch, controllerEpoch, recovering } = leadershipOf(ref)!
    const { replicas, addingReplicas, removingReplicas } = topicState.assignments[partition]
    return {
      topic,
      topicId: topicState.topicId,
      partition,
      controllerEpoch,
      leader,
      leaderEpoch,
      isr,
      partitionEpoch,
      replicas,
      addingReplicas,
      removingReplicas,
      isNew,
      recovering,
      offlineReplicas: replicas.filter((id) => !this.isServing(ref, id)),
    }
  }
}

/** Of a partition whose topic is deleted: brokers forget it. */
export function goneState(ref: PartitionRef): PartitionState {
  const { topic, topicState, partition } = ref
  const leadership = leadershipOf(ref)
  return {
    topic,
    topicId: topicState.topicId,
    partition,
    controllerEpoch: leadership?.controllerEpoch ?? 0,
    leader: LEADER_DURING_DELETE,
    leaderEpoch: 0,
    isr: leadership?.isr ?? [],
    partitionEpoch: leadership?.partitionEpoch ?? 0,
    replicas: replicasOf(ref),
    addingReplicas: [],
    removingReplicas: [],
    isNew: false,
    recovering: false,
    offlineReplicas: [],
  }
}
