/**
 * A follower's way to a leader. The versions are those that a broker of Kafka 3.9 sends: Fetch 17 (12 where a partition
 * has no topic id) and ListOffsets 9. Both reject with NetworkError; whoever asked asks again.
 */
import type { FetchRequest, fetchApi } from '../protocol/messages/01-fetch.ts'
import type { ListOffsetsRequest, listOffsetsApi } from '../protocol/messages/02-list-offsets.ts'
import type { Decoded } from '../protocol/schema.ts'

export type FetchAnswer = Decoded<(typeof fetchApi)['response']['fields']>
export type ListOffsetsAnswer = Decoded<(typeof listOffsetsApi)['response']['fields']>

export interface LeaderChannel {
  /**
   * `usesTopicIds`: topics go by id (Fetch 17), else by name (12). `records` of the answer are valid until something else is
   * asked.
   */
  fetch(request: FetchRequest, usesTopicIds: boolean): Promise<FetchAnswer>
  listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsAnswer>
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
