import { describe, expect, it } from 'vitest'
import { DiskError } from '../../src/env/disk.ts'
import { StableWaiters } from '../../src/replication/stable-waiters.ts'

function waiting(lastStableOffset: number, highWatermark: number) {
  const waiters = new StableWaiters()
  const heard: (number | 'changed')[] = []
  const waiter = {
    grew: (bytes: number) => void heard.push(bytes),
    changed: () => void heard.push('changed'),
  }
  waiters.add(waiter, { lastStableOffset, highWatermark })
  const moved = (stable: number, high: number): void =>
    waiters.moved({ lastStableOffset: stable, highWatermark: high }, 10)
  return { waiters, waiter, heard, moved }
}

describe('a reader of what is stable', () => {
  it('hears of every byte while no transaction holds any back', () => {
    const { heard, moved } = waiting(5, 5)
    moved(6, 6)
    moved(7, 7)
    expect(heard).toEqual([10, 10])
  })

  it('hears nothing while one does, whatever others append', () => {
    const { heard, moved } = waiting(5, 5)
    moved(5, 6)
    moved(5, 9)
    expect(heard).toEqual([])
  })

  it('looks for itself when the last stable offset moves', () => {
    const { heard, moved } = waiting(5, 8)
    moved(5, 9)
    moved(7, 10)
    moved(11, 11)
    moved(12, 12)
    expect(heard).toEqual(['changed', 'changed', 10])
  })

  it('looks for itself where the marks cannot be read', () => {
    const { waiters, heard } = waiting(5, 5)
    const marks = {
      highWatermark: 6,
      get lastStableOffset(): number {
        throw new DiskError('IO', '/data/t-0', 'gone')
      },
    }
    waiters.moved(marks, 10)
    expect(heard).toEqual(['changed'])
  })

  it('is not told what it does not wait for any more', () => {
    const { waiters, waiter, heard, moved } = waiting(5, 5)
    waiters.delete(waiter)
    moved(6, 6)
    expect([heard, waiters.size]).toEqual([[], 0])
  })
})
