/** Producers that wait until what they appended is committed, by offset: a move of the high watermark looks at no others. */

export interface Ack {
  /** It is answered when the high watermark is here, or above. */
  readonly offset: number
  /** `error`: a Kafka error code. */
  readonly done: (error: number) => void
  /** Given up: it is passed over. */
  gone: boolean
}

export class Acks {
  /** In order of offset, from #head on. */
  #entries: Ack[] = []
  #head = 0

  add(offset: number, done: (error: number) => void): Ack {
    const ack: Ack = { offset, done, gone: false }
    const entries = this.#entries
    let at = entries.length
    // Only a repeated batch, which is in the log already, waits for less than the one before it.
    while (at > this.#head && entries[at - 1].offset > offset) at--
    if (at === entries.length) entries.push(ack)
    else entries.splice(at, 0, ack)
    return ack
  }

  /** Answers all that wait for no more than `highWatermark`. */
  reached(highWatermark: number, error: number): void {
    while (this.#head < this.#entries.length && this.#entries[this.#head].offset <= highWatermark)
      this.#answer(this.#entries[this.#head++], error)
    this.#tidy()
  }

  answerAll(error: number): void {
    this.reached(Infinity, error)
  }

  #answer(ack: Ack, error: number): void {
    if (ack.gone) return
    ack.gone = true
    ack.done(error)
  }

  #tidy(): void {
    if (this.#head === this.#entries.length) {
      if (this.#head > 0) this.#entries = []
      this.#head = 0
    } else if (this.#head > 64 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  get size(): number {
    return this.#entries.length - this.#head
  }
}
