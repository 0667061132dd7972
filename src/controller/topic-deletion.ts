/**
 * Topics that carry a deletion marker: clients are sent away first, then every replica's log goes, and only when all brokers
 * have said that theirs is gone does the topic vanish from the coordination service. A topic waits (is ineligible) while a
 * replica is not there or could not delete; it goes on when a broker comes.
 *
 * A reassignment of the topic does not hold up its deletion, as it does with Kafka: it ends here, and all replicas go, those
 * that were to be added and those that were to be removed.
 */
import { ErrorCode } from '../protocol/error-codes.ts'
import { replicasOf } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import type { BrokerAnswer, ReplicaToStop } from './metadata.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'
import type { TopicEvents } from './topic-events.ts'
import { DELETE_TOPICS_PATH, deleteTopicPath } from './znodes.ts'

/** Replicas, as `partition/broker`. */
interface Progress {
  readonly asked: Set<string>
  readonly done: Set<string>
}

export class TopicDeletion {
  readonly #term: Term
  readonly #topicEvents: TopicEvents
  /** Of the topics whose deletion has begun. */
  readonly #progress = new Map<string, Progress>()
  readonly #waiting = new Map<string, (() => void)[]>()
  readonly #gone: (partitions: readonly PartitionRef[]) => Promise<void>

  /** `gone` hears of partitions that are no more. */
  constructor(
    term: Term,
    topicEvents: TopicEvents,
    gone: (partitions: readonly PartitionRef[]) => Promise<void>,
  ) {
    this.#term = term
    this.#topicEvents = topicEvents
    this.#gone = gone
  }

  readonly watch = (): void => this.#term.schedule('deletions', () => this.#markersChanged())

  /** At the beginning of the term, when topics and brokers are known: topics that cannot go now wait. */
  async load(): Promise<void> {
    const { session, state } = this.#term
    for (const name of await session.children(DELETE_TOPICS_PATH, this.watch)) {
      state.deletions.add(name)
      const refs = state.partitions([name])
      const isAway = (ref: PartitionRef): boolean => replicasOf(ref).some((id) => !state.isOnline(ref, id))
      if (refs.some(isAway)) state.ineligibleForDeletion.add(name)
    }
  }

  async #markersChanged(): Promise<void> {
    const { session, state } = this.#term
    const markers = await session.children(DELETE_TOPICS_PATH, this.watch)
    for (const name of markers) {
      if (state.deletions.has(name)) continue
      // Made and marked before its own event came.
      if (!state.topics.has(name)) await this.#topicEvents.add([name])
      state.deletions.add(name)
    }
    // Somebody has thought better of it, in time.
    for (const name of [...state.deletions])
      if (!markers.includes(name) && !this.#progress.has(name)) this.#forget(name)
    await this.resume()
  }

  /** Goes on with all that can go on. */
  async resume(): Promise<void> {
    const { state, settings, writes, channels } = this.#term
    const batch = new RequestBatch(state, channels)
    let isAsked = false
    for (const name of [...state.deletions]) {
      if (!state.topics.has(name) || !settings.deletionEnabled()) {
        await this.#dropMarker(name)
        continue
      }
      const isUnderWay = (this.#progress.get(name)?.asked.size ?? 0) > 0
      if (state.ineligibleForDeletion.has(name) || isUnderWay || this.#isDone(name)) continue
      isAsked = true
      this.#ask(name, batch)
    }
    if (isAsked) batch.send()
    for (const name of [...state.deletions]) if (this.#isDone(name)) await this.#complete(name, writes)
  }

  #ask(name: string, batch: RequestBatch): void {
    const { state } = this.#term
    const { asked, done } = this.#begun(name)
    const refs = state.partitions([name])
    // Brokers stop serving them, clients learn that they are gone.
    batch.updateMetadata(refs)
    for (const ref of refs) {
      for (const broker of replicasOf(ref)) {
        if (done.has(replicaKey(ref, broker))) continue
        if (state.isServing(ref, broker)) {
          asked.add(replicaKey(ref, broker))
          batch.stopReplica(broker, ref, true)
        } else this.#setBack(name)
      }
    }
  }

  #begun(name: string): Progress {
    const known = this.#progress.get(name)
    if (known !== undefined) return known
    const progress = { asked: new Set<string>(), done: new Set<string>() }
    this.#progress.set(name, progress)
    this.#term.logger.log('info', 'deletion of a topic has begun', { topic: name })
    return progress
  }

  /** What became of a StopReplica; more of them may have been asked for than replicas of topics that go. */
  async answered(broker: number, replicas: readonly ReplicaToStop[], answer: BrokerAnswer): Promise<void> {
    const errors = new Map(answer.partitions.map((one) => [`${one.topic}/${one.partition}`, one.error]))
    for (const { topic, partition, deleteLog } of replicas) {
      const progress = this.#progress.get(topic)
      const key = replicaKey({ partition }, broker)
      if (!deleteLog || progress === undefined || !progress.asked.delete(key)) continue
      if (answer.error === ErrorCode.NONE && errors.get(`${topic}/${partition}`) === ErrorCode.NONE)
        progress.done.add(key)
      else this.#setBack(topic)
    }
    await this.resume()
  }

  /** What they were asked they may not have done. */
  async brokersFailed(brokers: ReadonlySet<number>): Promise<void> {
    for (const [name, { asked }] of this.#progress) {
      for (const key of asked) {
        if (!brokers.has(Number(key.split('/')[1]))) continue
        asked.delete(key)
        this.#setBack(name)
      }
    }
  }

  /** Topics that waited for these brokers, or that these could not delete, are tried again by `resume`. */
  brokersStarted(brokers: ReadonlySet<number>): void {
    const { state } = this.#term
    for (const name of [...state.ineligibleForDeletion]) {
      const refs = state.partitions([name])
      if (refs.some((ref) => replicasOf(ref).some((id) => brokers.has(id))))
        state.ineligibleForDeletion.delete(name)
    }
  }

  /** Resolves when the topic is gone from the coordination service, or its deletion waits, or the term is over. */
  async settled(topic: string): Promise<void> {
    const { state } = this.#term
    if (!state.deletions.has(topic) || state.ineligibleForDeletion.has(topic)) return
    await new Promise<void>((resolve) => {
      this.#waiting.set(topic, [...(this.#waiting.get(topic) ?? []), resolve])
    })
  }

  /** The term is over. */
  close(): void {
    for (const topic of [...this.#waiting.keys()]) this.#settle(topic)
  }

  #setBack(name: string): void {
    this.#term.state.ineligibleForDeletion.add(name)
    this.#settle(name)
  }

  #settle(topic: string): void {
    const waiting = this.#waiting.get(topic) ?? []
    this.#waiting.delete(topic)
    for (const resolve of waiting) resolve()
  }

  #isDone(name: string): boolean {
    const progress = this.#progress.get(name)
    if (progress === undefined || progress.asked.size > 0) return false
    return this.#term.state
      .partitions([name])
      .every((ref) => replicasOf(ref).every((id) => progress.done.has(replicaKey(ref, id))))
  }

  async #complete(name: string, writes: Term['writes']): Promise<void> {
    const partitions = this.#term.state.partitions([name])
    await writes.removeTopic(name)
    this.#term.state.removeTopic(name)
    this.#forget(name)
    this.#term.logger.log('info', 'topic deleted', { topic: name })
    await this.#gone(partitions)
  }

  /** Nothing to delete, or deletion is switched off. */
  async #dropMarker(name: string): Promise<void> {
    const { session, writes } = this.#term
    if ((await session.exists(deleteTopicPath(name))) !== null)
      await writes.multi([{ type: 'delete', path: deleteTopicPath(name) }])
    this.#forget(name)
  }

  #forget(name: string): void {
    const { state } = this.#term
    state.deletions.delete(name)
    state.ineligibleForDeletion.delete(name)
    this.#progress.delete(name)
    this.#settle(name)
  }
}

const replicaKey = ({ partition }: { readonly partition: number }, broker: number): string =>
  `${partition}/${broker}`
