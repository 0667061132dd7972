/**
 * A connection that is watched for the end of its peer's process. A killed process is known at once: its connections end, and
 * its port refuses. A connection that ends while the port still accepts says nothing, and is made again, so that there is
 * always one that can end.
 */
import type { Timer, Timers } from '../env/env.ts'
import { NetworkError } from '../env/network.ts'
import { apiVersionsApi } from '../protocol/messages/18-api-versions.ts'
import type { Peer } from '../server/peer.ts'

/** Before the connection is made again, the first time and the last: a peer that closes each at once is not worn out. */
const FIRST_RETRY_MS = 5
const LAST_RETRY_MS = 1000

export class WatchedPeer {
  readonly #peer: Peer
  readonly #timers: Timers
  readonly #listeners: (() => void)[] = []
  #closed = false
  #retryMs = 0
  #looking = false
  /** A port that has never been open says nothing: Kafka opens its own a second after it has registered. */
  #wasConnected = false
  #timer: Timer | null = null

  /** Watches from the first connection on, which `watch` or a call of the peer's makes. */
  constructor(peer: Peer, timers: Timers) {
    this.#peer = peer
    this.#timers = timers
    peer.onClosed(() => {
      this.#wasConnected = true
      void this.#look()
    })
  }

  /** Runs each time a connection that stood has ended and the port refuses another. Then it is looked again from time to time. */
  onLost(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Connects now, and again until there is a connection. */
  watch(): void {
    void this.#connect(true)
  }

  /** The peer is closed with it. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#peer.close()
  }

  async #look(): Promise<void> {
    if (this.#closed || this.#looking) return
    this.#timer?.cancel()
    this.#looking = true
    const met = await this.#peer.probe()
    this.#looking = false
    if (this.#closed) return
    if (met === 'REFUSED' && this.#wasConnected) for (const listener of this.#listeners) listener()
    // Somebody listens, or is not reached: a process that ends closes its connections before its port.
    this.#timer = this.#timers.after(this.#retryMs, () => void this.#connect(met === null))
    this.#retryMs = Math.min(LAST_RETRY_MS, Math.max(FIRST_RETRY_MS, this.#retryMs * 2))
  }

  async #connect(listens: boolean): Promise<void> {
    if (this.#closed) return
    if (!listens) return this.#look()
    try {
      // Any request will do: it is the connection that is wanted.
      await this.#peer.call(apiVersionsApi, 0, {})
      this.#retryMs = 0
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      // Where there was a connection, its end has been noticed by itself.
      if (!this.#closed && !this.#peer.isConnected) void this.#look()
    }
  }
}
