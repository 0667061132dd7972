/**
 * Before a broker stops it asks the controller to move its leaderships to others (controlled.shutdown.*): clients then find
 * the new leaders waiting. It is asked until nothing is left that can be moved, `maxRetries` times at most, as in Kafka.
 *
 * Kafka waits for each answer as long as requests may take, and a controller without its coordination service gives none.
 * Here a broker that has been without it for `retryBackoffMs` stops.
 */
import { NetworkError } from '../env/network.ts'
import type { Clock, Logger, Timers } from '../env/env.ts'
import { ErrorCode, errorName } from '../protocol/error-codes.ts'
import type { ControllerChannel } from './controller-channel.ts'

export interface ControlledShutdownSettings {
  /** controlled.shutdown.max.retries */
  readonly maxRetries: number
  /** controlled.shutdown.retry.backoff.ms */
  readonly retryBackoffMs: number
}

/** After a controller that is not there (any more): another one is elected, and becomes known. */
const NO_CONTROLLER_BACKOFF_MS = 100
/** How often it is looked whether the coordination service is there. */
const LOOK_MS = 100

export interface ControlledShutdownParts {
  readonly channel: Pick<ControllerChannel, 'controlledShutdown'>
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  /** There are other brokers, as far as this one knows. */
  readonly hasOthers: () => boolean
  /** The coordination service answers this broker. */
  readonly isServiceThere: () => boolean
}

/** False: the broker stops with leaderships that others could have had. */
export async function shutDownControlled(
  parts: ControlledShutdownParts,
  { maxRetries, retryBackoffMs }: ControlledShutdownSettings,
): Promise<boolean> {
  const { clock, timers, logger, hasOthers } = parts
  /** Since when there has been no controller that answers; null: there is one. */
  let lostSinceMs: number | null = null
  for (let attempt = 0; attempt < maxRetries && hasOthers();) {
    const askedMs = clock.monotonicMs()
    const outcome = await askWhileServed(parts, retryBackoffMs)
    if (outcome.left === 0) return true
    lostSinceMs = outcome.hasNoController ? (lostSinceMs ?? askedMs) : null
    const waitsForController = lostSinceMs !== null && clock.monotonicMs() - lostSinceMs < retryBackoffMs
    if (!waitsForController) {
      logger.log('warn', 'a controlled shutdown has not moved all leaderships', {
        partitions: outcome.left ?? 'unknown',
        reason: outcome.reason,
      })
      // Where there is no controller for so long there is nobody to wait for.
      if (outcome.hasNoController || ++attempt >= maxRetries) return false
    }
    const backoffMs = waitsForController ? Math.min(NO_CONTROLLER_BACKOFF_MS, retryBackoffMs) : retryBackoffMs
    await new Promise<void>((resolve) => timers.after(backoffMs, resolve))
  }
  return false
}

/** Asks once, and waits for the answer until the coordination service has been away for `limitMs`. */
function askWhileServed(
  { channel, timers, isServiceThere }: ControlledShutdownParts,
  limitMs: number,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let awayMs = 0
    const look = (): void => {
      awayMs = isServiceThere() ? 0 : awayMs + LOOK_MS
      if (awayMs >= Math.max(limitMs, LOOK_MS))
        resolve({ left: null, reason: 'the coordination service is away', hasNoController: true })
      else timer = timers.after(LOOK_MS, look)
    }
    let timer = timers.after(LOOK_MS, look)
    ask(channel)
      .finally(() => timer.cancel())
      .then(resolve, reject)
  })
}

interface Outcome {
  /** Leaderships that are still here; null: not known. */
  readonly left: number | null
  readonly reason: string
  readonly hasNoController: boolean
}

async function ask(channel: Pick<ControllerChannel, 'controlledShutdown'>): Promise<Outcome> {
  try {
    const { error, remaining } = await channel.controlledShutdown()
    if (error === ErrorCode.NONE)
      return { left: remaining.length, reason: 'they have no other in-sync replica', hasNoController: false }
    return { left: null, reason: errorName(error), hasNoController: error === ErrorCode.NOT_CONTROLLER }
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error
    return { left: null, reason: error.message, hasNoController: true }
  }
}
