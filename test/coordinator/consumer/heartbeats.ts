/** ConsumerGroupHeartbeat as members send it, with everything that a test does not care about filled in. */
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { Answer, caller, GROUP } from '../client.ts'
import { topicIdOf } from '../world.ts'
import type { World } from '../world.ts'

/** Partitions by topic name. */
export type Owned = Record<string, number[]>

export interface HeartbeatOptions extends Partial<Omit<ConsumerGroupHeartbeatRequest, 'topicPartitions'>> {
  readonly owned?: Owned | null
  readonly version?: number
}

export function heartbeatRequest(options: HeartbeatOptions): ConsumerGroupHeartbeatRequest {
  const { owned = null, version: _version, ...request } = options
  return {
    groupId: GROUP,
    memberId: '',
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    subscribedTopicNames: null,
    subscribedTopicRegex: null,
    serverAssignor: null,
    topicPartitions:
      owned && Object.entries(owned).map(([name, partitions]) => ({ topicId: topicIdOf(name), partitions })),
    ...request,
  }
}

export function send(world: World, options: HeartbeatOptions): Answer<ConsumerGroupHeartbeatResponse> {
  return new Answer(world.groups.consumers.heartbeat(heartbeatRequest(options), caller(options.version ?? 1)))
}

export function joinRequest(memberId: string, options: HeartbeatOptions = {}): HeartbeatOptions {
  return {
    memberId,
    memberEpoch: 0,
    rebalanceTimeoutMs: 60_000,
    subscribedTopicNames: options.subscribedTopicRegex === undefined ? ['orders'] : null,
    owned: {},
    ...options,
  }
}

export function joinAs(world: World, memberId: string, options: HeartbeatOptions = {}) {
  return send(world, joinRequest(memberId, options))
}

/** What a response tells to have, by topic name; null: it tells nothing. */
export function told(response: ConsumerGroupHeartbeatResponse): Owned | null {
  if (response.assignment === null || response.assignment === undefined) return null
  const owned: Owned = {}
  for (const { topicId, partitions } of response.assignment.topicPartitions) {
    const name = Buffer.from(topicId, 'base64url').toString().replace(/\.+$/, '')
    owned[name] = [...partitions].sort((a, b) => a - b)
  }
  return owned
}

/** A consumer as Kafka's: does what it is told, and says so with its next heartbeat. */
export class Consumer {
  readonly world: World
  readonly memberId: string
  readonly options: HeartbeatOptions
  epoch = 0
  owned: Owned = {}
  /** Told to have, and not acknowledged yet. */
  changed = false
  lastError = 0

  constructor(world: World, memberId: string, options: HeartbeatOptions = {}) {
    this.world = world
    this.memberId = memberId
    this.options = options
  }

  join(): this {
    this.owned = {}
    this.take(joinAs(this.world, this.memberId, this.options).now)
    return this
  }

  beat(): this {
    if (this.epoch < 0) return this
    const { instanceId = null, groupId = GROUP } = this.options
    const owned = this.changed ? this.owned : null
    this.changed = false
    this.take(
      send(this.world, { groupId, memberId: this.memberId, memberEpoch: this.epoch, instanceId, owned }).now,
    )
    return this
  }

  leave(epoch = -1): number {
    const { instanceId = null, groupId = GROUP } = this.options
    const answer = send(this.world, { groupId, memberId: this.memberId, memberEpoch: epoch, instanceId }).now
    this.owned = {}
    this.epoch = -1
    return answer.errorCode
  }

  take(response: ConsumerGroupHeartbeatResponse): void {
    this.lastError = response.errorCode
    if (response.errorCode !== 0) {
      this.owned = {}
      this.epoch = 0
      return
    }
    this.epoch = response.memberEpoch
    const next = told(response)
    if (next === null) return
    this.owned = next
    this.changed = true
  }

  get partitions(): string[] {
    return Object.entries(this.owned).flatMap(([topic, indexes]) =>
      indexes.map((index) => `${topic}/${index}`),
    )
  }
}

/** Rounds of heartbeats until nobody is told anything new. */
export function settle(consumers: readonly Consumer[], rounds = 20): void {
  for (let i = 0; i < rounds; i++) {
    const before = JSON.stringify(consumers.map(({ owned, epoch }) => [owned, epoch]))
    for (const consumer of consumers) consumer.beat()
    if (JSON.stringify(consumers.map(({ owned, epoch }) => [owned, epoch])) === before) return
  }
}

export function shares(consumers: readonly Consumer[]): Record<string, string[]> {
  return Object.fromEntries(consumers.map((consumer) => [consumer.memberId, consumer.partitions]))
}
