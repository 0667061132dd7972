/** The table of keys. One row is the truth for parsing, checking, DescribeConfigs and docs/configuration.md. */
import type { AnyConfigKey, ConfigKey } from './config-types.ts'
import {
  cleanerKeys,
  dynamicOnlyKeys,
  identityKeys,
  networkKeys,
  replicationKeys,
  topicKeys,
  zookeeperKeys,
} from './keys-broker.ts'
import { groupKeys, groupLevelKeys, logKeys, topicLevelKeys, transactionKeys } from './keys-log.ts'
import { securityKeys } from './keys-security.ts'

export { groupLevelKeys, topicLevelKeys }

/** Broker keys by area, as the documentation lists them. */
export const brokerKeyAreas = {
  'Identity and KRaft-era files': identityKeys,
  Network: networkKeys,
  Topics: topicKeys,
  Log: logKeys,
  Compaction: cleanerKeys,
  Groups: groupKeys,
  'Transactions and producers': transactionKeys,
  Replication: replicationKeys,
  ZooKeeper: zookeeperKeys,
  Security: securityKeys,
  'Dynamic only': dynamicOnlyKeys,
}

export const brokerKeys = {
  ...identityKeys,
  ...networkKeys,
  ...topicKeys,
  ...logKeys,
  ...cleanerKeys,
  ...groupKeys,
  ...transactionKeys,
  ...replicationKeys,
  ...zookeeperKeys,
  ...securityKeys,
  ...dynamicOnlyKeys,
}

/** Not settable in a file, not listed where nobody set them. */
export const dynamicOnlyKeyNames: ReadonlySet<string> = new Set(Object.keys(dynamicOnlyKeys))

export type BrokerKey = keyof typeof brokerKeys
export type TopicKey = keyof typeof topicLevelKeys
type ValueOf<K> = K extends ConfigKey<infer T> ? T : never
export type BrokerValue<K extends BrokerKey> = ValueOf<(typeof brokerKeys)[K]>
export type TopicValue<K extends TopicKey> = ValueOf<(typeof topicLevelKeys)[K]>

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** Broker keys that give a topic key its default, strongest first, with the factor to the topic key's unit. */
export const topicSynonyms: Readonly<Record<string, readonly { key: BrokerKey; factor: number }[]>> = {
  'segment.bytes': same('log.segment.bytes'),
  'segment.ms': [...same('log.roll.ms'), { key: 'log.roll.hours', factor: HOUR_MS }],
  'segment.jitter.ms': [...same('log.roll.jitter.ms'), { key: 'log.roll.jitter.hours', factor: HOUR_MS }],
  'segment.index.bytes': same('log.index.size.max.bytes'),
  'flush.messages': same('log.flush.interval.messages'),
  'flush.ms': [...same('log.flush.interval.ms'), ...same('log.flush.scheduler.interval.ms')],
  'retention.bytes': same('log.retention.bytes'),
  'retention.ms': [
    ...same('log.retention.ms'),
    { key: 'log.retention.minutes', factor: MINUTE_MS },
    { key: 'log.retention.hours', factor: HOUR_MS },
  ],
  'max.message.bytes': same('message.max.bytes'),
  'index.interval.bytes': same('log.index.interval.bytes'),
  'delete.retention.ms': same('log.cleaner.delete.retention.ms'),
  'min.compaction.lag.ms': same('log.cleaner.min.compaction.lag.ms'),
  'max.compaction.lag.ms': same('log.cleaner.max.compaction.lag.ms'),
  'file.delete.delay.ms': same('log.segment.delete.delay.ms'),
  'min.cleanable.dirty.ratio': same('log.cleaner.min.cleanable.ratio'),
  'cleanup.policy': same('log.cleanup.policy'),
  'unclean.leader.election.enable': same('unclean.leader.election.enable'),
  'min.insync.replicas': same('min.insync.replicas'),
  'compression.type': same('compression.type'),
  'compression.gzip.level': same('compression.gzip.level'),
  'compression.lz4.level': same('compression.lz4.level'),
  'compression.zstd.level': same('compression.zstd.level'),
  preallocate: same('log.preallocate'),
  'message.format.version': same('log.message.format.version'),
  'message.timestamp.type': same('log.message.timestamp.type'),
  'message.timestamp.difference.max.ms': same('log.message.timestamp.difference.max.ms'),
  'message.timestamp.before.max.ms': same('log.message.timestamp.before.max.ms'),
  'message.timestamp.after.max.ms': same('log.message.timestamp.after.max.ms'),
  'message.downconversion.enable': same('log.message.downconversion.enable'),
}

function same(key: BrokerKey): { key: BrokerKey; factor: number }[] {
  return [{ key, factor: 1 }]
}

/** Groups of keys that mean the same in different units, strongest first. */
const SYNONYM_GROUPS: readonly (readonly string[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
]
const FLUSH_MS = ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms']

/** The name and its synonyms, strongest first; a listener's key is followed by the plain key (Kafka's brokerConfigSynonyms). */
export function brokerSynonyms(name: string): readonly string[] {
  const group = SYNONYM_GROUPS.find((names) => names.includes(name))
  if (group) return group
  if (name === FLUSH_MS[0]) return FLUSH_MS
  const base = listenerBaseName(name)
  return base === null ? [name] : [name, base]
}

/** `listener.name.<listener>.<key>` or `listener.name.<listener>.<mechanism>.<key>` gives `<key>`, else null. */
export function listenerBaseName(name: string): string | null {
  const match = /^listener\.name\.[^.]*\.(.*)$/.exec(name)
  if (!match) return null
  const mechanismKey = MECHANISM_KEYS.find((key) => match[1].endsWith(key))
  return mechanismKey ?? match[1]
}

const MECHANISM_KEYS = [
  'sasl.jaas.config',
  'sasl.login.callback.handler.class',
  'sasl.login.class',
  'sasl.server.callback.handler.class',
  'connections.max.reauth.ms',
]

export function brokerKey(name: string): AnyConfigKey | undefined {
  return Object.hasOwn(brokerKeys, name) ? brokerKeys[name as BrokerKey] : undefined
}

export function topicKey(name: string): AnyConfigKey | undefined {
  return Object.hasOwn(topicLevelKeys, name) ? topicLevelKeys[name as TopicKey] : undefined
}

export function groupKey(name: string): AnyConfigKey | undefined {
  return Object.hasOwn(groupLevelKeys, name) ? groupLevelKeys[name as keyof typeof groupLevelKeys] : undefined
}
