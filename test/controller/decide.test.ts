import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignReplicas } from '../../src/controller/decide/assign-replicas.ts'
import { decideLeadership } from '../../src/controller/decide/offline-replicas.ts'
import { decideNewPartition } from '../../src/controller/decide/new-partition.ts'

const START = { firstPartition: 0, startIndex: 0, startShift: 0 }
const brokers = (...ids: number[]) => ids.map((id) => ({ id, rack: null }))

test('replicas go round the brokers, followers one place further each round, as in Kafka', () => {
  const placed = assignReplicas({
    ...START,
    brokers: brokers(0, 1, 2, 3, 4),
    partitions: 10,
    replicationFactor: 3,
  })
  expect(placed).toEqual([
    [0, 1, 2],
    [1, 2, 3],
    [2, 3, 4],
    [3, 4, 0],
    [4, 0, 1],
    [0, 2, 3],
    [1, 3, 4],
    [2, 4, 0],
    [3, 0, 1],
    [4, 1, 2],
  ])
})

test('with racks every rack gets a replica first, as in Kafka', () => {
  const racks = ['rack1', 'rack3', 'rack3', 'rack2', 'rack2', 'rack1']
  const placed = assignReplicas({
    ...START,
    brokers: racks.map((rack, id) => ({ id, rack })),
    partitions: 7,
    replicationFactor: 3,
  })
  expect(placed).toEqual([
    [0, 3, 1],
    [3, 1, 5],
    [1, 5, 4],
    [5, 4, 2],
    [4, 2, 0],
    [2, 0, 3],
    [0, 4, 2],
  ])
})

test('any placement gives each partition different brokers and each broker its share of leaders', () => {
  const request = fc
    .record({
      count: fc.integer({ min: 1, max: 9 }),
      racks: fc.constantFrom(0, 1, 2, 3),
      partitions: fc.integer({ min: 1, max: 40 }),
      firstPartition: fc.integer({ min: 0, max: 20 }),
      startIndex: fc.nat(8),
      startShift: fc.nat(8),
    })
    .chain((shape) =>
      fc.record({ shape: fc.constant(shape), replicationFactor: fc.integer({ min: 1, max: shape.count }) }),
    )
  fc.assert(
    fc.property(request, ({ shape: { count, racks, ...rest }, replicationFactor }) => {
      const placedBrokers = Array.from({ length: count }, (_, i) => {
        return { id: i * 10, rack: racks === 0 ? null : `r${i % racks}` }
      })
      const placed = assignReplicas({ ...rest, brokers: placedBrokers, replicationFactor })
      expect(placed.length).toBe(rest.partitions)
      for (const replicas of placed) {
        expect(new Set(replicas).size).toBe(replicationFactor)
        const rackOf = new Map(placedBrokers.map(({ id, rack }) => [id, rack]))
        const used = new Set(replicas.map((id) => rackOf.get(id)))
        if (racks > 0) expect(used.size).toBe(Math.min(replicationFactor, Math.min(racks, count)))
      }
      const leaders = new Map<number, number>()
      for (const [leader] of placed) leaders.set(leader, (leaders.get(leader) ?? 0) + 1)
      const counts = placedBrokers.map(({ id }) => leaders.get(id) ?? 0)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
    }),
  )
})

test('the first live replica leads a new partition and all live ones are in sync', () => {
  expect(decideNewPartition([3, 1, 2], new Set([1, 2]), 7)).toEqual({
    leader: 1,
    leaderEpoch: 0,
    isr: [1, 2],
    controllerEpoch: 7,
    recovering: false,
  })
  expect(decideNewPartition([3], new Set([1]), 7)).toBeNull()
})

describe('when replicas are not online', () => {
  const current = { leader: 1, leaderEpoch: 4, isr: [1, 2, 3], controllerEpoch: 1, recovering: false }
  const decide = (isr: number[], replicas: number[], online: number[], leader = 1) =>
    decideLeadership(
      { ...current, isr, leader },
      { assigned: replicas, isOnline: (id) => online.includes(id), allowsUnclean: false },
      7,
    )

  test('the first assigned replica that is in sync leads instead of a leader that is lost', () => {
    expect(decide([1, 2, 3], [1, 3, 2], [2, 3])).toMatchObject({ leader: 3, isr: [2, 3], leaderEpoch: 5 })
    expect(decide([1, 2], [1, 3, 2], [2, 3])).toMatchObject({ leader: 2, isr: [2], controllerEpoch: 7 })
  })

  test('a follower that is lost leaves the in-sync set', () => {
    expect(decide([1, 2, 3], [1, 2, 3], [1, 3])).toMatchObject({ leader: 1, isr: [1, 3], leaderEpoch: 5 })
  })

  test('nobody leads without an in-sync replica, and the set stays', () => {
    expect(decide([1], [1, 2], [2])).toMatchObject({ leader: -1, isr: [1], leaderEpoch: 5 })
    expect(decide([1], [1, 2], [2], -1)).toBeNull()
    expect(decide([1], [1, 2], [1, 2], -1)).toMatchObject({ leader: 1, isr: [1], leaderEpoch: 5 })
  })

  test('nothing changes where nothing is lost', () => {
    expect(decide([1, 2], [1, 2, 3], [1, 2])).toBeNull()
  })
})
