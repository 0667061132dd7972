import { expect, test } from 'vitest'
import { run } from './run.ts'

test('debug', async () => {
  const seed = Number(process.env.SEED ?? 1)
  const t = performance.now()
  const result = await run({ seed, verbose: true })
  console.log(performance.now() - t, { ...result, lines: 0 })
  expect(result.failures).toEqual([])
})
