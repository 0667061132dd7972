import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideRebalance } from '../../src/controller/decide/imbalance.ts'
import type { BalancedPartition } from '../../src/controller/decide/imbalance.ts'

const always = () => true
/** Ten partitions that broker 1 is to lead; `elsewhere` of them are led by broker 2. */
const tenPartitions = (elsewhere: number): BalancedPartition[] =>
  Array.from({ length: 10 }, (_, i) => ({ replicas: [1, 2], leader: i < elsewhere ? 2 : 1, isr: [1, 2] }))

test('a broker gets its partitions back when others lead more of them than the share that is tolerated', () => {
  const two = tenPartitions(2)
  expect(decideRebalance(two, 10, always)).toEqual([two[0], two[1]])
  expect(decideRebalance(tenPartitions(1), 10, always)).toEqual([])
  const one = tenPartitions(1)
  expect(decideRebalance(one, 9, always)).toEqual([one[0]])
  expect(decideRebalance(tenPartitions(0), 0, always)).toEqual([])
})

test('a partition without a leader counts as led by another, one whose state was never written does not', () => {
  const leaderless = { replicas: [1, 2], leader: -1, isr: [1] }
  expect(decideRebalance([leaderless], 10, always)).toEqual([leaderless])
  expect(decideRebalance([{ replicas: [1, 2], leader: null, isr: [] }], 10, always)).toEqual([])
})

test('only what the preferred replica can lead is elected: it is in sync and online there', () => {
  const partitions = [
    { replicas: [1, 2], leader: 2, isr: [2] },
    { replicas: [1, 2], leader: 2, isr: [1, 2] },
    { replicas: [1, 3], leader: 3, isr: [1, 3] },
  ]
  expect(decideRebalance(partitions, 10, (_, partition) => partition !== partitions[1])).toEqual([
    partitions[2],
  ])
})

test('each broker is looked at alone', () => {
  const calm = Array.from({ length: 20 }, (_, i) => ({
    replicas: [1, 2],
    leader: i === 0 ? 2 : 1,
    isr: [1, 2],
  }))
  const wild = { replicas: [3, 1], leader: 1, isr: [1, 3] }
  expect(decideRebalance([...calm, wild], 10, always)).toEqual([wild])
})

test('when all that is decided is done, whatever is still tolerated is tolerated, and nothing more is decided', () => {
  const partition = fc.record({
    replicas: fc.shuffledSubarray([1, 2, 3], { minLength: 1 }),
    leader: fc.constantFrom(-1, 1, 2, 3),
    isr: fc.constant([1, 2, 3]),
  })
  fc.assert(
    fc.property(
      fc.array(partition, { maxLength: 30 }),
      fc.integer({ min: 0, max: 100 }),
      (partitions, share) => {
        const elected = new Set(decideRebalance(partitions, share, always))
        const after = partitions.map((one) => (elected.has(one) ? { ...one, leader: one.replicas[0] } : one))
        expect(decideRebalance(after, share, always)).toEqual([])
        for (const broker of [1, 2, 3]) {
          const own = after.filter(({ replicas }) => replicas[0] === broker)
          const lost = own.filter(({ leader }) => leader !== broker)
          expect(lost.length * 100).toBeLessThanOrEqual(share * own.length)
        }
      },
    ),
  )
})
