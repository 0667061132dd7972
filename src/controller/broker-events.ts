/**
 * Brokers come, go, come back and move. A broker is gone when its registration is, as in Kafka; or, before that, when its
 * process is (docs/decisions/0013-fast-failover.md): then it stays registered, and counts again when it answers.
 */
import type { BrokerInfo } from './metadata.ts'
import { createPartitions, settlePartitions, tellChanges } from './partition-changes.ts'
import { leadershipOf, replicasOf } from './cluster-state.ts'
import type { PartitionRef } from './cluster-state.ts'
import { readBrokers } from './read-cluster.ts'
import type { Reassignments } from './reassignments.ts'
import { RequestBatch, introduce } from './request-batch.ts'
import type { Term } from './term.ts'
import type { TopicDeletion } from './topic-deletion.ts'
import { BROKER_IDS_PATH, encodeDealtWith } from './znodes.ts'

export interface BrokerEventParts {
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
}

export class BrokerEvents {
  readonly #term: Term
  readonly #parts: BrokerEventParts

  constructor(term: Term, parts: BrokerEventParts) {
    this.#term = term
    this.#parts = parts
  }

  readonly watch = (): void => this.#term.schedule('brokers', () => this.#changed())

  /**
   * Reads the brokers and opens the ways to them, at the beginning of the term. Those that are `lost`, by epoch, begin so: the
   * election that was won just now says that it is not us who are cut off.
   */
  async load(lost: ReadonlyMap<number, number>): Promise<void> {
    const { session, state, channels, settings } = this.#term
    for (const broker of await readBrokers(session, this.watch)) {
      state.brokers.set(broker.id, broker)
      channels.add(broker, { hasServed: true })
      if (lost.get(broker.id) === broker.epoch && settings.fastFailoverEnabled()) state.lost.add(broker.id)
    }
    for (const id of state.lost) this.#askWhetherBack(id)
  }

  async #changed(): Promise<void> {
    const { session, state, channels } = this.#term
    const registered = await readBrokers(session, this.watch)
    const before = new Map(state.brokers)
    const gone = [...before.values()].filter(({ id, epoch }) => {
      return !registered.some((broker) => broker.id === id && broker.epoch === epoch)
    })
    const came = registered.filter(({ id, epoch }) => before.get(id)?.epoch !== epoch)
    // One that died and came back between two looks (a greater epoch) has failed first.
    for (const { id } of gone) {
      state.brokers.delete(id)
      state.lost.delete(id)
      state.shuttingDown.delete(id)
      channels.remove(id)
    }
    if (gone.length > 0) await this.#failed(gone)
    for (const broker of came) {
      state.brokers.set(broker.id, broker)
      channels.add(broker, { hasServed: false })
    }
    const moved = registered.filter((broker) => {
      const known = before.get(broker.id)
      return known?.epoch === broker.epoch && JSON.stringify(known) !== JSON.stringify(broker)
    })
    for (const broker of moved) state.brokers.set(broker.id, broker)
    if (came.length > 0) {
      await this.#started(came)
      await this.leaveDealtWith()
    } else if (moved.length > 0) introduce(state, channels, new Set())
  }

  /**
   * Leaves to the next controller which registrations have been dealt with. By the partitions' states alone it could not tell: we
   * may have written one after a broker had come back and before we heard of it.
   */
  async leaveDealtWith(): Promise<void> {
    const { state, writes, epoch } = this.#term
    const brokerEpochs = new Map([...state.brokers.values()].map((broker) => [broker.id, broker.epoch]))
    const data = encodeDealtWith({ controllerEpoch: epoch, brokerEpochs })
    await writes.multi([{ type: 'set', path: BROKER_IDS_PATH, data }])
  }

  async #failed(brokers: readonly BrokerInfo[]): Promise<void> {
    const term = this.#term
    const ids = new Set(brokers.map(({ id }) => id))
    term.logger.log('info', 'brokers are gone', { brokers: [...ids].join(',') })
    term.state.forgetFailedReplicas(ids)
    await this.replicasFailed(partitionsOn(term, ids))
    await this.#parts.deletion.brokersFailed(ids)
  }

  /** Replicas of these partitions are not online any more. */
  async replicasFailed(partitions: readonly PartitionRef[]): Promise<void> {
    const term = this.#term
    const served = partitions.filter(({ topic }) => !term.state.deletions.has(topic))
    const changed = await settlePartitions(term, served)
    const batch = new RequestBatch(term.state, term.channels)
    // Also of those that stay as they are: a replica of theirs is offline now.
    batch.updateMetadata(served)
    tellChanges(term, batch, { created: [], changed })
    batch.send()
  }

  async #started(brokers: readonly BrokerInfo[]): Promise<void> {
    const term = this.#term
    const { state, channels, logger } = term
    const ids = new Set(brokers.map(({ id }) => id))
    logger.log('info', 'brokers have come', { brokers: [...ids].join(',') })
    state.forgetFailedReplicas(ids)
    introduce(state, channels, ids)
    await this.bringOnline(ids)
    await this.#parts.reassignments.resume(ids)
    this.#parts.deletion.brokersStarted(ids)
    await this.#parts.deletion.resume()
  }

  /**
   * Partitions without a leader get one if they can; the newcomers are told all that they have replicas of, and all brokers
   * hear of what has changed.
   */
  async bringOnline(newcomers: ReadonlySet<number>): Promise<void> {
    const term = this.#term
    const { state, channels } = term
    const served = state.servedPartitions()
    const created = await createPartitions(term, served)
    const changed = await settlePartitions(term, served)
    const batch = new RequestBatch(state, channels)
    tellChanges(term, batch, { created, changed })
    for (const ref of served) {
      if (leadershipOf(ref) === undefined) continue
      const serving = replicasOf(ref).filter((id) => newcomers.has(id) && state.isServing(ref, id))
      if (serving.length > 0) batch.leaderAndIsr(ref, serving)
    }
    batch.send()
  }

  // Fast failover

  /** The broker's port refuses: its process is gone, though its session lives on. */
  lost(broker: BrokerInfo): void {
    const { state, settings } = this.#term
    if (!settings.fastFailoverEnabled() || state.lost.has(broker.id)) return
    this.#term.schedule(`lost ${broker.id}`, () => this.#lost(broker))
  }

  async #lost({ id, epoch }: BrokerInfo): Promise<void> {
    const { state, writes, logger, brokerId } = this.#term
    const isCurrent = (): boolean => state.brokers.get(id)?.epoch === epoch && !state.lost.has(id)
    if (!isCurrent() || id === brokerId) return
    // It may be us who are cut off: only a controller that the coordination service lets write may say so of another.
    await writes.verify()
    const broker = state.brokers.get(id)!
    logger.log('warn', 'a broker is gone before its session: its port refuses', { broker: id, epoch })
    state.lost.add(id)
    await this.#failed([broker])
    this.#askWhetherBack(id)
  }

  /** What is asked again until it is answered tells when the broker is there again. */
  #askWhetherBack(id: number): void {
    const { state, channels } = this.#term
    const update = { brokers: state.reachableBrokers(), partitions: [] }
    channels.send(id, { type: 'updateMetadata', update })
  }

  /** It has answered. */
  found(broker: BrokerInfo): void {
    if (!this.#term.state.lost.has(broker.id)) return
    this.#term.schedule(`found ${broker.id}`, async () => {
      const { state, logger } = this.#term
      if (state.brokers.get(broker.id)?.epoch !== broker.epoch || !state.lost.delete(broker.id)) return
      logger.log('warn', 'a broker that was taken for gone is there', { broker: broker.id })
      await this.#started([broker])
    })
  }
}

/** Partitions that have a replica on one of the brokers. */
function partitionsOn({ state }: Term, brokers: ReadonlySet<number>): PartitionRef[] {
  return state.partitions().filter((ref) => replicasOf(ref).some((id) => brokers.has(id)))
}
