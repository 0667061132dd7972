/**
 * An ensemble in the simulated world: any store, reached over links that have delays and can be cut. A session ends when
 * the ensemble has not heard of it for its timeout, as that of a process does that is stopped, cut off or dead.
 *
 * As with a real client: what was under way when the connection broke rejects with CONNECTION_LOSS, and may have happened,
 * or may yet; what is asked while there is none waits; watches left before are told when the session is found again.
 */
import { CoordinationError } from '../coordination.ts'
import type { Coordination, CoordinationSession, SessionState, Watch } from '../coordination.ts'
import type { Timer } from '../env.ts'
import type { SimLinks } from './links.ts'
import { Pipe } from './pipe.ts'
import type { SimProcess } from './process.ts'

/** The store behind it, which knows no network. */
export interface SimStore extends Coordination {
  expire(sessionId: bigint): Promise<void>
}

export interface SimEnsembleOptions {
  readonly links: SimLinks
  readonly store: SimStore
  /** Its name among the hosts. */
  readonly host: string
}

/** zookeeper.connection.timeout.ms */
const CONNECTION_TIMEOUT_MS = 18_000
const RECONNECT_MS = 100

export class SimEnsemble {
  readonly links: SimLinks
  readonly store: SimStore
  readonly host: string
  readonly #sessions = new Set<ServerSession>()
  #available = true

  constructor({ links, store, host }: SimEnsembleOptions) {
    this.links = links
    this.store = store
    this.host = host
  }

  /** The ensemble as a process on `host` reaches it. */
  of(owner: SimProcess, host: string): Coordination {
    return { connect: ({ sessionTimeoutMs }) => this.#connect(owner, host, sessionTimeoutMs) }
  }

  /** Ends the sessions of one host by force, as an operator can. */
  expire(host: string): void {
    for (const session of this.#sessions) if (session.host === host) session.expire()
  }

  /** Without a majority: nothing is answered, and no session ends; each gets its whole timeout anew afterwards. */
  setAvailable(available: boolean): void {
    this.#available = available
    this.links.setDown(this.host, !available)
    if (available) for (const session of this.#sessions) session.heard()
  }

  get isAvailable(): boolean {
    return this.#available
  }

  ended(session: ServerSession): void {
    this.#sessions.delete(session)
  }

  #connect(owner: SimProcess, host: string, sessionTimeoutMs: number): Promise<CoordinationSession> {
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(new CoordinationError('CONNECTION_LOSS', '/'))
      const timer = owner.timers.after(CONNECTION_TIMEOUT_MS, lost)
      this.links.carry(host, this.host, () => {
        void this.store.connect({ sessionTimeoutMs }).then((inner) => {
          const server = new ServerSession(this, inner, host, sessionTimeoutMs)
          this.#sessions.add(server)
          this.links.carry(this.host, host, () => {
            owner.run(() => {
              timer.cancel()
              resolve(new SimSession(owner, server))
            })
          })
        }, lost)
      })
    })
  }
}

/** What the ensemble knows of one session. */
class ServerSession {
  readonly ensemble: SimEnsemble
  readonly inner: CoordinationSession
  readonly host: string
  readonly timeoutMs: number
  alive = true
  /** The connection that it answers on: others are old. */
  wire: Wire | null = null
  /** Told by the store and not yet heard by the client, in order. */
  readonly untold = new Set<() => void>()
  #heardMs: number
  #timer: Timer

  constructor(ensemble: SimEnsemble, inner: CoordinationSession, host: string, timeoutMs: number) {
    this.ensemble = ensemble
    this.inner = inner
    this.host = host
    this.timeoutMs = timeoutMs
    this.#heardMs = ensemble.links.scheduler.elapsedMs
    this.#timer = this.#watch(timeoutMs)
  }

  heard(): void {
    this.#heardMs = this.ensemble.links.scheduler.elapsedMs
  }

  expire(): void {
    if (!this.alive) return
    this.end()
    void this.ensemble.store.expire(this.inner.id)
    this.wire?.closeFromServer()
  }

  end(): void {
    this.alive = false
    this.#timer.cancel()
    this.ensemble.ended(this)
  }

  #watch(delayMs: number): Timer {
    const { scheduler } = this.ensemble.links
    return scheduler.timers.after(delayMs, () => {
      const leftMs = this.#heardMs + this.timeoutMs - scheduler.elapsedMs
      if (leftMs <= 0 && this.ensemble.isAvailable) this.expire()
      else this.#timer = this.#watch(leftMs > 0 ? leftMs : this.timeoutMs)
    })
  }
}

/** One connection between client and ensemble. */
class Wire {
  readonly up: Pipe
  readonly down: Pipe
  readonly #client: SimSession

  constructor(client: SimSession, server: ServerSession) {
    const { links, host } = server.ensemble
    this.#client = client
    this.up = new Pipe(links, server.host, host)
    this.down = new Pipe(links, host, server.host)
  }

  /** To the client, unless it has given this connection up. */
  tell(callback: () => void): void {
    this.down.send(() => this.#client.hear(this, callback))
  }

  closeFromServer(): void {
    this.tell(() => this.#client.disconnected())
  }
}

interface Operation {
  readonly path: string
  run(inner: CoordinationSession): Promise<unknown>
  resolve(value: unknown): void
  reject(error: CoordinationError): void
}

interface TravellingWatch {
  answered: boolean
  readonly fire: Watch
}

class SimSession implements CoordinationSession {
  readonly id: bigint
  readonly #owner: SimProcess
  readonly #server: ServerSession
  readonly #listeners: ((state: SessionState) => void)[] = []
  #state: SessionState = 'connected'
  #wire: Wire
  #greeted = true
  /** Sent on this wire. */
  readonly #underWay = new Set<Operation>()
  #waiting: Operation[] = []
  readonly #watches = new WeakMap<Watch, TravellingWatch>()
  #heardMs: number
  #pingedMs: number
  #timer: Timer | null = null
  #closing: Promise<void> | null = null

  constructor(owner: SimProcess, server: ServerSession) {
    this.id = server.inner.id
    this.#owner = owner
    this.#server = server
    this.#wire = new Wire(this, server)
    server.wire = this.#wire
    this.#heardMs = this.#pingedMs = owner.clock.monotonicMs()
    this.#tick()
  }

  create: CoordinationSession['create'] = (path, data, mode) => {
    const kept = copy(data)
    return this.#ask(path, (inner) => inner.create(path, kept, mode))
  }

  get: CoordinationSession['get'] = (path, watch) => {
    return this.#ask(path, (inner, told) => inner.get(path, told?.fire), watch)
  }

  set: CoordinationSession['set'] = (path, data, version) => {
    const kept = copy(data)
    return this.#ask(path, (inner) => inner.set(path, kept, version))
  }

  delete: CoordinationSession['delete'] = (path, version) => {
    return this.#ask(path, (inner) => inner.delete(path, version))
  }

  exists: CoordinationSession['exists'] = (path, watch) => {
    return this.#ask(path, (inner, told) => inner.exists(path, told?.fire), watch)
  }

  children: CoordinationSession['children'] = (path, watch) => {
    return this.#ask(path, (inner, told) => inner.children(path, told?.fire), watch)
  }

  multi: CoordinationSession['multi'] = (operations) => {
    const kept = operations.map((operation) => {
      return 'data' in operation ? { ...operation, data: copy(operation.data) } : operation
    })
    return this.#ask(operations[0]?.path ?? '/', (inner) => inner.multi(kept))
  }

  onState(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    if (this.#state === 'expired') return
    const closed = this.#ask('/', async (inner) => {
      this.#server.end()
      await inner.close()
    })
    await Promise.race([closed.catch(() => undefined), this.#after(this.#server.timeoutMs)])
    this.#become('closed')
  }

  #after(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#owner.timers.after(delayMs, resolve))
  }

  #become(state: SessionState): void {
    if (this.#state === state || this.#state === 'expired' || this.#state === 'closed') return
    this.#state = state
    if (state === 'expired' || state === 'closed') {
      this.#timer?.cancel()
      this.#fail([...this.#underWay, ...this.#waiting], 'SESSION_EXPIRED')
      this.#waiting = []
    }
    for (const listener of this.#listeners) listener(state)
  }

  #fail(operations: readonly Operation[], code: 'CONNECTION_LOSS' | 'SESSION_EXPIRED'): void {
    this.#underWay.clear()
    for (const operation of operations) operation.reject(new CoordinationError(code, operation.path))
  }

  #ask<T>(
    path: string,
    run: (inner: CoordinationSession, told: TravellingWatch | undefined) => Promise<T>,
    watch?: Watch,
  ): Promise<T> {
    if (this.#state === 'expired' || this.#state === 'closed') {
      return Promise.reject(new CoordinationError('SESSION_EXPIRED', path))
    }
    return new Promise((resolve, reject) => {
      const told = watch && this.#told(watch)
      const operation: Operation = {
        path,
        run: (inner) => run(inner, told),
        resolve: (value) => {
          if (told !== undefined) told.answered = true
          resolve(value as T)
        },
        reject,
      }
      if (this.#state === 'connected') this.#send(operation)
      else this.#waiting.push(operation)
    })
  }

  #send(operation: Operation): void {
    const wire = this.#wire
    const server = this.#server
    this.#underWay.add(operation)
    wire.up.send(() => {
      if (server.wire !== wire || !server.alive) return
      server.heard()
      const answer = (settle: () => void) => (): void => {
        wire.tell(() => {
          if (!this.#underWay.delete(operation)) return
          settle()
        })
      }
      operation.run(server.inner).then(
        (value) => answer(() => operation.resolve(value))(),
        (error: CoordinationError) => answer(() => operation.reject(error))(),
      )
    })
  }

  /**
   * The store knows a watch by its function: the same watch left twice is the same function there. A watch of which no
   * answer told was never left.
   */
  #told(watch: Watch): TravellingWatch {
    const known = this.#watches.get(watch)
    if (known !== undefined) return known
    const travelling: TravellingWatch = {
      answered: false,
      fire: (event) => {
        const { untold } = this.#server
        const deliver = (): void => {
          this.#server.wire?.tell(() => {
            if (untold.delete(deliver) && travelling.answered) watch(event)
          })
        }
        untold.add(deliver)
        deliver()
      },
    }
    this.#watches.set(watch, travelling)
    return travelling
  }

  hear(wire: Wire, callback: () => void): void {
    this.#owner.run(() => {
      if (wire !== this.#wire) return
      this.#heardMs = this.#owner.clock.monotonicMs()
      callback()
    })
  }

  disconnected(): void {
    if (this.#state !== 'connected' && this.#state !== 'disconnected') return
    // The old wire's answers are nobody's.
    this.#wire = new Wire(this, this.#server)
    this.#greeted = false
    this.#become('disconnected')
    this.#fail([...this.#underWay], 'CONNECTION_LOSS')
    this.#heardMs = this.#owner.clock.monotonicMs()
    const wire = this.#wire
    this.#owner.timers.after(RECONNECT_MS, () => this.#greet(wire))
  }

  #greet(wire: Wire): void {
    const server = this.#server
    wire.up.send(() => {
      if (!server.alive) return wire.tell(() => this.#become('expired'))
      server.heard()
      server.wire = wire
      wire.tell(() => this.#connected())
      for (const deliver of server.untold) deliver()
    })
  }

  #connected(): void {
    this.#greeted = true
    this.#become('connected')
    const waiting = this.#waiting
    this.#waiting = []
    for (const operation of waiting) this.#send(operation)
  }

  /** Pings, and notices silence. */
  #tick(): void {
    const { timeoutMs } = this.#server
    this.#timer = this.#owner.timers.after(timeoutMs / 6, () => {
      const nowMs = this.#owner.clock.monotonicMs()
      if (nowMs - this.#heardMs >= (2 * timeoutMs) / 3) this.disconnected()
      else if (this.#greeted && nowMs - this.#pingedMs >= timeoutMs / 3) {
        this.#pingedMs = nowMs
        this.#ping(this.#wire)
      }
      this.#tick()
    })
  }

  #ping(wire: Wire): void {
    const server = this.#server
    wire.up.send(() => {
      if (server.wire !== wire || !server.alive) return
      server.heard()
      wire.tell(() => undefined)
    })
  }
}

function copy(data: Buffer | null): Buffer | null {
  return data === null ? null : Buffer.from(data)
}
