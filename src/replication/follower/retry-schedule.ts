/** When a follower asks again after a failure. */

/** A leader that restarts, or has not heard yet that it leads, is there within a few of these. */
const FIRST_DELAY_MS = 20

/**
 * `failures`: in a row, from 1 on. Kafka waits `replica.fetch.backoff.ms` (1 s) each time; after an election that would keep
 * acknowledgements waiting for as long, so here that is where the delays end up, having begun short and doubled.
 */
export function retryDelayMs(failures: number, backoffMs: number): number {
  const delayMs = Math.min(backoffMs, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 16))
  // A backoff of 0 must not become a busy loop.
  return Math.max(1, delayMs)
}
