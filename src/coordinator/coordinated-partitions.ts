/**
 * Which partitions of an internal topic this broker coordinates. Election starts a load of the whole partition,
 * resignation drops what it gave; until a load is done its state is not served. Loads go one after the other, in slices,
 * so that a broker that leads many partitions answers meanwhile. Source: coordinators.md 1.
 */
import { BugError } from '../base/assert.ts'
import type { Clock, Logger, Timers } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import * as batch from '../protocol/record-batch.ts'
import type { CoordinatorLog } from './coordinator-log.ts'
import { SlicedWork } from './slices.ts'

type PartitionStatus = 'loading' | 'active' | 'failed'

export interface PartitionOwner<State> {
  create(partition: number): State
  /** Applies the whole batch at `position`. */
  replayBatch(state: State, bytes: Buffer, position: number): void
  /** All has been replayed: makes the state fit to be served, in short steps. */
  restore(state: State): Generator<void>
  /** It is served no more. Also called for a load that did not end. */
  unloaded(state: State): void
}

interface Coordinated<State> {
  readonly partition: number
  status: PartitionStatus
  readonly state: State
}

interface Parts<State> {
  /** For log lines. */
  readonly topic: string
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly log: CoordinatorLog
  readonly owner: PartitionOwner<State>
}

export class CoordinatedPartitions<State> {
  readonly #parts: Parts<State>
  readonly #partitions = new Map<number, Coordinated<State>>()
  /** The highest leader epoch heard of, by partition: news of older ones come late. */
  readonly #epochs = new Map<number, number>()
  readonly #queue: Coordinated<State>[] = []
  #work: SlicedWork | null = null

  constructor(parts: Parts<State>) {
    this.#parts = parts
  }

  /** What is served of a partition; undefined unless it is active. */
  active(partition: number): State | undefined {
    const coordinated = this.#partitions.get(partition)
    return coordinated?.status === 'active' ? coordinated.state : undefined
  }

  /** The same, or the error code for who asks: of a coordinator that loads, could not load, or is none. */
  activeOrError(partition: number): State | number {
    const coordinated = this.#partitions.get(partition)
    switch (coordinated?.status) {
      case 'active':
        return coordinated.state
      case 'loading':
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      case 'failed':
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
      default:
        return ErrorCode.NOT_COORDINATOR
    }
  }

  /** The highest that was heard of; -1: none. */
  leaderEpoch(partition: number): number {
    return this.#epochs.get(partition) ?? -1
  }

  *allActive(): Generator<State> {
    for (const { status, state } of this.#partitions.values()) if (status === 'active') yield state
  }

  get isLoading(): boolean {
    return this.#queue.length > 0
  }

  /** An empty partition is served at once. */
  elected(partition: number, leaderEpoch: number): void {
    if (!this.#isNews(partition, leaderEpoch)) return
    const known = this.#partitions.get(partition)
    if (known !== undefined && known.status !== 'failed') return
    const { owner } = this.#parts
    const coordinated: Coordinated<State> = { partition, status: 'loading', state: owner.create(partition) }
    this.#partitions.set(partition, coordinated)
    if (this.#isEmpty(partition)) {
      coordinated.status = 'active'
      return
    }
    this.#queue.push(coordinated)
    if (this.#work === null || this.#work.done) this.#work = new SlicedWork(this.#parts, this.#loadQueued())
  }

  /** Without an epoch: the partition is gone from here whatever came before. */
  resigned(partition: number, leaderEpoch?: number): void {
    if (leaderEpoch !== undefined && !this.#isNews(partition, leaderEpoch)) return
    const coordinated = this.#partitions.get(partition)
    if (coordinated === undefined) return
    this.#partitions.delete(partition)
    const queued = this.#queue.indexOf(coordinated)
    if (queued >= 0) this.#queue.splice(queued, 1)
    this.#parts.owner.unloaded(coordinated.state)
  }

  stop(): void {
    this.#work?.stop()
    for (const partition of this.#partitions.keys()) this.resigned(partition)
  }

  #isNews(partition: number, leaderEpoch: number): boolean {
    if (leaderEpoch < (this.#epochs.get(partition) ?? -1)) return false
    this.#epochs.set(partition, leaderEpoch)
    return true
  }

  /** A partition whose beginning cannot be read is not empty: its load says why. */
  #isEmpty(partition: number): boolean {
    try {
      for (const bytes of this.#parts.log.read(partition)) if (bytes.length > 0) return false
      return true
    } catch (error) {
      if (error instanceof BugError) throw error
      return false
    }
  }

  *#loadQueued(): Generator<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      yield* this.#load(next)
      if (this.#queue[0] === next) this.#queue.shift()
    }
  }

  *#load(coordinated: Coordinated<State>): Generator<void> {
    const { log, logger, clock, owner, topic } = this.#parts
    const { partition, state } = coordinated
    const isCurrent = (): boolean => this.#partitions.get(partition) === coordinated
    const startedMs = clock.monotonicMs()
    let batches = 0
    try {
      for (const bytes of log.read(partition)) {
        for (let position = 0; position < bytes.length; position += batch.batchSize(bytes, position)) {
          owner.replayBatch(state, bytes, position)
          batches++
          yield
          if (!isCurrent()) return
        }
      }
    } catch (error) {
      if (error instanceof BugError) throw error
      // What cannot be read must not be answered as if it were not there: clients would begin anew.
      coordinated.status = 'failed'
      logger.log('error', `cannot load ${topic}-${partition}`, { reason: String(error) })
      return
    }
    for (const _ of owner.restore(state)) {
      yield
      if (!isCurrent()) return
    }
    coordinated.status = 'active'
    logger.log('info', `loaded ${topic}-${partition}`, {
      batches,
      ms: Math.round(clock.monotonicMs() - startedMs),
    })
  }
}
