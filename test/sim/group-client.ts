/** What members of groups and transactional clients have: coordinators, and answers of which it is known whether to trust them. */
import { NetworkError } from '../../src/env/network.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import type { Peer, PeerAddress } from '../../src/server/peer.ts'
import { SimClient } from './clients.ts'
import type { SimCluster } from './cluster.ts'

export const RETRY_MS = 50

/** As FindCoordinator has them. */
export const [OF_GROUP, OF_TRANSACTIONS] = [0, 1]
const LOGS = ['__consumer_offsets-0', '__transaction_state-0']

export interface Answer<T> {
  readonly value: T
  readonly sentMs: number
  /**
   * It came from the broker that led the coordinator's log all the while. One that has been replaced and has not heard of it
   * still answers what needs no write, as Kafka's do.
   */
  readonly isSure: boolean
}

/** Coordinator's answers after which a client looks for it anew. */
export const COORDINATOR_IS_GONE = new Set<number>([
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.UNSTABLE_OFFSET_COMMIT,
])

export class GroupClient extends SimClient {
  readonly #keys: readonly [string, string]
  readonly #coordinators: (PeerAddress | null)[] = [null, null]

  constructor(cluster: SimCluster, name: string, groupId: string, transactionalId = '') {
    super(cluster, name)
    this.#keys = [groupId, transactionalId]
  }

  get nowMs(): number {
    return this.cluster.scheduler.elapsedMs
  }

  /** Null: there is no coordinator, or it did not answer; what was asked may have happened, or may yet. */
  async ask<T>(kind: number, ask: (peer: Peer) => Promise<T>): Promise<Answer<T> | null> {
    try {
      const address = await this.#find(kind)
      if (address === null) return null
      const sentMs = this.nowMs
      const before = this.#leaderOf(kind)
      const value = await ask(this.peer(address))
      return {
        value,
        sentMs,
        isSure: before.startsWith(`${address.host}@`) && before === this.#leaderOf(kind),
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      this.#coordinators[kind] = null
      return null
    }
  }

  /** After an answer that says so: the next call looks for the coordinator anew. */
  async lookAgain(kind: number): Promise<void> {
    this.#coordinators[kind] = null
    await this.sleep(RETRY_MS)
  }

  /** As the ensemble has it, with its epoch. */
  #leaderOf(kind: number): string {
    const state = this.cluster.ledger.partitions.get(LOGS[kind])
    return `broker-${state?.leader}@${state?.leaderEpoch}`
  }

  async #find(kind: number): Promise<PeerAddress | null> {
    const known = this.#coordinators[kind]
    if (known !== null) return known
    const request = { key: this.#keys[kind], keyType: kind }
    const { errorCode, host, port } = await this.anyone().call(findCoordinatorApi, 3, request)
    if (errorCode !== ErrorCode.NONE) return null
    return (this.#coordinators[kind] = { host: host!, port: port! })
  }
}

/** An error that no client should be given here. */
export class Unexpected extends Error {}
