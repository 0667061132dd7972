/**
 * Where the newest batches of the active segment lie, so that a reader near the end finds its bytes without reading
 * headers. Forgets the older half when full.
 */
const CAPACITY = 1024

export class RecentBatches {
  #base = new Float64Array(8)
  #last = new Float64Array(8)
  #position = new Float64Array(8)
  #count = 0
  /** Where the newest batch ends. */
  #end = 0

  push(baseOffset: number, lastOffset: number, position: number, sizeBytes: number): void {
    if (this.#count === this.#base.length) this.#makeRoom()
    const slot = this.#count++
    this.#base[slot] = baseOffset
    this.#last[slot] = lastOffset
    this.#position[slot] = position
    this.#end = position + sizeBytes
  }

  #makeRoom(): void {
    if (this.#count < CAPACITY) {
      const grow = (old: Float64Array) => {
        const larger = new Float64Array(2 * old.length)
        larger.set(old)
        return larger
      }
      this.#base = grow(this.#base)
      this.#last = grow(this.#last)
      this.#position = grow(this.#position)
      return
    }
    const half = CAPACITY / 2
    for (const values of [this.#base, this.#last, this.#position]) values.copyWithin(0, half, CAPACITY)
    this.#count = half
  }

  clear(): void {
    this.#count = 0
  }

  /** Slot of the first batch whose last offset is at or above `offset`; -1 when it is not among the recent ones. */
  find(offset: number): number {
    if (this.#count === 0 || offset < this.#base[0] || offset > this.#last[this.#count - 1]) return -1
    let low = 0
    let high = this.#count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#last[middle] >= offset) high = middle
      else low = middle + 1
    }
    return low
  }

  position(slot: number): number {
    return this.#position[slot]
  }

  lastOffset(slot: number): number {
    return this.#last[slot]
  }

  /**
   * Slot of the last batch from `slot` on that fits `maxBytes` with those before it and begins below `upperBoundOffset`;
   * `slot - 1` when not even the first fits, unless `minOneBatch`.
   */
  lastWithin(slot: number, maxBytes: number, upperBoundOffset: number, minOneBatch: boolean): number {
    const start = this.#position[slot]
    if (this.#base[slot] >= upperBoundOffset) return slot - 1
    let low = slot
    let high = this.#count - 1
    if (!this.#fits(low, start + maxBytes, upperBoundOffset)) return minOneBatch ? slot : slot - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#fits(middle, start + maxBytes, upperBoundOffset)) low = middle
      else high = middle - 1
    }
    return low
  }

  #fits(slot: number, endLimit: number, upperBoundOffset: number): boolean {
    return this.#base[slot] < upperBoundOffset && this.endOf(slot) <= endLimit
  }

  /** Where its bytes end. */
  endOf(slot: number): number {
    return slot + 1 < this.#count ? this.#position[slot + 1] : this.#end
  }
}
