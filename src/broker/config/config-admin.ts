/**
 * Settings that change while running: reads, checks and writes them in the coordination service, and puts in force what
 * any broker wrote there. A change is in force here before it is answered.
 */
import { CoordinationError } from '../../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession } from '../../env/coordination.ts'
import type { Clock, Logger } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../protocol/messages/32-describe-configs.ts'
import {
  applyOperations,
  checkBrokerProperties,
  checkOperations,
  checkThreads,
  fault,
} from './alter-configs.ts'
import type { ConfigFault, ConfigOperation } from './alter-configs.ts'
import { validateTopicConfigs } from './broker-config.ts'
import type { BrokerConfig, Properties } from './broker-config.ts'
import { brokerKey, groupKey, topicKey } from './config-keys.ts'
import type { BrokerKey } from './config-keys.ts'
import {
  CLUSTER_DEFAULT,
  CONFIG_CHANGES_PATH,
  CONFIG_CHANGE_PREFIX,
  decodeChange,
  decodeEntity,
  encodeChange,
  encodeEntity,
  entityPath,
} from './config-znodes.ts'
import type { ConfigEntityType } from './config-znodes.ts'
import type { GroupConfigs } from './group-configs.ts'
import { topicNameFault } from '../topic-names.ts'
import { describeBroker, describeClusterDefault, describeGroup, describeTopic } from './describe-configs.ts'

/** Kafka's ConfigResource.Type ids. */
export const ResourceType = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const

export interface ConfigAdminOptions {
  readonly session: CoordinationSession
  readonly config: BrokerConfig
  readonly brokerId: number
  readonly clock: Clock
  readonly logger: Logger
  readonly groupConfigs: GroupConfigs
  readonly topicExists: (topic: string) => boolean
  /** A topic's settings have been read here, perhaps before the topic itself was heard of: they are to be kept current. */
  readonly holdsTopicConfig: (topic: string) => boolean
  /** A topic's own settings are now these. Not called for a new topic. */
  readonly onTopicConfigChange: (topic: string, overrides: Properties) => void
  /** These broker settings have other values now. */
  readonly onBrokerConfigChange: (keys: readonly BrokerKey[]) => void
}

export interface ResourceChange {
  readonly resourceType: number
  readonly resourceName: string
  /** True: `operations` become the whole of the resource's settings (AlterConfigs); false: they change single keys. */
  readonly replace: boolean
  readonly operations: readonly ConfigOperation[]
}

type DescribeResult = DescribeConfigsResponse['results'][number]

/** Change nodes older than this are removed by whoever sees them (Kafka's ZkNodeChangeNotificationListener). */
const CHANGE_EXPIRATION_MS = 15 * 60 * 1000
const CONTROLLER_PATH = '/controller'

export class ConfigAdmin {
  readonly #options: ConfigAdminOptions
  /** Sequence number of the last change node that was put in force. */
  #lastChange = -1
  #watching = false
  /** Alterations and changes seen run one after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: ConfigAdminOptions) {
    this.#options = options
    // The watch has gone with the session that expired, and changes may have come since.
    options.session.onState((state) => {
      if (state === 'renewed' && this.#watching) this.#onChange()
    })
  }

  /** Puts the dynamic settings found in force and begins to follow changes. */
  async start(): Promise<void> {
    const { session } = this.#options
    for (const path of ['/config', '/config/topics', '/config/brokers', CONFIG_CHANGES_PATH]) {
      await createIfMissing(session, path)
    }
    const names = await session.children(CONFIG_CHANGES_PATH)
    this.#lastChange = Math.max(-1, ...names.map(sequenceOf))
    await this.#applyBrokerEntity(CLUSTER_DEFAULT)
    await this.#applyBrokerEntity(String(this.#options.brokerId))
    await this.#options.groupConfigs.start()
    await this.#enqueue(() => this.#applyChanges())
  }

  /** What a topic sets itself, as it stands in the coordination service; empty where it sets nothing or is unknown. */
  async topicOverrides(topic: string): Promise<Properties> {
    return this.#read('topics', topic)
  }

  configuredGroups(): Iterable<string> {
    return this.#options.groupConfigs.groupIds()
  }

  async describe(request: DescribeConfigsRequest): Promise<DescribeResult[]> {
    const results: DescribeResult[] = []
    for (const resource of request.resources) {
      const { resourceType, resourceName } = resource
      const options = {
        synonyms: request.includeSynonyms,
        documentation: request.includeDocumentation,
        names: resource.configurationKeys,
      }
      const refused = this.#checkDescribed(resourceType, resourceName)
      // The empty message is Kafka's.
      const result = { errorCode: 0, errorMessage: '', resourceType, resourceName, configs: [] }
      if (refused !== null) {
        results.push({ ...result, ...refused })
        continue
      }
      const { config } = this.#options
      if (resourceType === ResourceType.TOPIC) {
        results.push({
          ...result,
          configs: describeTopic(config, await this.topicOverrides(resourceName), options),
        })
      } else if (resourceType === ResourceType.BROKER) {
        const describe = resourceName === '' ? describeClusterDefault : describeBroker
        results.push({ ...result, configs: describe(config, options) })
      } else if (resourceType === ResourceType.GROUP) {
        const overrides = await this.#options.groupConfigs.read(resourceName)
        results.push({ ...result, configs: describeGroup(config, overrides, options) })
      } else {
        // Loggers: there are none that could be set.
        results.push(result)
      }
    }
    return results
  }

  /** One outcome for each change, in order; null: done (or, with `validateOnly`, would do). */
  async alter(changes: readonly ResourceChange[], validateOnly: boolean): Promise<(ConfigFault | null)[]> {
    const outcomes: (ConfigFault | null)[] = []
    for (const change of changes) {
      const twins = changes.filter(
        (other) => other.resourceType === change.resourceType && other.resourceName === change.resourceName,
      )
      if (twins.length > 1) {
        outcomes.push(fault(ErrorCode.INVALID_REQUEST, 'Each resource must appear at most once.'))
      } else {
        const alteration = this.#enqueue(() => this.#alterOne(change, validateOnly))
        outcomes.push(await alteration.catch((error: unknown) => this.#unavailable(error)))
      }
    }
    return outcomes
  }

  /** What the coordination service could not do is an error of the resource; anything else is thrown on. */
  #unavailable(error: unknown): ConfigFault {
    if (!(error instanceof CoordinationError)) throw error
    this.#options.logger.log('error', 'the coordination service refused a change of configuration', {
      error: error.message,
    })
    const { code, path, message } = error
    if (path === CONTROLLER_PATH) return fault(ErrorCode.NOT_CONTROLLER, 'The controller has moved.')
    const errorCode = code === 'STORAGE' ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.UNKNOWN_SERVER_ERROR
    return fault(errorCode, `The configuration could not be written: ${message}`)
  }

  #checkDescribed(resourceType: number, resourceName: string): ConfigFault | null {
    switch (resourceType) {
      case ResourceType.TOPIC:
        if (this.#options.topicExists(resourceName)) return null
        if (topicNameFault(resourceName) !== null)
          return fault(ErrorCode.INVALID_TOPIC_EXCEPTION, `'${resourceName}' is no topic name`)
        return fault(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.')
      case ResourceType.BROKER:
        return resourceName === '' ? null : this.#checkBrokerName(resourceName, 'or empty string, ')
      case ResourceType.BROKER_LOGGER:
        if (resourceName === '') return fault(ErrorCode.INVALID_REQUEST, 'Broker id must not be empty')
        return this.#checkBrokerName(resourceName, '')
      case ResourceType.GROUP:
        return resourceName === '' ? fault(ErrorCode.INVALID_REQUEST, 'Group name must not be empty') : null
      default:
        return fault(ErrorCode.INVALID_REQUEST, `Unsupported resource type: ${resourceType}`)
    }
  }

  #checkBrokerName(name: string, alternative: string): ConfigFault | null {
    const { brokerId } = this.#options
    if (!/^[+-]?\d{1,10}$/.test(name)) {
      return fault(ErrorCode.INVALID_REQUEST, `Broker id must be an integer, but it is: ${name}`)
    }
    if (Number(name) === brokerId) return null
    const message = `Unexpected broker id, expected ${brokerId} ${alternative}but received ${name}`
    return fault(ErrorCode.INVALID_REQUEST, message)
  }

  async #alterOne(change: ResourceChange, validateOnly: boolean): Promise<ConfigFault | null> {
    const { resourceType, resourceName, operations } = change
    const wrong = checkOperations(operations)
    if (wrong !== null) return wrong
    switch (resourceType) {
      case ResourceType.TOPIC:
        return this.#alterTopic(change, validateOnly)
      case ResourceType.BROKER:
        return this.#alterBroker(change, validateOnly)
      case ResourceType.GROUP:
        return this.#alterGroup(change, validateOnly)
      case ResourceType.BROKER_LOGGER:
        if (change.replace) break
        return (
          this.#checkBrokerName(resourceName, '') ??
          (operations.length === 0
            ? null
            : fault(ErrorCode.INVALID_CONFIG, `Logger ${operations[0].name} does not exist!`))
        )
    }
    return fault(
      ErrorCode.INVALID_REQUEST,
      `AlterConfigs is only supported for topics and brokers, but resource type is ${resourceType}`,
    )
  }

  async #alterTopic(change: ResourceChange, validateOnly: boolean): Promise<ConfigFault | null> {
    const topic = change.resourceName
    if (topic === '') return fault(ErrorCode.INVALID_REQUEST, 'Default topic resources are not allowed.')
    if (!this.#options.topicExists(topic)) {
      return fault(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${topic}' does not exist.`)
    }
    const current = change.replace ? {} : await this.topicOverrides(topic)
    const next = applyOperations(current, change.operations, topicKey)
    if (next.fault !== null) return next.fault
    const invalid = validateTopicConfigs(next.properties)
    if (invalid !== null) return fault(ErrorCode.INVALID_CONFIG, invalid)
    if (!validateOnly) await this.#write('topics', topic, next.properties)
    return null
  }

  async #alterBroker(change: ResourceChange, validateOnly: boolean): Promise<ConfigFault | null> {
    const { resourceName } = change
    const level = resourceName === '' ? 'default' : 'broker'
    const wrongName = level === 'default' ? null : this.#checkBrokerName(resourceName, '')
    if (wrongName !== null) return wrongName
    const entity = level === 'default' ? CLUSTER_DEFAULT : String(this.#options.brokerId)
    const current = change.replace ? {} : await this.#read('brokers', entity)
    const next = applyOperations(current, change.operations, brokerKey)
    if (next.fault !== null) return next.fault
    const { config } = this.#options
    const refused =
      checkBrokerProperties(config, level, next.properties) ?? checkThreads(config, next.properties)
    if (refused !== null) return refused
    if (!validateOnly) await this.#write('brokers', entity, next.properties)
    return null
  }

  /** Whether the group exists does not matter, as in Kafka. */
  async #alterGroup(change: ResourceChange, validateOnly: boolean): Promise<ConfigFault | null> {
    const { groupConfigs } = this.#options
    const groupId = change.resourceName
    const current = change.replace || groupId === '' ? {} : await groupConfigs.read(groupId)
    const next = applyOperations(current, change.operations, groupKey)
    if (next.fault !== null) return next.fault
    const refused = groupConfigs.check(groupId, next.properties)
    if (refused !== null) return refused
    if (!validateOnly) await groupConfigs.write(groupId, next.properties, await this.#controllerStays())
    return null
  }

  /** What goes with every change: it is made under the eye of the controller that there is. */
  async #controllerStays(): Promise<CoordinationOperation[]> {
    const controller = await this.#options.session.exists(CONTROLLER_PATH)
    return controller === null ? [] : [{ type: 'check', path: CONTROLLER_PATH, version: controller.version }]
  }

  async #read(type: ConfigEntityType, name: string): Promise<Properties> {
    try {
      return decodeEntity((await this.#options.session.get(entityPath(type, name))).data)
    } catch (error) {
      if (error instanceof CoordinationError && error.code === 'NO_NODE') return {}
      throw error
    }
  }

  /** Writes an entity under the controller's eye, tells the other brokers, and puts it in force here. */
  async #write(type: ConfigEntityType, name: string, properties: Properties): Promise<void> {
    const { session } = this.#options
    const path = entityPath(type, name)
    const data = encodeEntity(properties)
    const check = await this.#controllerStays()
    const exists = (await session.exists(path)) !== null
    // One multi, so that nothing is ever written that nobody is told of.
    const change: CoordinationOperation = {
      type: 'create',
      path: `${CONFIG_CHANGES_PATH}/${CONFIG_CHANGE_PREFIX}`,
      data: encodeChange(type, name),
      mode: 'persistent_sequential',
    }
    const write: CoordinationOperation = { type: exists ? 'set' : 'create', path, data }
    await session.multi([...check, write, change])
    await this.#applyChanges()
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task)
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** Applies the change nodes not seen yet, in order; removes old ones; watches for more. */
  async #applyChanges(): Promise<void> {
    const { session } = this.#options
    const watch = this.#watching ? undefined : () => this.#onChange()
    this.#watching = true
    const names = await session.children(CONFIG_CHANGES_PATH, watch)
    for (const name of names) {
      if (sequenceOf(name) <= this.#lastChange) continue
      const node = await this.#readNode(`${CONFIG_CHANGES_PATH}/${name}`)
      const change = decodeChange(node?.data ?? null)
      if (change?.type === 'topics') await this.#applyTopicEntity(change.name)
      else if (change !== null) await this.#applyBrokerEntity(change.name)
      // Not before: one that the end of the session has cut short is read again in the next.
      this.#lastChange = sequenceOf(name)
    }
    await this.#removeOldChanges(names)
  }

  #onChange(): void {
    this.#watching = false
    this.#enqueue(() => this.#applyChanges()).catch((error: unknown) => {
      if (!(error instanceof CoordinationError)) throw error
      this.#options.logger.log('warn', 'changes of configuration could not be read', { error: error.message })
    })
  }

  async #applyTopicEntity(topic: string): Promise<void> {
    const { topicExists, holdsTopicConfig } = this.#options
    if (!topicExists(topic) && !holdsTopicConfig(topic)) return
    const overrides = await this.topicOverrides(topic)
    this.#options.logger.log('info', 'topic configuration changed', { topic, ...overrides })
    this.#options.onTopicConfigChange(topic, overrides)
  }

  async #applyBrokerEntity(name: string): Promise<void> {
    const { brokerId, config, logger } = this.#options
    const level = name === CLUSTER_DEFAULT ? 'default' : 'broker'
    if (level === 'broker' && name !== String(brokerId)) return
    const properties = await this.#read('brokers', name)
    const usable: Record<string, string> = {}
    for (const [key, value] of Object.entries(properties)) {
      const refused = checkBrokerProperties(config, level, { [key]: value })
      // As Kafka: what another version or hand wrote there and cannot hold is left out, not fatal.
      if (refused === null) usable[key] = value
      else logger.log('error', 'dynamic configuration ignored', { key, reason: refused.errorMessage })
    }
    const keys = config.setDynamic(level, usable)
    if (keys.length > 0) this.#options.onBrokerConfigChange(keys)
  }

  async #removeOldChanges(names: readonly string[]): Promise<void> {
    const { session, clock } = this.#options
    for (const name of names) {
      if (sequenceOf(name) > this.#lastChange) continue
      const path = `${CONFIG_CHANGES_PATH}/${name}`
      const node = await this.#readNode(path)
      if (node === null) continue
      if (clock.nowMs() - node.stat.ctimeMs <= CHANGE_EXPIRATION_MS) return
      await session.delete(path).catch(ignoreMissing)
    }
  }

  async #readNode(path: string) {
    try {
      return await this.#options.session.get(path)
    } catch (error) {
      ignoreMissing(error)
      return null
    }
  }
}

function sequenceOf(name: string): number {
  return name.startsWith(CONFIG_CHANGE_PREFIX) ? Number(name.slice(CONFIG_CHANGE_PREFIX.length)) : -1
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof CoordinationError) || error.code !== 'NO_NODE') throw error
}

async function createIfMissing(session: CoordinationSession, path: string): Promise<void> {
  try {
    await session.create(path, null)
  } catch (error) {
    if (!(error instanceof CoordinationError) || error.code !== 'NODE_EXISTS') throw error
  }
}
