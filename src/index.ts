/** The library: a real broker, or a cluster of them, inside this process. `await using broker = await startBroker()`. */
import { Broker } from './broker/broker.ts'
import type { BrokerConfig } from './broker/config/broker-config.ts'
import { memberProperties, replicationProperties } from './broker/config/cluster-config.ts'
import { ConfigError } from './broker/config/config-types.ts'
import { hostPort } from './broker/config/listeners.ts'
import { loadConfig } from './broker/config/load-config.ts'
import { LocalCluster, type LocalMember } from './broker/local-cluster.ts'
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
  checkDirectory(dataDir)
  const properties = {
    listeners: `PLAINTEXT://${hostPort(options.host ?? 'localhost', options.port ?? 0)}`,
    'log.dirs': dataDir,
  }
  return load({ ...properties, ...textsOf(options.config) })
}

/** It becomes a value of `log.dirs`. */
function checkDirectory(dataDir: string): void {
  if (dataDir.includes(',')) throw new ConfigError('dataDir', dataDir, 'a comma separates directories')
}

function textsOf(config: BrokerOptions['config'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, String(value)]))
}

/** The environment is the command's: a test must not depend on the shell that runs it. */
function load(overrides: Record<string, string>): BrokerConfig {
  return loadConfig({ file: null, variables: {}, overrides })
}

export interface ClusterOptions extends Pick<BrokerOptions, 'host' | 'logger'> {
  /** How many. Default 3. */
  readonly brokers?: number
  /** Of the first broker, the others follow; 0, the default, takes free ones. */
  readonly port?: number
  /** Keeps the data below this directory. Without it the cluster is ephemeral: a new directory, gone after `stop()`. */
  readonly dataDir?: string
  /** Created before `startCluster` resolves. Where nothing is said, with three replicas. */
  readonly topics?: readonly (string | TopicOption)[]
  /** Settings of every broker by Kafka's names (docs/configuration.md). */
  readonly config?: Readonly<Record<string, string | number | boolean>>
}

/** One broker of a cluster. It keeps its id, its port and its data from one start to the next. */
export interface ClusterBroker {
  readonly id: number
  /** `host:port` for clients. */
  readonly bootstrapServers: string
  readonly port: number
  readonly isRunning: boolean
  /** As SIGTERM: hands its leaderships over, flushes, leaves a clean shutdown. Nothing happens where it does not run. */
  stop(): Promise<void>
  /** As SIGKILL: its connections and its port close at once, nothing is flushed. Nothing happens where it does not run. */
  kill(): Promise<void>
  /** After `stop` or `kill`. Resolves when it serves clients again. Nothing happens where it runs. */
  start(): Promise<void>
}

export interface RunningCluster extends AsyncDisposable {
  /** `host:port,host:port,...` of all brokers, running or not. */
  readonly bootstrapServers: string
  readonly clusterId: string
  /** By id, from 1. */
  readonly brokers: readonly ClusterBroker[]
  /** The broker that is the controller; undefined while none is. */
  readonly controller: ClusterBroker | undefined
  /** The broker that leads a partition; undefined while none does. */
  leaderOf(topic: string, partition: number): ClusterBroker | undefined
  /** Stops all brokers. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Starts several brokers that are one cluster, all in this process, on one embedded coordination store. Rejects as
 * `startBroker` does.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const { brokers: size = 3, dataDir, port: firstPort = 0, host = 'localhost' } = options
  const topics = (options.topics ?? []).map(newTopic)
  const directory = dataDir === undefined ? createEphemeralDirectory() : keptDirectory(dataDir)
  try {
    checkDirectory(directory.path)
    const env = createNodeEnv(options.logger ?? silentLogger)
    const own = textsOf(options.config)
    const placeOf = (id: number, logDir: string, port: number | null) => {
      return { id, host, logDir, port: port ?? (firstPort === 0 ? 0 : firstPort + id - 1) }
    }
    const first = load({ ...own, ...memberProperties(placeOf(1, directory.path, null)) })
    for (const note of first.notes) env.logger.log('warn', note)
    const replication = replicationProperties(first, size)
    const cluster = await LocalCluster.start({
      env,
      size,
      directory: directory.path,
      configOf: ({ id, logDir, port }) =>
        load({ ...own, ...replication, ...memberProperties(placeOf(id, logDir, port)) }),
      topics,
    })
    return runningCluster(cluster, () => directory.remove())
  } catch (error) {
    directory.remove()
    throw error
  }
}

function runningCluster(cluster: LocalCluster, release: () => void): RunningCluster {
  const brokers = cluster.members.map(clusterBroker)
  const of = (member: LocalMember | undefined) => brokers.find(({ id }) => id === member?.id)
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => (stopped ??= cluster.stop().finally(release))
  return {
    bootstrapServers: brokers.map(({ bootstrapServers }) => bootstrapServers).join(','),
    clusterId: cluster.members[0].broker!.clusterId,
    brokers,
    get controller() {
      return of(cluster.controller)
    },
    leaderOf: (topic, partition) => of(cluster.leaderOf(topic, partition)),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function clusterBroker(member: LocalMember): ClusterBroker {
  const { advertisedHost, advertisedPort, port } = member.listener!
  return {
    id: member.id,
    bootstrapServers: hostPort(advertisedHost, advertisedPort),
    port,
    get isRunning() {
      return member.broker !== null
    },
    stop: () => member.stop(),
    kill: () => member.kill(),
    start: () => member.start(),
  }
}
