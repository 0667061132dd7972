import { expect, test } from 'vitest'
import { run } from './run.ts'

test('debug', async () => {
  const from = Number(process.env.SEED ?? 1)
  const count = Number(process.env.COUNT ?? 1)
  let bad = 0
  for (let seed = from; seed < from + count; seed++) {
    const t = process.cpuUsage()
    const result = await run({ seed, verbose: count === 1 })
    const { user, system } = process.cpuUsage(t)
    console.log((user + system) / 1000, { ...result, lines: 0, faults: result.faults.join() })
    if (result.failures.length) bad++
  }
  expect(bad).toBe(0)
})
