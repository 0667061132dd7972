import { NetworkError } from '../../src/env/network.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import type { Peer, PeerAddress } from '../../src/server/peer.ts'
import { SimClient } from './clients.ts'
import type { SimCluster } from './cluster.ts'
import type { History } from './history.ts'

const GROUP = 'g'
const TOPIC = 't'
const RETRY_MS = 50
const PAUSE_MS = 300

/** Commits growing offsets of a group without members, each until it is told that it is done; the last one must stay. */
export class SimCommitter {
  readonly client: SimClient
  readonly #history: History
  #coordinator: PeerAddress | null = null
  #finishing = false

  constructor(cluster: SimCluster, history: History) {
    this.client = new SimClient(cluster, 'committer')
    this.#history = history
  }

  finish(): void {
    this.#finishing = true
  }

  async run(): Promise<void> {
    let offset = 0
    while (!this.#finishing) {
      const committed = ++offset
      await this.#untilDone((coordinator) => this.#commit(coordinator, committed))
      await this.client.sleep(this.client.integer(PAUSE_MS))
    }
    const kept = await this.#untilDone((coordinator) => this.#fetch(coordinator))
    if (kept !== offset) this.#history.complain(`offset ${offset} was committed, and ${kept} is kept`)
    this.client.close()
  }

  /** `ask` gives null where it is to be asked again. */
  async #untilDone<T>(ask: (coordinator: Peer) => Promise<T | null>): Promise<T> {
    for (;;) {
      try {
        const coordinator = await this.#find()
        const answer = coordinator && (await ask(coordinator))
        if (answer !== null) return answer
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error
      }
      this.#coordinator = null
      await this.client.sleep(RETRY_MS)
    }
  }

  async #find(): Promise<Peer | null> {
    if (this.#coordinator === null) {
      const { errorCode, host, port } = await this.client.anyone().call(findCoordinatorApi, 3, { key: GROUP })
      if (errorCode !== ErrorCode.NONE) return null
      this.#coordinator = { host: host!, port: port! }
    }
    return this.client.peer(this.#coordinator)
  }

  async #commit(coordinator: Peer, committedOffset: number): Promise<true | null> {
    const { topics } = await coordinator.call(offsetCommitApi, 8, {
      groupId: GROUP,
      memberId: '',
      topics: [
        { name: TOPIC, partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: null }] },
      ],
    })
    return topics[0].partitions[0].errorCode === ErrorCode.NONE ? true : null
  }

  async #fetch(coordinator: Peer): Promise<number | null> {
    const answer = await coordinator.call(offsetFetchApi, 7, {
      groupId: GROUP,
      topics: [{ name: TOPIC, partitionIndexes: [0] }],
    })
    if (answer.errorCode !== ErrorCode.NONE) return null
    const [{ committedOffset, errorCode }] = answer.topics![0].partitions
    return errorCode === ErrorCode.NONE ? committedOffset : null
  }
}
