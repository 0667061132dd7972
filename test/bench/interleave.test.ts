import { describe, expect, test } from 'vitest'
import { interleave } from '../../bench/lab/interleave.ts'
import type { Sample } from '../../bench/lab/interleave.ts'

describe('interleave', () => {
  test('every round measures every subject once, in the same order', async () => {
    const order: string[] = []
    const series = await interleave({
      subjects: ['a', 'b'],
      rounds: 3,
      measure: async (subject, round) => {
        order.push(`${subject}${round}`)
        return { value: round * 10 + (subject === 'a' ? 1 : 2) }
      },
    })
    expect(order).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2'])
    expect(series).toEqual({ a: { value: [1, 11, 21] }, b: { value: [2, 12, 22] } })
  })

  test('one measurement ends before the next begins', async () => {
    let running = 0
    await interleave({
      subjects: ['a', 'b', 'c'],
      rounds: 2,
      measure: async () => {
        expect(++running).toBe(1)
        await Promise.resolve()
        running--
        return { value: 1 }
      },
    })
  })

  test('a metric that a round leaves out, or brings late, is an error and not a shorter series', async () => {
    const missing = interleave({
      subjects: ['a'],
      rounds: 2,
      measure: async (_, round): Promise<Sample> => (round === 0 ? { x: 1, y: 1 } : { x: 1 }),
    })
    await expect(missing).rejects.toThrow('a did not measure y in round 1')
    const late = interleave({
      subjects: ['a'],
      rounds: 2,
      measure: async (_, round): Promise<Sample> => (round === 0 ? { x: 1 } : { x: 1, y: 1 }),
    })
    await expect(late).rejects.toThrow('a did not measure y in every round')
  })

  test('what a measurement throws ends the series', async () => {
    const failed = interleave({
      subjects: ['a'],
      rounds: 1,
      measure: () => Promise.reject(new Error('broken')),
    })
    await expect(failed).rejects.toThrow('broken')
  })
})
