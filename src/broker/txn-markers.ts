/**
 * Writes the markers that end transactions into partitions that this broker leads (WriteTxnMarkers, and the coordinator of
 * transactions when it is in this process). Answered when they are committed; what a group has committed in the transaction
 * counts from then on.
 */
import type { Clock, Timers } from '../env/env.ts'
import { endMarkerBatch } from '../protocol/end-marker.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../protocol/messages/27-write-txn-markers.ts'
import type { GroupCoordinator } from '../coordinator/groups/group-coordinator.ts'
import { andThen, type Later } from '../coordinator/later.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import { committed } from './committed.ts'
import { OFFSETS_TOPIC } from './topic-names.ts'

type Marker = WriteTxnMarkersRequest['markers'][number]
/** By topic, then by partition. */
type Outcomes = Map<string, Map<number, number>>

export interface TxnMarkersParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly replicas: Pick<ReplicaManager, 'get'>
  readonly groups: Pick<GroupCoordinator, 'endTransaction'>
  /** request.timeout.ms: how long the in-sync set may take. */
  readonly timeoutMs: () => number
}

/** A coordinator of Kafka gives up in disorder on any other (TransactionMarkerRequestCompletionHandler). */
const KNOWN_TO_COORDINATORS: readonly number[] = [
  ErrorCode.NONE,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.TRANSACTION_COORDINATOR_FENCED,
]

export class TxnMarkers {
  readonly #parts: TxnMarkersParts

  constructor(parts: TxnMarkersParts) {
    this.#parts = parts
  }

  /** Never rejects. Answers for each producer and partition, with an error code that a coordinator knows. */
  async write(markers: readonly Marker[]): Promise<WriteTxnMarkersResponse> {
    const byProducer = new Map<number, Outcomes>()
    const waiting: Promise<void>[] = []
    for (const marker of markers) {
      const outcomes = within(byProducer, marker.producerId)
      for (const { name, partitionIndexes } of marker.topics) {
        const partitions = within(outcomes, name)
        for (const index of partitionIndexes) {
          const outcome = andThen(this.#writeOne(marker, name, index), (error) => {
            partitions.set(
              index,
              KNOWN_TO_COORDINATORS.includes(error) ? error : ErrorCode.KAFKA_STORAGE_ERROR,
            )
          })
          if (outcome instanceof Promise) waiting.push(outcome)
        }
      }
    }
    await Promise.all(waiting)
    return {
      markers: [...byProducer].map(([producerId, outcomes]) => ({ producerId, topics: topicsOf(outcomes) })),
    }
  }

  #writeOne(marker: Marker, topic: string, index: number): Later<number> {
    const { replicas, groups, clock, timers, timeoutMs } = this.#parts
    const partition = replicas.get(topic, index)
    if (partition === undefined || partition.isOffline) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    const { producerId, producerEpoch, coordinatorEpoch, transactionResult } = marker
    const ending = { producerId, producerEpoch, coordinatorEpoch, isAbort: !transactionResult }
    if (topic === OFFSETS_TOPIC) return groups.endTransaction(index, ending, timeoutMs())
    const outcome = partition.append(endMarkerBatch(ending, clock.nowMs()), 'coordinator', -1)
    if (!('lastOffset' in outcome)) return outcome.error
    return committed(timers, partition, outcome.lastOffset, timeoutMs()) ?? ErrorCode.NONE
  }
}

function within<Key, InnerKey, Value>(map: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  let found = map.get(key)
  if (found === undefined) {
    found = new Map()
    map.set(key, found)
  }
  return found
}

function topicsOf(outcomes: Outcomes): WriteTxnMarkersResponse['markers'][number]['topics'] {
  return [...outcomes].map(([name, partitions]) => ({
    name,
    partitions: [...partitions].map(([partitionIndex, errorCode]) => ({ partitionIndex, errorCode })),
  }))
}
