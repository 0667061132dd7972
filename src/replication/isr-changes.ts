/**
 * Tells the controller how in-sync sets are to change (AlterPartition, KIP-497): one request is under way at a time, and
 * takes along every partition that waits.
 */
import { NetworkError } from '../env/network.ts'
import type { Logger, Timer, Timers } from '../env/env.ts'
import { ErrorCode, errorName } from '../protocol/error-codes.ts'
import { UNKNOWN_EPOCH } from './follower-state.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'

/**
 * After an answer that is about the whole request, or none; or that refuses a partition, which is proposed again at once: a
 * controller in this process that does not know yet that it is deposed would be asked without end, and nothing else would run.
 */
const RETRY_MS = 50

export interface IsrProposal {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  /** Of an expansion: the epoch of the last of `isr`, as its fetches name it. */
  readonly newcomerEpoch?: number
}

/** What the controller made of it. */
export type IsrOutcome =
  | {
      readonly error: 0
      readonly leaderEpoch: number
      readonly partitionEpoch: number
      readonly isr: readonly number[]
    }
  | { readonly error: number }

export interface IsrChangesParts {
  readonly brokerId: number
  readonly timers: Timers
  readonly logger: Logger
  /** czxid of this broker's registration. */
  brokerEpoch(): number
  /**
   * To the controller, whoever it is; a version below 2 goes by topic name, and must be taken where a topic has no id.
   * Rejects with NetworkError: it is sent again.
   */
  alterPartition(request: AlterPartitionRequest): Promise<AlterPartitionResponse>
}

interface Entry {
  readonly proposal: IsrProposal
  readonly done: (outcome: IsrOutcome) => void
}

type PartitionAnswer = AlterPartitionResponse['topics'][number]['partitions'][number]

const keyOf = ({ topic, partition }: IsrProposal): string => `${topic}-${partition}`

export class IsrChanges {
  readonly #parts: IsrChangesParts
  readonly #waiting = new Map<string, Entry>()
  #isUnderWay = false
  #retry: Timer | null = null
  #stopped = false

  constructor(parts: IsrChangesParts) {
    this.#parts = parts
  }

  /** `done` runs once, unless another proposal for the same partition has taken the place of this one before it was sent. */
  submit(proposal: IsrProposal, done: (outcome: IsrOutcome) => void): void {
    this.#waiting.set(keyOf(proposal), { proposal, done })
    // What else this turn brings goes along.
    queueMicrotask(() => this.#send())
  }

  stop(): void {
    this.#stopped = true
    this.#retry?.cancel()
    this.#waiting.clear()
  }

  #send(): void {
    if (this.#stopped || this.#isUnderWay || this.#retry !== null || this.#waiting.size === 0) return
    const sent = new Map(this.#waiting)
    this.#waiting.clear()
    this.#isUnderWay = true
    this.#parts.alterPartition(this.#request(sent.values())).then(
      (response) => this.#answered(sent, response),
      (error: unknown) => {
        if (!(error instanceof NetworkError)) throw error
        this.#sendAgain(sent, error.message)
      },
    )
  }

  #request(entries: Iterable<Entry>): AlterPartitionRequest {
    const topics = new Map<string, { topicName: string; topicId: string; partitions: object[] }>()
    for (const { proposal } of entries) {
      const { topic, topicId, partition: partitionIndex, leaderEpoch, partitionEpoch, isr } = proposal
      let named = topics.get(topic)
      if (named === undefined) topics.set(topic, (named = { topicName: topic, topicId, partitions: [] }))
      // Of members that come back the controller knows by itself: they leave the set.
      const newIsrWithEpochs = isr.map((brokerId) => ({ brokerId, brokerEpoch: UNKNOWN_EPOCH }))
      newIsrWithEpochs[isr.length - 1].brokerEpoch = proposal.newcomerEpoch ?? UNKNOWN_EPOCH
      named.partitions.push({ partitionIndex, leaderEpoch, partitionEpoch, newIsr: isr, newIsrWithEpochs })
    }
    const { brokerId } = this.#parts
    const brokerEpoch = this.#parts.brokerEpoch()
    return { brokerId, brokerEpoch, topics: [...topics.values()] } as AlterPartitionRequest
  }

  #answered(sent: Map<string, Entry>, response: AlterPartitionResponse): void {
    if (response.errorCode !== ErrorCode.NONE) return this.#sendAgain(sent, errorName(response.errorCode))
    this.#isUnderWay = false
    const answers = new Map<string, PartitionAnswer>()
    for (const { topicName, topicId, partitions } of response.topics) {
      for (const answer of partitions) {
        answers.set(`${topicId}-${answer.partitionIndex}`, answer)
        if (topicName) answers.set(`${topicName}-${answer.partitionIndex}`, answer)
      }
    }
    if ([...answers.values()].some(({ errorCode }) => errorCode !== ErrorCode.NONE)) this.#pause()
    for (const [key, entry] of sent) {
      const { topicId, partition } = entry.proposal
      const answer = answers.get(key) ?? answers.get(`${topicId}-${partition}`)
      // One that the answer has forgotten is asked again.
      if (answer === undefined) this.#wait(key, entry)
      else entry.done(outcomeOf(answer))
    }
    this.#send()
  }

  #sendAgain(sent: Map<string, Entry>, reason: string): void {
    this.#isUnderWay = false
    if (this.#stopped) return
    for (const [key, entry] of sent) this.#wait(key, entry)
    this.#parts.logger.log('info', 'in-sync sets are told again', { partitions: sent.size, reason })
    this.#pause()
  }

  #pause(): void {
    this.#retry = this.#parts.timers.after(RETRY_MS, () => {
      this.#retry = null
      this.#send()
    })
  }

  /** A proposal that came meanwhile is newer. */
  #wait(key: string, entry: Entry): void {
    if (!this.#waiting.has(key)) this.#waiting.set(key, entry)
  }
}

function outcomeOf({ errorCode, leaderEpoch, partitionEpoch, isr }: PartitionAnswer): IsrOutcome {
  if (errorCode !== ErrorCode.NONE) return { error: errorCode }
  return { error: 0, leaderEpoch, partitionEpoch, isr: [...isr] }
}
