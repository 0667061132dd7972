/**
 * This broker's registration in the cluster. It is made at start, and anew whenever another session has taken the place of
 * an expired one: the broker has another epoch then, and the controller takes it for a broker that was away.
 *
 * A broker of Kafka ends where the id is taken. Here a registration that a dead process of this broker left behind is
 * removed or waited out; a broker that lives and has this id is refused all the same.
 */
import {
  readBrokerAt,
  registerBroker,
  removeEphemeral,
  type RegisteredBroker,
} from '../controller/registration.ts'
import { BROKER_IDS_PATH, CONTROLLER_PATH, brokerPath, type BrokerEndpoint } from '../controller/znodes.ts'
import type { LastingSession } from '../coordination/lasting-session.ts'
import { CoordinationError } from '../env/coordination.ts'
import type { Env } from '../env/env.ts'
import { NetworkError } from '../env/network.ts'
import { hostPort } from './config/listeners.ts'
import { ConfigError } from './config/config-types.ts'

export interface MembershipOptions {
  readonly env: Pick<Env, 'clock' | 'timers' | 'network' | 'logger'>
  readonly session: LastingSession
  readonly brokerId: number
  readonly rack: string | null
  /** The highest that is served. */
  readonly transactionVersion: number
  readonly sessionTimeoutMs: number
  /** Sessions of the processes that had this broker's log directories before. */
  readonly previousSessions: readonly bigint[]
  /** Called before a session registers anything, so that the next process knows what this one left behind. */
  readonly noteSession: (id: bigint) => void
}

/** A registration that could not be renewed is tried again after this time. */
const RETRY_MS = 1000
/** Whether whoever holds the id answers. */
const PROBE_TIMEOUT_MS = 2000

export class Membership {
  readonly #options: MembershipOptions
  /** Sessions of this process that have expired. */
  readonly #expired = new Set<bigint>()
  #endpoints: readonly BrokerEndpoint[] = []
  #epoch = -1
  #stopped = false

  constructor(options: MembershipOptions) {
    this.#options = options
    let current = options.session.id
    options.session.onState((state) => {
      if (state !== 'renewed') return
      this.#expired.add(current)
      current = options.session.id
      if (this.#endpoints.length > 0) this.#renew()
    })
  }

  /** The czxid of the registration; -1 before there is one. */
  get epoch(): number {
    return this.#epoch
  }

  /** Rejects with ConfigError when another broker has the id, and with CoordinationError. */
  async join(endpoints: readonly BrokerEndpoint[]): Promise<void> {
    this.#endpoints = endpoints
    await this.#register()
  }

  /** Rejects with ConfigError when a broker of another id advertises one of these addresses, as Kafka does. */
  async checkAddresses(endpoints: readonly BrokerEndpoint[]): Promise<void> {
    const { session, brokerId } = this.#options
    const others = (await session.children(BROKER_IDS_PATH)).map(Number).filter((id) => id !== brokerId)
    const brokers = await Promise.all(others.map((id) => readBrokerAt(session, id)))
    for (const [index, broker] of brokers.entries()) {
      const twin = broker?.endpoints.find((one) =>
        endpoints.some(({ host, port }) => host === one.host && port === one.port),
      )
      if (twin === undefined) continue
      const address = hostPort(twin.host, twin.port)
      const message = `broker ${others[index]} is registered with this address; one of the two must have another`
      throw new ConfigError('advertised.listeners', address, message)
    }
  }

  stop(): void {
    this.#stopped = true
  }

  #renew(): void {
    const { env, session, brokerId } = this.#options
    const { logger, timers } = env
    const { id } = session
    this.#register().then(
      () => logger.log('info', 'this broker has registered again', { broker: brokerId, epoch: this.#epoch }),
      (error: unknown) => {
        if (!(error instanceof CoordinationError || error instanceof ConfigError)) {
          timers.soon(() => {
            throw error
          })
          return
        }
        if (this.#stopped || session.id !== id) return
        logger.log('error', 'this broker could not register again', {
          broker: brokerId,
          error: error.message,
        })
        timers.after(RETRY_MS, () => {
          if (!this.#stopped && session.id === id) this.#renew()
        })
      },
    )
  }

  async #register(): Promise<void> {
    const { session, brokerId, rack, transactionVersion, env, sessionTimeoutMs, noteSession } = this.#options
    noteSession(session.id)
    // A ZooKeeper server ends sessions by its own ticks, and may grant longer ones than were asked for.
    const deadlineMs = env.clock.monotonicMs() + 2 * sessionTimeoutMs
    for (;;) {
      const timestampMs = env.clock.nowMs()
      try {
        this.#epoch = await registerBroker(session, {
          id: brokerId,
          endpoints: this.#endpoints,
          rack,
          timestampMs,
          transactionVersion,
        })
        return
      } catch (error) {
        if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
      }
      const holder = await readBrokerAt(session, brokerId)
      if (holder !== null && !(await this.#removeLeftover(holder))) await this.#outwait(holder, deadlineMs)
    }
  }

  /**
   * True when this broker itself made the registration, in a session that has expired or a process that is gone: what was
   * left of it is removed. Rejects with ConfigError when its process lives.
   */
  async #removeLeftover(holder: RegisteredBroker): Promise<boolean> {
    const { session, brokerId, previousSessions } = this.#options
    if (!this.#expired.has(holder.session)) {
      const process = await this.#probe(holder)
      if (process === 'lives') throw this.#taken(holder)
      // Having its log directories is not enough: they can have been copied.
      if (process !== 'gone' || !previousSessions.includes(holder.session)) return false
    }
    await removeEphemeral(session, CONTROLLER_PATH, holder.session)
    await removeEphemeral(session, brokerPath(brokerId), holder.session)
    return true
  }

  /** Until the registration is gone. Rejects with ConfigError at the deadline. */
  async #outwait(holder: RegisteredBroker, deadlineMs: number): Promise<void> {
    const { env, session, brokerId } = this.#options
    const leftMs = deadlineMs - env.clock.monotonicMs()
    if (leftMs <= 0) throw this.#taken(holder)
    const message = 'an earlier process of this broker is still registered; waiting for its session to end'
    env.logger.log('warn', message, { broker: brokerId })
    await new Promise<void>((resolve, reject) => {
      const timer = env.timers.after(leftMs, resolve)
      const changed = (): void => {
        timer.cancel()
        resolve()
      }
      session.exists(brokerPath(brokerId), changed).then((stat) => {
        if (stat === null) changed()
      }, reject)
    })
  }

  #taken({ endpoints }: RegisteredBroker): ConfigError {
    const at = endpoints.map(({ host, port }) => hostPort(host, port)).join(', ')
    const id = String(this.#options.brokerId)
    const message = `another broker of this cluster has this id${at === '' ? '' : `: ${at}`}`
    return new ConfigError('broker.id', id, message)
  }

  async #probe({ endpoints }: RegisteredBroker): Promise<'lives' | 'gone' | 'unknown'> {
    const isOwn = (endpoint: BrokerEndpoint): boolean =>
      this.#endpoints.some(({ host, port }) => host === endpoint.host && port === endpoint.port)
    // The port is this process's now: nobody else can have it.
    if (endpoints.some(isOwn)) return 'gone'
    if (endpoints.length === 0) return 'unknown'
    const [{ host, port }] = endpoints
    const { network } = this.#options.env
    const ignore = { data: () => undefined, closed: () => undefined }
    try {
      const connection = await network.connect({ host, port, timeoutMs: PROBE_TIMEOUT_MS }, () => ignore)
      connection.destroy()
      return 'lives'
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      return error.code === 'REFUSED' ? 'gone' : 'unknown'
    }
  }
}
