/**
 * Has the leaders of a transaction's partitions write its markers: one request at a time to each broker, with all that has
 * gathered for it meanwhile. What fails is asked again, of whoever leads then, until it is written or the coordinator resigns.
 * Source: coordinators.md 6 (WriteTxnMarkers).
 */
import { NetworkError } from '../../env/network.ts'
import type { Clock, Logger, Timer, Timers } from '../../env/env.ts'
import type {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/27-write-txn-markers.ts'
import { markerOutcome } from './marker-outcome.ts'
import type { MarkerTask } from './marker-task.ts'

export type Markers = WriteTxnMarkersRequest['markers']
export type MarkerAnswers = WriteTxnMarkersResponse['markers']

export interface MarkerBrokers {
  /** The broker that leads a partition; null: none does that can be reached; undefined: there is no such partition. */
  leaderOf(topic: string, partition: number): number | null | undefined
  /** Rejects with NetworkError. */
  send(brokerId: number, markers: Markers): Promise<MarkerAnswers>
}

export interface MarkerSenderParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly brokers: MarkerBrokers
}

/** Transactions in one request. */
const MAX_MARKERS_PER_REQUEST = 1_000
/** Between tries. The second is that of rounds in which nothing at all was written. */
const RETRY_BACKOFF_MS = 50
const MAX_RETRY_BACKOFF_MS = 1_000
/** A new coordinator may hear of its election before it hears of a partition: one that it does not know is gone after this. */
const UNKNOWN_PARTITION_PATIENCE_MS = 10_000

type Wanted = Map<MarkerTask, Map<string, Set<number>>>

interface Destination {
  readonly brokerId: number
  waiting: Wanted
  isAsked: boolean
}

export class MarkerSender {
  readonly #parts: MarkerSenderParts
  readonly #destinations = new Map<number, Destination>()
  readonly #startedMs = new WeakMap<MarkerTask, number>()
  /** To be routed anew. */
  #later: Wanted = new Map()
  #timer: Timer | null = null
  #backoffMs = RETRY_BACKOFF_MS
  #stopped = false

  constructor(parts: MarkerSenderParts) {
    this.#parts = parts
  }

  add(task: MarkerTask): void {
    this.#startedMs.set(task, this.#parts.clock.monotonicMs())
    const asked = new Set<Destination>()
    for (const [topic, indexes] of task.left) {
      for (const index of [...indexes]) this.#route(task, topic, index, asked)
    }
    task.settle()
    for (const destination of asked) this.#ask(destination)
  }

  /** Leaders may have been elected, or be within reach again. */
  metadataChanged(): void {
    if (this.#later.size > 0) this.#retry()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#destinations.clear()
    this.#later.clear()
  }

  #route(task: MarkerTask, topic: string, index: number, asked: Set<Destination>): void {
    const leader = this.#parts.brokers.leaderOf(topic, index)
    if (leader === undefined && this.#isGone(task)) {
      const { transactionalId } = task.end
      const partition = `${topic}-${index}`
      this.#parts.logger.log('info', 'no marker for a partition that is not there', {
        transactionalId,
        partition,
      })
      task.marked(topic, index)
    } else if (leader === undefined || leader === null) {
      this.#retryLater(task, topic, index)
    } else {
      const destination = this.#destination(leader)
      want(destination.waiting, task, topic, index)
      asked.add(destination)
    }
  }

  #isGone(task: MarkerTask): boolean {
    if (!task.end.isResumed) return true
    const waitedMs = this.#parts.clock.monotonicMs() - (this.#startedMs.get(task) ?? -Infinity)
    return waitedMs >= UNKNOWN_PARTITION_PATIENCE_MS
  }

  #destination(brokerId: number): Destination {
    let destination = this.#destinations.get(brokerId)
    if (destination === undefined) {
      destination = { brokerId, waiting: new Map(), isAsked: false }
      this.#destinations.set(brokerId, destination)
    }
    return destination
  }

  #ask(destination: Destination): void {
    if (this.#stopped || destination.isAsked) return
    const sent = takeSome(destination)
    if (sent.size === 0) {
      this.#destinations.delete(destination.brokerId)
      return
    }
    destination.isAsked = true
    void this.#send(destination.brokerId, sent).then((answers) => {
      destination.isAsked = false
      if (this.#stopped) return
      this.#answered(destination.brokerId, sent, answers)
      this.#ask(destination)
    })
  }

  /** null: nobody knows what has become of it. */
  async #send(brokerId: number, wanted: Wanted): Promise<MarkerAnswers | null> {
    try {
      return await this.#parts.brokers.send(brokerId, requestOf(wanted))
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      const reason = error.message
      this.#parts.logger.log('info', 'markers did not reach a broker', { brokerId, reason })
      return null
    }
  }

  #answered(brokerId: number, sent: Wanted, answers: MarkerAnswers | null): void {
    const codes = errorCodes(answers ?? [])
    for (const [task, topics] of sent) {
      for (const [topic, indexes] of topics) {
        for (const index of indexes) {
          if (task.isOver) break
          const code = codes.get(partitionKey(task.end.producerId, topic, index))
          this.#answeredOne(task, topic, index, { brokerId, code })
        }
      }
      task.settle()
    }
  }

  /** `code` undefined: it was not answered. */
  #answeredOne(
    task: MarkerTask,
    topic: string,
    index: number,
    { brokerId, code }: { brokerId: number; code: number | undefined },
  ): void {
    const outcome = code === undefined ? 'retry' : markerOutcome(code)
    if (outcome === 'marked') {
      task.marked(topic, index)
      this.#backoffMs = RETRY_BACKOFF_MS
    } else if (outcome === 'retry') {
      this.#retryLater(task, topic, index)
    } else {
      const { transactionalId, coordinatorEpoch } = task.end
      const fields = { transactionalId, coordinatorEpoch, brokerId, partition: `${topic}-${index}`, code }
      this.#parts.logger.log('warn', 'a marker is refused for good', fields)
      task.giveUp()
    }
  }

  #retryLater(task: MarkerTask, topic: string, index: number): void {
    want(this.#later, task, topic, index)
    this.#timer ??= this.#parts.timers.after(this.#backoffMs, () => this.#retry())
  }

  #retry(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_RETRY_BACKOFF_MS)
    const again = this.#later
    this.#later = new Map()
    const asked = new Set<Destination>()
    for (const [task, topics] of again) {
      if (task.isOver) continue
      for (const [topic, indexes] of topics)
        for (const index of indexes) this.#route(task, topic, index, asked)
      task.settle()
    }
    for (const destination of asked) this.#ask(destination)
  }
}

function want(wanted: Wanted, task: MarkerTask, topic: string, index: number): void {
  const topics = wanted.get(task)
  if (topics === undefined) wanted.set(task, new Map([[topic, new Set([index])]]))
  else if (topics.has(topic)) topics.get(topic)!.add(index)
  else topics.set(topic, new Set([index]))
}

/** Takes out what the next request carries. Of one producer id there is one marker in it: answers name nothing else. */
function takeSome(destination: Destination): Wanted {
  const taken: Wanted = new Map()
  const producerIds = new Set<number>()
  for (const [task, topics] of destination.waiting) {
    if (taken.size === MAX_MARKERS_PER_REQUEST) break
    if (!task.isOver && producerIds.has(task.end.producerId)) continue
    destination.waiting.delete(task)
    if (task.isOver) continue
    taken.set(task, topics)
    producerIds.add(task.end.producerId)
  }
  return taken
}

function requestOf(wanted: Wanted): Markers {
  return [...wanted].map(([{ end }, topics]) => ({
    producerId: end.producerId,
    producerEpoch: end.producerEpoch,
    transactionResult: end.committed,
    topics: [...topics].map(([name, indexes]) => ({ name, partitionIndexes: [...indexes] })),
    coordinatorEpoch: end.coordinatorEpoch,
  }))
}

function errorCodes(answers: MarkerAnswers): Map<string, number> {
  const codes = new Map<string, number>()
  for (const { producerId, topics } of answers) {
    for (const { name, partitions } of topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        codes.set(partitionKey(producerId, name, partitionIndex), errorCode)
      }
    }
  }
  return codes
}

function partitionKey(producerId: number, topic: string, partition: number): string {
  return `${producerId} ${partition} ${topic}`
}
