/**
 * The controller's view of its session: an operation whose connection broke is asked again until the service answers, as
 * Kafka's client does. A write may then meet itself: a conditional one that was done fails with BAD_VERSION, a creation with
 * NODE_EXISTS, a deletion with NO_NODE. Whoever writes reads again then.
 */
import { CoordinationError } from '../env/coordination.ts'
import type {
  CoordinationOperation,
  CoordinationResult,
  CoordinationSession,
  CreateMode,
  SessionState,
  Watch,
  ZnodeStat,
} from '../env/coordination.ts'
import type { Timers } from '../env/env.ts'

const RETRY_MS = 100

export class PatientSession implements CoordinationSession {
  readonly #inner: CoordinationSession
  readonly #timers: Timers
  #stopped = false

  constructor(inner: CoordinationSession, timers: Timers) {
    this.#inner = inner
    this.#timers = timers
  }

  get id(): bigint {
    return this.#inner.id
  }

  create(path: string, data: Buffer | null, mode?: CreateMode): Promise<string> {
    return this.#insist(() => this.#inner.create(path, data, mode))
  }

  get(path: string, watch?: Watch): Promise<{ data: Buffer | null; stat: ZnodeStat }> {
    return this.#insist(() => this.#inner.get(path, watch))
  }

  set(path: string, data: Buffer | null, version?: number): Promise<ZnodeStat> {
    return this.#insist(() => this.#inner.set(path, data, version))
  }

  delete(path: string, version?: number): Promise<void> {
    return this.#insist(() => this.#inner.delete(path, version))
  }

  exists(path: string, watch?: Watch): Promise<ZnodeStat | null> {
    return this.#insist(() => this.#inner.exists(path, watch))
  }

  children(path: string, watch?: Watch): Promise<string[]> {
    return this.#insist(() => this.#inner.children(path, watch))
  }

  multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]> {
    return this.#insist(() => this.#inner.multi(operations))
  }

  onState(listener: (state: SessionState) => void): void {
    this.#inner.onState(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** What waits for the connection rejects with CONNECTION_LOSS from now on. */
  stop(): void {
    this.#stopped = true
  }

  async #insist<T>(operation: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await operation()
      } catch (error) {
        const isLoss = error instanceof CoordinationError && error.code === 'CONNECTION_LOSS'
        if (!isLoss || this.#stopped) throw error
      }
      await new Promise<void>((resolve) => void this.#timers.after(RETRY_MS, resolve))
    }
  }
}
