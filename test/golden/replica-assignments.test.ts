/** Where replicas of new partitions go, with and without racks, against Kafka's AdminUtils (generate.sh). */
import { expect, test } from 'vitest'
import { assignReplicas } from '../../src/controller/decide/assign-replicas.ts'
import { readGolden } from './golden-data.ts'

interface Placement {
  /** A letter for each broker's rack, '-' where none has one. Broker ids are 0, 3, 6, ... */
  racks: string
  replicationFactor: number
  start: number
  firstPartition: number
  replicas: number[][]
}

const placements = readGolden<Placement[]>('replica-assignments.json')!

test.each([...new Set(placements.map(({ racks }) => racks))])(
  'on brokers in the racks %s replicas are placed as Kafka places them',
  (cluster) => {
    const brokers = [...cluster].map((rack, i) => ({ id: i * 3, rack: rack === '-' ? null : `rack-${rack}` }))
    const cases = placements.filter(({ racks }) => racks === cluster)
    expect(cases.length).toBeGreaterThan(0)
    for (const { replicationFactor, start, firstPartition, replicas } of cases) {
      const placed = assignReplicas({
        brokers,
        partitions: replicas.length,
        replicationFactor,
        firstPartition,
        startIndex: start,
        startShift: start,
      })
      expect(placed, `${replicationFactor} replicas from ${start}, partition ${firstPartition}`).toEqual(
        replicas,
      )
    }
  },
)
