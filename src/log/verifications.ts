/**
 * Producers of whose transaction the coordinator has been asked, or is to be, before the first record of it is appended
 * (KIP-890). A guard is for one asking: should the transaction end meanwhile, and another begin, the answer is for a guard that
 * is no longer held.
 */

/** It is the object that counts, whatever is in it. */
export interface VerificationGuard {
  readonly producerId: number
}

/** Of a producer in a transaction. `isBumping`: by a client of transaction.version 2. */
export interface FirstAppend {
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequence: number
  readonly isBumping: boolean
}

interface Verification {
  readonly guard: VerificationGuard
  readonly sinceMs: number
  lowestSequence: number
  producerEpoch: number
  /** Each of its producer's transactions has an epoch of its own. */
  readonly isBumping: boolean
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
  start(first: FirstAppend, nowMs: number): VerificationGuard {
    const { producerId, sequence, producerEpoch } = first
    const known = this.#byProducer.get(producerId)
    if (known === undefined) return this.#add(first, nowMs)
    if (producerEpoch > known.producerEpoch) {
      known.producerEpoch = producerEpoch
      known.lowestSequence = sequence
    } else if (producerEpoch === known.producerEpoch) {
      known.lowestSequence = Math.min(known.lowestSequence, sequence)
    }
    return known.guard
  }

  #add({ producerId, sequence, producerEpoch, isBumping }: FirstAppend, nowMs: number): VerificationGuard {
    if (this.#byProducer.size >= MAX_VERIFICATIONS) {
      const [oldest] = this.#byProducer.keys()
      this.#byProducer.delete(oldest)
    }
    const guard = { producerId }
    const lowestSequence = sequence
    this.#byProducer.set(producerId, { guard, sinceMs: nowMs, lowestSequence, producerEpoch, isBumping })
    return guard
  }

  isHeld(producerId: number, guard: VerificationGuard | null): boolean {
    return guard !== null && this.#byProducer.get(producerId)?.guard === guard
  }

  /** Infinity where there is none. */
  lowestSequenceOf(producerId: number): number {
    return this.#byProducer.get(producerId)?.lowestSequence ?? Infinity
  }

  /** Its producer's transactions have an epoch each, and sequences that begin at 0. */
  isBumping(producerId: number): boolean {
    return this.#byProducer.get(producerId)?.isBumping === true
  }

  /** Its transaction has records here now. */
  end(producerId: number): void {
    this.#byProducer.delete(producerId)
  }

  /** A transaction has ended. The marker that bumps the epoch is of the one before the one that is asked of. */
  endByMarker(producerId: number, producerEpoch: number): void {
    const known = this.#byProducer.get(producerId)
    if (known?.isBumping === true && known.producerEpoch === producerEpoch) return
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
