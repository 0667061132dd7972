import { expect, test } from 'vitest'
import { Heap } from '../../src/base/heap.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'

test('what is taken from a heap comes in order, whatever the order in which it came', () => {
  const random = new SeededRandom(5)
  const heap = new Heap<number>((one, other) => one < other)
  const model: number[] = []
  for (let step = 0; step < 5000; step++) {
    if (random.next() < 0.6) {
      const value = random.integer(500)
      heap.push(value)
      model.push(value)
      model.sort((one, other) => one - other)
    } else {
      expect(heap.peek()).toBe(model[0])
      expect(heap.pop()).toBe(model.shift())
    }
    expect(heap.size).toBe(model.length)
  }
})
