import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignReplicas } from '../../src/controller/decide/assign-replicas.ts'

/** Racks of the same size, each with `perRack` brokers, ids mixed among the racks. */
const evenCluster = fc
  .record({ racks: fc.integer({ min: 1, max: 5 }), perRack: fc.integer({ min: 1, max: 4 }) })
  .chain(({ racks, perRack }) => {
    const places = Array.from({ length: racks * perRack }, (_, i) => `rack-${i % racks}`)
    return fc.record({
      racks: fc.constant(racks),
      brokers: fc
        .shuffledSubarray(places, { minLength: places.length })
        .map((shuffled) => shuffled.map((rack, id) => ({ id, rack }))),
      replicationFactor: fc.integer({ min: 1, max: racks }),
      startIndex: fc.nat(20),
      startShift: fc.nat(20),
    })
  })

test('with racks of one size no two replicas share a rack, and every rack has its share of replicas', () => {
  fc.assert(
    fc.property(evenCluster, ({ racks, brokers, replicationFactor, startIndex, startShift }) => {
      const partitions = brokers.length
      const request = { brokers, partitions, replicationFactor, firstPartition: 0, startIndex, startShift }
      const rackOf = new Map(brokers.map(({ id, rack }) => [id, rack]))
      const replicasIn = new Map<string, number>()
      for (const replicas of assignReplicas(request)) {
        const used = replicas.map((id) => rackOf.get(id)!)
        expect(new Set(used).size).toBe(replicationFactor)
        for (const rack of used) replicasIn.set(rack, (replicasIn.get(rack) ?? 0) + 1)
      }
      const counts = Array.from({ length: racks }, (_, i) => replicasIn.get(`rack-${i}`) ?? 0)
      expect(Math.max(...counts)).toBe(Math.min(...counts))
    }),
  )
})

test('with as many replicas as racks every broker has as many of them as any other, and leads as many partitions', () => {
  fc.assert(
    fc.property(evenCluster, ({ racks, brokers, startIndex, startShift }) => {
      const partitions = brokers.length
      const placed = assignReplicas({
        brokers,
        partitions,
        replicationFactor: racks,
        firstPartition: 0,
        startIndex,
        startShift,
      })
      for (const { id } of brokers) {
        expect(placed.filter((replicas) => replicas.includes(id)).length).toBe(racks)
        expect(placed.filter(([leader]) => leader === id).length).toBe(1)
      }
    }),
  )
})

test('racks of unequal size share the leaders evenly, and each has a replica of every partition that has enough', () => {
  const racks = ['a', 'a', 'a', 'b', 'b', 'c']
  const brokers = racks.map((rack, id) => ({ id, rack }))
  const placed = assignReplicas({
    brokers,
    partitions: 12,
    replicationFactor: 3,
    firstPartition: 0,
    startIndex: 2,
    startShift: 4,
  })
  for (const replicas of placed) expect(replicas.map((id) => racks[id]).sort()).toEqual(['a', 'b', 'c'])
  for (const { id } of brokers) expect(placed.filter(([leader]) => leader === id).length).toBe(2)
})
