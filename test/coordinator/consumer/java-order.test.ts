import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  inJavaOrder,
  inTimelineOrder,
  stringHash,
} from '../../../src/coordinator/groups/consumer/java-order.ts'

const keys = fc.uniqueArray(fc.oneof(fc.uuid(), fc.string()), { maxLength: 300 })

/** Stable, as Array.sort is. */
const bySlot = (all: readonly string[], slotOf: (key: string) => number): string[] =>
  [...all].sort((one, other) => slotOf(one) - slotOf(other))

describe('the order of Java’s tables', () => {
  it('is by the buckets of a HashMap, and within one as they came', () => {
    fc.assert(
      fc.property(keys, fc.constantFrom('grown', 'presized'), (all, table) => {
        const least = table === 'grown' ? all.length / 0.75 : Math.trunc(all.length / 0.75 + 1)
        let size = 16
        while (size < least) size *= 2
        const bucketOf = (key: string): number => (stringHash(key) ^ (stringHash(key) >>> 16)) & (size - 1)
        expect(inJavaOrder(all, stringHash, table)).toEqual(bySlot(all, bucketOf))
      }),
    )
  })

  it('is by the upper bits of 64-bit products in Kafka’s own table, the latest of a slot first', () => {
    fc.assert(
      fc.property(keys, fc.nat(1000), (all, more) => {
        const most = all.length + more
        let bits = 1n
        while ((most + 1) * 0.75 > 2 ** Number(bits)) bits++
        const slotOf = (key: string): number =>
          Number(BigInt.asUintN(64, BigInt(stringHash(key)) * 0x9e3779b97f4a7c15n) >> (64n - bits))
        expect(inTimelineOrder(all, stringHash, most)).toEqual(bySlot([...all].reverse(), slotOf))
      }),
    )
  })
})
