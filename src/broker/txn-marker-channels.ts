/**
 * The coordinator's ways to the leaders that write its markers: a function call in this process, WriteTxnMarkers to others, in
 * the version that Kafka 3.9 sends, without asking for any before.
 */
import type { MarkerAnswers, MarkerBrokers, Markers } from '../coordinator/transactions/marker-sender.ts'
import { NetworkError } from '../env/network.ts'
import { writeTxnMarkersApi } from '../protocol/messages/27-write-txn-markers.ts'
import { Peer, type PeerEnv } from '../server/peer.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { TxnMarkers } from './txn-markers.ts'

const WRITE_TXN_MARKERS_VERSION = 1
/** Answers name partitions and their errors: this is a million of them. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024

export interface TxnMarkerChannelsOptions {
  readonly env: PeerEnv
  readonly brokerId: number
  readonly metadata: Pick<MetadataCache, 'partition' | 'broker'>
  readonly here: Pick<TxnMarkers, 'write'>
  /** Where brokers take requests of brokers. */
  readonly listenerName: string
  /** request.timeout.ms */
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
}

export class TxnMarkerChannels implements MarkerBrokers {
  readonly #options: TxnMarkerChannelsOptions
  readonly #peers = new Map<number, Peer>()

  constructor(options: TxnMarkerChannelsOptions) {
    this.#options = options
  }

  leaderOf(topic: string, partition: number): number | null | undefined {
    const { metadata, brokerId, listenerName } = this.#options
    const leader = metadata.partition(topic, partition)?.leader
    if (leader === undefined || leader === brokerId) return leader
    return metadata.broker(leader)?.endpoints.has(listenerName) === true ? leader : null
  }

  async send(brokerId: number, markers: Markers): Promise<MarkerAnswers> {
    const { here } = this.#options
    if (brokerId === this.#options.brokerId) return (await here.write(markers)).markers
    const answer = await this.#peer(brokerId).call(writeTxnMarkersApi, WRITE_TXN_MARKERS_VERSION, { markers })
    return answer.markers
  }

  /** Connections to brokers that have gone, or moved, are of no use. */
  brokersChanged(): void {
    for (const [brokerId, peer] of this.#peers) {
      const address = this.#addressOf(brokerId)
      if (address?.host === peer.address.host && address.port === peer.address.port) continue
      peer.close()
      this.#peers.delete(brokerId)
    }
  }

  /** What is under way rejects. */
  stop(): void {
    for (const peer of this.#peers.values()) peer.close()
    this.#peers.clear()
  }

  #addressOf(brokerId: number) {
    return this.#options.metadata.broker(brokerId)?.endpoints.get(this.#options.listenerName)
  }

  #peer(brokerId: number): Peer {
    const known = this.#peers.get(brokerId)
    if (known !== undefined) return known
    const address = this.#addressOf(brokerId)
    if (address === undefined) throw new NetworkError('UNREACHABLE', `broker ${brokerId} is not there`)
    const { env, requestTimeoutMs, connectTimeoutMs } = this.#options
    const peer = new Peer(env, address, {
      clientId: `broker-${this.#options.brokerId}-txn-marker-sender`,
      requestTimeoutMs,
      connectTimeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    })
    this.#peers.set(brokerId, peer)
    return peer
  }
}
