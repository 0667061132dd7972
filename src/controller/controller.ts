/**
 * The controller: one broker of the cluster, elected at /controller, that turns what stands in the coordination service
 * (brokers, topics, deletion markers) into partition states, and tells the brokers. Works on any `Coordination`.
 *
 * All work is events in one queue. Watches only put events there, so between two steps of an event nothing else changes
 * what the controller knows. Every write is fenced by the epoch that the election won.
 *
 * Leadership moves away from replicas whose log directory has failed. Not here yet: from brokers that are gone; in-sync set
 * changes; reassignment.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession } from '../env/coordination.ts'
import type { Clock, Logger, Random, Timers } from '../env/env.ts'
import { BrokerChannels } from './broker-channels.ts'
import type { BrokerRequest } from './broker-channels.ts'
import {
  ClusterState,
  goneState,
  newTopicState,
  partitionState,
  readBrokers,
  readLeadership,
  readNode,
  readTopics,
} from './cluster-state.ts'
import type { Leadership, ZnodeContent } from './cluster-state.ts'
import { decideLeadership } from './decide/offline-replicas.ts'
import { decideNewPartition } from './decide/new-partition.ts'
import { decideDeletion } from './decide/topic-deletion.ts'
import { FencedWrites } from './fenced-writes.ts'
import type { DecidedPartition } from './fenced-writes.ts'
import { deleteLogDirEvents, readLogDirEvents } from './log-dir-events.ts'
import { EPOCH_DURING_DELETE } from './metadata.ts'
import type { BrokerAnswer, BrokerChannel, BrokerInfo, PartitionState } from './metadata.ts'
import { newUuid } from './topic-names.ts'
import {
  CONTROLLER_EPOCH_PATH,
  CONTROLLER_PATH,
  DELETE_TOPICS_PATH,
  TOPICS_PATH,
  decodeController,
  deleteTopicPath,
  encodeController,
  encodeTopic,
  topicPath,
} from './znodes.ts'
import type { TopicZnode } from './znodes.ts'

export interface ControllerOptions {
  readonly session: CoordinationSession
  readonly brokerId: number
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly logger: Logger
  readonly channelTo: (broker: BrokerInfo) => BrokerChannel
  /** `delete.topic.enable` */
  readonly deletionEnabled: () => boolean
}

/** An event that the coordination service could not serve is tried again after this time. */
const RETRY_MS = 1000

export class Controller {
  readonly #options: ControllerOptions
  readonly #session: CoordinationSession
  #queue: Promise<void> = Promise.resolve()
  /** Kinds of event that wait in the queue: a second watch adds nothing to the first. */
  readonly #pending = new Set<string>()
  #stopped = false
  #epoch = 0
  /** null: not elected. */
  #writes: FencedWrites | null = null
  /** Elected, and everything has been read. */
  #active = false
  #state = new ClusterState()
  #channels: BrokerChannels | null = null
  readonly #answers = new Map<BrokerRequest, (answer: BrokerAnswer) => void>()

  constructor(options: ControllerOptions) {
    this.#options = options
    this.#session = options.session
  }

  get isActive(): boolean {
    return this.#active
  }

  /** 0 while not active. */
  get epoch(): number {
    return this.#epoch
  }

  isQueuedForDeletion(topic: string): boolean {
    return this.#state.deletions.has(topic)
  }

  /** Takes part in the election. Resolves when it is decided and, if won, when the brokers have been told everything. */
  start(): Promise<void> {
    return this.#enqueue(async () => {
      try {
        await this.#elect()
      } catch (error) {
        if (isDeposed(error)) return this.#failed(error, 'election', () => this.#elect())
        throw error
      }
    })
  }

  /** Resolves when all events that wait now have been dealt with. */
  idle(): Promise<void> {
    return this.#queue
  }

  /** Does nothing more. The controller's znode goes with the session. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#queue
    this.#resign()
  }

  #enqueue(event: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(() => (this.#stopped ? undefined : event()))
    this.#queue = done.catch(() => undefined)
    return done
  }

  /** For events that nobody waits for; `kind` stands in the queue once. */
  #schedule(kind: string, event: () => Promise<void>): void {
    if (this.#stopped || this.#pending.has(kind)) return
    this.#pending.add(kind)
    const run = async (): Promise<void> => {
      this.#pending.delete(kind)
      try {
        await event()
      } catch (error) {
        await this.#failed(error, kind, event)
      }
    }
    void this.#enqueue(run).catch((error: unknown) => {
      // A bug must reach the process, not end in a promise that nobody looks at.
      this.#options.timers.soon(() => {
        throw error
      })
    })
  }

  async #failed(error: unknown, kind: string, event: () => Promise<void>): Promise<void> {
    if (!(error instanceof CoordinationError)) throw error
    if (error.code === 'SESSION_EXPIRED') return this.#resign()
    const { logger, timers } = this.#options
    if (isDeposed(error)) {
      logger.log('warn', 'another controller has taken over', { epoch: this.#epoch })
      this.#resign()
      return this.#onController()
    }
    logger.log('error', 'the controller could not finish; it will try again', {
      event: kind,
      error: error.message,
    })
    timers.after(RETRY_MS, () => this.#schedule(kind, event))
  }

  // Election

  readonly #onController = (): void => this.#schedule('election', () => this.#elect())

  async #elect(): Promise<void> {
    for (;;) {
      const [owner, epochNode] = await Promise.all([
        this.#session.exists(CONTROLLER_PATH, this.#onController),
        readNode(this.#session, CONTROLLER_EPOCH_PATH),
      ])
      if (owner !== null && owner.ephemeralOwner === this.#session.id) {
        if (this.#active) return
        // Won before, but the reply was lost on its way or what followed failed: the epoch is still ours.
        if (epochNode !== null) return this.#takeOver(Number(epochNode.data), epochNode.stat.version)
      }
      if (owner !== null) return this.#stepBack()
      this.#resign()
      const won = await this.#claim(epochNode)
      if (won !== null) return this.#takeOver(won.epoch, won.epochVersion)
    }
  }

  /** null: another broker was quicker. */
  async #claim(epochNode: ZnodeContent | null): Promise<{ epoch: number; epochVersion: number } | null> {
    const { brokerId, clock } = this.#options
    const old = epochNode === null ? 0 : Number(epochNode.data)
    const zero = Buffer.from('0')
    const prepare: CoordinationOperation[] =
      epochNode === null ? [{ type: 'create', path: CONTROLLER_EPOCH_PATH, data: zero }] : []
    try {
      const results = await this.#session.multi([
        ...prepare,
        {
          type: 'create',
          path: CONTROLLER_PATH,
          data: encodeController(brokerId, clock.nowMs()),
          mode: 'ephemeral',
        },
        {
          type: 'set',
          path: CONTROLLER_EPOCH_PATH,
          data: Buffer.from(String(old + 1)),
          version: epochNode === null ? 0 : epochNode.stat.version,
        },
      ])
      const set = results[results.length - 1]
      return set.type === 'set' ? { epoch: old + 1, epochVersion: set.stat.version } : null
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (error.code === 'NODE_EXISTS' || error.code === 'BAD_VERSION') return null
      throw error
    }
  }

  async #stepBack(): Promise<void> {
    this.#resign()
    const id = decodeController((await readNode(this.#session, CONTROLLER_PATH))?.data ?? null)
    this.#options.logger.log('info', 'another broker is the controller', { controller: id })
  }

  #resign(): void {
    this.#active = false
    this.#writes = null
    this.#epoch = 0
    this.#state = new ClusterState()
    this.#channels?.close()
    this.#channels = null
  }

  async #takeOver(epoch: number, epochVersion: number): Promise<void> {
    const { logger, brokerId } = this.#options
    this.#epoch = epoch
    this.#writes = new FencedWrites(this.#session, epochVersion)
    const state = (this.#state = new ClusterState())
    const [brokers, names, markers] = await Promise.all([
      readBrokers(this.#session, this.#onBrokers),
      this.#session.children(TOPICS_PATH, this.#onTopics),
      this.#session.children(DELETE_TOPICS_PATH, this.#onDeletions),
    ])
    this.#channels = this.#openChannels()
    for (const broker of brokers) {
      state.brokers.set(broker.id, broker)
      this.#channels.add(broker)
    }
    for (const name of markers) state.deletions.add(name)
    await this.#addTopics(names)
    await readLeadership(this.#session, state.topics)
    await this.#writeNewPartitions(names)
    await this.#writeLeadership(({ leader }) => leader < 0)
    const events = await readLogDirEvents(this.#session, this.#onLogDirEvents)
    await deleteLogDirEvents(this.#writes, events.paths)
    logger.log('info', 'this broker is the controller', {
      broker: brokerId,
      epoch: this.#epoch,
      topics: state.topics.size,
    })
    await this.#tell(state.partitionStates())
    this.#active = true
    if (state.deletions.size > 0) await this.#delete()
  }

  // Brokers

  readonly #onBrokers = (): void => this.#schedule('brokers', () => this.#brokersChanged())

  async #brokersChanged(): Promise<void> {
    if (!this.isActive) return
    const state = this.#state
    const before = new Map(state.brokers)
    const brokers = await readBrokers(this.#session, this.#onBrokers)
    state.brokers.clear()
    for (const broker of brokers) state.brokers.set(broker.id, broker)
    for (const id of before.keys()) if (!state.brokers.has(id)) this.#channels!.remove(id)
    const came = brokers.filter(({ id, epoch }) => before.get(id)?.epoch !== epoch)
    for (const broker of came) this.#channels!.add(broker)
    const newcomers = new Set(came.map(({ id }) => id))
    state.forgetOfflineReplicas(newcomers)
    await this.#writeLeadership(({ leader }) => leader < 0)
    const known = state.partitionStates()
    const created = await this.#writeNewPartitions(state.topics.keys())
    const changed = await this.#leaderAndIsr(known, newcomers)
    changed.push(...(await this.#leaderAndIsr(created, state.liveBrokers())))
    await this.#updateMetadata([...created, ...changed], newcomers)
    if (came.length > 0 && state.deletions.size > 0) await this.#delete()
  }

  // Log directories

  readonly #onLogDirEvents = (): void => this.#schedule('log directories', () => this.#logDirsFailed())

  /** What a broker has lost is what it says when it is told its partitions again. */
  async #logDirsFailed(): Promise<void> {
    if (!this.isActive) return
    const { paths, brokers } = await readLogDirEvents(this.#session, this.#onLogDirEvents)
    const changed = await this.#leaderAndIsr(this.#state.partitionStates(), brokers)
    if (changed.length > 0) await this.#updateMetadata(changed, new Set())
    await deleteLogDirEvents(this.#writes!, paths)
  }

  /** Who leads, and who is in sync, of the partitions chosen, by who is online. */
  async #writeLeadership(
    chosen: (leadership: Leadership, topic: string, partition: number) => boolean,
  ): Promise<void> {
    const state = this.#state
    const changed: DecidedPartition[] = []
    for (const [topic, topicState] of state.topics) {
      for (const [partition, leadership] of topicState.leadership.entries()) {
        if (leadership === undefined || !chosen(leadership, topic, partition)) continue
        const isOnline = (replica: number): boolean => state.isOnline(topicState, partition, replica)
        const replicas = topicState.replicas[partition]
        const next = decideLeadership(leadership, replicas, isOnline, this.#epoch)
        if (next !== null) changed.push({ topic, topicState, partition, state: next })
      }
    }
    const stale = await this.#writes!.updatePartitions(changed)
    if (stale.length > 0) await this.#writeLeadership(chosen)
  }

  // Topics

  readonly #onTopics = (): void => this.#schedule('topics', () => this.#topicsChanged())

  async #topicsChanged(): Promise<void> {
    if (!this.isActive) return
    const { topics } = this.#state
    const names = await this.#session.children(TOPICS_PATH, this.#onTopics)
    const found = new Set(names)
    const gone = [...topics.keys()].filter((name) => !found.has(name))
    const goneStates = this.#goneStates(gone)
    for (const name of gone) topics.delete(name)
    const added = names.filter((name) => !topics.has(name))
    await this.#addTopics(added)
    // Of all topics: an event that failed half-way is made up for here.
    const states = await this.#writeNewPartitions(topics.keys())
    if (gone.length > 0 || states.length > 0) await this.#tell(states, goneStates)
  }

  #onTopic(topic: string): void {
    this.#schedule(`topic ${topic}`, () => this.#topicChanged(topic))
  }

  /** Partitions were added. */
  async #topicChanged(name: string): Promise<void> {
    const known = this.#state.topics.get(name)
    if (!this.isActive || known === undefined) return
    const [topic] = await readTopics(this.#session, [name], () => this.#onTopic(name))
    if (topic === null) return
    known.replicas = [...known.replicas, ...topic.partitions.slice(known.replicas.length)]
    const states = await this.#writeNewPartitions([name])
    if (states.length > 0) await this.#tell(states)
  }

  /** Reads topics not known so far. One without an id gets one. */
  async #addTopics(names: readonly string[]): Promise<void> {
    const nodes = await Promise.all(
      names.map(async (name) => (await readTopics(this.#session, [name], () => this.#onTopic(name)))[0]),
    )
    const withoutId: CoordinationOperation[] = []
    for (const [index, name] of names.entries()) {
      const node = nodes[index]
      if (node === null) continue
      const topicId = node.topicId ?? newUuid(this.#options.random)
      if (node.topicId === null) withoutId.push(setTopic(name, { ...node, topicId }))
      const replicas = node.partitions
      this.#state.topics.set(name, newTopicState(topicId, replicas))
    }
    for (const operation of withoutId) await this.#writes!.multi([operation])
  }

  /** Gives partitions without a state their first one; returns what is new. */
  async #writeNewPartitions(names: Iterable<string>): Promise<PartitionState[]> {
    const live = this.#state.liveBrokers()
    const created: DecidedPartition[] = []
    for (const topic of names) {
      const topicState = this.#state.topics.get(topic)
      if (topicState === undefined || this.#state.deletions.has(topic)) continue
      for (const [partition, replicas] of topicState.replicas.entries()) {
        if (topicState.leadership[partition] !== undefined) continue
        const state = decideNewPartition(replicas, live, this.#epoch)
        if (state !== null) created.push({ topic, topicState, partition, state })
      }
    }
    if (created.length === 0) return []
    await this.#writes!.createPartitions(created)
    return created.map(({ topic, topicState, partition }) =>
      partitionState(topic, topicState, partition, true),
    )
  }

  // Deletion

  readonly #onDeletions = (): void => this.#schedule('deletions', () => this.#deletionsChanged())

  async #deletionsChanged(): Promise<void> {
    if (!this.isActive) return
    const markers = await this.#session.children(DELETE_TOPICS_PATH, this.#onDeletions)
    this.#state.deletions.clear()
    for (const name of markers) this.#state.deletions.add(name)
    await this.#delete()
  }

  async #delete(): Promise<void> {
    const { topics, deletions } = this.#state
    const live = this.#state.liveBrokers()
    for (const name of [...deletions]) {
      const topic = topics.get(name) ?? (await this.#lateTopic(name))
      const decision = decideDeletion(topic, live, this.#options.deletionEnabled())
      if (decision === 'wait-for-brokers') continue
      if (decision === 'drop-marker') {
        await this.#writes!.multi([{ type: 'delete', path: deleteTopicPath(name) }])
        deletions.delete(name)
      } else await this.#deleteTopic(name)
    }
  }

  /** A topic made and marked before its own event came. */
  async #lateTopic(name: string) {
    await this.#addTopics([name])
    return this.#state.topics.get(name)
  }

  async #deleteTopic(name: string): Promise<void> {
    const { topics, deletions, brokers } = this.#state
    const replicas = topics.get(name)!.replicas
    // Clients are sent away first; then the files go; then nothing remembers the topic.
    await this.#updateMetadata(this.#goneStates([name]), new Set())
    for (const broker of brokers.values()) {
      const hosted = replicas.flatMap((ids, partition) => {
        const replica = { topic: name, partition, leaderEpoch: EPOCH_DURING_DELETE, deleteLog: true }
        return ids.includes(broker.id) ? [replica] : []
      })
      if (hosted.length === 0) continue
      // A broker that could not be told keeps the topic's znodes, and with them the order to delete. So does one that has
      // the files on a disk which does not work.
      const answer = await this.#ask(broker, { type: 'stopReplicas', replicas: hosted })
      if (answer === null || this.#state.noteOfflineReplicas(broker.id, answer.partitions).length > 0) return
    }
    await this.#writes!.removeTopic(name)
    topics.delete(name)
    deletions.delete(name)
    this.#options.logger.log('info', 'topic deleted', { topic: name })
  }

  #goneStates(names: readonly string[]): PartitionState[] {
    return names.flatMap((topic) => {
      const state = this.#state.topics.get(topic)!
      return state.replicas.map((_, partition) => goneState(topic, state, partition))
    })
  }

  // Channels

  /** Leaders and followers first, then everybody's view. */
  async #tell(states: readonly PartitionState[], gone: readonly PartitionState[] = []): Promise<void> {
    const changed = await this.#leaderAndIsr(states, this.#state.liveBrokers())
    await this.#updateMetadata([...gone, ...states, ...changed], new Set())
  }

  /**
   * Tells those of `recipients` that have a replica. What they answer may change the leadership of partitions: their new
   * states, of which the other replicas have been told, are given back.
   */
  async #leaderAndIsr(
    states: readonly PartitionState[],
    recipients: ReadonlySet<number>,
  ): Promise<PartitionState[]> {
    const lost = new Map<string, { topic: string; partition: number }>()
    for (const broker of this.#state.brokers.values()) {
      if (!recipients.has(broker.id)) continue
      const hosted = states.filter(({ replicas, offlineReplicas }) => {
        return replicas.includes(broker.id) && !offlineReplicas.includes(broker.id)
      })
      if (hosted.length === 0) continue
      const leaders = [...this.#state.brokers.values()].filter(({ id }) => {
        return hosted.some(({ leader }) => leader === id)
      })
      const answer = await this.#ask(broker, { type: 'leaderAndIsr', states: hosted, leaders })
      for (const { topic, partition } of this.#state.noteOfflineReplicas(broker.id, answer?.partitions ?? []))
        lost.set(`${topic}-${partition}`, { topic, partition })
    }
    if (lost.size === 0) return []
    await this.#writeLeadership((_, topic, partition) => lost.has(`${topic}-${partition}`))
    const changed = [...lost.values()].map(({ topic, partition }) => {
      return partitionState(topic, this.#state.topics.get(topic)!, partition, false)
    })
    return [...changed, ...(await this.#leaderAndIsr(changed, this.#state.liveBrokers()))]
  }

  /** `newcomers` know nothing yet and get all partitions. */
  async #updateMetadata(
    partitions: readonly PartitionState[],
    newcomers: ReadonlySet<number>,
  ): Promise<void> {
    const brokers = [...this.#state.brokers.values()]
    const everything = newcomers.size > 0 ? this.#state.partitionStates() : []
    for (const broker of brokers) {
      const told = newcomers.has(broker.id) ? everything : partitions
      await this.#ask(broker, { type: 'updateMetadata', update: { brokers, partitions: told } })
    }
  }

  #openChannels(): BrokerChannels {
    const { brokerId, timers, logger, channelTo } = this.#options
    return new BrokerChannels({
      from: { controllerId: brokerId, controllerEpoch: this.#epoch },
      timers,
      logger,
      channelTo,
      answered: (_, request, answer) => {
        this.#answers.get(request)?.(answer)
        this.#answers.delete(request)
      },
      lost: () => undefined,
    })
  }

  /** null: it cannot be told now. */
  async #ask(broker: BrokerInfo, request: BrokerRequest): Promise<BrokerAnswer | null> {
    let answer: BrokerAnswer | null = null
    this.#answers.set(request, (given) => (answer = given))
    this.#channels!.send(broker.id, request)
    await this.#channels!.told(broker.id)
    return answer
  }
}

/** The fence of `FencedWrites` did not let us through. */
function isDeposed(error: unknown): boolean {
  return error instanceof CoordinationError && error.code === 'BAD_VERSION' && error.operationIndex === 0
}

function setTopic(name: string, topic: TopicZnode): CoordinationOperation {
  return { type: 'set', path: topicPath(name), data: encodeTopic(topic) }
}
