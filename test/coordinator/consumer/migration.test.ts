/** Groups that change their kind while their members go on, and consumer groups in which some speak the classic protocol. */
import { describe, expect, it } from 'vitest'
import {
  writeAssignment,
  readAssignment,
} from '../../../src/coordinator/groups/consumer/consumer-protocol.ts'
import { decodeRecord } from '../../../src/coordinator/groups/records.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import type { JoinGroupResponse } from '../../../src/protocol/messages/11-join-group.ts'
import { commit, committed, GROUP, heartbeat, join, leave, subscription, sync } from '../client.ts'
import type { Answer, JoinOptions } from '../client.ts'
import { settled, world } from '../world.ts'
import type { World } from '../world.ts'
import { Consumer, joinAs, send } from './heartbeats.ts'
import type { Owned } from './heartbeats.ts'

const kindOf = (w: World) => w.groups.listGroups([], []).groups[0]
const describeGroup = (w: World) => w.groups.describeConsumerGroup(GROUP)

/** A subscription of version 1 says what the member has. */
function subscriptionWith(topics: string[], owned: Owned): Buffer {
  const bytes = subscription(...topics)
  bytes.writeInt16BE(1, 0)
  const list = Object.entries(owned).map(([topic, partitions]) => ({ topic, partitions }))
  const assignment = writeAssignment(list, Buffer.from([0, 0]))
  // The same form: without the version before it and the user data behind it.
  return Buffer.concat([bytes, assignment.subarray(2, assignment.length - 4)])
}

/** A consumer of the classic protocol that gives back before it takes (the cooperative one). */
class Classic {
  readonly w: World
  memberId = ''
  generationId = -1
  owned: Owned = {}
  readonly options: JoinOptions

  constructor(w: World, options: JoinOptions = {}) {
    this.w = w
    this.options = options
  }

  ask(): Answer<JoinGroupResponse> {
    const protocols = [{ name: 'range', metadata: subscriptionWith(['orders'], this.owned) }]
    return join(this.w, { version: 9, protocols, memberId: this.memberId, ...this.options })
  }

  joined(answer: Answer<JoinGroupResponse>): this {
    const { errorCode, memberId, generationId } = answer.now
    expect(errorCode).toBe(0)
    this.memberId = memberId
    this.generationId = generationId ?? -1
    return this
  }

  join(): this {
    const first = this.ask()
    if (first.now.errorCode !== ErrorCode.MEMBER_ID_REQUIRED) return this.joined(first)
    this.memberId = first.now.memberId
    return this.joined(this.ask())
  }

  sync(assignments: { memberId: string; assignment: Buffer }[] = []) {
    const { memberId, generationId } = this
    const groupId = this.options.groupId ?? GROUP
    return sync(this.w, { version: 3, groupId, memberId, generationId, assignments }).now
  }

  /** Joins and syncs until the coordinator has no more steps for it. */
  follow(): this {
    for (let i = 0; i < 4 && this.beat() === ErrorCode.REBALANCE_IN_PROGRESS; i++) {
      this.join()
      const { errorCode, assignment } = this.sync()
      expect(errorCode).toBe(0)
      this.owned = Object.fromEntries(
        readAssignment(assignment)!.assignedPartitions.map(({ topic, partitions }) => [topic, partitions]),
      )
    }
    return this
  }

  beat(): number {
    const { memberId, generationId } = this
    return heartbeat(this.w, {
      memberId,
      generationId,
      groupInstanceId: this.options.groupInstanceId ?? null,
    })
  }
}

/** A classic group of one stable member that has all partitions of `orders`. */
function classicGroup(w: World, options: JoinOptions = {}): Classic {
  const member = new Classic(w, options).join()
  member.owned = { orders: [0, 1, 2, 3] }
  const assignment = writeAssignment([{ topic: 'orders', partitions: [0, 1, 2, 3] }], Buffer.from([0, 1]))
  expect(member.sync([{ memberId: member.memberId, assignment }]).errorCode).toBe(0)
  return member
}

describe('an empty group', () => {
  it('of the classic protocol becomes a consumer group and keeps its offsets', () => {
    const w = world()
    commit(w, { 'orders/0': 7 })
    const member = classicGroup(w)
    leave(w, member.memberId)
    expect(kindOf(w)).toMatchObject({ groupType: 'classic', groupState: 'Empty' })
    expect(joinAs(w, 'a').now.memberEpoch).toBe(1)
    expect(kindOf(w)).toMatchObject({ groupType: 'consumer', groupState: 'Stable', protocolType: 'consumer' })
    expect(committed(w)).toEqual({ 'orders/0': 7 })
    expect(committed(world({ log: w.log }))).toEqual({ 'orders/0': 7 })
  })

  it('of the consumer protocol becomes a classic one and keeps its offsets', () => {
    const w = world()
    commit(w, { 'orders/0': 7 })
    new Consumer(w, 'a').join().leave()
    classicGroup(w)
    expect(kindOf(w)).toMatchObject({ groupType: 'classic', groupState: 'Stable' })
    expect(describeGroup(w).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    const loaded = world({ log: w.log })
    expect(kindOf(loaded)).toMatchObject({ groupType: 'classic', groupState: 'Stable' })
    expect(committed(loaded)).toEqual({ 'orders/0': 7 })
  })
})

describe('a classic group with members', () => {
  it('goes on as a consumer group when one comes who speaks that, and nobody has what another has', () => {
    const w = world()
    const classic = classicGroup(w)
    const { generationId } = classic
    const consumer = new Consumer(w, 'new').join()
    expect(kindOf(w)).toMatchObject({ groupType: 'consumer', groupState: 'Reconciling' })
    expect(consumer.epoch).toBe(generationId + 1)
    expect(consumer.partitions).toEqual([])
    expect(describeGroup(w).members.map(({ memberType }) => memberType)).toEqual([0, 1])
    // The classic one hears of it, gives back, and goes on.
    expect(classic.beat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    classic.follow()
    expect(classic.owned.orders).toHaveLength(2)
    consumer.beat()
    expect([...consumer.owned.orders, ...classic.owned.orders].sort()).toEqual([0, 1, 2, 3])
    expect(classic.beat()).toBe(0)
    expect(kindOf(w).groupState).toBe('Stable')
    const again = world({ log: w.log })
    expect(again.groups.describeConsumerGroup(GROUP)).toEqual(describeGroup(w))
  })

  it('writes what Kafka writes', () => {
    const w = world()
    classicGroup(w)
    const before = w.log.records().length
    joinAs(w, 'new')
    const types = w.log
      .records()
      .slice(before)
      .map(({ key, value }) => {
        return `${decodeRecord(key!, value)!.type}${value === null ? ' gone' : ''}`
      })
    expect(types).toEqual([
      'group gone',
      'consumer-member',
      'consumer-group',
      'consumer-target',
      'consumer-target-epoch',
      'consumer-current',
      'consumer-member',
      'consumer-group',
      'consumer-target',
      'consumer-target',
      'consumer-target-epoch',
      'consumer-current',
    ])
  })

  it('answers those who wait, so that they come again', async () => {
    const w = world()
    const classic = classicGroup(w)
    // Another joins: it waits for the first one, who has not heard of it yet.
    const waiting = new Classic(w)
    const first = waiting.ask()
    waiting.memberId = first.now.memberId
    const second = waiting.ask()
    expect(second.isWaiting).toBe(true)
    joinAs(w, 'new')
    await settled()
    expect(second.now.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    waiting.join()
    expect(describeGroup(w).members).toHaveLength(3)
    classic.follow()
  })

  it.each([
    ['where the policy forbids it', { consumerGroupMigrationPolicy: 'downgrade' as const }],
    ['where it is too large', { consumerGroupMaxSize: 0 }],
  ])('stays what it is %s', (_what, config) => {
    const w = world({ config })
    const classic = classicGroup(w)
    expect(joinAs(w, 'new').now.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(kindOf(w)).toMatchObject({ groupType: 'classic', groupState: 'Stable' })
    expect(classic.beat()).toBe(0)
  })

  it.each([
    [
      'is of another type',
      { protocolType: 'connect' },
      Buffer.alloc(0),
      'does not use the consumer embedded',
    ],
    ['embeds nonsense', {}, Buffer.from('nonsense'), 'malformed'],
  ])('stays what it is when it %s', (_what, options, assignment, message) => {
    const w = world()
    const member = new Classic(w, options).join()
    member.sync([{ memberId: member.memberId, assignment }])
    const { errorCode, errorMessage } = joinAs(w, 'new').now
    expect(errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(errorMessage).toContain(message)
    expect(member.beat()).toBe(0)
  })
})

describe('a consumer group with classic members', () => {
  function mixed(w: World, options: JoinOptions = {}): { classic: Classic; consumer: Consumer } {
    const classic = classicGroup(w, options)
    const consumer = new Consumer(w, 'new').join()
    classic.follow()
    consumer.beat().beat()
    classic.follow()
    return { classic, consumer }
  }

  it('becomes a classic one when the last one that is not leaves', async () => {
    const w = world()
    const { classic, consumer } = mixed(w)
    commit(
      w,
      { 'orders/1': 3 },
      { memberId: classic.memberId, generationIdOrMemberEpoch: classic.generationId },
    )
    expect(consumer.leave()).toBe(0)
    expect(kindOf(w)).toMatchObject({ groupType: 'classic', groupState: 'PreparingRebalance' })
    expect(classic.beat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    classic.join()
    expect(classic.generationId).toBe(3)
    expect(committed(w)).toEqual({ 'orders/1': 3 })
    expect(kindOf(world({ log: w.log }))).toMatchObject({ groupType: 'classic', groupState: 'Stable' })
  })

  it('does so too when the last one expires', () => {
    const w = world()
    const { classic } = mixed(w)
    for (let i = 0; i < 10; i++) {
      w.time.advance(5_000)
      classic.beat()
    }
    expect(kindOf(w).groupType).toBe('classic')
  })

  it('does not where the policy forbids it', () => {
    const w = world({ config: { consumerGroupMigrationPolicy: 'upgrade' } })
    const { classic, consumer } = mixed(w)
    consumer.leave()
    expect(kindOf(w).groupType).toBe('consumer')
    classic.follow()
    expect(classic.owned.orders).toHaveLength(4)
  })

  it('becomes a classic one when the last static member comes back as one', () => {
    const w = world()
    const classic = classicGroup(w, { groupInstanceId: 'i-1' })
    const consumer = new Consumer(w, 'new', { instanceId: 'i-2' }).join()
    classic.follow()
    consumer.beat().beat()
    classic.follow()
    const back = new Classic(w, { groupInstanceId: 'i-2' }).join()
    expect(kindOf(w)).toMatchObject({ groupType: 'classic', groupState: 'Stable' })
    const assignment = readAssignment(back.sync().assignment)!.assignedPartitions
    expect(assignment).toEqual([{ topic: 'orders', partitions: consumer.owned.orders }])
    expect(classic.beat()).toBe(0)
  })

  it('hears of a classic member that joins by the epoch, and lets it go by LeaveGroup', () => {
    const w = world()
    const { classic, consumer } = mixed(w)
    const third = new Classic(w).join()
    expect(describeGroup(w).members).toHaveLength(3)
    expect(third.sync().errorCode).toBe(0)
    expect(leave(w, third.memberId)).toBe(0)
    expect(leave(w, 'nobody')).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(leave(w, 'new')).toBe(0)
    expect(kindOf(w).groupType).toBe('classic')
    // It has not followed the third one's coming and going.
    expect(classic.beat()).toBe(ErrorCode.ILLEGAL_GENERATION)
    classic.join()
    expect(consumer.beat().lastError).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  })

  it('refuses what is not of a classic member, of another generation, or of another protocol', () => {
    const w = world()
    const { classic } = mixed(w)
    const { memberId, generationId } = classic
    expect(heartbeat(w, { memberId: 'new', generationId: 2 })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(heartbeat(w, { memberId, generationId: 1 })).toBe(ErrorCode.ILLEGAL_GENERATION)
    expect(sync(w, { memberId: 'new', generationId: 2 }).now.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    const other = { memberId, generationId, protocolName: 'sticky' }
    expect(sync(w, other).now.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    expect(join(w, { protocolType: 'connect' }).now.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    const protocols = [{ name: 'unheard', metadata: subscription('orders') }]
    expect(join(w, { protocols }).now.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  })

  it('puts a classic member out that does not join again, or does not sync, in time', () => {
    const w = world()
    const { classic, consumer } = mixed(w, { rebalanceTimeoutMs: 10_000, sessionTimeoutMs: 60_000 })
    new Consumer(w, 'third').join()
    for (let i = 0; i < 3; i++) {
      classic.beat()
      w.time.advance(5_000)
      consumer.beat()
    }
    expect(classic.beat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    const late = new Classic(w, { rebalanceTimeoutMs: 10_000, sessionTimeoutMs: 60_000 }).join()
    w.time.advance(10_001)
    expect(late.beat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })
})

describe('offsets of consumer groups', () => {
  const partitionError = (w: World, options: object, version = 9) => {
    const topics = [
      {
        name: 'orders',
        partitions: [
          {
            partitionIndex: 0,
            committedOffset: 5,
            committedLeaderEpoch: -1,
            commitTimestamp: -1,
            committedMetadata: '',
          },
        ],
      },
    ]
    const request = {
      groupId: GROUP,
      memberId: '',
      groupInstanceId: null,
      generationIdOrMemberEpoch: -1,
      retentionTimeMs: -1,
      topics,
      ...options,
    }
    const answer = w.groups.offsetCommit(request, version)
    return answer instanceof Promise ? null : answer.topics[0].partitions[0].errorCode
  }

  it('are committed by members with their epoch, in version 9', () => {
    const w = world()
    joinAs(w, 'a')
    expect(partitionError(w, { memberId: 'a', generationIdOrMemberEpoch: 1 })).toBe(0)
    expect(partitionError(w, { memberId: 'a', generationIdOrMemberEpoch: 2 })).toBe(
      ErrorCode.STALE_MEMBER_EPOCH,
    )
    expect(partitionError(w, { memberId: 'b', generationIdOrMemberEpoch: 1 })).toBe(
      ErrorCode.UNKNOWN_MEMBER_ID,
    )
    expect(partitionError(w, {})).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(partitionError(w, { memberId: 'a', generationIdOrMemberEpoch: 1 }, 8)).toBe(
      ErrorCode.UNSUPPORTED_VERSION,
    )
    expect(committed(w)).toEqual({ 'orders/0': 5 })
  })

  it('are committed by anybody who is no member where there is none', () => {
    const w = world()
    new Consumer(w, 'a').join().leave()
    expect(partitionError(w, {})).toBe(0)
  })

  it('are fetched by members with their epoch, and by whoever is none', () => {
    const w = world()
    joinAs(w, 'a')
    const fetched = (memberId: string | null, memberEpoch: number) =>
      w.groups.fetchOffsets(GROUP, null, false, { memberId, memberEpoch }).errorCode
    expect(fetched(null, -1)).toBe(0)
    expect(fetched('a', 1)).toBe(0)
    expect(fetched('a', 0)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
    expect(fetched('b', 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('of subscribed topics are kept, others expire, and an empty group goes with its last one', () => {
    const w = world({ config: { offsetsRetentionMs: 1_000_000 } })
    const a = new Consumer(w, 'a', { subscribedTopicNames: ['orders'] }).join()
    for (const name of ['orders/0', 'clicks/0'])
      commit(w, { [name]: 1 }, { memberId: 'a', generationIdOrMemberEpoch: 1 })
    for (let i = 0; i < 320; i++) {
      w.time.advance(5_000)
      a.beat()
    }
    expect(committed(w)).toEqual({ 'orders/0': 1 })
    a.leave()
    w.time.advance(2_000_000)
    expect(w.groups.listGroups([], []).groups).toEqual([])
    expect(world({ log: w.log }).groups.listGroups([], []).groups).toEqual([])
  })

  it('are not deleted while their topic is subscribed to; the group not while it has members', async () => {
    const w = world()
    const a = new Consumer(w, 'a').join()
    commit(w, { 'orders/0': 1, 'clicks/0': 1 }, { memberId: 'a', generationIdOrMemberEpoch: 1 })
    const topics = ['orders', 'clicks'].map((name) => ({ name, partitions: [{ partitionIndex: 0 }] }))
    const { topics: answers } = await w.groups.offsetDelete({ groupId: GROUP, topics })
    expect(answers.map(({ partitions }) => partitions[0].errorCode)).toEqual([
      ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
      0,
    ])
    expect(w.groups.deleteGroup(GROUP)).toBe(ErrorCode.NON_EMPTY_GROUP)
    a.leave()
    expect(w.groups.deleteGroup(GROUP)).toBe(0)
    expect(w.groups.listGroups([], []).groups).toEqual([])
    expect(world({ log: w.log }).groups.listGroups([], []).groups).toEqual([])
  })
})

describe('what is told of groups', () => {
  it('lists them by kind and state', () => {
    const w = world()
    classicGroup(w, { groupId: 'old' })
    joinAs(w, 'a')
    const list = (states: string[], types: string[]) =>
      w.groups.listGroups(states, types).groups.map(({ groupId }) => groupId)
    expect(list([], [])).toEqual(['old', GROUP])
    expect(list([], ['Consumer'])).toEqual([GROUP])
    expect(list([], ['classic'])).toEqual(['old'])
    expect(list(['stable'], ['consumer'])).toEqual([GROUP])
    expect(list(['Reconciling'], [])).toEqual([])
  })

  it('describes a consumer group to those who ask for it, and as no group to DescribeGroups', () => {
    const w = world()
    joinAs(w, 'a', { rackId: 'r1' })
    expect(w.groups.describeGroup(GROUP)).toMatchObject({ groupState: 'Dead', errorCode: 0 })
    const partitions = [{ topicId: expect.any(String), topicName: 'orders', partitions: [0, 1, 2, 3] }]
    expect(describeGroup(w).members).toEqual([
      {
        memberId: 'a',
        instanceId: null,
        rackId: 'r1',
        memberEpoch: 1,
        clientId: 'app',
        clientHost: '/127.0.0.1',
        subscribedTopicNames: ['orders'],
        subscribedTopicRegex: '',
        assignment: { topicPartitions: partitions },
        targetAssignment: { topicPartitions: partitions },
        memberType: 1,
      },
    ])
    expect(w.groups.describeConsumerGroup('')).toMatchObject({ errorCode: ErrorCode.INVALID_GROUP_ID })
    expect(w.groups.describeConsumerGroup('x')).toMatchObject({ errorCode: ErrorCode.GROUP_ID_NOT_FOUND })
    expect(send(w, { memberId: 'a', memberEpoch: 1 }).now.errorCode).toBe(0)
  })
})
