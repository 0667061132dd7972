import type { TopicSpec } from './clients.ts'

export interface MemberOptions {
  readonly topic: TopicSpec
  /** KIP-345; null: a dynamic member. */
  readonly instanceId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly heartbeatMs: number
  readonly retryMs: number
}

/** What a member has at a time. A new object whenever anything of it changes. */
export interface Assignment {
  readonly memberId: string
  readonly instanceId: string | null
  /** In the consumer protocol: the member epoch. */
  readonly generation: number
  /** Each with a number that is another one whenever it was given anew. */
  readonly partitions: ReadonlyMap<number, number>
}

/** A member of a group, by whichever protocol. */
export interface Membership {
  /** Null: nothing. */
  readonly current: Assignment | null
  /** Somebody else has its name, or it has left. */
  readonly isFenced: boolean
  /** Between two steps of work: it joins, or takes and gives back what it was told to. */
  turn(): Promise<void>
  /** Goes on beside the work. */
  heartbeats(): Promise<void>
  leave(): Promise<void>
}
