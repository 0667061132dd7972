import type { Env, Logger } from '../env.ts'
import { nodeClock, nodeRandom, nodeTimers } from './clock.ts'
import { createNodeDisk } from './disk.ts'
import { createNodeNetwork } from './network.ts'

/** The real world, but for `coordination`: which one it is depends on the configuration. */
export type LocalEnv = Omit<Env, 'coordination'>

export function createNodeEnv(logger: Logger): LocalEnv {
  return {
    clock: nodeClock,
    timers: nodeTimers,
    random: nodeRandom,
    disk: createNodeDisk(),
    network: createNodeNetwork(),
    logger,
  }
}
