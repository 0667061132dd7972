/** Brokers of one cluster, in one process: one embedded store and one disk in memory, real sockets and real time. */
import { Broker } from '../../src/broker/broker.ts'
import { BrokerConfig, type Properties } from '../../src/broker/config/broker-config.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { Coordination } from '../../src/env/coordination.ts'
import { nodeClock, nodeRandom, nodeTimers } from '../../src/env/node/clock.ts'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { WireClient } from './wire-client.ts'

export class ClusterProcess {
  readonly lines: string[] = []
  readonly bugs: unknown[] = []
  readonly #env
  readonly #store
  readonly #properties: Properties
  readonly #brokers = new Map<number, Broker>()
  readonly #clients: WireClient[] = []
  #expireNext = false

  constructor(properties: Properties = {}) {
    this.#properties = properties
    const disk = new SimDisk({ random: new SeededRandom(5) })
    const log = (level: string, message: string, fields?: object): void =>
      void this.lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
    this.#env = {
      clock: nodeClock,
      random: nodeRandom,
      timers: nodeTimers,
      disk,
      network: createNodeNetwork(),
      logger: { log },
    }
    this.#store = createEmbeddedCoordination({ ...this.#env, directory: null })
  }

  static async start(size: number, properties: Properties = {}): Promise<ClusterProcess> {
    const cluster = new ClusterProcess(properties)
    await Promise.all(Array.from({ length: size }, (_, index) => cluster.start(index + 1)))
    return cluster
  }

  async start(id: number): Promise<Broker> {
    const properties = {
      listeners: 'PLAINTEXT://127.0.0.1:0',
      'log.dirs': `/broker-${id}`,
      'controlled.shutdown.retry.backoff.ms': '50',
      ...this.#properties,
      'broker.id': String(id),
    }
    const config = new BrokerConfig(properties, { profile: 'development' })
    const onBug = (error: unknown): void => void this.bugs.push(error)
    const coordination: Coordination = {
      connect: async (options) => {
        const session = await this.#store.connect(options)
        if (this.#expireNext) void this.#store.expire(session.id)
        this.#expireNext = false
        return session
      },
    }
    const env = { ...this.#env, coordination }
    const broker = await Broker.start(config, env, { onBug, isAlone: false })
    this.#brokers.set(id, broker)
    return broker
  }

  broker(id: number): Broker {
    return this.#brokers.get(id)!
  }

  get ids(): number[] {
    return [...this.#brokers.keys()].sort((one, other) => one - other)
  }

  get controllerId(): number {
    return this.ids.find((id) => this.broker(id).parts.controller.isActive) ?? -1
  }

  async connect(id: number): Promise<WireClient> {
    const client = await WireClient.connect(this.broker(id).listeners[0].port)
    this.#clients.push(client)
    return client
  }

  /** The session that is begun next expires at once. */
  expireNextSession(): void {
    this.#expireNext = true
  }

  /** As a coordination service that has not heard of the broker for its session timeout. */
  expireSession(id: number): Promise<void> {
    return this.#store.expire(this.broker(id).sessionId)
  }

  async stop(id: number): Promise<void> {
    const broker = this.broker(id)
    this.#brokers.delete(id)
    await broker.stop()
  }

  async stopAll(): Promise<void> {
    for (const client of this.#clients) client.close()
    for (const id of this.ids) await this.stop(id)
    await this.#store.close()
  }
}

/** Asks until the answer satisfies `isRight`; rejects with what was answered last. */
export async function eventually<T>(ask: () => Promise<T> | T, isRight: (answer: T) => boolean): Promise<T> {
  const deadlineMs = nodeClock.monotonicMs() + 20_000
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (nodeClock.monotonicMs() > deadlineMs) throw new Error(`not right: ${JSON.stringify(answer)}`)
    await new Promise<void>((resolve) => nodeTimers.after(5, resolve))
  }
}
