/** Producer ids for this broker's producers, out of blocks of 1000 that the controller hands out (KIP-730). */
import { CoordinationError } from '../env/coordination.ts'
import { NetworkError } from '../env/network.ts'
import type { AllocatedProducerIds } from '../controller/producer-id-blocks.ts'
import { ErrorCode } from '../protocol/error-codes.ts'

/** A block that is used up so far is followed by another before anybody has to wait. As in Kafka's RPCProducerIdManager. */
const PREFETCH_AT = 0.9

/** Ids from `next` up to but not including `end`. */
interface Block {
  next: number
  readonly end: number
  readonly prefetchFrom: number
}

export class ProducerIds {
  /** One attempt. Rejects with NetworkError and CoordinationError. */
  readonly #ask: () => Promise<AllocatedProducerIds>
  #block: Block = { next: 0, end: 0, prefetchFrom: 0 }
  #following: Block | null = null
  #asking: Promise<boolean> | null = null

  constructor(ask: () => Promise<AllocatedProducerIds>) {
    this.#ask = ask
  }

  /** An id that no producer of this cluster has had; null: none is to be had now, and may be soon. */
  async allocate(): Promise<number | null> {
    while (this.#isUsedUp()) if (!(await this.#askOnce())) return null
    if (this.#block.next === this.#block.end) {
      this.#block = this.#following!
      this.#following = null
    }
    const id = this.#block.next++
    if (id >= this.#block.prefetchFrom && this.#following === null) void this.#askOnce()
    return id
  }

  #isUsedUp(): boolean {
    return this.#block.next === this.#block.end && this.#following === null
  }

  #askOnce(): Promise<boolean> {
    return (this.#asking ??= this.#fill().finally(() => (this.#asking = null)))
  }

  /** False: none came. */
  async #fill(): Promise<boolean> {
    try {
      const { error, firstId, count } = await this.#ask()
      if (error !== ErrorCode.NONE) return false
      const prefetchFrom = firstId + Math.floor(count * PREFETCH_AT)
      this.#following = { next: firstId, end: firstId + count, prefetchFrom }
      return true
    } catch (error) {
      if (!(error instanceof NetworkError || error instanceof CoordinationError)) throw error
      return false
    }
  }
}
