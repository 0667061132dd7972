import { expect, test } from 'vitest'
import { simulate } from './simulate.ts'

const list = new URL('./planted-bugs.js', import.meta.url).href
const { plantedBugs, foundWith, startSeeds } = (await import(list)) as {
  plantedBugs: Record<string, unknown>
  foundWith: Record<string, string>
  startSeeds: Record<string, number>
}

/** What every change runs; without a bug all of these seeds pass (seeds.test.ts). A run ends at the first that finds it. */
const SEEDS = 1000

test('there are ten at least', () => {
  expect(Object.keys(plantedBugs).length).toBeGreaterThanOrEqual(10)
})

test('each name in the lists beside them is that of one', () => {
  const names = [...Object.keys(foundWith), ...Object.keys(startSeeds)]
  expect(names.filter((name) => !(name in plantedBugs))).toEqual([])
})

/** Runs with groups take a second each: every third of their bugs in each run, all of them with ODRADEK_SIM_BUGS=all. */
const bugsOfGroups = Object.keys(plantedBugs).filter((name) => foundWith[name] === 'groups')
const isForEveryRun = (name: string): boolean =>
  foundWith[name] !== 'groups' || bugsOfGroups.indexOf(name) % 3 === 0
const isForThisRun = process.env.ODRADEK_SIM_BUGS === 'all' ? () => true : isForEveryRun

test.each(Object.keys(plantedBugs).filter(isForThisRun))('it is found that %s', async (name) => {
  const { code, output } = await simulate(String(startSeeds[name] ?? 1), String(SEEDS), '--plant', name)
  expect(code, output).toBe(0)
  expect(output).toMatch(/seed \d+ fails: /)
})
