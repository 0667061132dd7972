/** Topics come to be, grow, and vanish, by what stands below /brokers/topics. */
import type { CoordinationOperation } from '../env/coordination.ts'
import { newTopicState } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import { assignmentOf } from './decide/reassignment.ts'
import { createPartitions, tellChanges } from './partition-changes.ts'
import { readTopic } from './read-cluster.ts'
import { RequestBatch } from './request-batch.ts'
import type { Term } from './term.ts'
import { newUuid } from './topic-names.ts'
import { TOPICS_PATH, encodeTopic, topicPath } from './znodes.ts'
import type { TopicZnode } from './znodes.ts'

export class TopicEvents {
  readonly #term: Term

  constructor(term: Term) {
    this.#term = term
  }

  readonly watch = (): void => this.#term.schedule('topics', () => this.#changed())

  /** Reads the topics at the beginning of the term. */
  async load(): Promise<void> {
    await this.add(await this.#term.session.children(TOPICS_PATH, this.watch))
  }

  async #changed(): Promise<void> {
    const { state, session } = this.#term
    const names = await session.children(TOPICS_PATH, this.watch)
    const found = new Set(names)
    const gone = [...state.topics.keys()].filter((name) => !found.has(name))
    const vanished = state.partitions(gone)
    for (const name of gone) state.removeTopic(name)
    await this.add(names.filter((name) => !state.topics.has(name)))
    // Of all topics: an event that failed half-way is made up for here.
    await this.#create(state.servedPartitions(), vanished)
  }

  /** Partitions were added. What else stands in the node is this controller's own doing. */
  async #grown(name: string): Promise<void> {
    const { state, session, writes, logger } = this.#term
    const known = state.topics.get(name)
    if (known === undefined) return
    const topic = await readTopic(session, name, () => this.#onTopic(name))
    const count = known.assignments.length
    if (topic === null || topic.partitions.length <= count) return
    if (state.deletions.has(name)) {
      logger.log('warn', 'partitions added to a topic that is to be deleted are taken back', { topic: name })
      await writes.multi([setTopic(name, { ...topic, partitions: topic.partitions.slice(0, count) })])
      return
    }
    for (let partition = count; partition < topic.partitions.length; partition++)
      known.assignments[partition] = assignmentOf(topic, partition)!
    await this.#create(state.servedPartitions([name]), [])
  }

  #onTopic(name: string): void {
    this.#term.schedule(`topic ${name}`, () => this.#grown(name))
  }

  /** Reads topics not known so far, and watches them. One without an id gets one. */
  async add(names: readonly string[]): Promise<void> {
    const { session, state, random, writes } = this.#term
    const nodes = await Promise.all(names.map((name) => readTopic(session, name, () => this.#onTopic(name))))
    const withoutId: CoordinationOperation[] = []
    for (const [index, name] of names.entries()) {
      const node = nodes[index]
      if (node === null) continue
      const topicId = node.topicId ?? newUuid(random)
      if (node.topicId === null) withoutId.push(setTopic(name, { ...node, topicId }))
      const assignments = node.partitions.map((_, partition) => assignmentOf(node, partition)!)
      state.addTopic(name, newTopicState(topicId, assignments))
    }
    for (const operation of withoutId) await writes.multi([operation])
  }

  async #create(partitions: readonly PartitionRef[], vanished: readonly PartitionRef[]): Promise<void> {
    const { state, channels } = this.#term
    const created = await createPartitions(this.#term, partitions)
    if (created.length === 0 && vanished.length === 0) return
    const batch = new RequestBatch(state, channels)
    batch.updateMetadata(vanished)
    tellChanges(this.#term, batch, { created, changed: [] })
    batch.send()
  }
}

/** Whatever its version is: nobody but controllers writes what is written here. */
function setTopic(name: string, topic: TopicZnode): CoordinationOperation {
  return { type: 'set', path: topicPath(name), data: encodeTopic(topic) }
}
