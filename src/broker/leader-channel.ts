/** A follower's connection to a leader, in the versions that a broker of Kafka 3.9 sends. It asks for no versions before. */
import { fetchApi, type FetchRequest } from '../protocol/messages/01-fetch.ts'
import { listOffsetsApi, type ListOffsetsRequest } from '../protocol/messages/02-list-offsets.ts'
import type { LeaderChannel, LeaderChannelFactory } from '../replication/leader-channel.ts'
import { Peer, type PeerEnv } from '../server/peer.ts'

const FETCH_VERSION = 17
const FETCH_VERSION_BY_NAME = 12
const LIST_OFFSETS_VERSION = 9

export interface LeaderChannelSettings {
  readonly brokerId: number
  /** replica.socket.timeout.ms: of a request, connecting included */
  readonly socketTimeoutMs: number
  /** socket.connection.setup.timeout.ms */
  readonly connectTimeoutMs: number
  /** A longer answer closes the connection. */
  readonly maxResponseBytes: number
}

export function leaderChannels(env: PeerEnv, settings: LeaderChannelSettings): LeaderChannelFactory {
  return ({ host, port }, fetcherId): LeaderChannel => {
    const peer = new Peer(
      env,
      { host, port },
      {
        clientId: `broker-${settings.brokerId}-fetcher-${fetcherId}`,
        requestTimeoutMs: settings.socketTimeoutMs,
        connectTimeoutMs: settings.connectTimeoutMs,
        maxResponseBytes: settings.maxResponseBytes,
        reusesAnswers: true,
      },
    )
    return {
      fetch: (request: FetchRequest, usesTopicIds) =>
        peer.call(fetchApi, usesTopicIds ? FETCH_VERSION : FETCH_VERSION_BY_NAME, request),
      listOffsets: (request: ListOffsetsRequest) => peer.call(listOffsetsApi, LIST_OFFSETS_VERSION, request),
      close: () => peer.close(),
    }
  }
}
