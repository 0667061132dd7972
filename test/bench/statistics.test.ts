import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { meets, median, pairedRatio, quantile, summarise } from '../../bench/lab/statistics.ts'

const measurements = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), {
  minLength: 1,
  maxLength: 30,
})

describe('statistics', () => {
  test('the median of an odd number of values is the middle one, whatever their order', () => {
    expect(median([5, 1, 1000])).toBe(5)
  })

  test('the median of an even number of values lies half-way between the middle two', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })

  test('a quantile between two values is interpolated', () => {
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20)
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9)
  })

  test('values are compared as numbers, not as text', () => {
    expect(median([10, 9, 100])).toBe(10)
  })

  test('nothing, or something that is no number, has no quantile', () => {
    expect(() => median([])).toThrow('no measurement')
    expect(() => median([1, NaN])).toThrow('finite')
    expect(() => quantile([1], 1.5)).toThrow('between 0 and 1')
  })

  test('a summary holds the count, the median and both ends', () => {
    expect(summarise([3, 1, 2])).toEqual({ n: 3, median: 2, min: 1, max: 3 })
  })

  test('the input keeps its order', () => {
    const values = [3, 1, 2]
    summarise(values)
    expect(values).toEqual([3, 1, 2])
  })

  test('a ratio is taken in each round first, so a slow round of both leaves it as it is', () => {
    expect(pairedRatio([200, 20, 180], [100, 10, 90])).toEqual({ n: 3, median: 2, min: 2, max: 2 })
  })

  test('series of different lengths are no pairs', () => {
    expect(() => pairedRatio([1, 2], [1])).toThrow('2 rounds against 1')
  })

  test('a median lies between the ends, and scales with its values', () => {
    fc.assert(
      fc.property(measurements, (values) => {
        const { median: middle, min, max } = summarise(values)
        expect(middle).toBeGreaterThanOrEqual(min)
        expect(middle).toBeLessThanOrEqual(max)
        expect(median(values.map((value) => value * 2))).toBe(middle * 2)
      }),
    )
  })

  test('a series against itself is exactly 1', () => {
    fc.assert(
      fc.property(measurements, (values) => {
        expect(pairedRatio(values, values)).toEqual({ n: values.length, median: 1, min: 1, max: 1 })
      }),
    )
  })

  test('a bar is met at the bar itself', () => {
    expect(meets({ direction: 'at least', value: 1 }, 1)).toBe(true)
    expect(meets({ direction: 'at least', value: 1 }, 0.99)).toBe(false)
    expect(meets({ direction: 'at most', value: 0.8 }, 0.8)).toBe(true)
    expect(meets({ direction: 'at most', value: 0.8 }, 0.81)).toBe(false)
  })
})
