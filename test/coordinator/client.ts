/** Requests as clients make them, with everything that a test does not care about filled in. */
import type { Caller } from '../../src/coordinator/groups/group-coordinator.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../src/protocol/messages/11-join-group.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../src/protocol/messages/08-offset-commit.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../src/protocol/messages/14-sync-group.ts'
import type { World } from './world.ts'

export const GROUP = 'readers'

export function caller(apiVersion: number, clientId: string | null = 'app'): Caller {
  return { apiVersion, clientId, clientHost: '/127.0.0.1' }
}

/** A consumer's subscription, version 0. */
export function subscription(...topics: string[]): Buffer {
  const parts = [Buffer.from([0, 0, 0, 0, 0, topics.length])]
  for (const topic of topics) parts.push(Buffer.from([0, topic.length]), Buffer.from(topic))
  parts.push(Buffer.from([0xff, 0xff, 0xff, 0xff]))
  return Buffer.concat(parts)
}

/** A reply that is there, or `undefined` while it is not. */
export class Answer<T> {
  value: T | undefined
  readonly #reply: T | Promise<T>

  constructor(reply: T | Promise<T>) {
    this.#reply = reply
    this.onValue((value) => (this.value = value))
  }

  /** At once when the reply is there. */
  onValue(use: (value: T) => void): void {
    if (this.#reply instanceof Promise) void this.#reply.then(use)
    else use(this.#reply)
  }

  get now(): T {
    if (this.value === undefined) throw new Error('no reply yet')
    return this.value
  }

  get isWaiting(): boolean {
    return this.value === undefined
  }
}

export interface JoinOptions extends Partial<JoinGroupRequest> {
  readonly version?: number
  readonly clientId?: string | null
}

export function joinRequest(options: Partial<JoinGroupRequest> = {}): JoinGroupRequest {
  return {
    groupId: GROUP,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    memberId: '',
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('orders') }],
    reason: null,
    ...options,
  }
}

export function join(
  world: World,
  { version = 3, clientId, ...request }: JoinOptions = {},
): Answer<JoinGroupResponse> {
  return new Answer(world.groups.joinGroup(joinRequest(request), caller(version, clientId)))
}

export interface SyncOptions extends Partial<SyncGroupRequest> {
  readonly version?: number
}

export function sync(
  world: World,
  { version = 3, ...options }: SyncOptions & { memberId: string; generationId: number },
): Answer<SyncGroupResponse> {
  const request = {
    groupId: GROUP,
    groupInstanceId: null,
    protocolType: null,
    protocolName: null,
    assignments: [],
    ...options,
  }
  return new Answer(world.groups.syncGroup(request, caller(version)))
}

export function heartbeat(
  world: World,
  request: { memberId: string; generationId: number; groupInstanceId?: string | null; groupId?: string },
): number {
  const reply = world.groups.heartbeat({ groupId: GROUP, groupInstanceId: null, ...request })
  return new Answer(reply).now.errorCode
}

export function leave(world: World, memberId: string, groupInstanceId: string | null = null): number {
  const members = [{ memberId, groupInstanceId, reason: null }]
  const response = new Answer(world.groups.leaveGroup({ groupId: GROUP, memberId: '', members }, caller(5)))
    .now
  return response.errorCode === 0 ? response.members![0].errorCode : response.errorCode
}

export function commitRequest(
  offsets: Record<string, number>,
  options: Partial<OffsetCommitRequest> = {},
): OffsetCommitRequest {
  const topics = new Map<string, OffsetCommitRequest['topics'][number]>()
  for (const [key, committedOffset] of Object.entries(offsets)) {
    const [name, partition] = key.split('/')
    const topic = topics.get(name) ?? { name, partitions: [] }
    topic.partitions.push({
      partitionIndex: Number(partition),
      committedOffset,
      committedLeaderEpoch: -1,
      commitTimestamp: -1,
      committedMetadata: '',
    })
    topics.set(name, topic)
  }
  return {
    groupId: GROUP,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: [...topics.values()],
    ...options,
  }
}

/** Offsets by "topic/partition". */
export function commit(
  world: World,
  offsets: Record<string, number>,
  options: Partial<OffsetCommitRequest> = {},
): Answer<OffsetCommitResponse> {
  return new Answer(world.groups.offsetCommit(commitRequest(offsets, options)))
}

/** Error codes by "topic/partition". */
export function commitErrors(response: OffsetCommitResponse): Record<string, number> {
  const errors: Record<string, number> = {}
  for (const { name, partitions } of response.topics) {
    for (const { partitionIndex, errorCode } of partitions) errors[`${name}/${partitionIndex}`] = errorCode
  }
  return errors
}

/** What a group has committed, by "topic/partition". */
export function committed(world: World, groupId = GROUP): Record<string, number> {
  const offsets: Record<string, number> = {}
  for (const { name, partitions } of world.groups.fetchOffsets(groupId, null, false).topics) {
    for (const { partitionIndex, committedOffset } of partitions)
      offsets[`${name}/${partitionIndex}`] = committedOffset
  }
  return offsets
}

/** A group of dynamic members that have joined and synced; gives their ids, the leader's first. */
export async function stableGroup(world: World, size = 1, options: JoinOptions = {}): Promise<string[]> {
  const answers: Answer<JoinGroupResponse>[] = []
  const memberIds: string[] = []
  for (let i = 0; i < size; i++) {
    answers.push(join(world, options))
    for (const memberId of memberIds) void join(world, { ...options, memberId })
    await Promise.resolve()
    memberIds.push(answers[i].now.memberId)
  }
  const generationId = answers[size - 1].now.generationId ?? -1
  const assignments = memberIds.map((memberId) => ({
    memberId,
    assignment: Buffer.from(`work of ${memberId}`),
  }))
  for (const memberId of memberIds) sync(world, { memberId, generationId, assignments })
  return memberIds
}
