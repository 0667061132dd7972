/** One broker: made from a configuration and an Env, started in the order in which its parts need each other. */
import { TOPIC_CONFIGS_PATH } from '../controller/znodes.ts'
import { LastingSession } from '../coordination/lasting-session.ts'
import { CoordinationError } from '../env/coordination.ts'
import type { Env } from '../env/env.ts'
import { lockLogDirs, type LogDirLocks } from '../log/log-dir-locks.ts'
import { warmUpCrc32c } from '../protocol/crc32c.ts'
import { ErrorCode, errorName } from '../protocol/error-codes.ts'
import { SocketServer } from '../server/socket-server.ts'
import { adoptLogDirs } from './adopt-log-dirs.ts'
import { buildParts, type Parts } from './broker-parts.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/config-types.ts'
import { shutDownControlled } from './controlled-shutdown.ts'
import { createDispatch } from './dispatch.ts'
import { identify } from './identity.ts'
import { noteLastSession, readLastSessions } from './last-session.ts'
import { Membership } from './membership.ts'
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
  /** No other broker uses the coordination store; by default so where it is the embedded one. */
  readonly isAlone?: boolean
}

/** Of an ensemble that does not answer somebody should hear before the attempt is given up. */
const SILENCE_MS = 1000

/** What the controller is at when the broker stops may take so long. */
const STOP_PATIENCE_MS = 3000
/** A start whose session expires begins anew so often. */
const MAX_STARTS = 3

interface World {
  readonly session: LastingSession
  readonly membership: Membership
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
    for (let attempt = 1; ; attempt++) {
      try {
        return await Broker.startOnce(config, env, options)
      } catch (error) {
        if (!isSessionLost(error) || attempt === MAX_STARTS) throw error
        const end = error.code === 'SESSION_EXPIRED' ? 'has expired' : 'was disconnected'
        env.logger.log('warn', `the session ${end} during the start; the broker starts again`, { attempt })
      }
    }
  }

  private static async startOnce(config: BrokerConfig, env: Env, options: StartOptions): Promise<Broker> {
    const locks = lockLogDirs(env.disk, config.logDirs())
    const undo: (() => Promise<void> | void)[] = [() => locks.release()]
    const isAlone = options.isAlone ?? !config.isOnEnsemble
    try {
      const session = await openSession(config, env)
      undo.push(() => session.close())
      const identity = { ...(await identify(config, env, { session, locks })), locks }
      const membership = membershipOf(config, env, { session, ...identity })
      undo.push(() => membership.stop())
      const parts = buildParts(config, env, session, {
        ...identity,
        isAlone,
        brokerEpoch: () => membership.epoch,
      })
      await parts.configAdmin.start()
      await parts.topicConfigs.load(await session.children(TOPIC_CONFIGS_PATH))
      parts.logs.start()
      undo.push(() => stopLogs(parts))
      if (isAlone) await adoptLogDirs(parts, session, env.logger)
      const server = buildServer(config, env, parts, options)
      undo.push(() => server.stop())
      const listeners = await listen(config, server)
      undo.push(() => parts.groups.stop())
      undo.push(() => stopTransactions(parts))
      undo.push(() => parts.controller.stop())
      undo.push(() => parts.toController.stop())
      undo.push(() => parts.toTxnCoordinators.stop())
      await join(config, { membership, parts, listeners, server, isAlone })
      await createTopics(parts, options.topics ?? [])
      server.serve()
      // Loads native code: the first large batch should not wait for it, nor should the ready line.
      env.timers.soon(warmUpCrc32c)
      return new Broker({ session, membership, locks }, parts, server, listeners)
    } catch (error) {
      for (const step of undo.reverse()) await step()
      throw error
    }
  }

  /** The czxid of its registration; another one after its session has expired. */
  get epoch(): number {
    return this.world.membership.epoch
  }

  /** Of its session with the coordination service. */
  get sessionId(): bigint {
    return this.world.session.id
  }

  /** Creates those that are not there, and waits for their leaders. Rejects with ConfigError. */
  createTopics(topics: readonly NewTopic[]): Promise<void> {
    return createTopics(this.parts, topics)
  }

  /** Follows no leader from now on. Brokers that stop together do not miss each other then. */
  stopFollowing(): void {
    this.parts.services.replicas.stop()
  }

  /**
   * Hands leaderships over where there are others to take them, closes connections, flushes, leaves the marker of a clean
   * stop. Safe to call twice.
   */
  stop({ handOver = true }: { readonly handOver?: boolean } = {}): Promise<void> {
    this.stopping ??= this.shutDown(handOver)
    return this.stopping
  }

  /** Leaderships go to other brokers, where there are any. */
  private async handOver(): Promise<void> {
    const { toController, services } = this.parts
    const { config, env, metadata } = services
    if (!config.get('controlled.shutdown.enable')) return
    const settings = {
      maxRetries: config.get('controlled.shutdown.max.retries'),
      retryBackoffMs: config.get('controlled.shutdown.retry.backoff.ms'),
    }
    const hasOthers = (): boolean => metadata.brokerCount > 1
    const isServiceThere = (): boolean => this.world.session.isSound
    await shutDownControlled({ ...env, channel: toController, hasOthers, isServiceThere }, settings)
  }

  private async shutDown(handOver: boolean): Promise<void> {
    const { session, membership, locks } = this.world
    if (handOver) await this.handOver()
    membership.stop()
    this.stopFollowing()
    await this.server.stop()
    this.parts.groups.stop()
    stopTransactions(this.parts)
    this.parts.toController.stop()
    this.parts.toTxnCoordinators.stop()
    // What waits for an ensemble that is away must not keep the broker from stopping.
    const { timers } = this.parts.services.env
    const patience = timers.after(session.isSound ? STOP_PATIENCE_MS : 0, () => void session.close())
    await this.parts.controller.stop()
    patience.cancel()
    await stopLogs(this.parts)
    await session.close()
    locks.release()
  }
}

function stopTransactions({ services, transactions, txnMarkerChannels }: Parts): void {
  services.transactionVersion.stop()
  transactions.stop()
  txnMarkerChannels.stop()
}

function stopLogs({ services, logs }: Parts): Promise<void> {
  services.replicas.stop()
  return logs.stop()
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

/** Rejects with ConfigError where an ensemble does not answer, and with CoordinationError. */
/**
 * A machine that stood still, or an ensemble that was away after the session had begun: of what was under way nobody knows
 * whether it was done. (An ensemble that does not answer at all is another error, of `openSession`.)
 */
function isSessionLost(error: unknown): error is CoordinationError {
  return error instanceof CoordinationError && ['SESSION_EXPIRED', 'CONNECTION_LOSS'].includes(error.code)
}

async function openSession(config: BrokerConfig, env: Env): Promise<LastingSession> {
  const { timers, logger } = env
  const ensemble = config.ensemble()
  const advice = 'start it, or leave this line out: one broker needs no ZooKeeper'
  const silence = timers.after(SILENCE_MS, () => {
    if (ensemble !== null)
      logger.log('warn', `waiting for ZooKeeper; ${advice}`, { 'zookeeper.connect': ensemble.connect })
  })
  try {
    const sessionTimeoutMs = config.get('zookeeper.session.timeout.ms')
    return await LastingSession.open({ ...env, sessionTimeoutMs })
  } catch (error) {
    if (ensemble === null || !(error instanceof CoordinationError)) throw error
    if (error.code !== 'CONNECTION_LOSS') throw error
    const { connect, connectionTimeoutMs } = ensemble
    const message = `no server of the ensemble has answered for ${connectionTimeoutMs} ms; ${advice}`
    throw new ConfigError('zookeeper.connect', connect, message)
  } finally {
    silence.cancel()
  }
}

function membershipOf(
  config: BrokerConfig,
  env: Env,
  of: { session: LastingSession; brokerId: number; locks: LogDirLocks },
): Membership {
  const { session, brokerId, locks } = of
  // A session of the embedded store ends with its process.
  const outlivesProcess = config.isOnEnsemble
  const directories = config.logDirs().filter((directory) => !locks.offline.has(directory))
  return new Membership({
    env,
    session,
    brokerId,
    rack: config.get('broker.rack'),
    transactionVersion: Number(config.get('odradek.transaction.version')),
    sessionTimeoutMs: config.get('zookeeper.session.timeout.ms'),
    previousSessions: outlivesProcess ? readLastSessions(env.disk, directories) : [],
    noteSession: (id) => {
      if (outlivesProcess) noteLastSession(env, directories, id)
    },
  })
}

/** Registers, takes part in the controller's election, and waits until this broker knows of itself. */
async function join(
  config: BrokerConfig,
  at: {
    membership: Membership
    parts: Parts
    listeners: readonly BrokerListener[]
    server: SocketServer
    isAlone: boolean
  },
): Promise<void> {
  const { membership, parts, listeners, server, isAlone } = at
  const { brokerId, metadata } = parts.services
  const endpoints = listeners.map(({ name, advertisedHost, advertisedPort }) => {
    return { listenerName: name, securityProtocol: 'PLAINTEXT', host: advertisedHost, port: advertisedPort }
  })
  if (config.isOnEnsemble) await membership.checkAddresses(endpoints)
  await membership.join(endpoints)
  // A coordinator whose partitions come with the controller's first word must be there to hear of them.
  parts.groups.start()
  parts.transactions.start()
  await parts.controller.start()
  // What the controller of a cluster says comes as requests.
  if (!isAlone) server.serve()
  await metadata.waitFor(() => metadata.broker(brokerId) !== undefined, config.get('request.timeout.ms'))
  await parts.services.transactionVersion.start()
}

async function createTopics(parts: Parts, topics: readonly NewTopic[]): Promise<void> {
  const { metadata, topics: admin } = parts.services
  const missing = topics.filter(({ name }) => !metadata.topic(name))
  const timeoutMs = parts.services.config.get('request.timeout.ms')
  const options = { timeoutMs, validateOnly: false, byAnyBroker: true }
  for (const { name, error, message } of await admin.createTopics(missing, options)) {
    // Made by another broker meanwhile: it is there all the same.
    if (error === ErrorCode.NONE || error === ErrorCode.TOPIC_ALREADY_EXISTS) continue
    throw new ConfigError('--topic', name, message ?? errorName(error))
  }
}
