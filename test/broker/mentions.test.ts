import { expect, test } from 'vitest'
import {
  MAX_REPEATS,
  repeatsOfRequest,
  unlessSeen,
  withoutTooManyRepeats,
} from '../../src/broker/mentions.ts'

test('what is named again is answered again, a hundred times in all', () => {
  expect(withoutTooManyRepeats(['a', 'b', 'a', 'c'])).toEqual(['a', 'b', 'a', 'c'])
  const mentions = [...Array.from({ length: 1_000 }, () => 'a'), 'b', 'b']
  const answered = withoutTooManyRepeats(mentions)
  expect(answered).toEqual([...Array.from({ length: MAX_REPEATS + 1 }, () => 'a'), 'b'])
})

test('also where the repetitions are in several parts of a request', () => {
  const [seen, repeats] = [new Set<number>(), repeatsOfRequest()]
  const parts = Array.from({ length: 1_000 }, () => unlessSeen([1, 2], seen, repeats))
  expect(parts[0]).toEqual([1, 2])
  expect(parts.flat()).toHaveLength(2 + MAX_REPEATS)
})
