/**
 * Fetch 0-17: whole batches from the asked offsets. Waits up to max wait for min bytes; the first batch is given even if
 * it is larger than the limits (KIP-74). v7 fetch sessions (KIP-227), v9 checks the caller's leader epoch (KIP-320),
 * v12 tells where logs diverge (KIP-595), v13 goes by topic id (KIP-516), v16 says who leads now (KIP-951). v0-1 get message
 * format 0, v2-3 format 1 (../fetch-conversion.ts); up to v2 the first batch must fit, too. v1 tells a throttle time, v3 limits
 * the whole reply. A follower (replica id >= 0, from v15 in a tag) is noted at the offset that it asks for, which moves the
 * in-sync set and the high watermark; it reads to the log end. From v11 on consumers may read from followers, and are sent to
 * one in their rack (KIP-392). A follower that is throttled and not in sync gets nothing while the quota is used up (KIP-73).
 */
import { DiskError } from '../../env/disk.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { FetchRequest, FetchResponse } from '../../protocol/messages/01-fetch.ts'
import type { Partition } from '../../replication/partition.ts'
import { notThere, type ReadBound, readError, type ReadResult } from '../../replication/types.ts'
import { waitForBytes } from '../../replication/wait.ts'
import { convertForVersion, givesFirstBatchWhole, type ConvertedRead } from '../fetch-conversion.ts'
import { type FetchPartition, type FetchPlan, hasNews, moveToEnd } from '../fetch-sessions.ts'
import { isHeldBack } from '../leader-quota.ts'
import { preferredReplica } from '../preferred-replica.ts'
import { nodeEndpointsFor } from '../leader-hints.ts'
import type { RequestContext, Services } from '../services.ts'

type TopicResponse = FetchResponse['responses'][number]
type PartitionResponse = TopicResponse['partitions'][number]
interface Outcome {
  readonly wanted: FetchPartition
  readonly result: ReadResult
}

const READ_COMMITTED = 1
const NO_BYTES = { maxBytes: 0, minOneBatch: false } as const
/** Replica id of those that are none. */
const CONSUMER = -1
const LEADER_UNKNOWN: readonly number[] = [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH]

export function handleFetch(
  services: Services,
  request: FetchRequest,
  context: RequestContext,
): FetchResponse | Promise<FetchResponse> {
  const nameOf = (topicId: string): string => topicName(services, topicId)
  const plan = services.fetchSessions.plan(request, context.apiVersion, nameOf)
  if (plan.kind === 'error') return { errorCode: plan.errorCode, responses: [] }
  const replicaId = request.replicaId !== -1 ? request.replicaId : request.replicaState.replicaId
  const asked: Asked = { request, context, replicaId }
  const { outcomes, bytes } = readAll(services, asked, plan.partitions, true)
  if (request.maxWaitMs <= 0 || bytes >= request.minBytes || mustAnswer(outcomes))
    return respond(services, asked, plan, outcomes)
  // They are read again when the waiting ends.
  for (const { result } of outcomes) result.slice?.release()
  const waitOn = outcomes
    .map(({ wanted }) => hosted(services, wanted))
    .filter((found) => found !== undefined)
    .filter((found) => !isHeldBack(services.leaderQuota, found, replicaId))
  const bound = boundOf(asked)
  const { clock, timers } = services.env
  const deadlineMs = clock.monotonicMs() + request.maxWaitMs
  return new Promise((resolve) => {
    const wait = (missing: number, maxWaitMs: number): void => {
      const cancel = waitForBytes(
        timers,
        waitOn,
        { missingBytes: Math.max(1, missing), maxWaitMs, bound },
        () => {
          forget()
          const again = readAll(services, asked, plan.partitions, false)
          const leftMs = deadlineMs - clock.monotonicMs()
          // A transaction has ended: it may have been a small one.
          const isTooLittle = bound === 'last-stable' && leftMs > 0 && again.bytes < request.minBytes
          if (!isTooLittle || mustAnswer(again.outcomes))
            return resolve(respond(services, asked, plan, again.outcomes))
          for (const { result } of again.outcomes) result.slice?.release()
          wait(request.minBytes - again.bytes, leftMs)
        },
      )
      const forget = context.onClose(cancel)
    }
    wait(request.minBytes - bytes, request.maxWaitMs)
  })
}

function boundOf({ replicaId, request }: Asked): ReadBound {
  if (replicaId !== CONSUMER) return 'log-end'
  return request.isolationLevel === READ_COMMITTED ? 'last-stable' : 'high-watermark'
}

function mustAnswer(outcomes: readonly Outcome[]): boolean {
  if (outcomes.length === 0) return true
  return outcomes.some(({ result: { error, divergingEpoch, preferredReadReplica } }) => {
    return error !== ErrorCode.NONE || divergingEpoch !== null || preferredReadReplica !== undefined
  })
}

/** A follower may come with a topic of which the leader has been told before everybody else. */
function topicName({ metadata, replicas }: Services, topicId: string): string {
  return metadata.topicById(topicId)?.name ?? replicas.topicById(topicId) ?? ''
}

function hosted(services: Services, wanted: FetchPartition): Partition | undefined {
  return services.replicas.get(wanted.topic, wanted.partition)
}

function readAll(
  services: Services,
  asked: Asked,
  partitions: readonly FetchPartition[],
  notesPosition: boolean,
): { outcomes: Outcome[]; bytes: number } {
  const { request, context } = asked
  let left = Math.min(request.maxBytes, services.config.get('fetch.max.bytes'))
  let bytes = 0
  const outcomes = partitions.map((wanted) => {
    const minOneBatch = bytes === 0 && givesFirstBatchWhole(context.apiVersion)
    const maxBytes = Math.max(0, Math.min(wanted.maxBytes, left))
    const result = readOne(services, asked, wanted, { maxBytes, minOneBatch, notesPosition })
    const size = result.slice?.bytes.length ?? 0
    bytes += size
    left -= size
    return { wanted, result }
  })
  return { outcomes, bytes }
}

function readOne(
  services: Services,
  asked: Asked,
  wanted: FetchPartition,
  limits: { maxBytes: number; minOneBatch: boolean; notesPosition: boolean },
): ReadResult {
  if (wanted.topicId !== null && wanted.topic === '') return notThere(ErrorCode.UNKNOWN_TOPIC_ID)
  const partition = hosted(services, wanted)
  const isKnown = services.metadata.partition(wanted.topic, wanted.partition) !== undefined
  if (!isKnown && (asked.replicaId < 0 || !partition)) return notThere(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  if (!partition) return readError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  if (partition.isOffline) return readError(ErrorCode.KAFKA_STORAGE_ERROR)
  if (wanted.topicId !== null && wanted.topicId !== partition.topicId)
    return readError(ErrorCode.INCONSISTENT_TOPIC_ID)
  const { request, context, replicaId } = asked
  const heldBack = isHeldBack(services.leaderQuota, partition, replicaId)
  try {
    const elsewhere = readElsewhere(services, asked, wanted, partition)
    if (elsewhere !== null) return elsewhere
    return partition.read({
      fetchOffset: wanted.fetchOffset,
      currentLeaderEpoch: Math.max(-1, wanted.currentLeaderEpoch),
      lastFetchedEpoch: wanted.lastFetchedEpoch,
      readCommitted: request.isolationLevel === READ_COMMITTED,
      replicaId,
      fromAnyReplica: replicaId < 0 && (replicaId !== CONSUMER || mayReadFromFollowers(context)),
      followerLogStartOffset: wanted.logStartOffset,
      followerBrokerEpoch: request.replicaState.replicaEpoch,
      ...limits,
      ...(heldBack ? NO_BYTES : {}),
    })
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    services.env.logger.log('error', 'a log could not be read', { path: error.path, error: error.message })
    return readError(ErrorCode.KAFKA_STORAGE_ERROR)
  }
}

/** KIP-392 */
const mayReadFromFollowers = ({ apiVersion }: RequestContext): boolean => apiVersion >= 11

/** A consumer for whom another replica is nearer is told so, and nothing is read; null: it is to be read here. */
function readElsewhere(
  services: Services,
  { request, context, replicaId }: Asked,
  wanted: FetchPartition,
  partition: Partition,
): ReadResult | null {
  if (replicaId !== CONSUMER || request.rackId === '' || !mayReadFromFollowers(context)) return null
  const { rackId } = request
  const { fetchOffset } = wanted
  const preferredReadReplica = preferredReplica(services, context, partition, { rackId, fetchOffset })
  if (preferredReadReplica < 0) return null
  const refused = partition.checkLeaderEpoch(Math.max(-1, wanted.currentLeaderEpoch), true)
  return refused === ErrorCode.NONE ? { ...partition.marks(), preferredReadReplica } : readError(refused)
}

/** The read in the words and the format of the request's version. */
function inVersion(services: Services, asked: Asked, { wanted, result }: Outcome): ConvertedRead {
  const partition = hosted(services, wanted)
  const readOn = (fetchOffset: number): ReadResult => {
    const limits = { maxBytes: wanted.maxBytes, minOneBatch: false, notesPosition: false }
    return readOne(services, asked, { ...wanted, fetchOffset }, limits)
  }
  const { fetchOffset } = wanted
  return convertForVersion(services, asked.context.apiVersion, partition, { result, fetchOffset, readOn })
}

interface Asked {
  readonly request: FetchRequest
  readonly context: RequestContext
  /** CONSUMER, a follower's broker id, or that of a debugging consumer (-2). */
  readonly replicaId: number
}

function respond(
  services: Services,
  asked: Asked,
  plan: Exclude<FetchPlan, { kind: 'error' }>,
  outcomes: readonly Outcome[],
): FetchResponse {
  const incremental = plan.kind === 'incremental'
  const responses: { topic: string; topicId: string; partitions: PartitionResponse[] }[] = []
  const leaders = new Set<number>()
  const releases: (() => void)[] = []
  const { context } = asked
  for (const outcome of outcomes) {
    const { wanted } = outcome
    const { result, records } = inVersion(services, asked, outcome)
    const { slice } = result
    if (slice) releases.push(() => slice.release())
    const bytes = slice?.bytes.length ?? 0
    if (asked.replicaId >= 0) noteSent(services, wanted, bytes)
    if (plan.kind !== 'sessionless') {
      const { error: errorCode, highWatermark, logStartOffset } = result
      const isAboutPosition = result.divergingEpoch !== null || result.preferredReadReplica !== undefined
      const news = hasNews(wanted, { errorCode, bytes, highWatermark, logStartOffset, isAboutPosition })
      if (incremental && !news) continue
      if (incremental && bytes > 0) moveToEnd(plan.session, wanted)
    }
    const last = responses.at(-1)
    const topicId = wanted.topicId ?? ''
    const same = last && (wanted.topicId !== null ? last.topicId === topicId : last.topic === wanted.topic)
    const partitions = same ? last.partitions : []
    if (!same) responses.push({ topic: wanted.topic, topicId, partitions })
    partitions.push(partitionResponse(services, context, wanted, { result, records }))
    if (LEADER_UNKNOWN.includes(result.error)) {
      const leader = services.metadata.partition(wanted.topic, wanted.partition)?.leader ?? -1
      if (leader >= 0) leaders.add(leader)
    }
  }
  context.whenSent(releases)
  return {
    errorCode: ErrorCode.NONE,
    sessionId: plan.kind === 'sessionless' ? 0 : plan.session.id,
    responses,
    nodeEndpoints: nodeEndpointsFor(services, context, leaders),
  }
}

/** What throttled followers get counts. */
function noteSent({ leaderQuota }: Services, { topic, partition }: FetchPartition, bytes: number): void {
  if (bytes > 0 && leaderQuota.isThrottled(topic, partition)) leaderQuota.record(bytes)
}

function partitionResponse(
  services: Services,
  context: RequestContext,
  wanted: FetchPartition,
  { result, records }: ConvertedRead,
): PartitionResponse {
  const response = {
    partitionIndex: wanted.partition,
    errorCode: result.error,
    highWatermark: result.highWatermark,
    lastStableOffset: result.lastStableOffset,
    logStartOffset: result.logStartOffset,
    abortedTransactions: result.abortedTransactions,
    records,
  }
  const { preferredReadReplica } = result
  if (preferredReadReplica !== undefined) return { ...response, preferredReadReplica }
  if (result.divergingEpoch) return { ...response, divergingEpoch: result.divergingEpoch }
  if (context.apiVersion < 16 || !LEADER_UNKNOWN.includes(result.error)) return response
  const known = services.metadata.partition(wanted.topic, wanted.partition)
  if (!known) return response
  return { ...response, currentLeader: { leaderId: known.leader, leaderEpoch: known.leaderEpoch } }
}
