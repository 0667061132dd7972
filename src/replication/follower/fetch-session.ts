/**
 * A follower's side of a fetch session (KIP-227): the leader remembers what is fetched, so that a request names only the
 * partitions whose position has moved, or that are new, or gone. What has not changed costs nothing, however many there are.
 *
 * Synchronous state. A request of `next` has exactly one end: `accepted` or `failed`.
 */
import type { FetchRequest } from '../../protocol/messages/01-fetch.ts'

const LAST_EPOCH = 0x7fffffff
/** Asks for a session. */
const INITIAL_EPOCH = 0
/** An id that is none, in messages. */
export const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface FetchPosition {
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  /** -1: the log has no epochs */
  readonly lastFetchedEpoch: number
  readonly logStartOffset: number
}

/** A partition that is fetched. Told apart by identity: one that is followed anew is another. */
export interface SessionPartition {
  readonly topic: string
  readonly index: number
  /** NO_TOPIC_ID where it has none */
  readonly topicId: string
  position(): FetchPosition
}

type Topics = FetchRequest['topics'][number][]
type Forgotten = FetchRequest['forgottenTopicsData'][number][]

export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: Topics
  readonly forgottenTopicsData: Forgotten
  /** False: some partition has no id, so that topics go by name (Fetch 12). */
  readonly usesTopicIds: boolean
}

export class FetchSession<P extends SessionPartition> {
  readonly #partitionMaxBytes: () => number
  #id = 0
  #epoch = INITIAL_EPOCH
  #usesTopicIds = true
  #withoutTopicId = 0
  /** What is to be fetched, and where the leader was last asked to; null: it has not been asked yet. */
  readonly #wanted = new Map<P, FetchPosition | null>()
  /** Of the wanted: those whose position the leader does not know. */
  readonly #changed = new Set<P>()
  /** What the leader's session has and should not. */
  readonly #forgotten = new Set<P>()

  /** `partitionMaxBytes`: replica.fetch.max.bytes */
  constructor(partitionMaxBytes: () => number) {
    this.#partitionMaxBytes = partitionMaxBytes
  }

  get size(): number {
    return this.#wanted.size
  }

  /** Fetched from now on. Safe to call twice. */
  add(partition: P): void {
    if (this.#wanted.has(partition)) return
    this.#wanted.set(partition, null)
    this.#changed.add(partition)
    if (partition.topicId === NO_TOPIC_ID) this.#withoutTopicId++
  }

  /** Not fetched any more. Safe to call twice. */
  remove(partition: P): void {
    const asked = this.#wanted.get(partition)
    if (!this.#wanted.delete(partition)) return
    this.#changed.delete(partition)
    if (asked !== null) this.#forgotten.add(partition)
    if (partition.topicId === NO_TOPIC_ID) this.#withoutTopicId--
  }

  /** Where the leader was last asked to read; null: nowhere yet. */
  asked(partition: P): FetchPosition | null {
    return this.#wanted.get(partition) ?? null
  }

  /** Its position may have moved. */
  moved(partition: P): void {
    if (this.#wanted.has(partition)) this.#changed.add(partition)
  }

  /**
   * Without a session the order is the follower's to keep fair: what gave data comes last next time, as the leader does it
   * with a session.
   */
  gaveData(partition: P): void {
    if (this.#id !== 0) return
    const asked = this.#wanted.get(partition)
    if (asked === undefined) return
    this.#wanted.delete(partition)
    this.#wanted.set(partition, asked)
  }

  /** null: there is nothing to fetch. */
  next(): SessionRequest | null {
    if (this.#wanted.size === 0) return null
    const usesTopicIds = this.#withoutTopicId === 0
    // A session goes by ids or by names: it cannot change.
    if (usesTopicIds !== this.#usesTopicIds) this.#epoch = INITIAL_EPOCH
    this.#usesTopicIds = usesTopicIds
    const isFull = this.#epoch === INITIAL_EPOCH
    const topics = this.#topics(isFull ? this.#wanted.keys() : this.#changed)
    const forgottenTopicsData = isFull ? [] : this.#forgottenTopics()
    this.#changed.clear()
    this.#forgotten.clear()
    return { sessionId: this.#id, sessionEpoch: this.#epoch, topics, forgottenTopicsData, usesTopicIds }
  }

  /** The leader has answered; `sessionId` 0: it keeps no session, or none any more. */
  accepted(sessionId: number): void {
    const isOther = this.#epoch !== INITIAL_EPOCH && sessionId !== this.#id
    if (sessionId === 0 || isOther) return this.lost()
    this.#id = sessionId
    this.#epoch = epochAfter(this.#epoch)
  }

  /** No answer, or an error of the session itself: the next request names everything, and closes the session if there is one. */
  failed(): void {
    this.#epoch = INITIAL_EPOCH
  }

  /** The leader knows no session: it is not asked to close one. */
  lost(): void {
    this.#epoch = INITIAL_EPOCH
    this.#id = 0
  }

  #topics(partitions: Iterable<P>): Topics {
    const topics: Topics = []
    const partitionMaxBytes = this.#partitionMaxBytes()
    for (const partition of partitions) {
      const position = partition.position()
      this.#wanted.set(partition, position)
      const { topic, topicId, index } = partition
      let last = topics.at(-1)
      if (last === undefined || last.topic !== topic || last.topicId !== topicId) {
        topics.push((last = { topic, topicId, partitions: [] }))
      }
      const { currentLeaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset } = position
      last.partitions.push({
        partition: index,
        currentLeaderEpoch,
        fetchOffset,
        lastFetchedEpoch,
        logStartOffset,
        partitionMaxBytes,
        replicaDirectoryId: NO_TOPIC_ID,
      })
    }
    return topics
  }

  #forgottenTopics(): Forgotten {
    const topics: Forgotten = []
    if (this.#forgotten.size === 0) return topics
    // The same partition may be followed anew: the leader removes what is forgotten after it has added what is named.
    const named = new Set<string>()
    for (const partition of this.#changed) named.add(this.#nameOf(partition))
    for (const partition of this.#forgotten) {
      if (named.has(this.#nameOf(partition))) continue
      const { topic, topicId, index } = partition
      let last = topics.at(-1)
      if (last === undefined || last.topic !== topic || last.topicId !== topicId) {
        topics.push((last = { topic, topicId, partitions: [] }))
      }
      last.partitions.push(index)
    }
    return topics
  }

  #nameOf({ topic, topicId, index }: P): string {
    return `${this.#usesTopicIds ? topicId : topic}/${index}`
  }
}

/** A session's first epoch, and the one after the largest, is 1. */
export const epochAfter = (epoch: number): number => (epoch === LAST_EPOCH ? 1 : epoch + 1)
