import { describe, expect, it } from 'vitest'
import { decodeRecord } from '../../../src/coordinator/groups/records.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { GROUP } from '../client.ts'
import { settled, world } from '../world.ts'
import type { World } from '../world.ts'
import { Consumer, joinAs, joinRequest, send, settle, shares, told } from './heartbeats.ts'

const describeGroup = (w: World) => w.groups.describeConsumerGroup(GROUP)
const recordTypes = (w: World) =>
  w.log.records().map(({ key, value }) => {
    const record = decodeRecord(key!, value)
    return `${record?.type}${value === null ? ' -' : ''}`
  })

describe('ConsumerGroupHeartbeat', () => {
  it('of the first member gives it all partitions with epoch 1', () => {
    const w = world()
    const response = joinAs(w, 'm').now
    expect(response).toMatchObject({ errorCode: 0, memberId: 'm', memberEpoch: 1, heartbeatIntervalMs: 5000 })
    expect(told(response)).toEqual({ orders: [0, 1, 2, 3] })
    expect(recordTypes(w)).toEqual([
      'consumer-member',
      'consumer-group',
      'consumer-target',
      'consumer-target-epoch',
      'consumer-current',
    ])
    expect(describeGroup(w)).toMatchObject({
      groupState: 'Stable',
      groupEpoch: 1,
      assignmentEpoch: 1,
      assignorName: 'uniform',
    })
  })

  it('that says nothing new is answered without an assignment and stores nothing', () => {
    const w = world()
    const m = new Consumer(w, 'm').join().beat()
    const stored = w.log.records().length
    const response = send(w, { memberId: 'm', memberEpoch: m.epoch }).now
    expect(response).toMatchObject({ errorCode: 0, memberEpoch: 1, assignment: null })
    expect(w.log.records()).toHaveLength(stored)
  })

  it('shares partitions anew when somebody joins: first they are given back, then they are taken', () => {
    const w = world()
    const a = new Consumer(w, 'a').join().beat()
    const b = new Consumer(w, 'b').join()
    expect(b.partitions).toEqual([])
    expect(b.epoch).toBe(2)
    expect(describeGroup(w).groupState).toBe('Reconciling')
    a.beat()
    expect(a.partitions).toHaveLength(2)
    expect(a.epoch).toBe(1)
    b.beat()
    expect(b.partitions).toEqual([])
    // Now it says that it has given them back.
    a.beat()
    expect(a.epoch).toBe(2)
    b.beat()
    expect([...a.partitions, ...b.partitions].sort()).toEqual([
      'orders/0',
      'orders/1',
      'orders/2',
      'orders/3',
    ])
    expect(describeGroup(w).groupState).toBe('Stable')
  })

  it('tells a member that says all of itself its assignment again: the reply may have been lost', () => {
    const w = world()
    new Consumer(w, 'm').join().beat()
    const all = joinRequest('m', { memberEpoch: 1, owned: { orders: [0, 1, 2, 3] } })
    expect(told(send(w, all).now)).toEqual({ orders: [0, 1, 2, 3] })
  })

  it('gives the partitions of one that leaves to the others', () => {
    const w = world()
    const members = ['a', 'b', 'c'].map((id) => new Consumer(w, id).join())
    settle(members)
    expect(members[1].leave()).toBe(0)
    settle([members[0], members[2]])
    expect(Object.values(shares(members)).flat().sort()).toEqual([
      'orders/0',
      'orders/1',
      'orders/2',
      'orders/3',
    ])
    expect(describeGroup(w).members.map(({ memberId }) => memberId)).toEqual(['a', 'c'])
  })

  it('follows a change of subscription, of partitions and of topics', () => {
    const w = world()
    const m = new Consumer(w, 'm', { subscribedTopicNames: ['orders', 'later'] }).join().beat()
    w.topics.set('orders', 6)
    w.groups.consumers.onTopicsChanged(new Set(['orders']), false)
    m.beat()
    expect(m.epoch).toBe(2)
    expect(m.owned).toEqual({ orders: [0, 1, 2, 3, 4, 5] })
    w.topics.set('later', 1)
    w.groups.consumers.onTopicsChanged(new Set(['later']), false)
    m.beat()
    expect(m.owned).toEqual({ orders: [0, 1, 2, 3, 4, 5], later: [0] })
    w.topics.delete('orders')
    w.groups.consumers.onTopicsChanged(new Set(['orders']), false)
    m.beat().beat()
    expect(m.owned).toEqual({ later: [0] })
    const next = send(w, {
      memberId: 'm',
      memberEpoch: m.epoch,
      subscribedTopicNames: ['clicks'],
      owned: m.owned,
    }).now
    m.take(next)
    m.beat().beat()
    expect(m.owned).toEqual({ clicks: [0, 1, 2, 3] })
  })

  it('does not begin an epoch where metadata has changed in nothing that counts', () => {
    const w = world()
    const m = new Consumer(w, 'm').join().beat()
    w.groups.consumers.onTopicsChanged(new Set(['orders']), true)
    expect(m.beat().epoch).toBe(1)
  })

  it('goes by the assignor that most members ask for', () => {
    const w = world()
    const members = ['a', 'b'].map((id) => new Consumer(w, id, { serverAssignor: 'range' }).join())
    settle(members)
    expect(describeGroup(w).assignorName).toBe('range')
    expect(members[0].owned).toEqual({ orders: [0, 1] })
    expect(members[1].owned).toEqual({ orders: [2, 3] })
  })

  it('of version 0 without a member id gets one from the coordinator', () => {
    const w = world()
    expect(send(w, joinRequest('', { version: 0 })).now.memberId).toHaveLength(36)
  })

  describe('is refused', () => {
    const errors = (options: Parameters<typeof send>[1], w = world()) => send(w, options).now.errorCode

    it.each([
      ['without a member id in version 1', joinRequest('')],
      ['with a group id of blanks', joinRequest('m', { groupId: ' ' })],
      ['with an empty instance id', joinRequest('m', { instanceId: '' })],
      ['with an empty rack', joinRequest('m', { rackId: '' })],
      ['joining without a rebalance timeout', joinRequest('m', { rebalanceTimeoutMs: -1 })],
      ['joining with partitions', joinRequest('m', { owned: { orders: [0] } })],
      ['joining without saying that it has none', joinRequest('m', { owned: null })],
      ['joining without a subscription', joinRequest('m', { subscribedTopicNames: null })],
      ['leaving for a while without an instance id', { memberId: 'm', memberEpoch: -2 }],
      ['with an epoch that there is not', { memberId: 'm', memberEpoch: -3 }],
    ])('%s', (_what, options) => {
      expect(errors(options)).toBe(ErrorCode.INVALID_REQUEST)
    })

    it('with an assignor that is not served', () => {
      const response = send(world(), joinRequest('m', { serverAssignor: 'sticky' })).now
      expect(response).toMatchObject({
        errorCode: ErrorCode.UNSUPPORTED_ASSIGNOR,
        errorMessage: 'ServerAssignor sticky is not supported. Supported assignors: uniform, range.',
      })
    })

    it('of a group that is not there, or of a member that is not there', () => {
      const w = world()
      expect(errors({ memberId: 'm', memberEpoch: 3 }, w)).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
      expect(errors({ memberId: 'm', memberEpoch: -1 }, w)).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
      joinAs(w, 'a')
      expect(errors({ memberId: 'm', memberEpoch: 1 }, w)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
      expect(errors({ memberId: 'm', memberEpoch: -1 }, w)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
      expect(errors({ memberId: 'a', memberEpoch: 1, instanceId: 'i' }, w)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    })

    it('with an epoch that is not its own', () => {
      const w = world()
      joinAs(w, 'a')
      expect(errors({ memberId: 'a', memberEpoch: 2 }, w)).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
      joinAs(w, 'b')
      settle([new Consumer(w, 'b')])
      const a = new Consumer(w, 'a')
      a.epoch = 1
      a.beat().beat()
      expect(a.epoch).toBe(2)
      // The reply may have been lost: the epoch before is let in as long as it has nothing that it has not.
      const before = { memberId: 'a', memberEpoch: 1 }
      expect(errors({ ...before, owned: a.owned }, w)).toBe(0)
      expect(errors({ ...before, owned: { orders: [0, 1, 2, 3] } }, w)).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
      expect(errors(before, w)).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    })

    it('where the group is full, except for who is in it', () => {
      const w = world({ config: { consumerGroupMaxSize: 1 } })
      joinAs(w, 'a')
      expect(joinAs(w, 'b').now.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
      expect(joinAs(w, 'a').now.errorCode).toBe(0)
    })

    it('where the protocol is not served', () => {
      const w = world({ config: { rebalanceProtocols: ['classic'] } })
      expect(joinAs(w, 'a').now.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION)
    })

    it('by a broker that does not coordinate the group', () => {
      const w = world({ elect: false })
      expect(joinAs(w, 'a').now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    })
  })
})

describe('deadlines', () => {
  it('a member that is silent for its session is gone, and the others get what it had', () => {
    const w = world()
    const [a, b] = ['a', 'b'].map((id) => new Consumer(w, id).join())
    settle([a, b])
    for (let i = 0; i < 12; i++) {
      w.time.advance(5_000)
      b.beat()
    }
    expect(b.partitions).toHaveLength(4)
    expect(describeGroup(w).members.map(({ memberId }) => memberId)).toEqual(['b'])
    a.beat()
    expect(a.lastError).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  it('a group may have times of its own, which its members are told, and have at the coordinator', () => {
    const settings = { consumerSessionTimeoutMs: 20_000, consumerHeartbeatIntervalMs: 7_000 }
    let own: typeof settings | undefined = settings
    const w = world({ config: { ofGroup: (groupId) => (groupId === GROUP ? own : undefined) } })
    expect(joinAs(w, 'a').now.heartbeatIntervalMs).toBe(7_000)
    expect(joinAs(w, 'b', { groupId: 'others' }).now.heartbeatIntervalMs).toBe(5_000)
    w.time.advance(20_000)
    expect(describeGroup(w).members).toEqual([])
    expect(w.groups.describeConsumerGroup('others').members).toHaveLength(1)
    const again = joinAs(w, 'a').now
    own = undefined
    const { heartbeatIntervalMs } = send(w, { memberId: 'a', memberEpoch: again.memberEpoch }).now
    expect(heartbeatIntervalMs).toBe(5_000)
    w.time.advance(44_000)
    expect(describeGroup(w).members).toHaveLength(1)
    w.time.advance(1_000)
    expect(describeGroup(w).members).toEqual([])
  })

  it('a group that is loaded has its own session, too', () => {
    const first = world()
    joinAs(first, 'a')
    const config = { ofGroup: () => ({ consumerSessionTimeoutMs: 20_000 }) }
    const w = world({ log: first.log, time: first.time, config })
    w.time.advance(19_000)
    expect(describeGroup(w).members).toHaveLength(1)
    w.time.advance(1_000)
    expect(describeGroup(w).members).toEqual([])
  })

  it('a member that does not give back within its rebalance timeout is gone, though it is not silent', () => {
    const w = world()
    const a = new Consumer(w, 'a', { rebalanceTimeoutMs: 20_000 }).join().beat()
    const b = new Consumer(w, 'b').join()
    a.beat()
    for (let i = 0; i < 5; i++) {
      w.time.advance(5_000)
      // It still has everything.
      send(w, { memberId: 'a', memberEpoch: 1, owned: { orders: [0, 1, 2, 3] } })
      b.beat()
    }
    expect(b.partitions).toHaveLength(4)
    expect(describeGroup(w).members).toHaveLength(1)
  })

  it('begin anew with a new coordinator', () => {
    const w = world()
    const a = new Consumer(w, 'a').join().beat()
    w.time.advance(30_000)
    const next = world({ log: w.log, time: w.time })
    next.time.advance(30_000)
    expect(send(next, { memberId: 'a', memberEpoch: a.epoch }).now.errorCode).toBe(0)
    next.time.advance(45_001)
    expect(next.groups.describeConsumerGroup(GROUP).groupState).toBe('Empty')
  })
})

describe('static members', () => {
  const instance = (id: string) => ({ instanceId: id })

  it('that leave for a while come back under a new id to what they had, without a new epoch', () => {
    const w = world()
    const [a, b] = ['a', 'b'].map((id) => new Consumer(w, id, instance(`instance-${id}`)).join())
    settle([a, b])
    const had = a.partitions
    expect(a.leave(-2)).toBe(0)
    const { groupEpoch } = describeGroup(w)
    const again = new Consumer(w, 'a-again', instance('instance-a')).join()
    expect(again.partitions).toEqual(had)
    expect(describeGroup(w).groupEpoch).toBe(groupEpoch)
    expect(
      describeGroup(w)
        .members.map(({ memberId }) => memberId)
        .sort(),
    ).toEqual(['a-again', 'b'])
    // The old one is fenced.
    expect(send(w, { memberId: 'a', memberEpoch: 2, instanceId: 'instance-a' }).now.errorCode).toBe(
      ErrorCode.FENCED_INSTANCE_ID,
    )
  })

  it('that have not left hold their instance id', () => {
    const w = world()
    new Consumer(w, 'a', instance('i')).join()
    expect(joinAs(w, 'other', instance('i')).now.errorCode).toBe(ErrorCode.UNRELEASED_INSTANCE_ID)
  })

  it('that are away keep what they had: a newcomer gets nothing of it before they are back, or their session ends', () => {
    const w = world()
    const a = new Consumer(w, 'a', instance('a')).join()
    settle([a])
    expect(a.partitions).toHaveLength(4)
    a.leave(-2)
    const b = new Consumer(w, 'b').join()
    settle([b])
    expect(b.partitions).toEqual([])
    const again = new Consumer(w, 'a-again', instance('a')).join()
    expect(again.partitions).toHaveLength(2)
    settle([again, b])
    expect([...again.partitions, ...b.partitions].sort()).toEqual([
      'orders/0',
      'orders/1',
      'orders/2',
      'orders/3',
    ])
    again.leave(-2)
    for (let i = 0; i < 11; i++) {
      w.time.advance(5_000)
      b.beat()
    }
    expect(b.partitions).toHaveLength(4)
  })

  it('that do not come back within their session lose what they had', () => {
    const w = world()
    const [a, b] = ['a', 'b'].map((id) => new Consumer(w, id, instance(id)).join())
    settle([a, b])
    a.leave(-2)
    for (let i = 0; i < 11; i++) {
      w.time.advance(5_000)
      b.beat()
    }
    expect(b.partitions).toHaveLength(4)
  })

  it('that leave for good are gone at once', () => {
    const w = world()
    const a = new Consumer(w, 'a', instance('i')).join()
    expect(a.leave()).toBe(0)
    expect(describeGroup(w)).toMatchObject({ groupState: 'Empty', members: [] })
    expect(joinAs(w, 'b', instance('i')).now.errorCode).toBe(0)
  })
})

describe('what is stored', () => {
  it('makes the same group when it is loaded', () => {
    const w = world()
    const members = ['a', 'b', 'c'].map((id) =>
      new Consumer(w, id, { instanceId: `i-${id}`, rackId: 'r' }).join(),
    )
    settle(members)
    members[1].leave(-2)
    const loaded = world({ log: w.log })
    expect(loaded.groups.describeConsumerGroup(GROUP)).toEqual(describeGroup(w))
  })

  it('is waited for: nobody is answered, and nobody decided upon, before it is committed', async () => {
    const w = world()
    w.log.late = true
    const a = joinAs(w, 'a')
    const b = joinAs(w, 'b')
    await settled()
    expect(a.isWaiting && b.isWaiting).toBe(true)
    expect(w.log.waiting).toHaveLength(1)
    expect(describeGroup(w).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    await w.log.commitNext()
    expect(a.now.memberEpoch).toBe(1)
    expect(b.isWaiting).toBe(true)
    await w.log.commitNext()
    expect(b.now.memberEpoch).toBe(2)
  })

  it('and not known to be committed in time counts all the same: the log has it', async () => {
    const w = world()
    w.log.late = true
    const a = joinAs(w, 'a')
    await w.log.commitNext(ErrorCode.REQUEST_TIMED_OUT)
    expect(a.now.errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect(describeGroup(w).members).toHaveLength(1)
    w.log.late = false
    expect(joinAs(w, 'a').now).toMatchObject({ errorCode: 0, memberEpoch: 1 })
  })

  it('or is not taken by the log at all changes nothing', () => {
    const w = world()
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    expect(joinAs(w, 'a').now.errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    w.log.appendError = 0
    expect(describeGroup(w).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(joinAs(w, 'a').now.errorCode).toBe(0)
  })

  it('is not waited for by more requests than the limit', async () => {
    const w = world({ config: { maxWaitingRequests: 1 } })
    w.log.late = true
    const first = joinAs(w, 'a')
    const second = joinAs(w, 'b')
    const third = joinAs(w, 'c')
    expect(third.now.errorCode).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    w.groups.onResigned(0)
    await w.log.commitNext()
    await settled()
    expect(first.now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
    expect(second.now.errorCode).toBe(ErrorCode.NOT_COORDINATOR)
  })

  it('of a member that expired is tried again when the log refuses it', () => {
    const w = world()
    new Consumer(w, 'a').join()
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    w.time.advance(46_000)
    expect(describeGroup(w).members).toHaveLength(1)
    w.log.appendError = 0
    w.time.advance(1_000)
    expect(describeGroup(w).members).toHaveLength(0)
  })
})
