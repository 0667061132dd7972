/**
 * The controller's election: who makes /controller first, in one multi with the next /controller_epoch. The version of that
 * epoch's znode is the fence of all that the winner writes.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession, Watch } from '../env/coordination.ts'
import type { Clock } from '../env/env.ts'
import { readNode } from './read-cluster.ts'
import type { ZnodeContent } from './read-cluster.ts'
import {
  CONTROLLER_EPOCH_PATH,
  CONTROLLER_PATH,
  brokerPath,
  decodeController,
  encodeController,
} from './znodes.ts'

export interface WonElection {
  readonly epoch: number
  /** Of /controller_epoch. */
  readonly epochVersion: number
}

export class ControllerElection {
  readonly #session: CoordinationSession
  readonly #brokerId: number
  readonly #clock: Clock

  constructor(session: CoordinationSession, brokerId: number, clock: Clock) {
    this.#session = session
    this.#brokerId = brokerId
    this.#clock = clock
  }

  /** null: another broker is the controller. Leaves a watch on who is. */
  async run(watch: Watch): Promise<WonElection | null> {
    for (;;) {
      const [owner, epochNode] = await Promise.all([
        this.#session.exists(CONTROLLER_PATH, watch),
        readNode(this.#session, CONTROLLER_EPOCH_PATH),
      ])
      // Won before (perhaps without hearing of it): the epoch is still ours.
      if (owner !== null && owner.ephemeralOwner === this.#session.id && epochNode !== null)
        return { epoch: Number(epochNode.data), epochVersion: epochNode.stat.version }
      if (owner !== null) return null
      const won = await this.#claim(epochNode)
      if (won !== null) return won
    }
  }

  /** null: another broker was quicker. */
  async #claim(epochNode: ZnodeContent | null): Promise<WonElection | null> {
    const old = epochNode === null ? 0 : Number(epochNode.data)
    const zero = Buffer.from('0')
    const prepare: CoordinationOperation[] =
      epochNode === null ? [{ type: 'create', path: CONTROLLER_EPOCH_PATH, data: zero }] : []
    const data = encodeController(this.#brokerId, this.#clock.nowMs())
    try {
      const results = await this.#session.multi([
        ...prepare,
        { type: 'create', path: CONTROLLER_PATH, data, mode: 'ephemeral' },
        {
          type: 'set',
          path: CONTROLLER_EPOCH_PATH,
          data: Buffer.from(String(old + 1)),
          version: epochNode === null ? 0 : epochNode.stat.version,
        },
      ])
      const set = results[results.length - 1]
      return set.type === 'set' ? { epoch: old + 1, epochVersion: set.stat.version } : null
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (error.code === 'NODE_EXISTS' || error.code === 'BAD_VERSION') return null
      throw error
    }
  }

  /** The epoch under which a broker is registered now; null when it is not. */
  async brokerEpoch(brokerId: number): Promise<number | null> {
    return (await this.#session.exists(brokerPath(brokerId)))?.czxid ?? null
  }

  /** The controller's broker id; null when there is none. */
  async controllerId(): Promise<number | null> {
    return decodeController((await readNode(this.#session, CONTROLLER_PATH))?.data ?? null)
  }

  /**
   * Ends the term of a controller whose process is gone, before its session ends: removes /controller if it is still that
   * broker's. Every election changes the version of /controller_epoch, so a later controller's node is never removed. If
   * that process lives after all, its writes fail at the same fence once another has been elected.
   */
  async depose(brokerId: number): Promise<boolean> {
    const [epochNode, controller] = await Promise.all([
      readNode(this.#session, CONTROLLER_EPOCH_PATH),
      readNode(this.#session, CONTROLLER_PATH),
    ])
    if (epochNode === null || decodeController(controller?.data ?? null) !== brokerId) return false
    try {
      await this.#session.multi([
        { type: 'check', path: CONTROLLER_EPOCH_PATH, version: epochNode.stat.version },
        { type: 'delete', path: CONTROLLER_PATH },
      ])
      return true
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      // Another broker was quicker, with this or with its own election.
      if (error.code === 'BAD_VERSION' || error.code === 'NO_NODE') return false
      throw error
    }
  }
}
