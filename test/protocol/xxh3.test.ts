import { expect, test } from 'vitest'
import { xxh3 } from '../../src/protocol/xxh3.ts'

const hashOf = (text: string): string => xxh3(Buffer.from(text)).toString(16).padStart(16, '0')

/** Longer ones: test/golden/metadata-hashes.test.ts. */
test.each([
  ['', '2d06800538d394c2'],
  ['a', 'e6c632b61e964e1f'],
  ['abc', '78af5f94892f3950'],
])('xxh3 of %j is that of the reference', (text, expected) => {
  expect(hashOf(text)).toBe(expected)
})
