/** Several brokers of one process that are one cluster: each on its own port, all on one embedded store. */
import { createEmbeddedCoordination, type EmbeddedCoordination } from '../coordination/embedded.ts'
import type { Env, Logger } from '../env/env.ts'
import { join, META_PROPERTIES_FILE } from '../log/file-names.ts'
import { lockLogDirectory } from '../log/log-dir-locks.ts'
import { Broker } from './broker.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/config-types.ts'
import { KillableEnv } from './killable-env.ts'
import type { NewTopic } from './start-topics.ts'

export interface LocalClusterOptions {
  readonly env: Omit<Env, 'coordination'>
  readonly size: number
  /** Everything lies below it. */
  readonly directory: string
  /** `port`: the one that the broker had before, null at its first start. */
  readonly configOf: (place: { id: number; logDir: string; port: number | null }) => BrokerConfig
  readonly topics: readonly NewTopic[]
  /** As `StartOptions.onBug`. */
  readonly onBug?: (error: unknown) => void
}

/** Most brokers of one process. */
export const MAX_LOCAL_BROKERS = 32

export class LocalCluster {
  readonly members: readonly LocalMember[]
  readonly #store: EmbeddedCoordination
  readonly #lock: { release(): void }
  #stopping: Promise<void> | null = null

  private constructor(
    members: readonly LocalMember[],
    store: EmbeddedCoordination,
    lock: { release(): void },
  ) {
    this.members = members
    this.#store = store
    this.#lock = lock
  }

  /**
   * Resolves when all brokers serve clients and the topics are there. Rejects as `Broker.start`, and with LogDirError; then
   * nothing is left open.
   */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const { env, size, directory, topics } = options
    if (!Number.isInteger(size) || size < 1 || size > MAX_LOCAL_BROKERS)
      throw new ConfigError('brokers', String(size), `expected an integer from 1 to ${MAX_LOCAL_BROKERS}`)
    if (env.disk.stat(join(directory, META_PROPERTIES_FILE)) !== null)
      throw new ConfigError(
        'data directory',
        directory,
        'it is that of a single broker; a cluster needs its own',
      )
    const storeDirectory = join(directory, 'coordination')
    const lock = lockLogDirectory(env.disk, storeDirectory)
    const store = createEmbeddedCoordination({ ...env, directory: storeDirectory })
    const members = Array.from({ length: size }, (_, index) => new LocalMember(index + 1, options, store))
    const cluster = new LocalCluster(members, store, lock)
    try {
      const started = await Promise.allSettled(members.map((member) => member.start()))
      const failed = started.find((outcome) => outcome.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      await members[0].broker!.createTopics(topics)
      await Promise.all(members.map(({ broker }) => knows(broker!, topics)))
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** The broker that leads a partition, as the running ones know it; undefined: nobody, or nobody knows. */
  leaderOf(topic: string, partition: number): LocalMember | undefined {
    const knowing = this.controller ?? this.members.find(({ broker }) => broker !== null)
    const leader = knowing?.broker?.parts.services.metadata.partition(topic, partition)?.leader
    return this.members.find(({ id, broker }) => id === leader && broker !== null)
  }

  get controller(): LocalMember | undefined {
    return this.members.find(({ broker }) => broker?.parts.controller.isActive)
  }

  /** All brokers, then the store. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    for (const { broker } of this.members) broker?.stopFollowing()
    // There is nobody to hand leaderships to: all go at once.
    await Promise.all(this.members.map((member) => member.stop({ handOver: false })))
    await this.#store.close()
    this.#lock.release()
  }
}

/** One broker of the cluster, through its lives. What is asked of it is done one after the other. */
export class LocalMember {
  readonly id: number
  readonly logDir: string
  readonly #options: LocalClusterOptions
  readonly #store: EmbeddedCoordination
  #running: { readonly broker: Broker; readonly env: KillableEnv } | null = null
  #last: Broker | null = null
  #queue: Promise<void> = Promise.resolve()

  constructor(id: number, options: LocalClusterOptions, store: EmbeddedCoordination) {
    this.id = id
    // Not a name that a partition's directory could have.
    this.logDir = join(options.directory, `broker${id}`)
    this.#options = options
    this.#store = store
  }

  /** null while it does not run. */
  get broker(): Broker | null {
    return this.#running?.broker ?? null
  }

  /** Its first listener; the port stays the same from life to life. Undefined before the first start. */
  get listener() {
    return this.#last?.listeners[0]
  }

  /** On its port and with its data. Nothing happens where it runs. Rejects as `Broker.start`. */
  start(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#running !== null) return
      const { env, configOf, onBug } = this.#options
      const { id, logDir } = this
      const config = configOf({ id, logDir, port: this.listener?.port ?? null })
      const own = new KillableEnv({ ...env, coordination: this.#store, logger: named(env.logger, id) })
      const broker = await Broker.start(config, own, { onBug, isAlone: false })
      this.#running = { broker, env: own }
      this.#last = broker
    })
  }

  /** Leaderships are handed over first (unless told otherwise); logs are flushed. Nothing happens where it does not run. */
  stop(options?: { readonly handOver: boolean }): Promise<void> {
    return this.#enqueue(async () => {
      const running = this.#running
      this.#running = null
      await running?.broker.stop(options)
    })
  }

  /** As SIGKILL of a process of its own. Resolves when its ports are free and its session has ended. */
  kill(): Promise<void> {
    return this.#enqueue(async () => {
      const running = this.#running
      this.#running = null
      await running?.env.kill()
    })
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(task)
    this.#queue = done.catch(() => undefined)
    return done
  }
}

/** Until a client that asks this broker is told of the topics. */
async function knows({ parts }: Broker, topics: readonly NewTopic[]): Promise<void> {
  const { metadata, config } = parts.services
  const isLed = ({ name }: NewTopic): boolean =>
    metadata.topic(name)?.partitions.every(({ leader }) => leader >= 0) ?? false
  await metadata.waitFor(() => topics.every(isLed), config.get('request.timeout.ms'))
}

function named(logger: Logger, id: number): Logger {
  return { log: (level, message, fields) => logger.log(level, `[${id}] ${message}`, fields) }
}
