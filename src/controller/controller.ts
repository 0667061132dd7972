/**
 * The controller: one broker of the cluster, elected at /controller, that turns what stands in the coordination service
 * (brokers, topics, deletion markers) into partition states, and tells the brokers. Works on any `Coordination`.
 *
 * All work is events in one queue. Watches, answers of brokers and requests of handlers only put events there. Every write
 * is fenced by the epoch that the election won. Here stands who is the controller; active-controller.ts is what it does.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import type { Clock, Logger, Random, Timers } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from '../protocol/messages/43-elect-leaders.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../protocol/messages/45-alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../protocol/messages/46-list-partition-reassignments.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../protocol/messages/56-alter-partition.ts'
import { ActiveController } from './active-controller.ts'
import { refusedAlterPartition } from './alter-partition.ts'
import { controlledShutdown } from './controlled-shutdown.ts'
import type { ControlledShutdownResult } from './controlled-shutdown.ts'
import { ControllerElection } from './election.ts'
import type { WonElection } from './election.ts'
import { EventQueue } from './event-queue.ts'
import { isDeposed } from './fenced-writes.ts'
import { electionsTimedOut } from './leader-elections.ts'
import type { BrokerChannel, BrokerInfo } from './metadata.ts'
import { PatientSession } from './patient-session.ts'
import { allocateProducerIds, refusedProducerIds } from './producer-id-blocks.ts'
import type { AllocatedProducerIds } from './producer-id-blocks.ts'
import type { ControllerSettings } from './term.ts'

export type { ControllerSettings } from './term.ts'

export interface ControllerOptions {
  readonly session: CoordinationSession
  readonly brokerId: number
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly logger: Logger
  readonly channelTo: (broker: BrokerInfo) => BrokerChannel
  readonly settings: ControllerSettings
}

/** What the coordination service could not do is tried again after this time, from the beginning of the term. */
const RETRY_MS = 1000

const NOT_CONTROLLER = 'This is not the correct controller for this cluster.'

export class Controller {
  readonly #options: ControllerOptions
  readonly #session: PatientSession
  readonly #election: ControllerElection
  readonly #queue: EventQueue
  /** null: not elected. */
  #active: ActiveController | null = null
  /** Elected, and everything has been read once. */
  #hasTakenOver = false
  #terms = 0
  /** Controllers that were found gone, by broker epoch: the next one need not find it out again. */
  readonly #lost = new Map<number, number>()
  #stopped = false

  constructor(options: ControllerOptions) {
    this.#options = options
    const { session, brokerId, clock, timers } = options
    this.#session = new PatientSession(session, timers)
    this.#election = new ControllerElection(this.#session, brokerId, clock)
    this.#queue = new EventQueue(timers)
    session.onState((state) => {
      if (state === 'expired') this.#queue.schedule('expiry', async () => this.#resign())
      if (state === 'renewed') this.#onController()
    })
  }

  get isActive(): boolean {
    return this.#hasTakenOver
  }

  /** 0 while not active. */
  get epoch(): number {
    return this.#active?.epoch ?? 0
  }

  isQueuedForDeletion(topic: string): boolean {
    return this.#active?.state.deletions.has(topic) ?? false
  }

  /** Takes part in the election. Resolves when it is decided and, if won, when this broker has been told everything. */
  async start(): Promise<void> {
    await this.#queue.push(async () => {
      try {
        await this.#elect()
      } catch (error) {
        if (!isDeposed(error)) throw error
        this.#failed(error, 'election')
      }
    })
    await this.#active?.told()
    // Its answers may have been news, of which it has been told in turn.
    await this.#queue.idle()
    await this.#active?.told()
  }

  /** Resolves when all events that wait now have been dealt with. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  /** Does nothing more. The controller's znode goes with the session. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#session.stop()
    await this.#queue.stop()
    this.#resign()
  }

  // What handlers ask. Each answers NOT_CONTROLLER where this broker is not the controller.

  /** Changes in-sync sets, for the leader that asks. `version` of the request: topics have names before 2. */
  alterPartition(request: AlterPartitionRequest, version: number): Promise<AlterPartitionResponse> {
    return this.#serve('AlterPartition', refusedAlterPartition(ErrorCode.NOT_CONTROLLER), (active) => {
      return active.alterPartition(request, version)
    })
  }

  /** Takes leaderships off a broker that is about to stop. `brokerEpoch` -1: not known (before version 2). */
  controlledShutdown(brokerId: number, brokerEpoch: number): Promise<ControlledShutdownResult> {
    const refused = { error: ErrorCode.NOT_CONTROLLER, remaining: [] }
    return this.#serve('ControlledShutdown', refused, (active) => {
      return controlledShutdown(active, brokerId, brokerEpoch)
    })
  }

  allocateProducerIds(brokerId: number, brokerEpoch: number): Promise<AllocatedProducerIds> {
    return this.#serve('AllocateProducerIds', refusedProducerIds(ErrorCode.NOT_CONTROLLER), (active) => {
      return allocateProducerIds(active, brokerId, brokerEpoch)
    })
  }

  /**
   * Resolves when the elections are written and this broker has been told of them. Where it has not within `timeoutMs` of the
   * request, those elected are REQUEST_TIMED_OUT, elected all the same (Kafka's DelayedElectLeader).
   */
  async electLeaders(request: ElectLeadersRequest): Promise<ElectLeadersResponse> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + request.timeoutMs
    const refused = { throttleTimeMs: 0, errorCode: ErrorCode.NOT_CONTROLLER, replicaElectionResults: [] }
    const response = await this.#serve('ElectLeaders', refused, (active) => active.elections.elect(request))
    const isTold = await this.#toldWithin(deadlineMs - clock.monotonicMs())
    return isTold ? response : electionsTimedOut(response)
  }

  /** False: time was up first. */
  #toldWithin(timeoutMs: number): Promise<boolean> {
    const active = this.#active
    if (active === null) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = this.#options.timers.after(Math.max(0, timeoutMs), () => resolve(false))
      void active.told().then(() => {
        timer.cancel()
        resolve(true)
      })
    })
  }

  /** Begins and cancels moves of partitions; does not wait for their end. */
  alterPartitionReassignments(
    request: AlterPartitionReassignmentsRequest,
  ): Promise<AlterPartitionReassignmentsResponse> {
    const head = { throttleTimeMs: 0, errorCode: ErrorCode.NOT_CONTROLLER, errorMessage: NOT_CONTROLLER }
    return this.#serve('AlterPartitionReassignments', { ...head, responses: [] }, (active) => {
      return active.reassignments.alter(request)
    })
  }

  listPartitionReassignments(
    request: ListPartitionReassignmentsRequest,
  ): Promise<ListPartitionReassignmentsResponse> {
    const head = { throttleTimeMs: 0, errorCode: ErrorCode.NOT_CONTROLLER, errorMessage: NOT_CONTROLLER }
    return this.#serve('ListPartitionReassignments', { ...head, topics: [] }, async (active) => {
      return active.reassignments.list(request)
    })
  }

  /** Resolves when the topic's deletion has ended, or cannot end now, or time is up. */
  deletionSettled(topic: string, timeoutMs: number): Promise<void> {
    const active = this.#active
    if (active === null) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#options.timers.after(timeoutMs, resolve)
      void active.deletion.settled(topic).then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** `unclean.leader.election.enable` has become true, of a topic or by default. */
  uncleanElectionEnabled(): void {
    this.#active?.uncleanElectionEnabled()
  }

  /**
   * The controller's process is gone: this broker's connection to it has ended, and its port refuses. Its term is ended, so
   * that the election need not wait for its session (docs/decisions/0013-fast-failover.md).
   */
  controllerLost(brokerId: number): void {
    const { settings, logger } = this.#options
    if (!settings.fastFailoverEnabled() || brokerId === this.#options.brokerId || this.#active !== null)
      return
    this.#schedule('controller lost', async () => {
      const epoch = await this.#election.brokerEpoch(brokerId)
      if (epoch !== null) this.#lost.set(brokerId, epoch)
      if (!(await this.#election.depose(brokerId))) return
      logger.log('warn', 'the controller is gone before its session: its port refuses', { broker: brokerId })
      await this.#elect()
    })
  }

  async #serve<T>(
    kind: string,
    notController: T,
    serve: (active: ActiveController) => Promise<T>,
  ): Promise<T> {
    const answer = await this.#queue.push(async () => {
      const active = this.#active
      if (active === null || !active.isLoaded) return notController
      try {
        return await serve(active)
      } catch (error) {
        this.#failed(error, kind)
        return notController
      }
    })
    return answer ?? notController
  }

  // Events

  #schedule(kind: string, event: () => Promise<void>): void {
    this.#queue.schedule(kind, async () => {
      try {
        await event()
      } catch (error) {
        this.#failed(error, kind)
      }
    })
  }

  #failed(error: unknown, kind: string): void {
    if (!(error instanceof CoordinationError)) throw error
    if (error.code === 'SESSION_EXPIRED') return this.#resign()
    if (this.#stopped) return
    const { logger, timers } = this.#options
    if (isDeposed(error)) {
      logger.log('warn', 'another controller has taken over', { epoch: this.epoch })
      this.#resign()
      return this.#onController()
    }
    logger.log('error', 'the controller could not finish; it will try again', {
      event: kind,
      error: error.message,
    })
    // What has been done and what has not is read anew: an event cut short is none that could be repeated.
    timers.after(RETRY_MS, () => this.#schedule('again', () => this.#again()))
  }

  // Terms

  readonly #onController = (): void => this.#schedule('election', () => this.#elect())

  async #elect(): Promise<void> {
    const won = await this.#election.run(this.#onController)
    if (won !== null && won.epoch === this.#active?.epoch) return
    this.#resign()
    if (won !== null) return this.#takeOver(won)
    this.#lost.clear()
    const controller = await this.#election.controllerId()
    this.#options.logger.log('info', 'another broker is the controller', { controller })
  }

  async #again(): Promise<void> {
    if (this.#active === null) return this.#elect()
    const { epoch, epochVersion } = this.#active
    await this.#takeOver({ epoch, epochVersion })
  }

  async #takeOver(won: WonElection): Promise<void> {
    this.#active?.close()
    const term = ++this.#terms
    const active: ActiveController = new ActiveController(
      this.#options,
      this.#session,
      won,
      (kind, event) => {
        this.#schedule(`${kind} in term ${term}`, async () => {
          if (this.#active === active) await event()
        })
      },
    )
    this.#active = active
    await active.load(this.#lost)
    this.#lost.clear()
    this.#hasTakenOver = true
  }

  #resign(): void {
    this.#hasTakenOver = false
    this.#active?.close()
    this.#active = null
  }
}
