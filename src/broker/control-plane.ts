/**
 * What the controller tells this broker, as the broker takes it: LeaderAndIsr, UpdateMetadata, StopReplica. Both the requests
 * of other brokers and the controller in this process come through here, one after the other.
 *
 * Checked first, as in Kafka's KafkaApis: a request for an earlier life of this broker (broker epoch, KIP-380) answers
 * STALE_BROKER_EPOCH; one for a later life is taken, for the registration may be made and not be known here yet. A
 * controller that another one has followed answers STALE_CONTROLLER_EPOCH. A partition with a number that none can have:
 * INVALID_REQUEST, and nothing is done.
 */
import {
  LEADER_DURING_DELETE,
  type BrokerAnswer,
  type BrokerChannel,
  type ControllerIdentity,
  type MetadataUpdate,
  type PartitionState,
  type ReplicaToStop,
} from '../controller/metadata.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { LeaderAndIsr, PartitionAnswer } from '../replication/types.ts'

export interface ControlPlaneParts {
  /** The czxid of this broker's registration. */
  readonly brokerEpoch: () => number
  readonly metadata: { updateMetadata(controllerId: number, update: MetadataUpdate): void }
  readonly replicas: {
    applyLeaderAndIsr(request: LeaderAndIsr): PartitionAnswer[]
    stopReplicas(replicas: readonly ReplicaToStop[]): PartitionAnswer[]
  }
  /** Before a log is made, its topic's settings are known. */
  readonly topicConfigs: { load(topics: Iterable<string>, again: ReadonlySet<string>): Promise<void> }
  readonly topicsDeleted: (topics: ReadonlySet<string>) => void
  readonly partitionsDeleted: (partitions: readonly { topic: string; partition: number }[]) => void
}

/** Who asks, and which life of this broker: its epoch, UNKNOWN_EPOCH where the request's version names none. */
export interface ControlRequest extends ControllerIdentity {
  readonly brokerEpoch: number
}

export const UNKNOWN_EPOCH = -1

/**
 * Partitions of a topic, by number, that a controller may speak of: what is known of a topic is kept without gaps, and a
 * request of a few bytes must not make it large.
 */
export const MAX_TOPIC_PARTITIONS = 100_000

export class ControlPlane {
  readonly #parts: ControlPlaneParts
  /** Of the latest controller heard of. */
  #controllerEpoch = 0
  /** Of the registration that went with its session. */
  #endedBrokerEpoch = UNKNOWN_EPOCH
  #queue: Promise<unknown> = Promise.resolve()

  constructor(parts: ControlPlaneParts) {
    this.#parts = parts
  }

  /**
   * The session has ended, and the registration with it: what was sent to that, and waited in a socket or here, is not done.
   * Others may lead what it gives this broker to lead.
   */
  sessionExpired(): void {
    this.#endedBrokerEpoch = this.#parts.brokerEpoch()
  }

  /** Rejects with CoordinationError where the topics' settings cannot be read: nothing is done then. */
  leaderAndIsr(from: ControlRequest, states: readonly PartitionState[]): Promise<BrokerAnswer> {
    if (!areNumbered(states)) return refused()
    const { topicConfigs, replicas } = this.#parts
    const { controllerId, controllerEpoch } = from
    return this.#serve(
      from,
      () => replicas.applyLeaderAndIsr({ controllerId, controllerEpoch, states }),
      () => {
        // A broker that was not registered while a topic was deleted has not heard of it: what it knows is of the topic before.
        const again = new Set(states.filter(({ isNew }) => isNew).map(({ topic }) => topic))
        return topicConfigs.load(
          states.map(({ topic }) => topic),
          again,
        )
      },
    )
  }

  /** Live brokers replace what was known, partitions are merged into it. */
  updateMetadata(from: ControlRequest, update: MetadataUpdate): Promise<BrokerAnswer> {
    if (!areNumbered(update.partitions)) return refused()
    return this.#serve(from, () => {
      const deleted = update.partitions.filter(({ leader }) => leader === LEADER_DURING_DELETE)
      if (deleted.length > 0) this.#parts.topicsDeleted(new Set(deleted.map(({ topic }) => topic)))
      this.#parts.metadata.updateMetadata(from.controllerId, update)
      if (deleted.length > 0) this.#parts.partitionsDeleted(deleted)
      return []
    })
  }

  /** Rejects with DiskError where a later try may help. */
  stopReplicas(from: ControlRequest, replicas: readonly ReplicaToStop[]): Promise<BrokerAnswer> {
    return this.#serve(from, () => this.#parts.replicas.stopReplicas(replicas))
  }

  /** `prepare` may take its time: what held before it is looked at again. */
  #serve(
    from: ControlRequest,
    act: () => readonly PartitionAnswer[],
    prepare?: () => Promise<void>,
  ): Promise<BrokerAnswer> {
    const answer = this.#queue.then(async () => {
      let error = this.#check(from)
      if (error === ErrorCode.NONE && prepare !== undefined) {
        await prepare()
        error = this.#check(from)
      }
      return { error, partitions: error === ErrorCode.NONE ? act() : [] }
    })
    this.#queue = answer.catch(() => undefined)
    return answer
  }

  #check({ brokerEpoch, controllerEpoch }: ControlRequest): number {
    const isOfEarlierLife = brokerEpoch < this.#parts.brokerEpoch() || brokerEpoch <= this.#endedBrokerEpoch
    if (brokerEpoch !== UNKNOWN_EPOCH && isOfEarlierLife) return ErrorCode.STALE_BROKER_EPOCH
    if (controllerEpoch < this.#controllerEpoch) return ErrorCode.STALE_CONTROLLER_EPOCH
    this.#controllerEpoch = controllerEpoch
    return ErrorCode.NONE
  }
}

function areNumbered(states: readonly PartitionState[]): boolean {
  return states.every(({ partition }) => partition >= 0 && partition < MAX_TOPIC_PARTITIONS)
}

function refused(): Promise<BrokerAnswer> {
  return Promise.resolve({ error: ErrorCode.INVALID_REQUEST, partitions: [] })
}

/** The controller's way to this life of the broker that it runs in: a function call. */
export function localChannel(controlPlane: ControlPlane, brokerEpoch: number): BrokerChannel {
  return {
    leaderAndIsr: (from, states) => controlPlane.leaderAndIsr({ ...from, brokerEpoch }, states),
    updateMetadata: (from, update) => controlPlane.updateMetadata({ ...from, brokerEpoch }, update),
    stopReplicas: (from, replicas) => controlPlane.stopReplicas({ ...from, brokerEpoch }, replicas),
    onLost: () => undefined,
    close: () => undefined,
  }
}
