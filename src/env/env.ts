/**
 * The outside world as types. Everything the broker touches that is not its own memory arrives as an `Env`,
 * so that a test can give it a simulated one. No code here: only shapes and their contracts.
 */
import type { Coordination } from './coordination.ts'
import type { Disk } from './disk.ts'
import type { Network } from './network.ts'

export interface Env {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
  readonly coordination: Coordination
  readonly logger: Logger
}

export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. May jump. For record timestamps and retention. */
  nowMs(): number
  /** Monotonic milliseconds with fractions, from an arbitrary zero. For durations and deadlines. */
  monotonicMs(): number
}

export interface Timer {
  /** Idempotent; after it the callback never runs. */
  cancel(): void
}

export interface Timers {
  /** Runs `callback` once, `delayMs` from now (0 or less: as soon as the loop is free). Never keeps a process alive. */
  after(delayMs: number, callback: () => void): Timer
  /** Runs `callback` in a later turn of the event loop, before timers due later. */
  soon(callback: () => void): void
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** `size` unpredictable bytes (seeded in a simulation). */
  bytes(size: number): Buffer
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One line a call. `fields` are appended as key=value. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void
}
