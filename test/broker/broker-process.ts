/** A whole broker in a process of its own, as far as a test can tell: it can be stopped, and it can be killed. */
import { Broker, type StartOptions } from '../../src/broker/broker.ts'
import { BrokerConfig, type Properties } from '../../src/broker/config/broker-config.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { Coordination } from '../../src/env/coordination.ts'
import { DiskError, type Disk } from '../../src/env/disk.ts'
import type { Timer, Timers } from '../../src/env/env.ts'
import type { Connection, ConnectionEvents, Listening, Network } from '../../src/env/network.ts'
import { nodeClock, nodeRandom, nodeTimers } from '../../src/env/node/clock.ts'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { WireClient } from './wire-client.ts'

const DATA_DIRECTORY = '/data'

export interface BrokerProcess {
  readonly broker: Broker
  /** Of the first listener. */
  readonly port: number
  /** The log, one line each. */
  readonly lines: string[]
  /** What the code did not foresee; a test that expects nothing of the kind looks here. */
  readonly bugs: unknown[]
  connect(port?: number): Promise<WireClient>
  /** Resolves when the broker waits for a timer of exactly this delay: what it waits for has not come yet. */
  waitsFor(delayMs: number): Promise<WaitingTimer>
  /** As SIGTERM; nothing happens where nothing lives any more. */
  stop(): Promise<void>
  /** As SIGKILL: from here on nothing of it touches disk or network. The disk's own crash or kill comes after it. */
  kill(): void
}

/** A timer that the broker has set and that is not due for long. */
export interface WaitingTimer {
  readonly delayMs: number
  /** False once it ran or was cancelled. */
  readonly pending: boolean
  /** Lets it run now. */
  fire(): void
}

export interface ProcessOptions extends StartOptions {
  /** Shared by the brokers of a cluster; without it the broker has one of its own. */
  readonly coordination?: Coordination
}

/** Starts a broker on this disk, with real time and sockets. Its data is in /data unless `log.dirs` says otherwise. */
export async function startProcess(
  disk: Disk,
  properties: Properties = {},
  options: ProcessOptions = {},
): Promise<BrokerProcess> {
  const life = new Life()
  const lines: string[] = []
  const bugs: unknown[] = []
  const env = {
    clock: nodeClock,
    random: nodeRandom,
    timers: life.timers(),
    disk: life.disk(disk),
    network: life.network(),
    logger: {
      log: (level: string, message: string, fields?: object) =>
        lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
    },
  }
  const all = { listeners: 'PLAINTEXT://127.0.0.1:0', 'log.dirs': DATA_DIRECTORY, ...properties }
  const config = new BrokerConfig(all, { profile: 'development' })
  const own = options.coordination
    ? null
    : createEmbeddedCoordination({ ...env, directory: config.logDirs()[0] })
  const coordination = life.coordination(options.coordination ?? own!)
  const onBug = (error: unknown): void => void bugs.push(error)
  const broker = await Broker.start(config, { ...env, coordination }, { onBug, ...options })
  const clients: WireClient[] = []
  const closeClients = (): void => clients.forEach((client) => client.close())
  const [{ port }] = broker.listeners
  return {
    broker,
    port,
    lines,
    bugs,
    async connect(to = port) {
      const client = await WireClient.connect(to)
      clients.push(client)
      return client
    },
    waitsFor: (delayMs) => life.timer(delayMs),
    async stop() {
      closeClients()
      if (life.isOver) return
      await broker.stop()
      await own?.close()
    },
    kill() {
      closeClients()
      life.end()
    },
  }
}

/** What a process asks for in its death is not answered. */
const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

/** What one process has of the world; after `end` it has nothing any more. */
class Life {
  #over = false
  readonly #listenings: Listening[] = []
  readonly #connections = new Set<Connection>()
  readonly #timers = new Set<WaitingTimer>()
  readonly #looking = new Set<() => void>()

  get isOver(): boolean {
    return this.#over
  }

  end(): void {
    this.#over = true
    for (const listening of this.#listenings) void listening.close()
    for (const connection of this.#connections) connection.destroy()
  }

  timers(): Timers {
    return {
      after: (delayMs, callback) => this.#after(delayMs, callback),
      soon: (callback) =>
        nodeTimers.soon(() => {
          if (!this.#over) callback()
        }),
    }
  }

  #after(delayMs: number, callback: () => void): Timer {
    const timer = nodeTimers.after(delayMs, () => waiting.fire())
    const waiting = {
      delayMs,
      pending: true,
      fire: () => {
        const due = waiting.pending && !this.#over
        waiting.pending = false
        this.#timers.delete(waiting)
        if (due) callback()
      },
    }
    this.#timers.add(waiting)
    for (const look of this.#looking) look()
    return {
      cancel: () => {
        waiting.pending = false
        this.#timers.delete(waiting)
        timer.cancel()
      },
    }
  }

  timer(delayMs: number): Promise<WaitingTimer> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = [...this.#timers].find((timer) => timer.pending && timer.delayMs === delayMs)
        if (!found) return
        this.#looking.delete(look)
        resolve(found)
      }
      this.#looking.add(look)
      look()
    })
  }

  disk(disk: Disk): Disk {
    return new Proxy(disk, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        return (...values: unknown[]) => {
          if (this.#over) throw new DiskError('IO', String(values[0]), 'the process was killed')
          return member.apply(target, values)
        }
      },
    })
  }

  network(): Network {
    const network = createNodeNetwork()
    return {
      connect: async (options, onConnection) => {
        if (this.#over) return never()
        const connection = await network.connect(options, (made) => this.#during(made, onConnection(made)))
        if (this.#over) connection.destroy()
        return connection
      },
      listen: async (options, onConnection) => {
        const listening = await network.listen(options, (made) => this.#during(made, onConnection(made)))
        this.#listenings.push(listening)
        return listening
      },
    }
  }

  #during(connection: Connection, events: ConnectionEvents): ConnectionEvents {
    this.#connections.add(connection)
    return {
      data: (chunk) => {
        if (!this.#over) events.data(chunk)
      },
      drain: () => events.drain?.(),
      closed: (reason) => {
        this.#connections.delete(connection)
        if (!this.#over) events.closed(reason)
      },
    }
  }

  /** A session is not closed by a death: it stays until the service expires it, and no other one is opened. */
  coordination(coordination: Coordination): Coordination {
    return { connect: (options) => (this.#over ? never() : coordination.connect(options)) }
  }
}
