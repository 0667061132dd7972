/** Znodes of dynamic configurations, as Kafka lays them out (AdminZkClient, ZkConfigManager). */
import type { Properties } from './broker-config.ts'

export const CONFIG_CHANGES_PATH = '/config/changes'
export const CONFIG_CHANGE_PREFIX = 'config_change_'
/** Entity name of what holds for all brokers. */
export const CLUSTER_DEFAULT = '<default>'

export type ConfigEntityType = 'topics' | 'brokers'

export const entityPath = (type: ConfigEntityType, name: string): string => `/config/${type}/${name}`

export function encodeEntity(properties: Properties): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, config: properties }))
}

/** Empty for a node without data or with something else in it. */
export function decodeEntity(data: Buffer | null): Properties {
  const config = parseObject(data)?.config
  if (typeof config !== 'object' || config === null) return {}
  return Object.fromEntries(
    Object.entries(config).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  )
}

export function encodeChange(type: ConfigEntityType, name: string): Buffer {
  return Buffer.from(JSON.stringify({ version: 2, entity_path: `${type}/${name}` }))
}

/** null for what is not a change of a topic's or broker's settings. Reads version 1, too. */
export function decodeChange(data: Buffer | null): { type: ConfigEntityType; name: string } | null {
  const change = parseObject(data)
  if (change === null) return null
  const path =
    change.version === 1 ? `${String(change.entity_type)}/${String(change.entity_name)}` : change.entity_path
  const match = typeof path === 'string' ? /^(topics|brokers)\/([^/]+)$/.exec(path) : null
  return match ? { type: match[1] as ConfigEntityType, name: match[2] } : null
}

function parseObject(data: Buffer | null): Record<string, unknown> | null {
  if (data === null || data.length === 0) return null
  try {
    const value: unknown = JSON.parse(data.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
