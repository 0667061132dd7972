/**
 * Producers of whose transaction the coordinator has been asked, or is to be, before the first record of it is appended
 * (KIP-890). A guard is for one asking: should the transaction end meanwhile, and another begin, the answer is for a guard that
 * is no longer held.
 */

/** It is the object that counts, whatever is in it. */
export interface VerificationGuard {
  readonly producerId: number
}

interface Verification {
  readonly guard: VerificationGuard
  readonly sinceMs: number
  lowestSequence: number
  producerEpoch: number
}

/** Beyond these the oldest one goes: its producer is asked for anew. */
export const MAX_VERIFICATIONS = 10_000

export class Verifications {
  readonly #byProducer = new Map<number, Verification>()

  get size(): number {
    return this.#byProducer.size
  }

  /**
   * The guard that an append of this producer must come with. The lowest sequence is kept, so that a later batch does not
   * overtake one that is tried again.
   */
  start(producerId: number, sequence: number, producerEpoch: number, nowMs: number): VerificationGuard {
    const known = this.#byProducer.get(producerId)
    if (known === undefined) return this.#add(producerId, sequence, producerEpoch, nowMs)
    if (producerEpoch > known.producerEpoch) {
      known.producerEpoch = producerEpoch
      known.lowestSequence = sequence
    } else if (producerEpoch === known.producerEpoch) {
      known.lowestSequence = Math.min(known.lowestSequence, sequence)
    }
    return known.guard
  }

  #add(producerId: number, sequence: number, producerEpoch: number, nowMs: number): VerificationGuard {
    if (this.#byProducer.size >= MAX_VERIFICATIONS) {
      const [oldest] = this.#byProducer.keys()
      this.#byProducer.delete(oldest)
    }
    const guard = { producerId }
    this.#byProducer.set(producerId, { guard, sinceMs: nowMs, lowestSequence: sequence, producerEpoch })
    return guard
  }

  isHeld(producerId: number, guard: VerificationGuard | null): boolean {
    return guard !== null && this.#byProducer.get(producerId)?.guard === guard
  }

  /** Infinity where there is none. */
  lowestSequenceOf(producerId: number): number {
    return this.#byProducer.get(producerId)?.lowestSequence ?? Infinity
  }

  /** Its transaction has records here now, or has ended. */
  end(producerId: number): void {
    this.#byProducer.delete(producerId)
  }

  /** Those that never came to an end. */
  expire(nowMs: number, expirationMs: number): void {
    for (const [producerId, { sinceMs }] of this.#byProducer) {
      if (nowMs - sinceMs >= expirationMs) this.#byProducer.delete(producerId)
    }
  }

  clear(): void {
    this.#byProducer.clear()
  }
}
