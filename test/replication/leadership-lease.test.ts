import { expect, test } from 'vitest'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import type { Timer, Timers } from '../../src/env/env.ts'
import { LeadershipLease } from '../../src/replication/leadership-lease.ts'

const SESSION_MS = 6000

/** A process that can be stopped: then time goes on, and its timers run when it does. */
function world() {
  const time = new SimScheduler()
  let isStopped = false
  const late: (() => void)[] = []
  const timers: Timers = {
    after: (delayMs, callback): Timer =>
      time.timers.after(delayMs, () => {
        if (isStopped) late.push(callback)
        else callback()
      }),
    soon: (callback) => time.timers.soon(callback),
  }
  const asked: ((answer: 'sound' | 'expired') => void)[] = []
  let expired = 0
  let isSound = true
  const lease = new LeadershipLease({
    clock: time.clock,
    timers,
    logger: { log: () => undefined },
    sessionTimeoutMs: () => SESSION_MS,
    fetchWaitMaxMs: () => 500,
    isSessionSound: () => isSound,
    confirmSession: () => new Promise((resolve) => void asked.push(resolve)),
    expired: () => void expired++,
  })
  return {
    lease,
    asked,
    expired: () => expired,
    cut: () => void (isSound = false),
    advance: (ms: number) => time.advance(ms),
    async stopFor(ms: number) {
      isStopped = true
      await time.advance(ms)
      isStopped = false
    },
    runLate: () => late.splice(0).forEach((callback) => callback()),
    settle: () => time.settle(),
  }
}

test('a process that runs keeps its lease, however long', async () => {
  const { lease, asked, advance } = world()
  lease.start()
  for (let i = 0; i < 100; i++) await advance(SESSION_MS)
  expect(lease.holds).toBe(true)
  expect(asked).toEqual([])
})

test('a short pause costs nothing', async () => {
  const { lease, asked, stopFor } = world()
  lease.start()
  await stopFor(SESSION_MS / 2 - 1)
  expect([lease.holds, asked.length]).toEqual([true, 0])
})

test.each(['request', 'timer'])(
  'after a long one, which a %s finds first, it waits for the answer',
  async (first) => {
    const { lease, asked, stopFor, runLate, advance, settle, expired } = world()
    lease.start()
    await stopFor(2 * SESSION_MS)
    if (first === 'timer') runLate()
    expect(lease.holds).toBe(false)
    if (first === 'request') runLate()
    await advance(SESSION_MS)
    expect([lease.holds, asked.length]).toEqual([false, 1])
    asked[0]('sound')
    await settle()
    expect([lease.holds, expired()]).toEqual([true, 0])
  },
)

test('a session that has ended meanwhile is told of before the lease holds again', async () => {
  const { lease, asked, stopFor, settle, expired } = world()
  lease.start()
  await stopFor(SESSION_MS)
  expect(lease.holds).toBe(false)
  asked[0]('expired')
  await settle()
  expect([lease.holds, expired()]).toEqual([true, 1])
})

test('before it is started, and after it has ended, nothing is asked', async () => {
  const { lease, asked, advance } = world()
  await advance(10 * SESSION_MS)
  expect(lease.holds).toBe(true)
  lease.start()
  lease.stop()
  await advance(10 * SESSION_MS)
  expect([lease.holds, asked.length]).toEqual([true, 0])
})

test('without the coordination service it asks for followers, and says within which time', () => {
  const { lease, cut } = world()
  expect(lease.followersWithinMs).toBe(null)
  cut()
  expect(lease.followersWithinMs).toBe(1500)
  expect(lease.holds).toBe(true)
})
