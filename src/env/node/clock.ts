import { createRequire } from 'node:module'
import type { Clock, Random, Timer, Timers } from '../env.ts'

export const nodeClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/** setTimeout takes at most a 32-bit delay; a longer one would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

export const nodeTimers: Timers = {
  after(delayMs: number, callback: () => void): Timer {
    let handle: NodeJS.Timeout
    const arm = (leftMs: number): void => {
      const partMs = Math.min(Math.max(leftMs, 0), LONGEST_DELAY_MS)
      handle = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : callback()), partMs)
      handle.unref()
    }
    arm(delayMs)
    return { cancel: () => clearTimeout(handle) }
  },
  soon(callback: () => void): void {
    setImmediate(callback)
  },
}

/** Loaded at the first use: start-up on an existing directory needs no random bytes. */
const load = createRequire(import.meta.url)

export const nodeRandom: Random = {
  next: () => Math.random(),
  bytes: (size) => (load('node:crypto') as typeof import('node:crypto')).randomBytes(size),
}
