/**
 * Fetch sessions (KIP-227): a client names its partitions once, then sends only what changes, and is told only of
 * partitions that have news. Synchronous state; a session is touched by one request at a time.
 */
import { ErrorCode } from '../protocol/error-codes.ts'
import type { FetchRequest } from '../protocol/messages/01-fetch.ts'

/** A session this long unused may be evicted by any new one (Kafka's fixed two minutes). */
export const MIN_EVICTION_MS = 120_000
const LAST_EPOCH = 0x7fffffff

/** One partition as the client last asked for it. `topicId` is null when sessions go by name (below version 13). */
export interface FetchPartition {
  /** '' while this broker does not know the id. */
  topic: string
  readonly topicId: string | null
  readonly partition: number
  currentLeaderEpoch: number
  fetchOffset: number
  lastFetchedEpoch: number
  logStartOffset: number
  maxBytes: number
  /** What the client was told last; -1 makes the partition be told again. */
  toldHighWatermark: number
  toldLogStartOffset: number
}

export interface FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  /** Follower sessions are not evicted in favour of consumers' (KIP-227). */
  readonly privileged: boolean
  nextEpoch: number
  lastUsedMs: number
  readonly partitions: Map<string, FetchPartition>
}

export type FetchPlan =
  | { readonly kind: 'error'; readonly errorCode: number }
  | { readonly kind: 'sessionless'; readonly partitions: FetchPartition[] }
  | { readonly kind: 'full'; readonly session: FetchSession; readonly partitions: FetchPartition[] }
  | { readonly kind: 'incremental'; readonly session: FetchSession; readonly partitions: FetchPartition[] }

const keyOf = (partition: { topic: string; topicId: string | null; partition: number }): string =>
  `${partition.topicId ?? partition.topic}/${partition.partition}`

/** The request's partitions, flat. `nameOf` gives a topic's name by id, '' where the id is unknown. */
function requested(
  request: FetchRequest,
  usesTopicIds: boolean,
  nameOf: (topicId: string) => string,
): FetchPartition[] {
  const partitions: FetchPartition[] = []
  for (const topic of request.topics) {
    const topicId = usesTopicIds ? topic.topicId : null
    const name = usesTopicIds ? nameOf(topic.topicId) : topic.topic
    for (const wanted of topic.partitions) {
      partitions.push({
        topic: name,
        topicId,
        partition: wanted.partition,
        currentLeaderEpoch: wanted.currentLeaderEpoch,
        fetchOffset: wanted.fetchOffset,
        lastFetchedEpoch: wanted.lastFetchedEpoch,
        logStartOffset: wanted.logStartOffset,
        maxBytes: wanted.partitionMaxBytes,
        toldHighWatermark: -1,
        toldLogStartOffset: -1,
      })
    }
  }
  return partitions
}

export class FetchSessionCache {
  private readonly slots: number
  private readonly nowMs: () => number
  private readonly randomId: () => number
  /** In order of use, least recent first. */
  private readonly sessions = new Map<number, FetchSession>()

  /** `slots`: max.incremental.fetch.session.cache.slots. `randomId` gives positive int32s. */
  constructor(slots: number, nowMs: () => number, randomId: () => number) {
    this.slots = slots
    this.nowMs = nowMs
    this.randomId = randomId
  }

  get size(): number {
    return this.sessions.size
  }

  /** What to read for this request. Sessions are made, changed and closed here. */
  plan(request: FetchRequest, apiVersion: number, nameOf: (topicId: string) => string): FetchPlan {
    const usesTopicIds = apiVersion >= 13
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === -1 || sessionEpoch === 0) {
      if (sessionId !== 0) this.sessions.delete(sessionId)
      const partitions = requested(request, usesTopicIds, nameOf)
      if (sessionEpoch === -1) return { kind: 'sessionless', partitions }
      const session = this.create(
        usesTopicIds,
        partitions,
        request.replicaId >= 0 || request.replicaState.replicaId >= 0,
      )
      return session ? { kind: 'full', session, partitions } : { kind: 'sessionless', partitions }
    }
    const session = this.sessions.get(sessionId)
    if (!session) return { kind: 'error', errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND }
    if (session.nextEpoch !== sessionEpoch)
      return { kind: 'error', errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH }
    if (session.usesTopicIds !== usesTopicIds) {
      return { kind: 'error', errorCode: ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR }
    }
    this.update(session, request, nameOf)
    if (session.partitions.size === 0) {
      this.sessions.delete(session.id)
      return { kind: 'sessionless', partitions: [] }
    }
    return { kind: 'incremental', session, partitions: [...session.partitions.values()] }
  }

  private update(session: FetchSession, request: FetchRequest, nameOf: (topicId: string) => string): void {
    for (const topic of request.forgottenTopicsData) {
      const topicId = session.usesTopicIds ? topic.topicId : null
      for (const partition of topic.partitions) {
        session.partitions.delete(keyOf({ topic: topic.topic, topicId, partition }))
      }
    }
    for (const wanted of requested(request, session.usesTopicIds, nameOf)) {
      const known = session.partitions.get(keyOf(wanted))
      if (!known) {
        session.partitions.set(keyOf(wanted), wanted)
        continue
      }
      known.currentLeaderEpoch = wanted.currentLeaderEpoch
      known.fetchOffset = wanted.fetchOffset
      known.lastFetchedEpoch = wanted.lastFetchedEpoch
      known.logStartOffset = wanted.logStartOffset
      known.maxBytes = wanted.maxBytes
    }
    // A broker that has just started hears of its topics after its followers' first question.
    for (const known of session.partitions.values()) {
      if (known.topic === '' && known.topicId !== null) known.topic = nameOf(known.topicId)
    }
    session.nextEpoch = session.nextEpoch === LAST_EPOCH ? 1 : session.nextEpoch + 1
    session.lastUsedMs = this.nowMs()
    this.sessions.delete(session.id)
    this.sessions.set(session.id, session)
  }

  /** null when every slot is taken by a session that may not be evicted. */
  private create(
    usesTopicIds: boolean,
    partitions: FetchPartition[],
    privileged: boolean,
  ): FetchSession | null {
    if (!this.makeRoom(privileged)) return null
    let id = this.randomId()
    while (id <= 0 || this.sessions.has(id)) id = this.randomId()
    const byKey = new Map(partitions.map((partition) => [keyOf(partition), partition]))
    const lastUsedMs = this.nowMs()
    const session: FetchSession = {
      id,
      usesTopicIds,
      privileged,
      nextEpoch: 1,
      lastUsedMs,
      partitions: byKey,
    }
    this.sessions.set(id, session)
    return session
  }

  private makeRoom(privileged: boolean): boolean {
    if (this.slots <= 0) return false
    if (this.sessions.size < this.slots) return true
    const oldest: FetchSession = this.sessions.values().next().value!
    if (this.nowMs() - oldest.lastUsedMs > MIN_EVICTION_MS) {
      this.sessions.delete(oldest.id)
      return true
    }
    if (!privileged) return false
    for (const session of this.sessions.values()) {
      if (session.privileged) continue
      this.sessions.delete(session.id)
      return true
    }
    return false
  }
}

/** Whether an incremental reply must tell of this partition; notes what it will have told. */
export function hasNews(
  partition: FetchPartition,
  reply: {
    errorCode: number
    bytes: number
    highWatermark: number
    logStartOffset: number
    /** The logs diverge, or another replica is to be read from. */
    isAboutPosition: boolean
  },
): boolean {
  let news = reply.bytes > 0 || reply.errorCode !== ErrorCode.NONE || reply.isAboutPosition
  if (
    partition.toldHighWatermark !== reply.highWatermark ||
    partition.toldLogStartOffset !== reply.logStartOffset
  ) {
    news = true
  }
  partition.toldHighWatermark = reply.errorCode === ErrorCode.NONE ? reply.highWatermark : -1
  partition.toldLogStartOffset = reply.logStartOffset
  return news
}

/** Partitions that gave data go to the end, so that the others come first next time. */
export function moveToEnd(session: FetchSession, partition: FetchPartition): void {
  const key = keyOf(partition)
  if (!session.partitions.delete(key)) return
  session.partitions.set(key, partition)
}
