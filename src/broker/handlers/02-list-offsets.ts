/**
 * ListOffsets 0-9: offsets by time. -1 latest, -2 earliest, v7 -3 record with the greatest timestamp, v8 -4 earliest
 * local, v9 -5 latest tiered (always -1: there is no tiered storage). v4 checks the leader epoch (KIP-320), v5 knows
 * OFFSET_NOT_AVAILABLE: of a leader whose high watermark is behind its election. Latest is the high watermark, for READ_COMMITTED
 * the last stable offset (v2), for replicas the log end. v0 gives where segments begin, the newest first, of those last
 * written at or before the time.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/02-list-offsets.ts'
import type { Partition } from '../../replication/partition.ts'
import { DiskError } from '../../env/disk.ts'
import type { RequestContext, Services } from '../services.ts'

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const READ_COMMITTED = 1
/** Replica ids of those that are no followers. */
const CONSUMER = -1
const DEBUGGING = -2

type PartitionRequest = ListOffsetsRequest['topics'][number]['partitions'][number]
type PartitionResponse = ListOffsetsResponse['topics'][number]['partitions'][number]
interface Found {
  readonly timestampMs: number
  readonly offset: number
  readonly leaderEpoch: number
}
const NOTHING: Found = { timestampMs: -1, offset: -1, leaderEpoch: -1 }

export function handleListOffsets(
  services: Services,
  request: ListOffsetsRequest,
  context: RequestContext,
): ListOffsetsResponse {
  const topics = request.topics.map((topic) => {
    const seen = new Set<number>()
    const twice = new Set<number>()
    for (const { partitionIndex } of topic.partitions)
      (seen.has(partitionIndex) ? twice : seen).add(partitionIndex)
    const partitions = topic.partitions.map((wanted) => {
      if (twice.has(wanted.partitionIndex)) return failure(wanted, ErrorCode.INVALID_REQUEST)
      return answer(services, topic.name, wanted, request, context)
    })
    return { name: topic.name, partitions }
  })
  return { topics }
}

function answer(
  services: Services,
  topic: string,
  wanted: PartitionRequest,
  request: ListOffsetsRequest,
  context: RequestContext,
): PartitionResponse {
  if (wanted.timestamp < LATEST && wanted.timestamp < lowestTimestamp(context.apiVersion)) {
    return failure(wanted, ErrorCode.UNSUPPORTED_VERSION)
  }
  if (!services.metadata.partition(topic, wanted.partitionIndex)) {
    return failure(wanted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  }
  const partition = services.replicas.get(topic, wanted.partitionIndex)
  if (!partition) return failure(wanted, ErrorCode.NOT_LEADER_OR_FOLLOWER)
  const refused = partition.checkLeaderEpoch(wanted.currentLeaderEpoch, request.replicaId === DEBUGGING)
  if (refused !== ErrorCode.NONE) return failure(wanted, refused)
  const refusal = request.replicaId === CONSUMER ? partition.refusalToClient() : ErrorCode.NONE
  if (refusal !== ErrorCode.NONE) return failure(wanted, refusal)
  try {
    if (context.apiVersion === 0) return oldStyle(partition, wanted, request)
    const found = find(partition, wanted.timestamp, lastFetchable(partition, request))
    const needsEnd = wanted.timestamp === LATEST || (found === NOTHING && wanted.timestamp !== LATEST_TIERED)
    if (needsEnd && request.replicaId === CONSUMER && partition.isCatchingUpAfterElection)
      return failure(wanted, endNotKnown(context.apiVersion))
    return {
      partitionIndex: wanted.partitionIndex,
      errorCode: ErrorCode.NONE,
      timestamp: found.timestampMs,
      offset: found.offset,
      leaderEpoch: found.leaderEpoch,
    }
  } catch (error) {
    if (error instanceof DiskError) return failure(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
    throw error
  }
}

/** A leader may have been elected before it knew how far its records are committed (KIP-207). */
function endNotKnown(apiVersion: number): number {
  return apiVersion >= 5 ? ErrorCode.OFFSET_NOT_AVAILABLE : ErrorCode.LEADER_NOT_AVAILABLE
}

function lowestTimestamp(apiVersion: number): number {
  if (apiVersion >= 9) return LATEST_TIERED
  if (apiVersion >= 8) return EARLIEST_LOCAL
  return apiVersion >= 7 ? MAX_TIMESTAMP : EARLIEST
}

function lastFetchable(partition: Partition, request: ListOffsetsRequest): number {
  if (request.replicaId !== CONSUMER) return partition.log.logEndOffset
  return request.isolationLevel === READ_COMMITTED ? partition.lastStableOffset : partition.highWatermark
}

function find(partition: Partition, timestamp: number, endOffset: number): Found {
  const { log } = partition
  if (timestamp === LATEST) return { timestampMs: -1, offset: endOffset, leaderEpoch: partition.leaderEpoch }
  if (timestamp === EARLIEST || timestamp === EARLIEST_LOCAL) {
    const { logStartOffset } = log
    return { timestampMs: -1, offset: logStartOffset, leaderEpoch: log.epochForOffset(logStartOffset) }
  }
  if (timestamp === LATEST_TIERED) return NOTHING
  const found = timestamp === MAX_TIMESTAMP ? log.offsetOfMaxTimestamp() : log.offsetForTimestamp(timestamp)
  return found && found.offset < endOffset ? found : NOTHING
}

/** At most maxNumOffsets; a consumer sees the high watermark in place of what lies above it. Throws DiskError. */
function oldStyle(
  partition: Partition,
  wanted: PartitionRequest,
  request: ListOffsetsRequest,
): PartitionResponse {
  const { timestamp, maxNumOffsets } = wanted
  const marks = partition.log.segmentMarks()
  let count = marks.length
  if (timestamp === EARLIEST) count = 1
  else if (timestamp !== LATEST) while (count > 0 && marks[count - 1].modifiedMs > timestamp) count--
  const offsets = marks
    .slice(Math.max(0, count - Math.max(0, maxNumOffsets)), count)
    .map(({ offset }) => offset)
    .reverse()
  const response = { partitionIndex: wanted.partitionIndex, errorCode: ErrorCode.NONE }
  const { highWatermark } = partition
  if (request.replicaId !== CONSUMER || !offsets.some((offset) => offset > highWatermark)) {
    return { ...response, oldStyleOffsets: offsets }
  }
  const visible = offsets.filter((offset) => offset <= highWatermark)
  return { ...response, oldStyleOffsets: [highWatermark, ...visible] }
}

function failure(wanted: PartitionRequest, errorCode: number): PartitionResponse {
  return { partitionIndex: wanted.partitionIndex, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 }
}
