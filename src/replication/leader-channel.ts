/**
 * A follower's way to a leader. The versions are those that a broker of Kafka 3.9 sends: Fetch 17 (12 where a partition
 * has no topic id), ListOffsets 9, OffsetForLeaderEpoch 4. All reject with NetworkError; whoever asked asks again.
 */
import type { FetchRequest, FetchResponse } from '../protocol/messages/01-fetch.ts'
import type { ListOffsetsRequest, ListOffsetsResponse } from '../protocol/messages/02-list-offsets.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '../protocol/messages/23-offset-for-leader-epoch.ts'

export interface LeaderChannel {
  /** `records` of the answer stay valid: they are the caller's. */
  fetch(request: FetchRequest): Promise<FetchResponse>
  listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsResponse>
  offsetsForLeaderEpoch(request: OffsetForLeaderEpochRequest): Promise<OffsetForLeaderEpochResponse>
  /** What is under way rejects. */
  close(): void
}

/** The leader as this broker knows it. */
export interface LeaderAddress {
  readonly id: number
  readonly host: string
  readonly port: number
}

/** `fetcherId`: a leader may have several fetchers (num.replica.fetchers), each with a connection of its own. */
export type LeaderChannelFactory = (leader: LeaderAddress, fetcherId: number) => LeaderChannel
