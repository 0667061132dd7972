import { describe, expect, it } from 'vitest'
import { tryCrash, tryCrashInRecovery, type CrashTrial, type Ending } from './after-crash.ts'
import { CrashWorld } from './crash-world.ts'
import { scenarios, SMALL, type Scenario } from './scenarios.ts'

const ENDINGS: readonly (readonly [Ending, number])[] = [
  ['kill', 1],
  ['drop', 1],
  ['random', 1],
]

/** A crash in every so manyth step of a recovery. */
const AGAIN_EVERY = 23

/** Returns how many crashes were tried. */
async function tryAll({ name, config = {}, files, play }: Scenario): Promise<number> {
  const all = { ...SMALL, ...config }
  const world = new CrashWorld(1, all)
  await play(world)
  world.disk.onStep = null
  let crashes = 0
  let recoverySteps = 0
  for (const [index, moment] of world.moments.entries()) {
    for (const [ending, seed] of ENDINGS) {
      const trial: CrashTrial = { moment, ending, seed: 1000 * index + seed, config: all, files }
      try {
        const recovery = await tryCrash(trial)
        crashes++
        for (const again of recovery) {
          if (++recoverySteps % AGAIN_EVERY !== 0) continue
          await tryCrashInRecovery(trial, again, recoverySteps)
          crashes++
        }
      } catch (error) {
        const { operation, path } = moment.step
        throw new Error(
          `${name}, ${ending} (seed ${trial.seed}) at step ${index}, ${operation} ${path}: ${(error as Error).message}`,
          { cause: error },
        )
      }
    }
  }
  return crashes
}

describe('a crash at any step leaves what was acknowledged, once, in order, and files that agree', () => {
  let crashes = 0

  it.each(scenarios)('$name', async (scenario) => {
    crashes += await tryAll(scenario)
  })

  it('is tried more than 3,000 times', () => {
    expect(crashes).toBeGreaterThan(3000)
  })
})
