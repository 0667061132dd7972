import { expect, test } from 'vitest'
import { fetcherIdOf, javaHash } from '../../../src/replication/follower/fetcher-id.ts'

// From Java: "…".hashCode().
test.each([
  ['', 0],
  ['a', 97],
  ['__consumer_offsets', -970371369],
  ['polygenelubricants', -2147483648],
])('the hash of %j is that of Java', (text, hash) => {
  expect(javaHash(text)).toBe(hash)
})

test('a partition has the fetcher that it has in Kafka, with any number of fetchers', () => {
  // 31 * 97 + 4 = 3011
  expect([1, 2, 3, 10].map((fetchers) => fetcherIdOf('a', 4, fetchers))).toEqual([0, 1, 2, 1])
  // 31 * -2147483648 overflows to -2147483648, which has no absolute value in 32 bits.
  expect(fetcherIdOf('polygenelubricants', 0, 7)).toBe(0)
  expect(fetcherIdOf('polygenelubricants', 1, 7)).toBe(2147483647 % 7)
})
