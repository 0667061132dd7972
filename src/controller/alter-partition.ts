/** In-sync sets change because leaders ask for it (AlterPartition, KIP-497): checked, written, told to all as metadata. */
import { ErrorCode } from '../protocol/error-codes.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'
import { leadershipOf } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import { decideIsrChange } from './decide/alter-partition.ts'
import type { IsrChange } from './decide/alter-partition.ts'
import type { DecidedPartition } from './fenced-writes.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'

type TopicRequest = AlterPartitionRequest['topics'][number]
type PartitionRequest = TopicRequest['partitions'][number]
type PartitionResponse = AlterPartitionResponse['topics'][number]['partitions'][number]

/** Topic ids instead of names (KAFKA-12841), and INELIGIBLE_REPLICA (KIP-841). */
const VERSION_WITH_IDS = 2
const VERSION_WITH_EPOCHS = 3
const UNKNOWN_EPOCH = -1

interface Asked {
  readonly ref: PartitionRef
  readonly partitionIndex: number
  readonly wish: IsrChange
  /** undefined: it is to be written, or stands so already. */
  error: number | undefined
}

export interface AlterPartitionResult {
  readonly response: AlterPartitionResponse
  /** Those whose in-sync set is another now. */
  readonly changed: readonly PartitionRef[]
}

export async function alterPartition(
  term: Term,
  request: AlterPartitionRequest,
  version: number,
): Promise<AlterPartitionResult> {
  const { state, channels } = term
  if (state.brokers.get(request.brokerId)?.epoch !== request.brokerEpoch)
    return { response: refusedAlterPartition(ErrorCode.STALE_BROKER_EPOCH), changed: [] }
  const byTopic = request.topics.map((topic) => ({ topic, name: nameOf(term, topic, version) }))
  const asked = byTopic.map(({ topic, name }) => {
    if (name === undefined) return []
    return topic.partitions.map((partition) => askedFor(term, name, partition, version))
  })
  const known = asked.flat().filter((one) => one !== null)
  const changed = await grant(term, request.brokerId, known, version)
  const batch = new RequestBatch(state, channels)
  batch.updateMetadata(known.map(({ ref }) => ref))
  batch.send()
  const topics = byTopic.map(({ topic, name }, index) => ({
    topicName: topic.topicName,
    topicId: topic.topicId,
    partitions: topic.partitions.map((partition, i): PartitionResponse => {
      if (name === undefined) {
        const { UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION } = ErrorCode
        const error = version >= VERSION_WITH_IDS ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
        return refused(partition.partitionIndex, error)
      }
      const one = asked[index][i]
      return one === null
        ? refused(partition.partitionIndex, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        : answerOf(one)
    }),
  }))
  return { response: { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics }, changed }
}

/** A request that is refused as a whole. */
export function refusedAlterPartition(errorCode: number): AlterPartitionResponse {
  return { throttleTimeMs: 0, errorCode, topics: [] }
}

function nameOf({ state }: Term, { topicName, topicId }: TopicRequest, version: number): string | undefined {
  return version < VERSION_WITH_IDS ? topicName : state.topicNameOf(topicId)
}

function askedFor(
  { state }: Term,
  topic: string,
  partition: PartitionRequest,
  version: number,
): Asked | null {
  const { partitionIndex, leaderEpoch, partitionEpoch, newIsr, newIsrWithEpochs } = partition
  const ref = state.partition(topic, partitionIndex)
  if (ref === undefined) return null
  const withEpochs = version >= VERSION_WITH_EPOCHS ? newIsrWithEpochs : []
  const isr = version >= VERSION_WITH_EPOCHS ? withEpochs.map(({ brokerId }) => brokerId) : newIsr
  // Kafka's controller heeds them only without ZooKeeper; there, who has come back with less can be taken in.
  const known = withEpochs.filter(({ brokerEpoch }) => brokerEpoch !== UNKNOWN_EPOCH)
  const brokerEpochs = new Map(known.map(({ brokerId, brokerEpoch }) => [brokerId, brokerEpoch]))
  const recovering = partition.leaderRecoveryState === 1
  const wish = { leaderEpoch, partitionEpoch, isr, brokerEpochs, recovering }
  return { ref, partitionIndex, wish, error: undefined }
}

/** Writes what can be granted, in one multi; notes the errors in `asked`. */
async function grant(
  { state, epoch, writes }: Term,
  leader: number,
  asked: readonly Asked[],
  version: number,
): Promise<PartitionRef[]> {
  const isLive = (broker: number, life?: number): boolean => {
    return state.isLive(broker) && (life === undefined || state.brokers.get(broker)?.epoch === life)
  }
  const decided = new Map<DecidedPartition, Asked>()
  for (const one of asked) {
    const context = { leader, isLive, controllerEpoch: epoch }
    const decision = decideIsrChange(leadershipOf(one.ref), one.wish, context)
    if (decision === 'unchanged') continue
    if ('state' in decision) decided.set({ ...one.ref, state: decision.state }, one)
    else one.error = errorFor(decision.error, version)
  }
  if (decided.size === 0) return []
  const stale = await writes.updateEach([...decided.keys()])
  for (const partition of stale) {
    const one = decided.get(partition)!
    // It may be that we have written it ourselves, before a connection broke.
    const again = decideIsrChange(leadershipOf(one.ref), one.wish, { leader, isLive, controllerEpoch: epoch })
    if (again !== 'unchanged') one.error = ErrorCode.INVALID_UPDATE_VERSION
  }
  return [...decided.values()].filter(({ error }) => error === undefined).map(({ ref }) => ref)
}

function errorFor(error: number, version: number): number {
  const isNewer = error === ErrorCode.INELIGIBLE_REPLICA && version < VERSION_WITH_IDS
  return isNewer ? ErrorCode.OPERATION_NOT_ATTEMPTED : error
}

function answerOf({ ref, partitionIndex, error }: Asked): PartitionResponse {
  const leadership = leadershipOf(ref)
  if (error !== undefined || leadership === undefined)
    return refused(partitionIndex, error ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  const { leader, leaderEpoch, isr, recovering, partitionEpoch } = leadership
  return {
    partitionIndex,
    errorCode: ErrorCode.NONE,
    leaderId: leader,
    leaderEpoch,
    isr: [...isr],
    leaderRecoveryState: recovering ? 1 : 0,
    partitionEpoch,
  }
}

function refused(partitionIndex: number, errorCode: number): PartitionResponse {
  const nothing = { leaderId: 0, leaderEpoch: 0, isr: [], leaderRecoveryState: 0, partitionEpoch: 0 }
  return { partitionIndex, errorCode, ...nothing }
}
