/**
 * How many bytes a second of throttled replicas a broker takes or gives (KIP-73): measured over a sliding window of whole
 * seconds, of which the last is still running. What is over is not cut: nothing more is asked for until the rate is back.
 */
import type { Clock } from '../env/env.ts'

export interface ReplicationQuotaParts {
  readonly clock: Clock
  /** Infinity: not limited */
  readonly maxBytesPerSecond: () => number
  readonly isThrottled: (topic: string, partition: number) => boolean
  /** replication.quota.window.num, of which the last is running */
  readonly windows: number
  /** replication.quota.window.size.seconds */
  readonly windowMs: number
}

export class ReplicationQuota {
  readonly #parts: ReplicationQuotaParts
  /** Bytes of the last windows, the running one last. */
  readonly #samples: { startMs: number; bytes: number }[] = []

  constructor(parts: ReplicationQuotaParts) {
    this.#parts = parts
  }

  isThrottled(topic: string, partition: number): boolean {
    return this.#parts.maxBytesPerSecond() !== Infinity && this.#parts.isThrottled(topic, partition)
  }

  /** Of throttled replicas. */
  record(bytes: number): void {
    const { windowMs, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    const running = this.#samples.at(-1)
    if (running !== undefined && nowMs - running.startMs < windowMs) {
      running.bytes += bytes
      return
    }
    this.#samples.push({ startMs: nowMs - (nowMs % windowMs), bytes })
    this.#forgetOld(nowMs)
  }

  /** How long to wait until the rate is within the limit, if nothing is recorded meanwhile; 0: it is. */
  exceededForMs(): number {
    const limit = this.#parts.maxBytesPerSecond()
    if (limit === Infinity) return 0
    const { windowMs, windows, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    this.#forgetOld(nowMs)
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, 0)
    if (bytes === 0) return 0
    const oldestMs = this.#samples[0].startMs
    // As Kafka's SimpleRate: what has passed of the windows, at least one.
    const measuredMs = Math.max(windowMs, nowMs - oldestMs)
    const neededMs = (bytes * 1000) / limit
    if (measuredMs >= neededMs) return 0
    // Earlier only because the oldest window is forgotten.
    return Math.max(1, Math.min(neededMs - measuredMs, oldestMs + windows * windowMs - nowMs))
  }

  #forgetOld(nowMs: number): void {
    const { windowMs, windows } = this.#parts
    while (this.#samples.length > 0 && nowMs - this.#samples[0].startMs >= windows * windowMs) {
      this.#samples.shift()
    }
  }
}
