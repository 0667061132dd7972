/** Puts the sources of configuration together: flags over environment over file over defaults. */
import { BrokerConfig } from './broker-config.ts'
import type { ConfigProfile, Properties } from './broker-config.ts'
import { brokerKey, brokerKeys, listenerBaseName } from './config-keys.ts'
import { readEnvironment } from './environment.ts'
import type { Variables } from './environment.ts'

export interface ConfigSources {
  /** Of server.properties; null: none was given. */
  readonly file: Properties | null
  readonly variables: Variables
  /** `--override` and the short flags. */
  readonly overrides: Properties
  /** As `BrokerConfigOptions.hostName`. */
  readonly hostName?: string
}

/** Kafka's keys that are not in the table: they belong to parts that are not here. */
const FOREIGN = [
  /^controller\./,
  /^metadata\./,
  /^broker\.(heartbeat|session)\./,
  /^initial\.broker\./,
  /^early\.start\.listeners$/,
  /^server\.max\.startup\.time\.ms$/,
  /^group\.(consumer|share|coordinator|streams)\./,
  /^share\./,
  /^(remote\.log|rlmm|rsm)\./,
  /^(confluent|log4j|jmx|telemetry|kafka\.metrics|auto\.include)\b/,
  /^(alter\.log\.dirs|quota|unstable|eligible)\./,
  /^zookeeper\./,
  /^(ssl|sasl)\./,
  /^(config\.providers|log\.dir\.failure|socket\.connection|replica\.)/,
]

/** Throws `ConfigError`. */
export function loadConfig(sources: ConfigSources): BrokerConfig {
  const environment = readEnvironment(sources.variables)
  const known = pickKnown(environment.properties)
  const hasEnvironment = Object.keys(known).length > 0
  // A member of a cluster is no developer's broker of its own.
  const isMember = Boolean(sources.overrides['zookeeper.connect'])
  const profile: ConfigProfile = sources.file !== null || hasEnvironment || isMember ? 'kafka' : 'development'
  // The image derives listeners from the advertised ones where none are given; those of a file are given.
  if (sources.file?.listeners && !isGiven(sources.variables, 'LISTENERS')) delete known.listeners
  const properties = { ...sources.file, ...known, ...sources.overrides }
  const given = { ...environment.properties, ...properties }
  const names = Object.keys(given).filter((name) => given[name] !== '')
  return new BrokerConfig(properties, {
    profile,
    clusterId: environment.clusterId,
    hostName: sources.hostName,
    notes: notesOf(names, environment.ignored),
  })
}

function isGiven(variables: Variables, suffix: string): boolean {
  return variables[`KAFKA_${suffix}`] !== undefined || variables[`KAFKA_CFG_${suffix}`] !== undefined
}

/** A shell may carry KAFKA_BROKERS for somebody's application: only names of settings count. */
function pickKnown(properties: Properties): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).filter(([name]) => {
      return brokerKey(name) !== undefined || listenerBaseName(name) !== null
    }),
  )
}

/** At most one line on what has no effect, and one on what is not known at all. */
function notesOf(names: readonly string[], variables: readonly string[]): string[] {
  const without = new Set<string>()
  const unknown = new Set<string>()
  for (const name of names) {
    const key = brokerKey(name)
    if (key !== undefined) {
      if (!key.honoured) without.add(name)
    } else if (listenerBaseName(name) !== null || FOREIGN.some((pattern) => pattern.test(name))) {
      without.add(name)
    } else unknown.add(name)
  }
  const notes: string[] = []
  if (without.size + variables.length > 0) {
    notes.push(`accepted without effect here: ${[...[...without].sort(), ...variables].join(', ')}`)
  }
  if (unknown.size > 0) {
    notes.push(`unknown configuration keys, ignored: ${[...unknown].sort().map(withSuggestion).join(', ')}`)
  }
  return notes
}

function withSuggestion(name: string): string {
  const near = Object.keys(brokerKeys).find((key) => isNear(name, key))
  return near === undefined ? name : `${name} (did you mean ${near}?)`
}

/** At most two single-character edits apart. */
export function isNear(one: string, other: string): boolean {
  if (Math.abs(one.length - other.length) > 2) return false
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + same))
    }
    row = next
  }
  return row[other.length] <= 2
}
