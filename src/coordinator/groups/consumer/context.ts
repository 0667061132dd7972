/** What the decisions of one turn are made with, and what they ask for. They touch nothing themselves. */
import type { GroupCoordinatorConfig } from '../config.ts'
import type { GroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerMember } from './member.ts'
import type { GroupTopics, TopicHashes } from './topics.ts'

export interface Context {
  readonly config: GroupCoordinatorConfig
  readonly topics: GroupTopics
  readonly hashes: TopicHashes
  /** Of the topics there are: grows with every new one. */
  readonly topicsVersion: number
  /** Why it is no regular expression of RE2; null: it is one. null itself: none has come yet. */
  readonly checkRegex: ((regex: string) => string | null) | null
  readonly nowMs: number
  readonly wallMs: number
  readonly newUuid: () => string
}

/** What is to be stored, then done, then answered. */
export interface Decision<Response> {
  readonly records: readonly GroupRecord[]
  readonly response: Response
  /** Once the records are stored: deadlines and other live state of the group as it is then. */
  readonly onStored: (group: ConsumerGroup) => void
  /** Regular expressions to be resolved, after it is stored; null: none. */
  readonly resolve?: readonly string[] | null
  /** Stored, the group is a classic one: its members join again (or, false, go on as they were). */
  readonly downgrade?: Downgrade
}

export interface Downgrade {
  readonly rebalance: boolean
  /** With all the protocols that they support: a record tells one of them. */
  readonly members: readonly ConsumerMember[]
}

export const nothingMore = (): void => {}
