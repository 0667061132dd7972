import { expect, test } from 'vitest'
import { retryDelayMs } from '../../../src/replication/follower/retry-schedule.ts'

test('the first tries follow quickly, the later ones after replica.fetch.backoff.ms', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 1e9].map((failures) => retryDelayMs(failures, 1000))
  expect(delays).toEqual([20, 40, 80, 160, 320, 640, 1000, 1000, 1000])
})

test('the backoff is the most, and a backoff of nothing is no busy loop', () => {
  expect([1, 2, 9].map((failures) => retryDelayMs(failures, 30))).toEqual([20, 30, 30])
  expect(retryDelayMs(1, 0)).toBe(1)
})
