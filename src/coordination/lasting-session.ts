/**
 * A session that outlives its expiry: when the coordination service has given it up, another one takes its place, and the
 * listeners are told ('expired', then 'renewed'). What belonged to the old one is gone: its ephemeral nodes and its watches;
 * whoever had any makes them anew. Between the two every operation rejects with SESSION_EXPIRED, and so does one that was
 * under way.
 *
 * A read whose connection broke is asked again, as Kafka's client does; of a write only the caller knows whether it may be.
 */
import { CoordinationError } from '../env/coordination.ts'
import type {
  Coordination,
  CoordinationOperation,
  CoordinationResult,
  CoordinationSession,
  CreateMode,
  SessionState,
  Watch,
  WatchEvent,
  ZnodeStat,
} from '../env/coordination.ts'
import type { Logger, Timers } from '../env/env.ts'

export interface LastingSessionOptions {
  readonly coordination: Coordination
  readonly sessionTimeoutMs: number
  readonly timers: Timers
  readonly logger: Logger
}

/** Before a read is asked again, and before a new session is tried again. */
const RETRY_MS = 100

export class LastingSession implements CoordinationSession {
  readonly #options: LastingSessionOptions
  readonly #listeners: ((state: SessionState) => void)[] = []
  /** A session knows a watch by its function: the same watch left twice must be the same function there. */
  readonly #watches = new WeakMap<Watch, Watch>()
  #inner: CoordinationSession
  #state: SessionState = 'connected'
  #closing: Promise<void> | null = null

  private constructor(options: LastingSessionOptions, first: CoordinationSession) {
    this.#options = options
    this.#inner = first
    this.#follow(first)
  }

  /** Rejects as `Coordination.connect` does. */
  static async open(options: LastingSessionOptions): Promise<LastingSession> {
    const { coordination, sessionTimeoutMs } = options
    return new LastingSession(options, await coordination.connect({ sessionTimeoutMs }))
  }

  /** Of the session that is used now. */
  get id(): bigint {
    return this.#inner.id
  }

  /** The service answers, and what it says of this session holds. */
  get isSound(): boolean {
    return this.#state === 'connected'
  }

  create(path: string, data: Buffer | null, mode?: CreateMode): Promise<string> {
    return this.#write((session) => session.create(path, data, mode))
  }

  get(path: string, watch?: Watch): Promise<{ data: Buffer | null; stat: ZnodeStat }> {
    return this.#read((session) => session.get(path, this.#watch(watch)))
  }

  set(path: string, data: Buffer | null, version?: number): Promise<ZnodeStat> {
    return this.#write((session) => session.set(path, data, version))
  }

  delete(path: string, version?: number): Promise<void> {
    return this.#write((session) => session.delete(path, version))
  }

  exists(path: string, watch?: Watch): Promise<ZnodeStat | null> {
    return this.#read((session) => session.exists(path, this.#watch(watch)))
  }

  children(path: string, watch?: Watch): Promise<string[]> {
    return this.#read((session) => session.children(path, this.#watch(watch)))
  }

  multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]> {
    return this.#write((session) => session.multi(operations))
  }

  onState(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  #close(): Promise<void> {
    const inner = this.#inner
    this.#become('closed')
    return inner.close()
  }

  #follow(session: CoordinationSession): void {
    session.onState((state) => {
      if (session !== this.#inner || this.#state === 'closed') return
      if (state === 'expired')
        this.#options.logger.log('warn', 'the session with the coordination service has expired')
      this.#become(state)
      if (state === 'expired') void this.#renew()
    })
  }

  #become(state: SessionState): void {
    this.#state = state === 'renewed' ? 'connected' : state
    for (const listener of this.#listeners) listener(state)
  }

  async #renew(): Promise<void> {
    const { coordination, sessionTimeoutMs, logger, timers } = this.#options
    try {
      const session = await coordination.connect({ sessionTimeoutMs })
      // Closed meanwhile: nobody waits for this one.
      if (this.#state === 'closed') return void (await session.close())
      this.#inner = session
      this.#follow(session)
      logger.log('info', 'a new session with the coordination service has begun')
      this.#become('renewed')
    } catch (error) {
      if (this.#state === 'closed') return
      if (!(error instanceof CoordinationError)) timers.soon(() => rethrow(error))
      else timers.after(RETRY_MS, () => void (this.#state === 'closed' || this.#renew()))
    }
  }

  /** One turn of promises after the session says it, as all answers are: their order stays. */
  #watch(watch: Watch | undefined): Watch | undefined {
    if (watch === undefined) return undefined
    let left = this.#watches.get(watch)
    if (left === undefined) {
      left = (event: WatchEvent) => void Promise.resolve().then(() => watch(event))
      this.#watches.set(watch, left)
    }
    return left
  }

  #read<T>(ask: (session: CoordinationSession) => Promise<T>): Promise<T> {
    return this.#ask(ask, true)
  }

  #write<T>(ask: (session: CoordinationSession) => Promise<T>): Promise<T> {
    return this.#ask(ask, false)
  }

  #ask<T>(ask: (session: CoordinationSession) => Promise<T>, mayRepeat: boolean): Promise<T> {
    const session = this.#inner
    return ask(session).catch(async (error: unknown) => {
      const isLost = error instanceof CoordinationError && error.code === 'CONNECTION_LOSS'
      if (!isLost || !mayRepeat || !this.#lives(session)) throw error
      await new Promise<void>((resolve) => this.#options.timers.after(RETRY_MS, resolve))
      if (!this.#lives(session)) throw new CoordinationError('SESSION_EXPIRED', error.path)
      return this.#ask(ask, mayRepeat)
    })
  }

  #lives(session: CoordinationSession): boolean {
    return session === this.#inner && (this.#state === 'connected' || this.#state === 'disconnected')
  }
}

function rethrow(error: unknown): never {
  throw error
}
