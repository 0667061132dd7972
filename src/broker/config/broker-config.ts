/**
 * The settings of one broker: built-in defaults, what file, environment and flags gave (static), and what the admin client
 * changed while running (dynamic, for the cluster or for this broker). Precedence, synonyms: Kafka's DynamicBrokerConfig.
 */
import { BugError } from '../../base/assert.ts'
import type { LogConfig } from '../../log/types.ts'
import { checkBrokerConfig } from './check-config.ts'
import {
  brokerKey,
  brokerKeys,
  brokerSynonyms,
  topicKey,
  topicLevelKeys,
  topicSynonyms,
} from './config-keys.ts'
import type { BrokerKey, BrokerValue, TopicKey, TopicValue } from './config-keys.ts'
import { ConfigError, formatValue, parseValue } from './config-types.ts'
import type { ConfigValue } from './config-types.ts'
import { resolveListeners } from './listeners.ts'
import type { AdvertisedListener, Listener, ResolvedListeners } from './listeners.ts'

export type Properties = Readonly<Record<string, string>>

/** `development`: started without Kafka's configuration; one broker, no waiting (docs/configuration.md). */
export type ConfigProfile = 'development' | 'kafka'

/** What the development profile has instead of Kafka's defaults. */
export const DEVELOPMENT_DEFAULTS: Properties = {
  'broker.id': '1',
  listeners: 'PLAINTEXT://localhost:9092',
  'log.dirs': 'odradek-data',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
}

/** Strongest first, as in DescribeConfigs. */
export type ConfigSource = 'topic' | 'group' | 'dynamic-broker' | 'dynamic-default' | 'static' | 'default'

export interface ConfigSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: ConfigSource
}

export interface BrokerConfigOptions {
  readonly profile?: ConfigProfile
  /** Lines for the log at start: what was given and has no effect here. */
  readonly notes?: readonly string[]
  /** Of this machine, which brokers of a ZooKeeper cluster advertise where nothing else is said. */
  readonly hostName?: string
  /** CLUSTER_ID of the environment; null: one is made, or the data directory knows. */
  readonly clusterId?: string | null
}

export interface EnsembleSettings {
  /** zookeeper.connect */
  readonly connect: string
  readonly connectionTimeoutMs: number
  /** `user:password` */
  readonly digest: string | null
  readonly setAcl: boolean
}

export class BrokerConfig {
  readonly profile: ConfigProfile
  readonly notes: readonly string[]
  readonly clusterId: string | null
  readonly #static: Properties
  readonly #listeners: ResolvedListeners
  #dynamicDefault: Properties = {}
  #dynamicBroker: Properties = {}
  #values: Map<string, ConfigValue>

  /** Reads and checks everything; throws `ConfigError` at the first fault. Unknown keys are kept and ignored. */
  constructor(properties: Properties, options: BrokerConfigOptions = {}) {
    this.profile = options.profile ?? 'kafka'
    this.notes = options.notes ?? []
    this.clusterId = options.clusterId ?? null
    this.#static = withNodeId(properties)
    this.#values = this.#parse(this.#effective({}, {}))
    checkBrokerConfig(this, this.#static)
    this.#listeners = resolveListeners({
      listeners: this.get('listeners'),
      advertised: this.get('advertised.listeners'),
      protocolMap: this.get('listener.security.protocol.map'),
      interBrokerListenerName: this.get('inter.broker.listener.name'),
      securityInterBrokerProtocol: this.get('security.inter.broker.protocol'),
      protocolGiven: this.#static['security.inter.broker.protocol'] !== undefined,
      controllerListenerNames: this.get('controller.listener.names'),
      // Brokers of a cluster are on several machines; one that is alone is for those of its own.
      defaultAdvertisedHost: (this.isOnEnsemble && options.hostName) || 'localhost',
    })
  }

  /** The value in force. Long.MAX_VALUE is Infinity. */
  get<K extends BrokerKey>(key: K): BrokerValue<K> {
    const value = this.#values.get(key)
    if (value === undefined) throw new BugError(`no such configuration key: ${key}`)
    return value as BrokerValue<K>
  }

  sourceOf(key: BrokerKey): ConfigSource {
    return this.synonymsOf(key)[0]?.source ?? 'default'
  }

  /** Every layer that sets the key or a synonym of it, strongest first (Kafka's ConfigHelper.configSynonyms). */
  synonymsOf(name: string): ConfigSynonym[] {
    const names = brokerSynonyms(name)
    const found: ConfigSynonym[] = []
    for (const [source, properties] of this.#layers()) {
      for (const synonym of names) {
        const value = properties(synonym)
        if (value !== undefined) found.push({ name: synonym, value, source })
      }
    }
    const first = found.findIndex((synonym) => synonym.name === name)
    return first === -1 ? [] : found.slice(first)
  }

  /** Keys that are not in the table but were given: custom keys of plug-ins, listener overrides, misspelt ones. */
  unknownKeys(): string[] {
    return Object.keys(this.#static).filter((name) => brokerKey(name) === undefined)
  }

  staticProperties(): Properties {
    return this.#static
  }

  dynamicProperties(level: 'default' | 'broker'): Properties {
    return level === 'default' ? this.#dynamicDefault : this.#dynamicBroker
  }

  /** What would hold with these dynamic properties, checked like a start. Throws `ConfigError`. */
  withDynamic(level: 'default' | 'broker', properties: Properties): BrokerConfig {
    const effective =
      level === 'default'
        ? this.#effective(properties, this.#dynamicBroker)
        : this.#effective(this.#dynamicDefault, properties)
    return new BrokerConfig(Object.fromEntries(effective), { profile: this.profile })
  }

  /** Puts a dynamic layer in force; returns the keys whose value in force changed. */
  setDynamic(level: 'default' | 'broker', properties: Properties): BrokerKey[] {
    this.withDynamic(level, properties)
    if (level === 'default') this.#dynamicDefault = { ...properties }
    else this.#dynamicBroker = { ...properties }
    const before = this.#values
    this.#values = this.#parse(this.#effective(this.#dynamicDefault, this.#dynamicBroker))
    return (Object.keys(brokerKeys) as BrokerKey[]).filter(
      (key) => String(before.get(key)) !== String(this.#values.get(key)),
    )
  }

  /** On a ZooKeeper ensemble, with other brokers; false: on the embedded store. */
  get isOnEnsemble(): boolean {
    return Boolean(this.get('zookeeper.connect'))
  }

  /** How the ensemble is reached; null: there is none. */
  ensemble(): EnsembleSettings | null {
    const connect = this.get('zookeeper.connect')
    if (!connect) return null
    return {
      connect,
      connectionTimeoutMs:
        this.get('zookeeper.connection.timeout.ms') ?? this.get('zookeeper.session.timeout.ms'),
      digest: this.get('zookeeper.digest'),
      setAcl: this.get('zookeeper.set.acl'),
    }
  }

  /** Listeners to open. */
  listeners(): readonly Listener[] {
    return this.#listeners.listeners
  }

  interBrokerListenerName(): string {
    return this.#listeners.interBrokerListenerName
  }

  /** What clients are told, when the ports are bound: port 0 becomes the port that listener got. */
  resolveAdvertised(boundPorts: ReadonlyMap<string, number>): AdvertisedListener[] {
    return this.#listeners.advertised.map((advertised) => ({
      ...advertised,
      port: advertised.port === 0 ? (boundPorts.get(advertised.name) ?? 0) : advertised.port,
    }))
  }

  /** Data directories, absolute or relative as given. */
  logDirs(): string[] {
    const text = this.get('log.dirs') ?? this.get('log.dir')
    return text
      .split(',')
      .map((directory) => directory.trim())
      .filter((directory) => directory !== '')
  }

  /** One topic key: the topic's own value, else the broker's. */
  topicValue<K extends TopicKey>(key: K, overrides: Properties): TopicValue<K> {
    const own = overrides[key]
    const value = own === undefined ? this.#topicDefault(key) : parseValue(key, topicLevelKeys[key], own)
    return value as TopicValue<K>
  }

  /** Settings of a topic's logs. `overrides`: what the topic sets itself. Throws `ConfigError`. */
  topicLogConfig(overrides: Properties): LogConfig {
    const value = <K extends TopicKey>(key: K) => this.topicValue(key, overrides)
    const differenceMs = value('message.timestamp.difference.max.ms')
    const beforeMs = value('message.timestamp.before.max.ms')
    const afterMs = value('message.timestamp.after.max.ms')
    return {
      segmentBytes: value('segment.bytes'),
      segmentMs: value('segment.ms'),
      segmentJitterMs: value('segment.jitter.ms'),
      segmentIndexBytes: value('segment.index.bytes'),
      indexIntervalBytes: value('index.interval.bytes'),
      retentionMs: value('retention.ms'),
      retentionBytes: value('retention.bytes'),
      cleanupPolicy: value('cleanup.policy') as ('delete' | 'compact')[],
      fileDeleteDelayMs: value('file.delete.delay.ms'),
      flushMessages: value('flush.messages'),
      flushMs: value('flush.ms'),
      maxMessageBytes: value('max.message.bytes'),
      messageTimestampType: value('message.timestamp.type'),
      // KIP-937: the old key counts where the new ones are not set.
      messageTimestampBeforeMaxMs: beforeMs === Infinity ? differenceMs : beforeMs,
      messageTimestampAfterMaxMs: afterMs === Infinity ? differenceMs : afterMs,
      compressionType: value('compression.type'),
      minInsyncReplicas: value('min.insync.replicas'),
      preallocate: value('preallocate'),
      compressionLevels: {
        gzip: value('compression.gzip.level'),
        lz4: value('compression.lz4.level'),
        zstd: value('compression.zstd.level'),
      },
      downconversionEnabled: value('message.downconversion.enable'),
      minCleanableDirtyRatio: value('min.cleanable.dirty.ratio'),
      minCompactionLagMs: value('min.compaction.lag.ms'),
      maxCompactionLagMs: value('max.compaction.lag.ms'),
      deleteRetentionMs: value('delete.retention.ms'),
    }
  }

  #topicDefault(key: TopicKey): ConfigValue {
    for (const synonym of topicSynonyms[key] ?? []) {
      const value = this.get(synonym.key) as ConfigValue
      if (value === null) continue
      if (typeof value !== 'number') return value
      // Kafka: any negative retention by time means without limit.
      if (key === 'retention.ms' && value < 0) return -1
      return value * synonym.factor
    }
    return topicLevelKeys[key].default as ConfigValue
  }

  /** Static and dynamic settings merged; a stronger layer also ends the synonyms that weaker ones set. */
  #effective(dynamicDefault: Properties, dynamicBroker: Properties): Map<string, string> {
    const merged = new Map(Object.entries(this.#defaults()))
    for (const layer of [this.#static, dynamicDefault, dynamicBroker]) {
      if (layer !== this.#static) {
        for (const name of Object.keys(layer))
          brokerSynonyms(name).forEach((synonym) => merged.delete(synonym))
      }
      for (const [name, value] of Object.entries(layer)) merged.set(name, value)
    }
    return merged
  }

  #defaults(): Properties {
    return this.profile === 'development' ? DEVELOPMENT_DEFAULTS : {}
  }

  #parse(effective: ReadonlyMap<string, string>): Map<string, ConfigValue> {
    const values = new Map<string, ConfigValue>()
    for (const [name, key] of Object.entries(brokerKeys)) {
      const text = effective.get(name)
      values.set(name, text === undefined ? (key.default as ConfigValue) : parseValue(name, key, text))
    }
    return values
  }

  #layers(): [ConfigSource, (name: string) => string | null | undefined][] {
    return [
      ['dynamic-broker', (name) => this.#dynamicBroker[name]],
      ['dynamic-default', (name) => this.#dynamicDefault[name]],
      ['static', (name) => this.#static[name]],
      ['default', (name) => this.#defaultText(name)],
    ]
  }

  #defaultText(name: string): string | undefined {
    const development = this.#defaults()[name]
    if (development !== undefined) return development
    const key = brokerKey(name)
    return key === undefined ? undefined : (formatValue(key.type, key.default as ConfigValue) ?? undefined)
  }
}

/** `node.id` and `broker.id` are one setting (Kafka's KafkaConfig.populateSynonyms). */
function withNodeId(properties: Properties): Properties {
  const brokerId = properties['broker.id']
  const nodeId = properties['node.id']
  if (brokerId === undefined && nodeId !== undefined) return { ...properties, 'broker.id': nodeId }
  if (brokerId !== undefined && nodeId === undefined) return { ...properties, 'node.id': brokerId }
  return { ...properties }
}

/** null, or what is wrong with a topic's settings, in one line. */
export function validateTopicConfigs(configs: Readonly<Record<string, string | null>>): string | null {
  const values = new Map<string, ConfigValue>()
  for (const [name, text] of Object.entries(configs)) {
    const key = topicKey(name)
    if (key === undefined) return `Unknown topic config name: ${name}`
    if (text === null) return `Null value not supported for topic configs: ${name}`
    try {
      values.set(name, parseValue(name, key, text))
    } catch (error) {
      if (error instanceof ConfigError)
        return `Invalid value ${text} for configuration ${name}: ${error.message}`
      throw error
    }
  }
  for (const name of ['remote.storage.enable', 'remote.log.copy.disable', 'remote.log.delete.on.disable']) {
    if (values.get(name) === true) return `${name}=true: tiered storage is not supported`
  }
  const least = (values.get('min.compaction.lag.ms') ?? 0) as number
  const most = (values.get('max.compaction.lag.ms') ?? Infinity) as number
  if (least > most) {
    return `conflict topic config setting min.compaction.lag.ms (${least}) > max.compaction.lag.ms (${most})`
  }
  return null
}
