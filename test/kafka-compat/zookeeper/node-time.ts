import { createNodeEnv } from '../../../src/env/node/index.ts'
import { silentLogger } from '../../../src/env/node/logger.ts'

/** The real clock and timers. */
export const nodeTime = createNodeEnv(silentLogger)
