/**
 * Creating topics, deleting them, adding partitions: checks what is asked, writes what is to be, and waits until this
 * broker's metadata shows it. What brings it about is the controller, which watches what is written here.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession } from '../env/coordination.ts'
import type { Logger, Random } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { ZERO_UUID } from '../protocol/schema.ts'
import { readNode } from './read-cluster.ts'
import { assignReplicas } from './decide/assign-replicas.ts'
import type { PlacedBroker } from './decide/assign-replicas.ts'
import { checkAddedPartitions, checkNewTopic } from './decide/check-topic.ts'
import type { NewTopic, Refusal } from './decide/check-topic.ts'
import type { InternalTopic } from './internal-topics.ts'
import { collisionKey, newUuid, topicNameFault } from './topic-names.ts'
import {
  TOPICS_PATH,
  decodeTopic,
  deleteTopicPath,
  encodeConfig,
  encodeTopic,
  topicConfigPath,
  topicPath,
} from './znodes.ts'

export type { NewTopic } from './decide/check-topic.ts'

/** What of the metadata cache is used here. */
export interface TopicDirectory {
  topic(name: string): DirectoryTopic | undefined
  topicById(topicId: string): DirectoryTopic | undefined
  brokers(): Iterable<PlacedBroker>
  waitFor(predicate: () => boolean, timeoutMs: number): Promise<boolean>
}

export interface DirectoryTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly { readonly leader: number }[]
}

export interface TopicAdminOptions {
  readonly session: CoordinationSession
  readonly random: Random
  readonly logger: Logger
  readonly metadata: TopicDirectory
  readonly controller: {
    readonly isActive: boolean
    isQueuedForDeletion(topic: string): boolean
    /** Resolves when the topic's deletion has ended, or cannot end now, or time is up. */
    deletionSettled(topic: string, timeoutMs: number): Promise<void>
  }
  /** What is wrong with a topic's own configuration; null when nothing is. */
  readonly validateTopicConfigs: (configs: Readonly<Record<string, string>>) => string | null
  readonly settings: TopicSettings
}

/** Read anew for every request: these settings change while running. */
export interface TopicSettings {
  /** `num.partitions` */
  numPartitions(): number
  /** `default.replication.factor` */
  defaultReplicationFactor(): number
  /** `delete.topic.enable` */
  deletionEnabled(): boolean
  /** `offsets.topic.*`, `transaction.state.log.*`; undefined for other topics. */
  internalTopic(name: string): InternalTopic | undefined
  /** For a broker that is alone: an internal topic gets no more replicas than there are brokers, instead of an error. */
  capInternalReplication(): boolean
}

export interface TopicResult {
  readonly error: number
  /** null where the code says it all. */
  readonly message: string | null
}

export interface CreatedTopic extends TopicResult {
  readonly name: string
  /** ZERO_UUID when it was not created; after REQUEST_TIMED_OUT it may still come to be. */
  readonly topicId: string
  /** -1 after an error. */
  readonly numPartitions: number
  readonly replicationFactor: number
  /** Its own configuration. */
  readonly configs: Readonly<Record<string, string>>
}

export interface DeletedTopic extends TopicResult {
  readonly name: string | null
  readonly topicId: string
}

export interface AddedPartitions {
  readonly name: string
  /** The count after the addition. */
  readonly count: number
  /** Replicas of each added partition; null: placed by the broker. */
  readonly assignments: readonly (readonly number[])[] | null
}

export interface ChangeOptions {
  readonly timeoutMs: number
  readonly validateOnly: boolean
  /** Not asked by a client, who is to ask the controller: what is written is the same. */
  readonly byAnyBroker?: boolean
}

const OK: TopicResult = { error: ErrorCode.NONE, message: null }
const NOT_CONTROLLER: TopicResult = {
  error: ErrorCode.NOT_CONTROLLER,
  message: 'This is not the correct controller for this cluster.',
}
/** How long a topic made on the way (Metadata, FindCoordinator) may take until its leaders are known. */
const MIN_IN_SYNC = 'min.insync.replicas'
const AUTO_CREATE_TIMEOUT_MS = 5000

export class TopicAdmin {
  readonly #options: TopicAdminOptions
  readonly #session: CoordinationSession
  /** Topics that are being created on the way: later askers wait for the first. */
  readonly #autoCreating = new Map<string, Promise<TopicResult>>()

  constructor(options: TopicAdminOptions) {
    this.#options = options
    this.#session = options.session
  }

  /** One result for each topic, in order. Names must be distinct. */
  async createTopics(topics: readonly NewTopic[], options: ChangeOptions): Promise<CreatedTopic[]> {
    if (!options.byAnyBroker && !this.#options.controller.isActive)
      return topics.map((topic) => notCreated(topic.name, NOT_CONTROLLER))
    const made = await Promise.all(topics.map((topic) => this.#create(topic, options.validateOnly)))
    if (options.validateOnly) return made
    const fresh = made.filter(({ error }) => error === ErrorCode.NONE)
    await this.#options.metadata.waitFor(
      () => fresh.every(({ name, numPartitions }) => this.#isLed(name, numPartitions)),
      options.timeoutMs,
    )
    return made.map((topic) => {
      if (topic.error !== ErrorCode.NONE) return topic
      if (options.timeoutMs > 0 && this.#isLed(topic.name, topic.numPartitions)) return topic
      // It may yet come: its id stays in the reply.
      const { topicId } = topic
      return { ...notCreated(topic.name, { error: ErrorCode.REQUEST_TIMED_OUT, message: null }), topicId }
    })
  }

  /** By name, or by id where the name is null. One result for each, in order; an id only where it was asked by. */
  async deleteTopics(
    topics: readonly { readonly name: string | null; readonly topicId: string }[],
    options: { readonly timeoutMs: number },
  ): Promise<DeletedTopic[]> {
    const { controller, metadata, settings } = this.#options
    const refuseAll = (result: TopicResult): DeletedTopic[] =>
      topics.map((topic) => ({ ...topic, ...result }))
    if (!controller.isActive) return refuseAll(NOT_CONTROLLER)
    if (!settings.deletionEnabled()) {
      return refuseAll({ error: ErrorCode.TOPIC_DELETION_DISABLED, message: 'Topic deletion is disabled.' })
    }
    const marked = await Promise.all(
      topics.map(async ({ name, topicId }): Promise<DeletedTopic> => {
        if ((name !== null) === (topicId !== ZERO_UUID)) {
          const message = 'Either the name or the id of a topic must be given, and not both.'
          return { name, topicId, error: ErrorCode.INVALID_REQUEST, message }
        }
        const topic = name === null ? metadata.topicById(topicId) : metadata.topic(name)
        if (topic === undefined) {
          const error = name === null ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
          return { name, topicId, error, message: null }
        }
        const result = await this.#markForDeletion(topic.name)
        return { name: topic.name, topicId, ...result }
      }),
    )
    const going = marked.filter(({ error }) => error === ErrorCode.NONE)
    if (going.length === 0) return marked
    const isGone = (name: string | null): boolean => metadata.topic(name!) === undefined
    const gone = await metadata.waitFor(() => going.every(({ name }) => isGone(name)), options.timeoutMs)
    // Until its znodes have gone, too, a topic of the same name could not be created again.
    if (gone) await Promise.all(going.map(({ name }) => controller.deletionSettled(name!, options.timeoutMs)))
    return marked.map((topic) => {
      if (topic.error !== ErrorCode.NONE || (options.timeoutMs > 0 && isGone(topic.name))) return topic
      return { ...topic, error: ErrorCode.REQUEST_TIMED_OUT, message: null }
    })
  }

  /** One result for each topic, in order. Names must be distinct. */
  async createPartitions(
    topics: readonly AddedPartitions[],
    options: ChangeOptions,
  ): Promise<(TopicResult & { readonly name: string })[]> {
    const { controller, metadata } = this.#options
    if (!controller.isActive) return topics.map(({ name }) => ({ name, ...NOT_CONTROLLER }))
    const results = await Promise.all(topics.map((topic) => this.#addPartitions(topic, options.validateOnly)))
    if (!options.validateOnly) {
      const grown = topics.filter((_, index) => results[index].error === ErrorCode.NONE)
      const isLed = ({ name, count }: AddedPartitions): boolean => this.#isLed(name, count)
      await metadata.waitFor(() => grown.every(isLed), options.timeoutMs)
      for (const [index, topic] of topics.entries()) {
        if (results[index].error !== ErrorCode.NONE) continue
        if (options.timeoutMs <= 0 || !isLed(topic))
          results[index] = { error: ErrorCode.REQUEST_TIMED_OUT, message: null }
      }
    }
    return topics.map(({ name }, index) => ({ name, ...results[index] }))
  }

  /**
   * Creates a topic with default settings (or, for the broker's own topics, with theirs) unless it is there, and waits
   * for its leaders. Any broker may. The error is NONE when the topic can be used.
   */
  autoCreateTopic(name: string): Promise<TopicResult> {
    let creating = this.#autoCreating.get(name)
    if (creating === undefined) {
      creating = this.#autoCreate(name).finally(() => this.#autoCreating.delete(name))
      this.#autoCreating.set(name, creating)
    }
    return creating
  }

  async #autoCreate(name: string): Promise<TopicResult> {
    const { metadata, settings } = this.#options
    if (metadata.topic(name) !== undefined) return OK
    const configured = settings.internalTopic(name)
    const internal = configured && this.#fitting(name, configured)
    const made = await this.#create(
      {
        name,
        numPartitions: internal?.partitions ?? -1,
        replicationFactor: internal?.replicationFactor ?? -1,
        assignments: [],
        configs: Object.entries(internal?.configs ?? {}).map(([key, value]) => ({ name: key, value })),
      },
      false,
    )
    const exists = made.error === ErrorCode.TOPIC_ALREADY_EXISTS
    if (made.error !== ErrorCode.NONE && !exists) return made
    const isLed = (): boolean => {
      const partitions = metadata.topic(name)?.partitions
      return partitions !== undefined && this.#isLed(name, Math.max(made.numPartitions, 1))
    }
    if (await metadata.waitFor(isLed, AUTO_CREATE_TIMEOUT_MS)) return OK
    return { error: ErrorCode.LEADER_NOT_AVAILABLE, message: null }
  }

  /** The broker's own topics must work on a small cluster, too: also where they want more replicas in sync than there are. */
  #fitting(name: string, internal: InternalTopic): InternalTopic {
    const { logger, settings } = this.#options
    const { replicationFactor, configs } = internal
    const brokers = this.#placedBrokers().length
    if (brokers === 0 || replicationFactor <= brokers || !settings.capInternalReplication()) return internal
    logger.log('warn', 'an internal topic gets fewer replicas than configured: there are no more brokers', {
      topic: name,
      configured: replicationFactor,
      replicas: brokers,
    })
    const isTooMany = Number(configs[MIN_IN_SYNC] ?? 1) > brokers
    const fitting = isTooMany ? { ...configs, [MIN_IN_SYNC]: String(brokers) } : configs
    return { ...internal, replicationFactor: brokers, configs: fitting }
  }

  async #create(topic: NewTopic, validateOnly: boolean): Promise<CreatedTopic> {
    try {
      return await this.#tryCreate(topic, validateOnly)
    } catch (error) {
      return notCreated(topic.name, this.#unavailable(error))
    }
  }

  async #tryCreate(topic: NewTopic, validateOnly: boolean): Promise<CreatedTopic> {
    const { metadata, settings, random, logger } = this.#options
    const { name } = topic
    if (metadata.topic(name) !== undefined) return notCreated(name, alreadyExists(name))
    const brokers = this.#placedBrokers()
    const defaults = {
      numPartitions: settings.numPartitions(),
      replicationFactor: settings.defaultReplicationFactor(),
    }
    const checked = checkNewTopic(topic, { brokers: new Set(brokers.map(({ id }) => id)), ...defaults })
    if ('error' in checked) return notCreated(name, checked)
    const partitions =
      checked.assignments ??
      assignReplicas({
        brokers,
        partitions: checked.numPartitions,
        replicationFactor: checked.replicationFactor,
        firstPartition: 0,
        startIndex: Math.floor(random.next() * brokers.length),
        startShift: Math.floor(random.next() * brokers.length),
      })
    const refused =
      topicNameFaultResult(name) ?? (await this.#checkExisting(name)) ?? this.#checkConfigs(checked.configs)
    if (refused !== null) return notCreated(name, refused)
    const topicId = newUuid(random)
    if (!validateOnly) {
      const failed = await this.#write(name, topicId, partitions, checked.configs)
      if (failed !== null) return notCreated(name, failed)
      const replicas = partitions[0].length
      logger.log('info', 'topic created', { topic: name, partitions: partitions.length, replicas })
    }
    return {
      name,
      ...OK,
      topicId: validateOnly ? ZERO_UUID : topicId,
      numPartitions: partitions.length,
      replicationFactor: partitions[0].length,
      configs: checked.configs,
    }
  }

  #checkConfigs(configs: Readonly<Record<string, string>>): Refusal | null {
    const fault = this.#options.validateTopicConfigs(configs)
    return fault === null ? null : { error: ErrorCode.INVALID_CONFIG, message: fault }
  }

  /** What stands in the way in the coordination service, which knows more than this broker's metadata. */
  async #checkExisting(name: string): Promise<Refusal | null> {
    const [marker, topic] = await Promise.all([
      this.#session.exists(deleteTopicPath(name)),
      this.#session.exists(topicPath(name)),
    ])
    if (marker !== null) {
      const message = `Topic '${name}' is marked for deletion.`
      return { error: ErrorCode.TOPIC_ALREADY_EXISTS, message }
    }
    if (topic !== null) return alreadyExists(name)
    if (!/[._]/.test(name)) return null
    const all = await this.#session.children(TOPICS_PATH)
    const twins = all.filter((other) => other !== name && collisionKey(other) === collisionKey(name))
    if (twins.length === 0) return null
    const message = `Topic '${name}' collides with existing topics: ${twins.join(', ')}`
    return { error: ErrorCode.INVALID_TOPIC_EXCEPTION, message }
  }

  /** Configuration and topic in one multi, so that there is never one without the other. */
  async #write(
    name: string,
    topicId: string,
    partitions: readonly (readonly number[])[],
    configs: Readonly<Record<string, string>>,
  ): Promise<TopicResult | null> {
    const topic = encodeTopic({ topicId, partitions, addingReplicas: {}, removingReplicas: {} })
    const config = { path: topicConfigPath(name), data: encodeConfig(configs) }
    const create: CoordinationOperation = { type: 'create', path: topicPath(name), data: topic }
    try {
      const known = await this.#session.exists(config.path)
      await this.#session.multi([{ ...config, type: known === null ? 'create' : 'set' }, create])
      return null
    } catch (error) {
      if (error instanceof CoordinationError && error.code === 'NODE_EXISTS') return alreadyExists(name)
      return this.#unavailable(error)
    }
  }

  async #markForDeletion(name: string): Promise<TopicResult> {
    try {
      await this.#session.create(deleteTopicPath(name), null)
    } catch (error) {
      // Marked by somebody else: both wait for the same deletion.
      if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS'))
        return this.#unavailable(error)
    }
    return OK
  }

  async #addPartitions(request: AddedPartitions, validateOnly: boolean): Promise<TopicResult> {
    for (;;) {
      try {
        return await this.#tryAddPartitions(request, validateOnly)
      } catch (error) {
        // Somebody else has changed the topic meanwhile: look at it again.
        if (error instanceof CoordinationError && error.code === 'BAD_VERSION') continue
        return this.#unavailable(error)
      }
    }
  }

  async #tryAddPartitions(request: AddedPartitions, validateOnly: boolean): Promise<TopicResult> {
    const { name } = request
    if (this.#options.controller.isQueuedForDeletion(name)) {
      return { error: ErrorCode.INVALID_TOPIC_EXCEPTION, message: 'The topic is queued for deletion.' }
    }
    const node = topicNameFault(name) === null ? await readNode(this.#session, topicPath(name)) : null
    const topic = decodeTopic(node?.data ?? null)
    if (node === null || topic === null) {
      return { error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message: `The topic '${name}' does not exist.` }
    }
    const brokers = this.#placedBrokers()
    const checked = checkAddedPartitions(request, topic, new Set(brokers.map(({ id }) => id)))
    if (checked !== null) return checked
    const startIndex = Math.max(
      0,
      brokers.findIndex(({ id }) => id >= topic.partitions[0][0]),
    )
    const added =
      request.assignments ??
      assignReplicas({
        brokers,
        partitions: request.count - topic.partitions.length,
        replicationFactor: topic.partitions[0].length,
        firstPartition: topic.partitions.length,
        startIndex,
        startShift: startIndex,
      })
    if (validateOnly) return OK
    const data = encodeTopic({ ...topic, partitions: [...topic.partitions, ...added] })
    await this.#session.set(topicPath(name), data, node.stat.version)
    return OK
  }

  #unavailable(error: unknown): TopicResult {
    if (!(error instanceof CoordinationError)) throw error
    this.#options.logger.log('error', 'the coordination service refused a change of topics', {
      error: error.message,
    })
    const message = `The metadata could not be written: ${error.message}`
    return {
      error: error.code === 'STORAGE' ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.UNKNOWN_SERVER_ERROR,
      message,
    }
  }

  #isLed(topic: string, partitions: number): boolean {
    const known = this.#options.metadata.topic(topic)?.partitions
    return known !== undefined && known.length >= partitions && known.every(({ leader }) => leader >= 0)
  }

  /** Live brokers by id. Racks count only where every broker has one. */
  #placedBrokers(): PlacedBroker[] {
    const brokers = [...this.#options.metadata.brokers()].map(({ id, rack }) => ({ id, rack }))
    brokers.sort((a, b) => a.id - b.id)
    if (brokers.every(({ rack }) => rack !== null)) return brokers
    return brokers.map(({ id }) => ({ id, rack: null }))
  }
}

function notCreated(name: string, { error, message }: TopicResult): CreatedTopic {
  return { name, error, message, topicId: ZERO_UUID, numPartitions: -1, replicationFactor: -1, configs: {} }
}

function alreadyExists(name: string): Refusal {
  return { error: ErrorCode.TOPIC_ALREADY_EXISTS, message: `Topic '${name}' already exists.` }
}

function topicNameFaultResult(name: string): Refusal | null {
  const message = topicNameFault(name)
  return message === null ? null : { error: ErrorCode.INVALID_TOPIC_EXCEPTION, message }
}
