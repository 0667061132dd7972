import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { append } from '../log-fixture.ts'
import { openCompacted, survivors } from './cleaner-fixture.ts'

const newDisk = () => new SimDisk({ random: new SeededRandom(1) })

describe('A compacted log', () => {
  it('keeps the newest value of each key, at its offset', async () => {
    const { log, time } = openCompacted({ disk: newDisk() })
    const t = log()
    for (let round = 0; round < 20; round++) {
      for (const key of ['a', 'b', 'c']) append(t, { key, values: [`${key}${round}`] })
    }
    await time.advance(60_000)
    const active = survivors(t).filter(({ offset }) => offset >= 56)
    expect(survivors(t)).toEqual([
      { offset: 53, key: 'c', value: 'c17' },
      { offset: 54, key: 'a', value: 'a18' },
      { offset: 55, key: 'b', value: 'b18' },
      ...active,
    ])
    expect(active).toHaveLength(4)
  })

  it('is left alone while it moves to another directory, and compacted there', async () => {
    const disk = newDisk()
    const manager = { logDirs: ['/data', '/other'] }
    const { log, time, manager: logs } = openCompacted({ disk, manager })
    const t = log()
    for (let round = 0; round < 40; round++) append(t, { key: 'a', values: [`a${round}`] })
    const target = t.logDirectory === '/data' ? '/other' : '/data'
    const future = logs.createFuture(t.topic, t.partition, target)
    await time.advance(60_000)
    expect(survivors(t)).toHaveLength(40)
    let offset = 0
    while (offset < t.logEndOffset) {
      const part = t.read(offset, { maxBytes: 1e6, upperBoundOffset: Infinity, minOneBatch: true })!
      future.appendAsFollower(part.bytes)
      part.release()
      offset = future.logEndOffset
    }
    const moved = logs.replaceWithFuture(t.topic, t.partition)
    await time.advance(60_000)
    expect(moved.logDirectory).toBe(target)
    expect(survivors(moved).length).toBeLessThan(10)
    expect(survivors(moved).at(-1)).toMatchObject({ offset: 39, value: 'a39' })
  })
})
