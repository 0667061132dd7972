/** A leader at the other end of a fetcher's channel: it keeps sessions as the broker does, and can be told to be silent. */
import { FetchSessionCache } from '../../../src/broker/fetch-sessions.ts'
import { NetworkError } from '../../../src/env/network.ts'
import type { SimScheduler } from '../../../src/env/sim/scheduler.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import type { FetchRequest } from '../../../src/protocol/messages/01-fetch.ts'
import type {
  FetchAnswer,
  LeaderAddress,
  LeaderChannel,
  ListOffsetsAnswer,
} from '../../../src/replication/leader-channel.ts'
import { TOPIC_ID } from '../../log/log-fixture.ts'
import type { Replica } from './replica.ts'

type FetchedTopic = FetchAnswer['responses'][number]

/** A Fetch that waits for records. */
interface Parked {
  answer(): void
}

export class FakeLeader {
  readonly replicas: readonly Replica[]
  readonly requests: FetchRequest[] = []
  readonly listOffsetsTimestamps: number[] = []
  readonly connections: LeaderAddress[] = []
  /** Nobody listens. */
  isDown = false
  /** Answers of partitions, by name, in place of what they would be. */
  readonly errors = new Map<string, number>()
  /** Of the next answer as a whole. */
  topLevelError: number = ErrorCode.NONE
  readonly #time: SimScheduler
  readonly #sessions: FetchSessionCache
  readonly #parked = new Set<Parked>()

  constructor(time: SimScheduler, replicas: readonly Replica[], options: { sessions?: number } = {}) {
    this.#time = time
    this.replicas = replicas
    let id = 100
    this.#sessions = new FetchSessionCache(
      options.sessions ?? 10,
      () => time.clock.monotonicMs(),
      () => id++,
    )
  }

  readonly channelTo = (address: LeaderAddress): LeaderChannel => {
    this.connections.push(address)
    let close: (error: NetworkError) => void
    const closed = new Promise<never>((_, reject) => (close = reject))
    closed.catch(() => undefined)
    const race = <T>(answer: Promise<T>): Promise<T> => Promise.race([answer, closed])
    return {
      fetch: (request, usesTopicIds) => race(this.#fetch(request, usesTopicIds)),
      listOffsets: (request) => race(this.#listOffsets(request)),
      close: () => close(new NetworkError('CLOSED', 'closed')),
    }
  }

  /** Those who wait look again. */
  wake(): void {
    for (const parked of [...this.#parked]) parked.answer()
  }

  get parked(): number {
    return this.#parked.size
  }

  async #fetch(request: FetchRequest, usesTopicIds: boolean): Promise<FetchAnswer> {
    if (this.isDown) throw new NetworkError('REFUSED', 'nobody listens')
    this.requests.push(request)
    const { topLevelError } = this
    this.topLevelError = ErrorCode.NONE
    if (topLevelError !== ErrorCode.NONE) return answerOf(topLevelError, 0, [])
    const version = usesTopicIds ? 17 : 12
    const plan = this.#sessions.plan(request, version, (id) => (id === TOPIC_ID ? 't' : ''))
    if (plan.kind === 'error') return answerOf(plan.errorCode, 0, [])
    const sessionId = plan.kind === 'sessionless' ? 0 : plan.session.id
    const read = (): FetchedTopic[] => this.#read(plan.partitions)
    const isNews = (topics: FetchedTopic[]): boolean =>
      topics.some(({ partitions }) =>
        partitions.some(
          (data) => data.records !== null || data.errorCode !== 0 || data.divergingEpoch.epoch >= 0,
        ),
      )
    const first = read()
    if (plan.kind === 'full' || isNews(first)) return answerOf(0, sessionId, first)
    return new Promise((resolve) => {
      const parked: Parked = {
        answer: () => {
          timer.cancel()
          this.#parked.delete(parked)
          resolve(
            answerOf(
              0,
              sessionId,
              read().filter((topic) => isNews([topic])),
            ),
          )
        },
      }
      const timer = this.#time.timers.after(request.maxWaitMs, parked.answer)
      this.#parked.add(parked)
    })
  }

  #read(
    partitions: Iterable<{
      partition: number
      currentLeaderEpoch: number
      fetchOffset: number
      lastFetchedEpoch: number
      logStartOffset: number
      maxBytes: number
    }>,
  ) {
    return [...partitions].map((asked): FetchedTopic => {
      const replica = this.replicas[asked.partition]
      const data = replica.answer(asked, asked.maxBytes)
      const errorCode = this.errors.get(`t-${asked.partition}`) ?? data.errorCode
      const answer = errorCode === 0 ? data : { ...data, errorCode, records: null }
      return { topic: 't', topicId: TOPIC_ID, partitions: [answer] }
    })
  }

  async #listOffsets(request: {
    topics: { partitions: { partitionIndex: number; timestamp: number }[] }[]
  }): Promise<ListOffsetsAnswer> {
    if (this.isDown) throw new NetworkError('REFUSED', 'nobody listens')
    const topics = request.topics.map(({ partitions }) => ({
      name: 't',
      partitions: partitions.map(({ partitionIndex, timestamp }) => {
        this.listOffsetsTimestamps.push(timestamp)
        const { log } = this.replicas[partitionIndex]
        const offset = timestamp === -1 ? log.logEndOffset : log.logStartOffset
        return { partitionIndex, errorCode: 0, oldStyleOffsets: [], timestamp: -1, offset, leaderEpoch: -1 }
      }),
    }))
    return { throttleTimeMs: 0, topics }
  }
}

const answerOf = (errorCode: number, sessionId: number, responses: FetchedTopic[]): FetchAnswer => ({
  throttleTimeMs: 0,
  errorCode,
  sessionId,
  responses,
  nodeEndpoints: [],
})
