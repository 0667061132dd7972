/** The library: a real broker inside this process. `await using broker = await startBroker()`. */
import { Broker } from './broker/broker.ts'
import type { BrokerConfig } from './broker/config/broker-config.ts'
import { ConfigError } from './broker/config/config-types.ts'
import { hostPort } from './broker/config/listeners.ts'
import { loadConfig } from './broker/config/load-config.ts'
import { createEmbeddedCoordination, type EmbeddedCoordination } from './coordination/embedded.ts'
import type { Logger } from './env/env.ts'
import { createEphemeralDirectory, keptDirectory } from './env/node/data-directory.ts'
import { createNodeEnv } from './env/node/index.ts'
import { silentLogger } from './env/node/logger.ts'
import { createZookeeperCoordination } from './env/node/zookeeper.ts'
import { newTopic, type TopicOption } from './broker/start-topics.ts'

export { ConfigError }
export { LogDirError } from './log/log-dir-error.ts'
export type { Logger, LogLevel } from './env/env.ts'
export type { TopicOption }

export interface BrokerOptions {
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** Where to listen and what clients are told. Default `localhost`. */
  readonly host?: string
  /** Keeps the data here. Without it the broker is ephemeral: a new directory, gone after `stop()`. */
  readonly dataDir?: string
  /** Created before `startBroker` resolves: `name[:partitions[:replicas]]` or an object. */
  readonly topics?: readonly (string | TopicOption)[]
  /** Broker settings by Kafka's names (docs/configuration.md). */
  readonly config?: Readonly<Record<string, string | number | boolean>>
  /** Silent by default. */
  readonly logger?: Logger
}

export interface RunningBroker extends AsyncDisposable {
  /** `host:port` for clients. */
  readonly bootstrapServers: string
  readonly port: number
  readonly clusterId: string
  /** Closes the connections, flushes, leaves a clean shutdown. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Starts one broker on the embedded coordination store. Rejects with ConfigError (wrong configuration), LogDirError
 * (the data directory cannot be used) or the error of a port that cannot be bound.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const logger = options.logger ?? silentLogger
  const topics = (options.topics ?? []).map(newTopic)
  const { dataDir } = options
  const directory = dataDir === undefined ? createEphemeralDirectory() : keptDirectory(dataDir)
  const env = createNodeEnv(logger)
  let embedded: EmbeddedCoordination | null = null
  const release = async (): Promise<void> => {
    await embedded?.close()
    directory.remove()
  }
  try {
    const config = configOf(options, directory.path)
    const ensemble = config.ensemble()
    if (ensemble === null) embedded = createEmbeddedCoordination({ ...env, directory: config.logDirs()[0] })
    const coordination = embedded ?? createZookeeperCoordination({ ...env, ...ensemble! })
    for (const note of config.notes) logger.log('warn', note)
    const broker = await Broker.start(config, { ...env, coordination }, { topics })
    let stopped: Promise<void> | null = null
    const stop = (): Promise<void> => (stopped ??= broker.stop().finally(release))
    const [listener] = broker.listeners
    return {
      bootstrapServers: hostPort(listener.advertisedHost, listener.advertisedPort),
      port: listener.port,
      clusterId: broker.clusterId,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await release()
    throw error
  }
}

function configOf(options: BrokerOptions, dataDir: string): BrokerConfig {
  if (dataDir.includes(',')) throw new ConfigError('dataDir', dataDir, 'a comma separates directories')
  const properties: Record<string, string> = {
    listeners: `PLAINTEXT://${hostPort(options.host ?? 'localhost', options.port ?? 0)}`,
    'log.dirs': dataDir,
  }
  for (const [name, value] of Object.entries(options.config ?? {})) properties[name] = String(value)
  // The environment is the command's: a test must not depend on the shell that runs it.
  return loadConfig({ file: null, variables: {}, overrides: properties })
}
