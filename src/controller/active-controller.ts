/** The controller in one term: takes over what it finds in the coordination service, and answers to what changes. */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import { ErrorCode, errorName } from '../protocol/error-codes.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'
import { alterPartition } from './alter-partition.ts'
import { BrokerChannels } from './broker-channels.ts'
import type { BrokerRequest } from './broker-channels.ts'
import { BrokerEvents } from './broker-events.ts'
import { ClusterState } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import type { ControllerOptions } from './controller.ts'
import type { WonElection } from './election.ts'
import { FencedWrites } from './fenced-writes.ts'
import { LeaderElections } from './leader-elections.ts'
import { deleteEvents, readIsrChanges, readLogDirEvents } from './log-dir-events.ts'
import type { BrokerAnswer, BrokerInfo, ReplicaToStop } from './metadata.ts'
import { leaveOutReturned } from './partition-changes.ts'
import { readLeadership, readNode } from './read-cluster.ts'
import { Reassignments } from './reassignments.ts'
import { RequestBatch, introduce } from './request-batch.ts'
import type { Term } from './term.ts'
import { TopicDeletion } from './topic-deletion.ts'
import { TopicEvents } from './topic-events.ts'
import { BROKER_IDS_PATH, FEATURE_PATH, decodeDealtWith, encodeFeatures, hasFeatures } from './znodes.ts'

export class ActiveController implements Term {
  readonly brokerId: number
  readonly epoch: number
  readonly epochVersion: number
  readonly session: CoordinationSession
  readonly writes: FencedWrites
  readonly state = new ClusterState()
  readonly channels: BrokerChannels
  readonly settings: Term['settings']
  readonly timers: Term['timers']
  readonly random: Term['random']
  readonly logger: Term['logger']
  readonly schedule: Term['schedule']
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
  readonly elections: LeaderElections
  readonly #brokers: BrokerEvents
  readonly #topics: TopicEvents
  /** Answers that have not been dealt with yet. */
  #news: { readonly broker: BrokerInfo; readonly answer: BrokerAnswer }[] = []
  #stopped: {
    readonly broker: BrokerInfo
    readonly replicas: readonly ReplicaToStop[]
    readonly answer: BrokerAnswer
  }[] = []
  #isLoaded = false

  constructor(
    options: ControllerOptions,
    session: CoordinationSession,
    won: WonElection,
    schedule: Term['schedule'],
  ) {
    const { brokerId, timers, random, logger, settings, channelTo } = options
    this.brokerId = brokerId
    this.epoch = won.epoch
    this.epochVersion = won.epochVersion
    this.session = session
    this.writes = new FencedWrites(session, won.epochVersion)
    this.settings = settings
    this.timers = timers
    this.random = random
    this.logger = logger
    this.schedule = schedule
    this.channels = new BrokerChannels({
      from: { controllerId: brokerId, controllerEpoch: won.epoch },
      timers,
      logger,
      channelTo,
      answered: (broker, request, answer) => this.#answered(broker, request, answer),
      lost: (broker) => this.#brokers.lost(broker),
    })
    this.#topics = new TopicEvents(this)
    this.reassignments = new Reassignments(this)
    this.deletion = new TopicDeletion(this, this.#topics, (refs) => this.reassignments.partitionsGone(refs))
    this.elections = new LeaderElections(this)
    this.#brokers = new BrokerEvents(this, this)
  }

  /** Everything has been read, and what follows from it has been sent on its way. */
  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /** `lost`: brokers, by epoch, whose process was found gone. The order is that of Kafka's onControllerFailover. */
  async load(lost: ReadonlyMap<number, number>): Promise<void> {
    const { session, state, channels, writes, logger } = this
    await this.#writeFeatures()
    const [isrChanges, logDirEvents] = await Promise.all([
      readIsrChanges(session, this.#onIsrChanges),
      readLogDirEvents(session, this.#onLogDirEvents),
      this.#brokers.load(lost),
      this.#topics.load(),
    ])
    // All is read and all brokers are told everything below: these say nothing more.
    await deleteEvents(writes, [...isrChanges.paths, ...logDirEvents.paths])
    const writtenZxids = await readLeadership(session, state.partitions())
    await this.deletion.load()
    logger.log('info', 'this broker is the controller', {
      broker: this.brokerId,
      epoch: this.epoch,
      topics: state.topics.size,
    })
    const left = await readNode(session, BROKER_IDS_PATH)
    await leaveOutReturned(this, writtenZxids, decodeDealtWith(left?.data ?? null))
    // Kafka tells them of no topic yet. But one that has just started, and knows of none, would answer its clients so.
    const brokers = new Set(state.brokers.keys())
    introduce(state, channels, brokers)
    await this.#brokers.bringOnline(brokers)
    await this.#brokers.leaveDealtWith()
    await this.reassignments.reassignByZnode()
    await this.reassignments.resume()
    await this.deletion.resume()
    await this.elections.electByZnode()
    this.elections.start()
    this.#isLoaded = true
  }

  /** Resolves when the controller's own broker has been told everything (or cannot be told it now). */
  told(): Promise<void> {
    return this.channels.told(this.brokerId)
  }

  close(): void {
    this.channels.close()
    this.elections.close()
    this.deletion.close()
  }

  /**
   * No feature is finalised in a cluster on ZooKeeper; the node tells brokers of Kafka that the controller knows of it. Its
   * version is what brokers tell clients as the epoch of their features: the first one is never told (transaction-version.ts).
   */
  async #writeFeatures(): Promise<void> {
    const { session, writes } = this
    const node = await readNode(session, FEATURE_PATH)
    if (node !== null && node.stat.version > 0 && hasFeatures(node.data)) return
    const [path, data] = [FEATURE_PATH, encodeFeatures()]
    const set = { type: 'set', path, data } as const
    try {
      await writes.multi(node === null ? [{ type: 'create', path, data }, set] : [set])
    } catch (error) {
      if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
    }
  }

  // What brokers ask

  async alterPartition(request: AlterPartitionRequest, version: number): Promise<AlterPartitionResponse> {
    const { response, changed } = await alterPartition(this, request, version)
    // After the answer: the leader may take the wider set before it hears of what follows.
    if (changed.length > 0) this.#isrChanged(changed)
    return response
  }

  #isrChanged(partitions: readonly PartitionRef[]): void {
    const moving = partitions.filter(({ topicState, partition }) => {
      return topicState.assignments[partition].addingReplicas.length > 0
    })
    for (const ref of moving)
      this.schedule(`in-sync set of ${ref.topic}-${ref.partition}`, () =>
        this.reassignments.isrChanged([ref]),
      )
  }

  /** Unclean elections are allowed from now on, for topics or by default: partitions that wait for one are tried again. */
  uncleanElectionEnabled(): void {
    this.schedule('unclean elections', () => this.#brokers.bringOnline(new Set()))
  }

  // What brokers answer

  #answered(broker: BrokerInfo, request: BrokerRequest, answer: BrokerAnswer): void {
    if (answer.error === ErrorCode.NONE) this.#brokers.found(broker)
    else {
      const fields = { broker: broker.id, request: request.type, error: errorName(answer.error) }
      this.logger.log('warn', 'a broker refuses what it is told', fields)
    }
    if (request.type === 'leaderAndIsr' && this.state.saysNews(broker.id, answer.partitions)) {
      this.#news.push({ broker, answer })
      this.schedule('answers', () => this.#takeNews())
    }
    if (request.type === 'stopReplicas' && request.replicas.some(({ deleteLog }) => deleteLog)) {
      this.#stopped.push({ broker, replicas: request.replicas, answer })
      this.schedule('deleted logs', () => this.#takeStopped())
    }
  }

  async #takeNews(): Promise<void> {
    const news = this.#news
    this.#news = []
    const failed = news.flatMap(({ broker, answer }) => {
      return this.#isThatLife(broker) ? this.state.noteAnswers(broker.id, answer.partitions) : []
    })
    if (failed.length > 0) await this.#brokers.replicasFailed(failed)
  }

  async #takeStopped(): Promise<void> {
    const stopped = this.#stopped
    this.#stopped = []
    for (const { broker, replicas, answer } of stopped)
      if (this.#isThatLife(broker)) await this.deletion.answered(broker.id, replicas, answer)
  }

  #isThatLife({ id, epoch }: BrokerInfo): boolean {
    return this.state.brokers.get(id)?.epoch === epoch
  }

  // What brokers write

  readonly #onLogDirEvents = (): void => this.schedule('log directories', () => this.#logDirsFailed())

  /** What a broker has lost is what it says when it is told its partitions again. */
  async #logDirsFailed(): Promise<void> {
    const { state, session, channels, writes } = this
    const { paths, brokers } = await readLogDirEvents(session, this.#onLogDirEvents)
    const batch = new RequestBatch(state, channels)
    for (const ref of state.servedPartitions()) {
      const { replicas } = ref.topicState.assignments[ref.partition]
      const told = replicas.filter((id) => brokers.has(id))
      if (told.length > 0) batch.leaderAndIsr(ref, told)
    }
    batch.send()
    await deleteEvents(writes, paths)
  }

  readonly #onIsrChanges = (): void => this.schedule('in-sync sets', () => this.#isrsWritten())

  /** Leaders of brokers older than AlterPartition have written their states themselves. */
  async #isrsWritten(): Promise<void> {
    const { session, state, channels, writes } = this
    const { paths, partitions } = await readIsrChanges(session, this.#onIsrChanges)
    const refs = partitions.flatMap(({ topic, partition }) => state.partition(topic, partition) ?? [])
    await readLeadership(session, refs)
    const batch = new RequestBatch(state, channels)
    batch.updateMetadata(refs)
    batch.send()
    await this.reassignments.isrChanged(refs)
    await deleteEvents(writes, paths)
  }
}
