/** Several brokers on one embedded store, each on a disk of its own: they can be stopped, and they can be killed. */
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import type { Coordination } from '../../src/env/coordination.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { Partition } from '../../src/replication/partition.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'

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

  /** Broker ids begin at 1. Nothing runs yet. */
  constructor(brokers: number, properties: Properties = {}) {
    this.#properties = properties
    this.disks = Array.from({ length: brokers }, (_, i) => new SimDisk({ random: new SeededRandom(i + 1) }))
  }

  get ids(): number[] {
    return [...this.#processes.keys()]
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
    return process
  }

  process(id: number): BrokerProcess {
    return this.#processes.get(id)!.process
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

/** Resolves as soon as it is true. Rejects after 20 s with what `describe` says. */
export async function eventually(isTrue: () => boolean, describe: () => unknown): Promise<void> {
  const deadlineMs = nodeClock.monotonicMs() + 20_000
  while (!isTrue()) {
    if (nodeClock.monotonicMs() > deadlineMs)
      throw new Error(`not within 20 s: ${JSON.stringify(describe())}`)
    await new Promise<void>((resolve) => void nodeTimers.after(5, resolve))
  }
}
