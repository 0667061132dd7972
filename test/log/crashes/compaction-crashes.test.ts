import { expect, it } from 'vitest'
import { SimDisk, type CrashMode, type DiskStep } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { openCompacted, survivors } from '../cleaner/cleaner-fixture.ts'
import { batchOf } from '../log-fixture.ts'
import { checkPartitionFiles } from '../partition-files.ts'

const ENDINGS: readonly ('kill' | CrashMode)[] = ['kill', 'drop', 'random', 'random', 'random']

/** A disk before each step of a compaction of flushed records, and the newest value of each key. */
async function compacting(): Promise<{
  disks: [SimDisk, DiskStep][]
  newest: Map<string, string>
  end: number
}> {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const { log, time } = openCompacted({ disk })
  const newest = new Map<string, string>()
  for (let index = 0; index < 60; index++) {
    const [key, value] = [`k${(index * 7) % 11}`, `v${index}`.repeat(1 + (index % 9))]
    log().appendAsLeader(batchOf({ values: [value], key }), { leaderEpoch: 0, origin: 'client' })
    newest.set(key, value)
  }
  await log().flush()
  const disks: [SimDisk, DiskStep][] = []
  disk.onStep = (step) => disks.push([disk.clone(new SeededRandom(disks.length)), step])
  await time.advance(100_000)
  disk.onStep = null
  expect(survivors(log()).length).toBeLessThan(60)
  return { disks, newest, end: log().logEndOffset }
}

it('a crash at any step of a compaction keeps the newest record of each key, and files that agree', async () => {
  const { disks, newest, end } = await compacting()
  let crashes = 0
  for (const [before, step] of disks) {
    for (const [seed, ending] of ENDINGS.entries()) {
      const disk = before.clone(new SeededRandom(seed))
      if (ending === 'kill') disk.kill()
      else disk.crash(ending)
      const where = `${ending}, seed ${seed}, ${step.operation} ${step.path}, crash ${crashes}`
      const { log, manager } = openCompacted({ disk })
      const found = survivors(log())
      const offsets = found.map(({ offset }) => offset)
      expect(offsets, where).toEqual([...new Set(offsets)].sort((a, b) => a - b))
      expect(new Map(found.map(({ key, value }) => [key, value])), where).toEqual(newest)
      expect(log().logEndOffset, where).toBe(end)
      await manager.stop()
      const files = new Map(disk.list('/data/t-0').map((name) => [name, disk.readFile(`/data/t-0/${name}`)]))
      expect(checkPartitionFiles(files, { closed: true, compacted: true }).problems, where).toEqual([])
      crashes++
    }
  }
  expect(crashes).toBeGreaterThan(300)
})
