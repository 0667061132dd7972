/**
 * What the controller writes: multis that begin with a check of /controller_epoch, so that a controller which has been
 * deposed and does not know it yet can change nothing (BAD_VERSION of operation 0).
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationOperation, CoordinationResult, CoordinationSession } from '../env/coordination.ts'
import { leadershipOf } from './cluster-state.ts'
import type { PartitionRef, TopicState } from './cluster-state.ts'
import { readLeadership } from './read-cluster.ts'
import {
  CONTROLLER_EPOCH_PATH,
  deleteTopicPath,
  encodePartitionState,
  partitionPath,
  partitionStatePath,
  partitionsPath,
  topicConfigPath,
  topicPath,
} from './znodes.ts'
import type { PartitionStateZnode } from './znodes.ts'

/** Partitions written in one multi: about 300 KB, below the 1 MB that a ZooKeeper server takes. */
const PARTITIONS_PER_MULTI = 1000
const DELETIONS_PER_MULTI = 3000

/** A state that is to be written. */
export interface DecidedPartition extends PartitionRef {
  readonly state: PartitionStateZnode
}

export class FencedWrites {
  readonly #session: CoordinationSession
  readonly #epochVersion: number

  /** `epochVersion`: version of /controller_epoch when it was won. */
  constructor(session: CoordinationSession, epochVersion: number) {
    this.#session = session
    this.#epochVersion = epochVersion
  }

  multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]> {
    const check: CoordinationOperation = {
      type: 'check',
      path: CONTROLLER_EPOCH_PATH,
      version: this.#epochVersion,
    }
    return this.#session.multi([check, ...operations])
  }

  /** Rejects with `isDeposed`, or because the session is over, unless this controller is still the one. */
  async verify(): Promise<void> {
    await this.multi([])
  }

  /** Writes the first states, and notes them in `topicState`. Adopts states that a controller before us wrote. */
  async createPartitions(partitions: readonly DecidedPartition[]): Promise<void> {
    const writes: Promise<void>[] = []
    const opened = new Set<TopicState>()
    for (let start = 0; start < partitions.length; start += PARTITIONS_PER_MULTI)
      writes.push(this.#createChunk(partitions.slice(start, start + PARTITIONS_PER_MULTI), opened))
    await Promise.all(writes)
  }

  async #createChunk(partitions: readonly DecidedPartition[], opened: Set<TopicState>): Promise<void> {
    const operations: CoordinationOperation[] = []
    for (const { topic, topicState, partition, state } of partitions) {
      if (!topicState.hasPartitionsNode && !opened.has(topicState))
        operations.push(create(partitionsPath(topic)))
      opened.add(topicState)
      operations.push(create(partitionPath(topic, partition)))
      operations.push(create(partitionStatePath(topic, partition), encodePartitionState(state)))
    }
    try {
      await this.multi(operations)
    } catch (error) {
      if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
      return this.#completePartitions(partitions)
    }
    noteCreated(partitions)
  }

  /** Some of the nodes are there: a controller before us did not get to the end. Looks, and makes what is missing. */
  async #completePartitions(partitions: readonly DecidedPartition[]): Promise<void> {
    await readLeadership(this.#session, partitions)
    const operations: CoordinationOperation[] = []
    const missing = partitions.filter((partition) => leadershipOf(partition) === undefined)
    const paths = new Set<string>()
    for (const { topic, partition } of missing)
      paths.add(partitionsPath(topic)).add(partitionPath(topic, partition))
    const found = await Promise.all([...paths].map((path) => this.#session.exists(path)))
    for (const [index, path] of [...paths].entries()) if (found[index] === null) operations.push(create(path))
    for (const { topic, partition, state } of missing)
      operations.push(create(partitionStatePath(topic, partition), encodePartitionState(state)))
    await this.multi(operations)
    noteCreated(missing)
  }

  /**
   * Writes new states over those that are known, and notes them. Gives those that another has written meanwhile: they have
   * been read again, and are to be decided again.
   */
  async updatePartitions(partitions: readonly DecidedPartition[]): Promise<PartitionRef[]> {
    const chunks: Promise<readonly PartitionRef[]>[] = []
    for (let start = 0; start < partitions.length; start += PARTITIONS_PER_MULTI)
      chunks.push(this.#updateChunk(partitions.slice(start, start + PARTITIONS_PER_MULTI)))
    return (await Promise.all(chunks)).flat()
  }

  async #updateChunk(partitions: readonly DecidedPartition[]): Promise<readonly PartitionRef[]> {
    try {
      await this.multi(partitions.map(update))
    } catch (error) {
      if (!isStale(error)) throw error
      await readLeadership(this.#session, partitions)
      return partitions
    }
    noteUpdated(partitions)
    return []
  }

  /**
   * As `updatePartitions`, but those whose state another has written stand alone: all others are written. Gives the former;
   * they have been read again.
   */
  async updateEach(partitions: readonly DecidedPartition[]): Promise<Set<DecidedPartition>> {
    const stale = new Set<DecidedPartition>()
    const chunks: Promise<void>[] = []
    for (let start = 0; start < partitions.length; start += PARTITIONS_PER_MULTI)
      chunks.push(this.#updateEachOf(partitions.slice(start, start + PARTITIONS_PER_MULTI), stale))
    await Promise.all(chunks)
    return stale
  }

  async #updateEachOf(partitions: readonly DecidedPartition[], stale: Set<DecidedPartition>): Promise<void> {
    for (let rest = partitions; rest.length > 0; rest = rest.filter((one) => !stale.has(one))) {
      try {
        await this.multi(rest.map(update))
        return noteUpdated(rest)
      } catch (error) {
        if (!isStale(error)) throw error
        // Operation 0 is the fence.
        const found = rest[error.operationIndex - 1]
        stale.add(found)
        await readLeadership(this.#session, [found])
      }
    }
  }

  /** Removes a topic's znodes, then its configuration, then the marker that asked for it. */
  async removeTopic(topic: string): Promise<void> {
    for (;;) {
      try {
        return await this.#tryRemoveTopic(topic)
      } catch (error) {
        // Another hand, or we ourselves before a connection broke, has removed some of it: look again at what is left.
        if (!(error instanceof CoordinationError && error.code === 'NO_NODE')) throw error
      }
    }
  }

  async #tryRemoveTopic(topic: string): Promise<void> {
    const paths = await this.#subtree(topicPath(topic))
    const config = await this.#session.exists(topicConfigPath(topic))
    paths.reverse()
    if (config !== null) paths.push(topicConfigPath(topic))
    const marker = await this.#session.exists(deleteTopicPath(topic))
    if (marker !== null) paths.push(deleteTopicPath(topic))
    for (let start = 0; start < paths.length; start += DELETIONS_PER_MULTI) {
      const chunk = paths.slice(start, start + DELETIONS_PER_MULTI)
      await this.multi(chunk.map((path) => ({ type: 'delete', path })))
    }
  }

  /** Parents before their children; empty when there is no such node. */
  async #subtree(root: string): Promise<string[]> {
    if ((await this.#session.exists(root)) === null) return []
    const paths = [root]
    for (let level = [root]; level.length > 0;) {
      const names = await Promise.all(level.map((path) => this.#session.children(path)))
      level = level.flatMap((path, index) => names[index].map((name) => `${path}/${name}`))
      paths.push(...level)
    }
    return paths
  }
}

function create(path: string, data: Buffer | null = null): CoordinationOperation {
  return { type: 'create', path, data }
}

function update({ topic, partition, state, ...ref }: DecidedPartition): CoordinationOperation {
  const version = ref.topicState.leadership[partition]!.partitionEpoch
  const path = partitionStatePath(topic, partition)
  return { type: 'set', path, data: encodePartitionState(state), version }
}

function noteCreated(partitions: readonly DecidedPartition[]): void {
  for (const { topicState, partition, state } of partitions) {
    topicState.hasPartitionsNode = true
    topicState.leadership[partition] = { ...state, partitionEpoch: 0 }
  }
}

function noteUpdated(partitions: readonly DecidedPartition[]): void {
  for (const { topicState, partition, state } of partitions) {
    const { partitionEpoch } = topicState.leadership[partition]!
    topicState.leadership[partition] = { ...state, partitionEpoch: partitionEpoch + 1 }
  }
}

/** A state is not what it was: written by another hand, or gone. The fence itself has let us through. */
function isStale(error: unknown): error is CoordinationError {
  if (!(error instanceof CoordinationError) || error.operationIndex === 0) return false
  return error.code === 'BAD_VERSION' || error.code === 'NO_NODE'
}

/** The fence of `FencedWrites` did not let us through: there is, or was, a later controller. */
export function isDeposed(error: unknown): boolean {
  return error instanceof CoordinationError && error.code === 'BAD_VERSION' && error.operationIndex === 0
}
