/** What DescribeConfigs answers for a topic or a broker: pure, over values that were read before (Kafka's ConfigHelper). */
import type { DescribeConfigsResponse } from '../../protocol/messages/32-describe-configs.ts'
import type { BrokerConfig, ConfigSource, ConfigSynonym, Properties } from './broker-config.ts'
import {
  brokerKey,
  brokerKeys,
  dynamicOnlyKeyNames,
  groupKey,
  groupLevelKeys,
  listenerBaseName,
  topicKey,
  topicLevelKeys,
  topicSynonyms,
} from './config-keys.ts'
import type { BrokerKey, TopicKey } from './config-keys.ts'
import { formatValue, isSensitive } from './config-types.ts'
import type { AnyConfigKey, ConfigType, ConfigValue } from './config-types.ts'

export type DescribedConfig = DescribeConfigsResponse['results'][number]['configs'][number]

/** Kafka's ConfigSource ids. */
export const SOURCE_IDS: Record<ConfigSource, number> = {
  topic: 1,
  'dynamic-broker': 2,
  'dynamic-default': 3,
  static: 4,
  default: 5,
  group: 8,
}

/** Kafka's DescribeConfigsResponse.ConfigType ids; 0 is unknown. */
const TYPE_IDS: Record<ConfigType, number> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
}

export interface DescribeOptions {
  readonly synonyms: boolean
  readonly documentation: boolean
  /** null or empty: all keys. */
  readonly names: readonly string[] | null
}

export function describeTopic(
  config: BrokerConfig,
  overrides: Properties,
  options: DescribeOptions,
): DescribedConfig[] {
  const names = new Set([...Object.keys(topicLevelKeys), ...Object.keys(overrides)])
  return wanted(names, options).map((name) => {
    const key = topicKey(name)
    const own = overrides[name]
    const value =
      key === undefined
        ? own
        : formatValue(key.type, config.topicValue(name as TopicKey, overrides) as ConfigValue)
    const broker = topicSynonyms[name]?.[0].key
    const synonyms = broker === undefined ? [] : config.synonymsOf(broker)
    if (own !== undefined) synonyms.unshift({ name, value: value ?? null, source: 'topic' })
    return entry(name, { key, value: value ?? null, readOnly: false, synonyms, options })
  })
}

/** One broker's settings in force. */
export function describeBroker(config: BrokerConfig, options: DescribeOptions): DescribedConfig[] {
  const given = [
    config.staticProperties(),
    config.dynamicProperties('default'),
    config.dynamicProperties('broker'),
  ]
  const givenNames = given.flatMap((layer) => Object.keys(layer))
  const listed = Object.keys(brokerKeys).filter(
    (name) => !dynamicOnlyKeyNames.has(name) && !brokerKey(name)?.internal,
  )
  return wanted(new Set([...listed, ...givenNames]), options).map((name) => {
    const key = brokerKey(name)
    const synonyms = config.synonymsOf(name)
    const value =
      key === undefined
        ? (synonyms[0]?.value ?? null)
        : formatValue(key.type, config.get(name as BrokerKey) as ConfigValue)
    return entry(name, { key, value, readOnly: !isDynamic(name), synonyms, options })
  })
}

/** What is set for all brokers of the cluster (the resource without a name). */
export function describeClusterDefault(config: BrokerConfig, options: DescribeOptions): DescribedConfig[] {
  const properties = config.dynamicProperties('default')
  return wanted(new Set(Object.keys(properties)), options).map((name) => {
    const synonyms = config.synonymsOf(name).filter(({ source }) => source === 'dynamic-default')
    return entry(name, {
      key: brokerKey(name),
      value: properties[name],
      readOnly: !isDynamic(name),
      synonyms,
      options,
    })
  })
}

/** What is set for a group, and where nothing is, what holds for all of them (of the consumer protocol). */
export function describeGroup(
  config: BrokerConfig,
  overrides: Properties,
  options: DescribeOptions,
): DescribedConfig[] {
  return wanted(new Set(Object.keys(groupLevelKeys)), options).map((name) => {
    const own = overrides[name]
    const value = own ?? String(config.get(`group.${name}` as BrokerKey))
    const synonyms = [{ name, value, source: own === undefined ? 'default' : 'group' } as const]
    return entry(name, { key: groupKey(name), value, readOnly: false, synonyms, options })
  })
}

function isDynamic(name: string): boolean {
  const key = brokerKey(name)
  return key !== undefined && key.dynamic !== 'restart'
}

function wanted(names: ReadonlySet<string>, { names: asked }: DescribeOptions): string[] {
  const all = [...names].sort()
  return asked === null || asked.length === 0 ? all : all.filter((name) => asked.includes(name))
}

interface EntryParts {
  readonly key: AnyConfigKey | undefined
  readonly value: string | null
  readonly readOnly: boolean
  readonly synonyms: readonly ConfigSynonym[]
  readonly options: DescribeOptions
}

function entry(name: string, { key, value, readOnly, synonyms, options }: EntryParts): DescribedConfig {
  const base = listenerBaseName(name)
  // A key of unknown type might be a secret of some plug-in: Kafka hides it too (KafkaConfig.maybeSensitive).
  const sensitive =
    key === undefined ? base === null || isSensitive(brokerKey(base)?.type) : isSensitive(key.type)
  const source = synonyms[0]?.source ?? 'default'
  return {
    name,
    value: sensitive ? null : value,
    readOnly,
    isDefault: source === 'default',
    configSource: SOURCE_IDS[source],
    isSensitive: sensitive,
    synonyms: options.synonyms
      ? synonyms.map((synonym) => ({
          name: synonym.name,
          value: sensitive ? null : synonym.value,
          source: SOURCE_IDS[synonym.source],
        }))
      : [],
    configType: key === undefined ? 0 : TYPE_IDS[key.type],
    documentation: options.documentation ? (key?.doc ?? null) : null,
  }
}
