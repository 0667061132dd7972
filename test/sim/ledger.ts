/** What stands in the ensemble, seen at the moment when it is written: who is in sync, who leads, who is the controller. */
import type { CoordinationOperation } from '../../src/env/coordination.ts'
import type { SimStore } from '../../src/env/sim/coordination.ts'
import {
  CONTROLLER_EPOCH_PATH,
  CONTROLLER_PATH,
  decodeController,
  decodePartitionState,
  type PartitionStateZnode,
} from '../../src/controller/znodes.ts'

const STATE_PATH = /^\/brokers\/topics\/([^/]+)\/partitions\/(\d+)\/state$/
const BROKER_PATH = /^\/brokers\/ids\/(\d+)$/

export class Ledger {
  /** By `topic-partition`. */
  readonly partitions = new Map<string, PartitionStateZnode>()
  controllerEpoch = 0
  /** The latest that was elected. */
  controllerId = -1
  /**
   * Brokers that have lost a partition of which they were no in-sync members, until they have registered again. One that is
   * taken in before that was lost as a member: with any other failure that is more than an in-sync set promises to survive.
   */
  readonly bereft = new Map<number, string>()
  /** Such a thing has happened. What is lost from now on may be. */
  isVoid = false
  readonly #fail: (text: string) => void

  /** `fail` is told of what must not be written. */
  constructor(fail: (text: string) => void) {
    this.#fail = fail
  }

  /** The store, whose writes are noted here from now on. */
  watch(store: SimStore): SimStore {
    return {
      expire: (id) => store.expire(id),
      connect: async (options) => {
        const session = await store.connect(options)
        const multi = session.multi.bind(session)
        session.multi = async (operations) => {
          const results = await multi(operations)
          for (const operation of operations) this.#wrote(operation)
          return results
        }
        return session
      },
    }
  }

  /** Brokers that a partition counts as in sync. */
  isInSync(brokerId: number): boolean {
    return [...this.partitions.values()].some(({ isr }) => isr.includes(brokerId))
  }

  #wrote(operation: CoordinationOperation): void {
    if (operation.type !== 'create' && operation.type !== 'set') return
    const { path, data } = operation
    if (path === CONTROLLER_PATH) this.controllerId = decodeController(data) ?? -1
    if (path === CONTROLLER_EPOCH_PATH) this.#wroteControllerEpoch(Number(data))
    const registered = BROKER_PATH.exec(path)
    if (registered) this.bereft.delete(Number(registered[1]))
    const of = STATE_PATH.exec(path)
    const state = of && decodePartitionState(data)
    if (of && state) this.#wroteState(`${of[1]}-${of[2]}`, state)
  }

  #wroteControllerEpoch(epoch: number): void {
    if (epoch !== 0 && epoch <= this.controllerEpoch)
      this.#fail(`controller epoch ${epoch} is begun after ${this.controllerEpoch}`)
    this.controllerEpoch = Math.max(epoch, this.controllerEpoch)
  }

  #wroteState(name: string, state: PartitionStateZnode): void {
    const before = this.partitions.get(name)
    this.partitions.set(name, state)
    if (state.controllerEpoch !== this.controllerEpoch)
      this.#fail(
        `${name}: the controller of epoch ${state.controllerEpoch} wrote its state in epoch ${this.controllerEpoch}`,
      )
    if (before === undefined) return
    if (state.isr.some((id) => this.bereft.get(id) === name && !before.isr.includes(id))) this.isVoid = true
    if (state.leaderEpoch < before.leaderEpoch)
      this.#fail(`${name}: leader epoch ${state.leaderEpoch} is written over ${before.leaderEpoch}`)
    if (state.leader !== before.leader && state.leaderEpoch === before.leaderEpoch)
      this.#fail(`${name}: ${before.leader} and ${state.leader} both lead in epoch ${state.leaderEpoch}`)
  }
}
