/** One broker: made from a configuration and an Env, started in the order in which its parts need each other. */
import { generateBrokerId, prepareCluster, registerBroker } from '../controller/registration.ts'
import { TOPIC_CONFIGS_PATH } from '../controller/znodes.ts'
import { CoordinationError, type CoordinationSession } from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import type { Env } from '../env/env.ts'
import { lockLogDirs, type LogDirLocks } from '../log/log-dir-locks.ts'
import { readMetaProperties, type MetaProperties } from '../log/meta-properties.ts'
import { warmUpCrc32c } from '../protocol/crc32c.ts'
import { ErrorCode, errorName } from '../protocol/error-codes.ts'
import { SocketServer } from '../server/socket-server.ts'
import { adoptLogDirs } from './adopt-log-dirs.ts'
import { buildParts, type Parts } from './broker-parts.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/config-types.ts'
import { createDispatch } from './dispatch.ts'
import type { NewTopic } from './start-topics.ts'

export interface BrokerListener {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly advertisedHost: string
  readonly advertisedPort: number
}

export interface StartOptions {
  /** Created before the broker is ready, unless they are there. */
  readonly topics?: readonly NewTopic[]
  /** A request failed in a way that the code did not foresee. Its connection is closed; the default is to go on. */
  readonly onBug?: (error: unknown) => void
}

interface World {
  readonly env: Env
  readonly session: CoordinationSession
  readonly locks: LogDirLocks
}

export class Broker {
  readonly brokerId: number
  readonly clusterId: string
  readonly listeners: readonly BrokerListener[]
  readonly parts: Parts
  private readonly world: World
  private readonly server: SocketServer
  private stopping: Promise<void> | null = null

  private constructor(
    world: World,
    parts: Parts,
    server: SocketServer,
    listeners: readonly BrokerListener[],
  ) {
    this.world = world
    this.parts = parts
    this.server = server
    this.listeners = listeners
    this.brokerId = parts.services.brokerId
    this.clusterId = parts.services.clusterId
  }

  /**
   * Resolves when clients are served. Rejects with ConfigError, LogDirError, CoordinationError, or the error of a port
   * that cannot be bound; then nothing is left open.
   */
  static async start(config: BrokerConfig, env: Env, options: StartOptions = {}): Promise<Broker> {
    const locks = lockLogDirs(env.disk, config.logDirs())
    const undo: (() => Promise<void> | void)[] = [() => locks.release()]
    try {
      const session = await env.coordination.connect({
        sessionTimeoutMs: config.get('zookeeper.session.timeout.ms'),
      })
      undo.push(() => session.close())
      const identity = { ...(await identify(config, env, { session, locks })), locks }
      const parts = buildParts(config, env, session, identity)
      await parts.configAdmin.start()
      await parts.topicConfigs.load(await session.children(TOPIC_CONFIGS_PATH))
      parts.logs.start()
      undo.push(() => stopLogs(parts))
      await adoptLogDirs(parts, session, env.logger)
      const server = buildServer(config, env, parts, options)
      undo.push(() => server.stop())
      const listeners = await listen(config, server)
      undo.push(() => parts.groups.stop())
      undo.push(() => parts.controller.stop())
      await join(config, env, { session, parts, listeners })
      await createTopics(parts, options.topics ?? [])
      server.serve()
      // Loads native code: the first large batch should not wait for it, nor should the ready line.
      env.timers.soon(warmUpCrc32c)
      return new Broker({ env, session, locks }, parts, server, listeners)
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  /** Closes connections, flushes, leaves the marker of a clean stop. Safe to call twice. */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  private async shutDown(): Promise<void> {
    const { session, locks } = this.world
    await this.server.stop()
    this.parts.groups.stop()
    await this.parts.controller.stop()
    await stopLogs(this.parts)
    await session.close()
    locks.release()
  }
}

function stopLogs({ services, logs }: Parts): Promise<void> {
  services.replicas.stop()
  return logs.stop()
}

/** Who this broker is: by configuration, by what its data directory says, or newly made. */
async function identify(
  config: BrokerConfig,
  env: Env,
  { session, locks }: { session: CoordinationSession; locks: LogDirLocks },
) {
  const found = config
    .logDirs()
    .filter((directory) => !locks.offline.has(directory))
    .map((directory) => ownerOf(env, directory))
    .find((meta) => meta !== null)
  const newClusterId = found?.clusterId ?? config.clusterId ?? env.random.bytes(16).toString('base64url')
  const clusterId = await prepareCluster(session, newClusterId)
  const configured = config.get('broker.id')
  if (configured >= 0) return { brokerId: configured, clusterId }
  if (found && found.brokerId >= 0) return { brokerId: found.brokerId, clusterId }
  if (!config.get('broker.id.generation.enable')) {
    throw new ConfigError('broker.id', String(configured), 'set it, or broker.id.generation.enable=true')
  }
  return { brokerId: await generateBrokerId(session, config.get('reserved.broker.max.id')), clusterId }
}

/** null where no file says it, or none that can be read: the log manager finds out what the disk lacks. */
function ownerOf(env: Env, directory: string): MetaProperties | null {
  try {
    return readMetaProperties(env.disk, directory)
  } catch (error) {
    if (error instanceof DiskError) return null
    throw error
  }
}

function buildServer(config: BrokerConfig, env: Env, parts: Parts, options: StartOptions): SocketServer {
  const limits = {
    maxFrameBytes: config.get('socket.request.max.bytes'),
    maxIdleMs: config.get('connections.max.idle.ms'),
    get maxConnections() {
      return config.get('max.connections')
    },
  }
  const dispatch = createDispatch(parts.services)
  return new SocketServer(env, limits, dispatch, options.onBug ?? (() => undefined))
}

async function listen(config: BrokerConfig, server: SocketServer): Promise<BrokerListener[]> {
  const bound = new Map<string, number>()
  for (const listener of config.listeners()) bound.set(listener.name, await server.listen(listener))
  const advertised = new Map(config.resolveAdvertised(bound).map((endpoint) => [endpoint.name, endpoint]))
  return config.listeners().map(({ name, host }) => ({
    name,
    host,
    port: bound.get(name)!,
    advertisedHost: advertised.get(name)?.host ?? host,
    advertisedPort: advertised.get(name)?.port ?? bound.get(name)!,
  }))
}

/** Registers, takes part in the controller's election, and waits until this broker knows of itself. */
async function join(
  config: BrokerConfig,
  env: Env,
  at: { session: CoordinationSession; parts: Parts; listeners: readonly BrokerListener[] },
): Promise<void> {
  const { session, parts, listeners } = at
  const { brokerId, metadata } = parts.services
  const endpoints = listeners.map(({ name, advertisedHost, advertisedPort }) => {
    return { listenerName: name, securityProtocol: 'PLAINTEXT', host: advertisedHost, port: advertisedPort }
  })
  const registration = {
    id: brokerId,
    endpoints,
    rack: config.get('broker.rack'),
    timestampMs: env.clock.nowMs(),
  }
  try {
    await registerBroker(session, registration)
  } catch (error) {
    if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
    throw new ConfigError('broker.id', String(brokerId), 'another broker of this cluster has this id')
  }
  // A coordinator whose partitions come with the controller's first word must be there to hear of them.
  parts.groups.start()
  await parts.controller.start()
  await metadata.waitFor(() => metadata.broker(brokerId) !== undefined, config.get('request.timeout.ms'))
}

async function createTopics(parts: Parts, topics: readonly NewTopic[]): Promise<void> {
  const { metadata, topics: admin } = parts.services
  const missing = topics.filter(({ name }) => !metadata.topic(name))
  const options = { timeoutMs: parts.services.config.get('request.timeout.ms'), validateOnly: false }
  for (const { name, error, message } of await admin.createTopics(missing, options)) {
    if (error !== ErrorCode.NONE) throw new ConfigError('--topic', name, message ?? errorName(error))
  }
}
