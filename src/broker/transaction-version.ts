/**
 * The `transaction.version` of the cluster, which ApiVersions tells as its finalized features (KIP-584, KIP-890 part 2): 2 where
 * every registered broker says that it serves that. Nobody finalizes it, and it is not stored: a broker that does not serve it
 * may come at any time (docs/decisions/0019-transaction-version.md).
 */
import { readBrokerFeatures } from '../controller/registration.ts'
import { BROKER_IDS_PATH, FEATURE_PATH } from '../controller/znodes.ts'
import { CoordinationError, type CoordinationSession } from '../env/coordination.ts'
import type { Logger, Timer, Timers } from '../env/env.ts'

export interface FinalizedVersion {
  /** -1: clients are to make nothing of it. */
  readonly epoch: number
  readonly transactionVersion: number
}

export interface TransactionVersionParts {
  readonly session: Pick<CoordinationSession, 'children' | 'exists' | 'get' | 'onState'>
  readonly timers: Timers
  readonly logger: Logger
  /** The highest that this broker serves: odradek.transaction.version. */
  readonly supported: number
}

const UNKNOWN: FinalizedVersion = { epoch: -1, transactionVersion: 0 }
/**
 * Clients go by the features of the highest epoch that they have heard of. The epoch of the others is the version of the znode
 * of features, here and at brokers of Kafka, and at least this one: so that who meets one of them gives up what it was offered.
 */
const OFFERED_EPOCH = 0
export const FIRST_EPOCH_WITHOUT = 1

const RETRY_MS = 1000

export class TransactionVersion {
  readonly #parts: TransactionVersionParts
  #finalized = UNKNOWN
  #isReading = false
  #hasChanged = false
  #retry: Timer | null = null
  #stopped = false
  readonly #changed = (): void => void this.#read()

  constructor(parts: TransactionVersionParts) {
    this.#parts = parts
    parts.session.onState((state) => {
      // Watches have gone with the session.
      if (state === 'renewed') void this.#read()
    })
  }

  get supported(): number {
    return this.#parts.supported
  }

  get finalized(): FinalizedVersion {
    return this.#finalized
  }

  /** Once this broker is registered. Resolves when the registrations have been read, or cannot be read now. */
  start(): Promise<void> {
    return this.#read()
  }

  stop(): void {
    this.#stopped = true
    this.#retry?.cancel()
  }

  async #read(): Promise<void> {
    this.#hasChanged = true
    if (this.#isReading) return
    this.#isReading = true
    this.#retry?.cancel()
    try {
      while (this.#hasChanged && !this.#stopped) {
        this.#hasChanged = false
        this.#take(await this.#readOnce())
      }
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (!this.#stopped) this.#retry = this.#parts.timers.after(RETRY_MS, this.#changed)
    } finally {
      this.#isReading = false
    }
  }

  async #readOnce(): Promise<FinalizedVersion> {
    const { session, supported } = this.#parts
    const ids = await session.children(BROKER_IDS_PATH, this.#changed)
    const [node, ...others] = await Promise.all([
      session.exists(FEATURE_PATH, this.#changed),
      ...ids.map((id) => readBrokerFeatures(session, Number(id))),
    ])
    const known = others.filter((version) => version !== null)
    const transactionVersion = Math.min(supported, ...known)
    const epoch = node?.version ?? -1
    if (transactionVersion === 0) return { epoch, transactionVersion }
    return epoch < FIRST_EPOCH_WITHOUT ? UNKNOWN : { epoch: OFFERED_EPOCH, transactionVersion }
  }

  #take(finalized: FinalizedVersion): void {
    const { transactionVersion } = finalized
    if (transactionVersion !== this.#finalized.transactionVersion) {
      const message = 'the transaction.version of the cluster has changed'
      this.#parts.logger.log('info', message, { transactionVersion })
    }
    this.#finalized = finalized
  }
}
