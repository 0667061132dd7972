/**
 * Settings of single groups of the consumer protocol (resource type GROUP of DescribeConfigs and IncrementalAlterConfigs). Each
 * lies below `/config/groups`, whose own data changes with them: that is what brokers watch. Apache Kafka 3.9 knows no settings
 * of groups in ZooKeeper mode, and would stop at a change node that names one: so there is none. Source of names, limits and
 * messages: GroupConfig.java (4.1).
 */
import { CoordinationError } from '../../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession } from '../../env/coordination.ts'
import type { Logger } from '../../env/env.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { fault } from './alter-configs.ts'
import type { ConfigFault } from './alter-configs.ts'
import type { BrokerConfig, Properties } from './broker-config.ts'
import { groupKey } from './config-keys.ts'
import type { groupLevelKeys } from './config-keys.ts'
import { ConfigError, parseValue } from './config-types.ts'
import { decodeEntity, encodeEntity } from './config-znodes.ts'

export const GROUP_CONFIGS_PATH = '/config/groups'
/** Groups that have settings of their own, all brokers together. Reached: INVALID_REQUEST. */
export const MAX_CONFIGURED_GROUPS = 1_000
/** A znode's name is made of a group's. Longer: INVALID_REQUEST. */
export const MAX_GROUP_ID_LENGTH = 1_000

export interface GroupTimes {
  readonly consumerSessionTimeoutMs?: number
  readonly consumerHeartbeatIntervalMs?: number
}

const SESSION = 'consumer.session.timeout.ms'
const HEARTBEAT = 'consumer.heartbeat.interval.ms'

export class GroupConfigs {
  readonly #session: CoordinationSession
  readonly #config: BrokerConfig
  readonly #logger: Logger
  #properties = new Map<string, Properties>()
  #times = new Map<string, GroupTimes>()
  #watching = false
  /** Readings of all groups run one after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(session: CoordinationSession, config: BrokerConfig, logger: Logger) {
    this.#session = session
    this.#config = config
    this.#logger = logger
    session.onState((state) => {
      if (state === 'renewed' && this.#watching) this.#onChange()
    })
  }

  /** Reads what there is, and follows what changes. */
  async start(): Promise<void> {
    await this.#session.create(GROUP_CONFIGS_PATH, null).catch((error: unknown) => {
      if (!(error instanceof CoordinationError) || error.code !== 'NODE_EXISTS') throw error
    })
    await this.refresh()
  }

  /** What is set for the group, as far as this broker has read it. */
  of(groupId: string): Properties {
    return this.#properties.get(groupId) ?? {}
  }

  /** Groups that have settings of their own, as far as this broker has read them. */
  groupIds(): Iterable<string> {
    return this.#properties.keys()
  }

  /** undefined: nothing is set for it. */
  timesOf(groupId: string): GroupTimes | undefined {
    return this.#times.get(groupId)
  }

  /** As it stands in the coordination service. */
  async read(groupId: string): Promise<Properties> {
    const node = await this.#node(pathOf(groupId))
    return decodeEntity(node)
  }

  check(groupId: string, properties: Properties): ConfigFault | null {
    if (groupId === '') return fault(ErrorCode.INVALID_REQUEST, 'Default group resources are not allowed.')
    if (groupId.length > MAX_GROUP_ID_LENGTH) {
      return fault(
        ErrorCode.INVALID_REQUEST,
        `A group with settings has at most ${MAX_GROUP_ID_LENGTH} letters.`,
      )
    }
    if (this.#properties.size >= MAX_CONFIGURED_GROUPS && !this.#properties.has(groupId)) {
      return fault(ErrorCode.INVALID_REQUEST, `At most ${MAX_CONFIGURED_GROUPS} groups have settings.`)
    }
    return checkGroupProperties(this.#config, properties)
  }

  /** In force here when it resolves; elsewhere soon. `guard`: what must hold, in the same multi. */
  async write(
    groupId: string,
    properties: Properties,
    guard: readonly CoordinationOperation[],
  ): Promise<void> {
    const path = pathOf(groupId)
    const isThere = (await this.#session.exists(path)) !== null
    const isEmpty = Object.keys(properties).length === 0
    const data = encodeEntity(properties)
    const changes: CoordinationOperation[] = []
    if (!isEmpty) changes.push({ type: isThere ? 'set' : 'create', path, data })
    else if (isThere) changes.push({ type: 'delete', path })
    await this.#session.multi([...guard, ...changes, { type: 'set', path: GROUP_CONFIGS_PATH, data: null }])
    await this.refresh()
  }

  /** Reads all that is set for groups, and watches for changes of it. */
  refresh(): Promise<void> {
    const reading = this.#queue.then(() => this.#readAll())
    this.#queue = reading.catch(() => undefined)
    return reading
  }

  async #readAll(): Promise<void> {
    const watch = this.#watching ? undefined : () => this.#onChange()
    await this.#session.get(GROUP_CONFIGS_PATH, watch)
    this.#watching = true
    const names = await this.#session.children(GROUP_CONFIGS_PATH)
    const properties = new Map<string, Properties>()
    const times = new Map<string, GroupTimes>()
    for (const name of names.slice(0, MAX_CONFIGURED_GROUPS)) {
      const groupId = groupIdOf(name)
      if (groupId === null) continue
      const found = decodeEntity(await this.#node(`${GROUP_CONFIGS_PATH}/${name}`))
      properties.set(groupId, found)
      const refused = checkGroupProperties(this.#config, found)
      // The limits of this broker may be others than those of the one that wrote it.
      if (refused === null) times.set(groupId, timesOf(found))
      else {
        const reason = refused.errorMessage
        this.#logger.log('error', 'settings of a group ignored', { group: groupId, reason })
      }
    }
    this.#properties = properties
    this.#times = times
  }

  async #node(path: string): Promise<Buffer | null> {
    try {
      return (await this.#session.get(path)).data
    } catch (error) {
      if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
      throw error
    }
  }

  #onChange(): void {
    this.#watching = false
    this.refresh().catch((error: unknown) => {
      if (!(error instanceof CoordinationError)) throw error
      this.#logger.log('warn', 'settings of groups could not be read', { error: error.message })
    })
  }
}

function timesOf(properties: Properties): GroupTimes {
  const number = (name: string): number | undefined =>
    properties[name] === undefined ? undefined : Number(properties[name])
  return { consumerSessionTimeoutMs: number(SESSION), consumerHeartbeatIntervalMs: number(HEARTBEAT) }
}

/** Names and values, and whether they go together with what holds for all groups. */
export function checkGroupProperties(config: BrokerConfig, properties: Properties): ConfigFault | null {
  const refuse = (message: string): ConfigFault => fault(ErrorCode.INVALID_CONFIG, message)
  const values = {
    [SESSION]: config.get('group.consumer.session.timeout.ms'),
    [HEARTBEAT]: config.get('group.consumer.heartbeat.interval.ms'),
  }
  for (const [name, value] of Object.entries(properties)) {
    const key = groupKey(name)
    if (key === undefined) return refuse(`Unknown group config name: ${name}`)
    try {
      values[name as keyof typeof groupLevelKeys] = parseValue(name, key, value) as number
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return refuse(`Invalid value ${value} for configuration ${name}: ${error.message}`)
    }
  }
  const bounds = [
    [HEARTBEAT, 'group.consumer.min.heartbeat.interval.ms', 'group.consumer.max.heartbeat.interval.ms'],
    [SESSION, 'group.consumer.min.session.timeout.ms', 'group.consumer.max.session.timeout.ms'],
  ] as const
  for (const [name, least, most] of bounds) {
    if (values[name] < config.get(least)) return refuse(`${name} must be greater than or equal to ${least}`)
    if (values[name] > config.get(most)) return refuse(`${name} must be less than or equal to ${most}`)
  }
  return values[SESSION] > values[HEARTBEAT] ? null : refuse(`${SESSION} must be greater than ${HEARTBEAT}`)
}

/** A znode's name has no slash, and is neither `.` nor `..`. */
function pathOf(groupId: string): string {
  return `${GROUP_CONFIGS_PATH}/${encodeURIComponent(groupId).replaceAll('.', '%2E')}`
}

function groupIdOf(name: string): string | null {
  try {
    return decodeURIComponent(name)
  } catch {
    return null
  }
}
