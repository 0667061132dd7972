import type { FollowedPartition } from '../types.ts'
import { NO_TOPIC_ID } from './fetch-session.ts'
import type { Followed } from './followed.ts'

/** The partitions of one topic. */
class ByIndex {
  readonly partitions: (Followed | undefined)[] = []
  count = 0
}

/** What a fetcher follows, found as the controller names it, and as a leader's answers do: by topic id or by name. */
export class FollowedTable {
  readonly #byPartition = new Map<FollowedPartition, Followed>()
  readonly #byId = new Map<string, ByIndex>()
  readonly #byName = new Map<string, ByIndex>()

  get size(): number {
    return this.#byPartition.size
  }

  all(): Iterable<Followed> {
    return this.#byPartition.values()
  }

  get(partition: FollowedPartition): Followed | undefined {
    return this.#byPartition.get(partition)
  }

  /** Those of one topic, by index; undefined: there are none. */
  ofTopic(
    { topic, topicId }: { readonly topic: string; readonly topicId: string },
    usesTopicIds: boolean,
  ): readonly (Followed | undefined)[] | undefined {
    const found = usesTopicIds ? this.#byId.get(topicId) : this.#byName.get(topic)
    return found?.partitions
  }

  add(followed: Followed): void {
    this.#byPartition.set(followed.partition, followed)
    put(this.#byName, followed.topic, followed)
    if (followed.topicId !== NO_TOPIC_ID) put(this.#byId, followed.topicId, followed)
  }

  remove(followed: Followed): void {
    if (this.#byPartition.get(followed.partition) !== followed) return
    this.#byPartition.delete(followed.partition)
    take(this.#byName, followed.topic, followed)
    take(this.#byId, followed.topicId, followed)
  }
}

function put(map: Map<string, ByIndex>, key: string, followed: Followed): void {
  let topic = map.get(key)
  if (topic === undefined) map.set(key, (topic = new ByIndex()))
  if (topic.partitions[followed.index] === undefined) topic.count++
  topic.partitions[followed.index] = followed
}

function take(map: Map<string, ByIndex>, key: string, followed: Followed): void {
  const topic = map.get(key)
  if (topic?.partitions[followed.index] !== followed) return
  topic.partitions[followed.index] = undefined
  if (--topic.count === 0) map.delete(key)
}
