/**
 * What AlterConfigs and IncrementalAlterConfigs may do: pure. Faults carry Kafka's error codes, found in Kafka 3.9's
 * ConfigAdminManager, ZkAdminManager and DynamicBrokerConfig (KIP-226, KIP-339).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { BrokerConfig, Properties } from './broker-config.ts'
import { brokerKey, listenerBaseName } from './config-keys.ts'
import { ConfigError, formatValue, isSensitive, parseValue } from './config-types.ts'
import type { AnyConfigKey, ConfigValue } from './config-types.ts'

/** An expected refusal: a Kafka error code and one line. */
export interface ConfigFault {
  readonly errorCode: number
  readonly errorMessage: string
}

export interface ConfigOperation {
  readonly name: string
  /** 0 set, 1 delete, 2 append, 3 subtract. */
  readonly configOperation: number
  readonly value: string | null
}

const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

export const fault = (errorCode: number, errorMessage: string): ConfigFault => ({ errorCode, errorMessage })

/** Faults in the list of operations itself. */
export function checkOperations(operations: readonly ConfigOperation[]): ConfigFault | null {
  const names = operations.map(({ name }) => name)
  if (new Set(names).size < names.length) {
    return fault(ErrorCode.INVALID_REQUEST, 'Error due to duplicate config keys')
  }
  const nulls = operations.filter(
    ({ configOperation, value }) => configOperation !== DELETE && value === null,
  )
  if (nulls.length > 0) {
    const list = nulls.map(({ name }) => name).join(', ')
    return fault(ErrorCode.INVALID_REQUEST, `Null value not supported for : ${list}`)
  }
  const odd = operations.find(({ configOperation }) => configOperation < SET || configOperation > SUBTRACT)
  return odd ? fault(ErrorCode.INVALID_REQUEST, `Unknown operations type ${odd.configOperation}`) : null
}

/** The properties after the operations, or the first fault. */
export function applyOperations(
  current: Properties,
  operations: readonly ConfigOperation[],
  keyOf: (name: string) => AnyConfigKey | undefined,
): { properties: Properties; fault: null } | { properties: null; fault: ConfigFault } {
  const properties: Record<string, string> = { ...current }
  for (const { name, configOperation, value } of operations) {
    if (configOperation === DELETE) delete properties[name]
    else if (configOperation === SET) properties[name] = value ?? ''
    else {
      const verb = configOperation === APPEND ? 'append' : 'subtract'
      const key = keyOf(name)
      if (key === undefined) {
        return { properties: null, fault: fault(ErrorCode.INVALID_CONFIG, `Unknown config name: ${name}`) }
      }
      if (key.type !== 'list') {
        const message = `Config value ${verb} is not allowed for config key: ${name}`
        return { properties: null, fault: fault(ErrorCode.INVALID_CONFIG, message) }
      }
      const before = split(properties[name] ?? formatValue('list', key.default as ConfigValue) ?? '')
      const given = split(value ?? '')
      const after =
        configOperation === APPEND
          ? [...before, ...given.filter((item) => !before.includes(item))]
          : before.filter((item) => !given.includes(item))
      properties[name] = after.join(',')
    }
  }
  return { properties, fault: null }
}

function split(text: string): string[] {
  return text === '' ? [] : text.split(',')
}

/** Whether a dynamic layer may hold these properties. Every fault is INVALID_REQUEST, as Kafka answers (KAFKA-13609). */
export function checkBrokerProperties(
  config: BrokerConfig,
  level: 'default' | 'broker',
  properties: Properties,
): ConfigFault | null {
  const refuse = (message: string) => fault(ErrorCode.INVALID_REQUEST, message)
  const names = Object.keys(properties)
  const fixed = names.filter((name) => brokerKey(name)?.dynamic === 'restart')
  if (fixed.length > 0) return refuse(`Cannot update these configs dynamically: Set(${fixed.join(', ')})`)
  const bare = names.filter((name) => brokerKey(name)?.dynamic === 'broker')
  if (bare.length > 0) {
    const list = bare.join(', ')
    return refuse(
      `These security configs can be dynamically updated only per-listener using the listener prefix: Set(${list})`,
    )
  }
  for (const [name, value] of Object.entries(properties)) {
    const base = listenerBaseName(name)
    const key = brokerKey(base ?? name)
    if (key === undefined) continue
    if (isSensitive(key.type)) return refuse('Password encoder secret not configured')
    try {
      parseValue(name, key, value)
    } catch (error) {
      if (error instanceof ConfigError)
        return refuse(`Invalid value ${value} for configuration ${name}: ${error.message}`)
      throw error
    }
  }
  if (level === 'default') {
    const personal = names.filter((name) => listenerBaseName(name) !== null)
    if (personal.length > 0) {
      return refuse(
        `Cannot update these configs at default cluster level, broker id must be specified: Set(${personal.join(', ')})`,
      )
    }
  }
  try {
    config.withDynamic(level, properties)
  } catch (error) {
    if (error instanceof ConfigError) return refuse(error.message)
    throw error
  }
  return null
}

const THREAD_KEYS = [
  'num.io.threads',
  'num.network.threads',
  'num.replica.fetchers',
  'background.threads',
  'num.recovery.threads.per.data.dir',
] as const

/** Kafka's DynamicThreadPool: an alteration may at most double or halve a thread count. */
export function checkThreads(config: BrokerConfig, properties: Properties): ConfigFault | null {
  for (const name of THREAD_KEYS) {
    if (properties[name] === undefined) continue
    const next = Number(properties[name])
    const now = config.get(name)
    if (next === now) continue
    const message = `Dynamic thread count update validation failed for ${name}=${next}, value should`
    if (next < Math.floor(now / 2)) {
      return fault(ErrorCode.INVALID_REQUEST, `${message} be at least half the current value ${now}`)
    }
    if (next > now * 2) {
      return fault(
        ErrorCode.INVALID_REQUEST,
        `${message} not be greater than double the current value ${now}`,
      )
    }
  }
  return null
}
