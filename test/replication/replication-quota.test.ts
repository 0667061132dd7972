import { expect, test } from 'vitest'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { ReplicationQuota } from '../../src/replication/replication-quota.ts'

function quotaOf(bytesPerSecond: number) {
  const time = new SimScheduler()
  const quota = new ReplicationQuota({
    clock: time.clock,
    maxBytesPerSecond: () => bytesPerSecond,
    isThrottled: (topic) => topic === 'throttled',
    windows: 11,
    windowMs: 1000,
  })
  return { time, quota }
}

test('without a limit nothing is throttled', () => {
  const { quota } = quotaOf(Infinity)
  quota.record(1e12)
  expect([quota.isThrottled('throttled', 0), quota.exceededForMs()]).toEqual([false, 0])
})

test('only the replicas that are named are throttled', () => {
  const { quota } = quotaOf(1000)
  expect([quota.isThrottled('throttled', 0), quota.isThrottled('other', 0)]).toEqual([true, false])
})

test('bytes over the limit are waited out, and no longer', async () => {
  const { time, quota } = quotaOf(1000)
  quota.record(900)
  expect(quota.exceededForMs()).toBe(0)
  quota.record(2100)
  // 3,000 bytes take three seconds.
  expect(quota.exceededForMs()).toBe(2000)
  await time.advance(1500)
  expect(quota.exceededForMs()).toBe(1500)
  await time.advance(1499)
  expect(quota.exceededForMs()).toBe(1)
  await time.advance(1)
  expect(quota.exceededForMs()).toBe(0)
})

test('what was taken eleven seconds ago is forgotten', async () => {
  const { time, quota } = quotaOf(1000)
  quota.record(1_000_000)
  expect(quota.exceededForMs()).toBe(11_000)
  await time.advance(10_999)
  expect(quota.exceededForMs()).toBe(1)
  await time.advance(1)
  expect(quota.exceededForMs()).toBe(0)
})

test('the rate that comes of waiting is the limit', async () => {
  const { time, quota } = quotaOf(1000)
  let bytes = 0
  while (time.elapsedMs < 100_000) {
    const waitMs = quota.exceededForMs()
    if (waitMs > 0) await time.advance(waitMs)
    else {
      quota.record(700)
      bytes += 700
      await time.advance(10)
    }
  }
  expect(bytes / 100).toBeGreaterThan(900)
  expect(bytes / 100).toBeLessThan(1200)
})
