import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inJavaOrder, stringHash } from '../../../src/coordinator/groups/consumer/java-order.ts'
import { MemberOrder } from '../../../src/coordinator/groups/consumer/member-order.ts'

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

  it('is, of members, by the upper bits of 64-bit products in Kafka’s own table before that, the latest of a slot first', () => {
    const change = fc.record({ goes: fc.boolean(), which: fc.nat(200) })
    fc.assert(
      fc.property(keys, fc.array(change, { maxLength: 400 }), (all, changes) => {
        fc.pre(all.length > 2)
        const [newcomer, ...others] = all
        const order = new MemberOrder()
        let there: string[] = []
        let most = 0
        const expected = (changed: string, replaced?: string): string[] => {
          let bits = 1n
          while ((most + 1) * 0.75 > 2 ** Number(bits)) bits++
          const slotOf = (key: string): number =>
            Number(BigInt.asUintN(64, BigInt(stringHash(key)) * 0x9e3779b97f4a7c15n) >> (64n - bits))
          const inTable = bySlot([...there].reverse(), slotOf).filter((key) => key !== replaced)
          return inJavaOrder(there.includes(changed) ? inTable : [...inTable, changed], stringHash, 'grown')
        }
        for (const { goes, which } of changes) {
          const key = others[which % others.length]
          if (goes) order.remove(key)
          else order.add(key)
          there = goes ? there.filter((each) => each !== key) : [...new Set([...there, key])]
          most = Math.max(most, there.length)
          if (which % 4 > 0) continue
          expect(order.memberIds(newcomer, undefined)).toEqual(expected(newcomer))
          if (there.length === 0) continue
          expect(order.memberIds(there[0], there[0])).toEqual(expected(there[0]))
          expect(order.memberIds(newcomer, there[0])).toEqual(expected(newcomer, there[0]))
        }
      }),
    )
  })
})
