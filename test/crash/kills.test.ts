/**
 * Real kills of a real process on a real disk, for what a simulation cannot know: that acknowledged means written. The page
 * cache outlives a process, so that everything acknowledged must be there whatever had been flushed; power cuts are simulated
 * (test/log/crashes).
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { bundle } from '../../scripts/bundle.js'
import { runLane, type Tally } from './lane.ts'
import { MOMENTS } from './partitions.ts'

const KILLS = Number(process.env.ODRADEK_CRASH_KILLS ?? 2000)
const SEED = Number(process.env.ODRADEK_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31))
const LANES = 6

const here = dirname(fileURLToPath(import.meta.url))
const program = join(here, '../../.cache/crash/killed-process.mjs')

beforeAll(async () => {
  await bundle({
    entryPoints: [join(here, 'killed-process.ts')],
    outfile: program,
  })
})

test(`after each of ${KILLS} kills all that was acknowledged is there, once, in order, and the files agree (seed ${SEED})`, async () => {
  const kills = { outside: 0, start: 0, recovery: 0, produce: 0, roll: 0, compaction: 0, retention: 0 }
  const tally: Tally = { kills, acknowledgedRecords: 0, compactedRecords: 0, deletedRecords: 0 }
  const killed = () => Object.values(kills).reduce((sum, count) => sum + count, 0)
  let hasFailed = false
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    runLane({ program, seed: SEED + lane, tally, wantsMore: () => !hasFailed && killed() < KILLS }).catch(
      (error: unknown) => {
        hasFailed = true
        throw error
      },
    ),
  )
  const failures = (await Promise.allSettled(lanes)).filter((lane) => lane.status === 'rejected')
  console.log(`seed ${SEED}: ${killed()} kills, ${JSON.stringify(tally)}`)
  expect(failures.map(({ reason }) => String(reason))).toEqual([])
  expect(killed()).toBeGreaterThanOrEqual(KILLS)
  for (const moment of MOMENTS) expect(kills[moment], `kills at ${moment}`).toBeGreaterThan(KILLS / 50)
  expect(tally.compactedRecords).toBeGreaterThan(KILLS / 4)
  expect(tally.deletedRecords).toBeGreaterThan(KILLS / 4)
})
