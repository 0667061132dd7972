import { expect, test } from 'vitest'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

test('time passes only when it is told to, and timers run in its order', async () => {
  const { timers, clock, ...scheduler } = parts()
  const seen: [string, number][] = []
  const note = (name: string) => () => void seen.push([name, clock.monotonicMs()])
  timers.after(30, note('late'))
  timers.after(10, () => {
    note('early')()
    timers.after(5, note('nested'))
  })
  timers.soon(note('soon'))
  timers.after(20, note('cancelled')).cancel()
  await scheduler.settle()
  expect(seen).toEqual([['soon', 0]])
  await scheduler.advance(29)
  expect(seen.slice(1)).toEqual([
    ['early', 10],
    ['nested', 15],
  ])
  expect(clock.monotonicMs()).toBe(29)
  await scheduler.advance(1)
  expect(seen.at(-1)).toEqual(['late', 30])
})

test('promises go on before the next timer runs', async () => {
  const { timers, ...scheduler } = parts()
  const order: string[] = []
  timers.after(1, () => {
    void Promise.resolve()
      .then(() => undefined)
      .then(() => order.push('promise'))
  })
  timers.after(1.5, () => order.push('timer'))
  await scheduler.advance(2)
  expect(order).toEqual(['promise', 'timer'])
})

test('until lets just enough time pass, and says when it is waiting for nothing', async () => {
  const { timers, clock, ...scheduler } = parts()
  const later = new Promise<string>((resolve) => timers.after(500, () => resolve('done')))
  expect(await scheduler.until(later)).toBe('done')
  expect(clock.monotonicMs()).toBe(500)
  await expect(scheduler.until(new Promise(() => undefined), 100)).rejects.toThrow('still waiting')
})

test('one seed gives one order to timers of the same instant; other seeds give others', async () => {
  const orderOf = async (seed: number): Promise<string> => {
    const scheduler = new SimScheduler({ seed })
    let order = ''
    for (const name of 'abcdefgh') scheduler.timers.after(1, () => void (order += name))
    await scheduler.advance(1)
    return order
  }
  expect(await orderOf(7)).toBe(await orderOf(7))
  expect(new Set([await orderOf(1), await orderOf(2), await orderOf(3)]).size).toBeGreaterThan(1)
})

test('the wall clock jumps without the timers noticing', async () => {
  const scheduler = new SimScheduler({ startMs: 1000 })
  let ran = false
  scheduler.timers.after(10, () => void (ran = true))
  scheduler.jumpWallClock(-500)
  expect(scheduler.clock.nowMs()).toBe(500)
  await scheduler.advance(9)
  expect(ran).toBe(false)
  await scheduler.advance(1)
  expect(ran).toBe(true)
  expect(scheduler.clock.nowMs()).toBe(510)
})

test('seeded random numbers repeat and spread', () => {
  const [one, other] = [new SeededRandom(42), new SeededRandom(42)]
  expect(one.bytes(16)).toEqual(other.bytes(16))
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 10_000; i++) counts[one.integer(10)]++
  expect(Math.min(...counts)).toBeGreaterThan(800)
})

function parts() {
  const scheduler = new SimScheduler()
  return {
    timers: scheduler.timers,
    clock: scheduler.clock,
    settle: () => scheduler.settle(),
    advance: (ms: number) => scheduler.advance(ms),
    until: <T>(promise: Promise<T>, limitMs?: number) => scheduler.until(promise, limitMs),
  }
}
