/** Several brokers on one embedded store, each on a disk of its own: they can be stopped, and they can be killed. */
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import type { Coordination } from '../../src/env/coordination.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { Partition } from '../../src/replication/partition.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import type { WireClient } from './wire-client.ts'

export class ClusterProcesses {
  readonly disks: SimDisk[]
  readonly #properties: Properties
  readonly #store = createEmbeddedCoordination({
    disk: new SimDisk({ random: new SeededRandom(0) }),
    clock: nodeClock,
    timers: nodeTimers,
    logger: { log: () => undefined },
    directory: null,
  })
  readonly #processes = new Map<number, { process: BrokerProcess; sessions: bigint[] }>()
  readonly #started: BrokerProcess[] = []
  #expireNext = false

  /** Broker ids begin at 1. Nothing runs yet. */
  constructor(brokers: number, properties: Properties = {}) {
    this.#properties = properties
    this.disks = Array.from({ length: brokers }, (_, i) => new SimDisk({ random: new SeededRandom(i + 1) }))
  }

  get ids(): number[] {
    return [...this.#processes.keys()].sort((one, other) => one - other)
  }

  async startAll(): Promise<void> {
    for (let id = 1; id <= this.disks.length; id++) await this.start(id)
  }

  async start(id: number, own: Properties = {}): Promise<BrokerProcess> {
    const sessions: bigint[] = []
    const coordination: Coordination = {
      connect: async (options) => {
        const session = await this.#store.connect(options)
        sessions.push(session.id)
        if (this.#expireNext) void this.#store.expire(session.id)
        this.#expireNext = false
        return session
      },
    }
    const properties = {
      'broker.id': String(id),
      'controlled.shutdown.enable': 'false',
      ...this.#properties,
      ...own,
    }
    const process = await startProcess(this.disks[id - 1], properties, { coordination, isAlone: false })
    this.#processes.set(id, { process, sessions })
    this.#started.push(process)
    return process
  }

  process(id: number): BrokerProcess {
    return this.#processes.get(id)!.process
  }

  broker(id: number): Broker {
    return this.process(id).broker
  }

  /** A client of this broker. */
  connect(id: number): Promise<WireClient> {
    return this.process(id).connect()
  }

  /** Of all that were started: what they did not foresee. */
  get bugs(): unknown[] {
    return this.#started.flatMap(({ bugs }) => bugs)
  }

  /** Of all that were started: what they logged. */
  get lines(): string[] {
    return this.#started.flatMap(({ lines }) => lines)
  }

  /** -1: none is. */
  get controllerId(): number {
    return this.ids.find((id) => this.broker(id).parts.controller.isActive) ?? -1
  }

  async stop(id: number): Promise<void> {
    const process = this.process(id)
    this.#processes.delete(id)
    await process.stop()
  }

  /** The session that is begun next expires at once. */
  expireNextSession(): void {
    this.#expireNext = true
  }

  /** As a coordination service that has not heard of the broker for its session timeout. */
  expireSession(id: number): Promise<void> {
    return this.#store.expire(this.broker(id).sessionId)
  }

  /** As kill -9; the coordination service hears nothing of it before `expire`. Unsynced bytes stay: the machine lives. */
  kill(id: number): () => Promise<void> {
    const { process, sessions } = this.#processes.get(id)!
    process.kill()
    this.#processes.delete(id)
    this.disks[id - 1].kill()
    return async () => {
      for (const session of sessions) await this.#store.expire(session)
    }
  }

  replaceDisk(id: number): void {
    this.disks[id - 1] = new SimDisk({ random: new SeededRandom(id + 100) })
  }

  replica(id: number, topic: string, partition = 0): Partition | undefined {
    return this.process(id).broker.parts.services.replicas.get(topic, partition)
  }

  /** Of the brokers that live. */
  replicas(topic: string, partition = 0): Partition[] {
    return this.ids.map((id) => this.replica(id, topic, partition)).filter((replica) => replica !== undefined)
  }

  leader(topic: string, partition = 0): number | undefined {
    return this.ids.find((id) => this.replica(id, topic, partition)?.isLeader)
  }

  async stopAll(): Promise<void> {
    for (const id of this.ids) await this.process(id).stop()
    await this.#store.close()
  }
}
