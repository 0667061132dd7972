/** From the command line, the file it names and the environment to one configuration. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { DEVELOPMENT_DEFAULTS } from '../broker/config/broker-config.ts'
import type { BrokerConfig, Properties } from '../broker/config/broker-config.ts'
import { memberProperties, replicationProperties } from '../broker/config/cluster-config.ts'
import type { MemberPlace } from '../broker/config/cluster-config.ts'
import type { Variables } from '../broker/config/environment.ts'
import { loadConfig } from '../broker/config/load-config.ts'
import { hostPort } from '../broker/config/listeners.ts'
import type { LocalClusterOptions } from '../broker/local-cluster.ts'
import { UsageError } from './arguments.ts'
import type { CommandOptions } from './arguments.ts'

/**
 * Throws `ConfigError` and `UsageError`. `dataDirectory`: where `--ephemeral` put it, else null.
 */
export async function readConfig(
  options: CommandOptions,
  variables: Variables,
  dataDirectory: string | null,
): Promise<BrokerConfig> {
  const file = options.file === null ? null : await readProperties(options.file)
  const overrides = { ...options.overrides, ...listenerFlags(options) }
  const directory = dataDirectory ?? options.dataDirectory
  if (directory !== null) overrides['log.dirs'] = directory
  const hostName = hostname()
  const config = loadConfig({ file, variables, overrides, hostName })
  const relative = config.logDirs()
  const absolute = relative.map((path) => resolve(path))
  if (absolute.every((path, index) => path === relative[index])) return config
  return loadConfig({
    file,
    variables,
    hostName,
    overrides: { ...overrides, 'log.dirs': absolute.join(',') },
  })
}

export interface ClusterConfig {
  /** Absolute. */
  readonly directory: string
  /** Lines for the log at start. */
  readonly notes: readonly string[]
  readonly configOf: LocalClusterOptions['configOf']
}

/** Of `--brokers`. Throws `ConfigError` and `UsageError`. */
export async function readClusterConfig(
  options: CommandOptions,
  variables: Variables,
  dataDirectory: string | null,
): Promise<ClusterConfig> {
  const file = options.file === null ? null : await readProperties(options.file)
  const directory = resolve(dataDirectory ?? options.dataDirectory ?? DEVELOPMENT_DEFAULTS['log.dirs'])
  const firstPort = options.port ?? 9092
  const lastPort = firstPort + options.brokers - 1
  if (lastPort > 65535)
    throw new UsageError(`--port ${firstPort}: ${options.brokers} brokers need as many ports`)
  const load = (place: MemberPlace, more: Properties): BrokerConfig =>
    loadConfig({ file, variables, overrides: { ...options.overrides, ...more, ...memberProperties(place) } })
  const placeOf = (id: number, logDir: string, port: number | null): MemberPlace => {
    const given = firstPort === 0 ? 0 : firstPort + id - 1
    return { id, host: options.host ?? 'localhost', port: port ?? given, logDir }
  }
  const first = load(placeOf(1, directory, null), {})
  const replication = replicationProperties(first, options.brokers)
  const configOf: ClusterConfig['configOf'] = ({ id, logDir, port }) =>
    load(placeOf(id, logDir, port), replication)
  return { directory, notes: first.notes, configOf }
}

/** `--host` and `--port` are the only listener then: nothing that others said about listeners holds. */
function listenerFlags({ host, port }: CommandOptions): Record<string, string> {
  if (host === null && port === null) return {}
  return {
    listeners: `PLAINTEXT://${hostPort(host ?? 'localhost', port ?? 9092)}`,
    'advertised.listeners': '',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT',
    'inter.broker.listener.name': '',
    'controller.listener.names': '',
  }
}

async function readProperties(path: string): Promise<Properties> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a directory' : message
    throw new UsageError(`${path}: ${reason}`)
  }
  // Loaded where it is needed: most starts have no file.
  const { parse } = await import('dot-properties')
  const parsed = parse(text, false) as Record<string, string>
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, value.trim()]))
}
