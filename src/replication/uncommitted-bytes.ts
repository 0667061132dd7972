/** How many bytes become readable when the high watermark moves: what was appended above it, append by append. */

/** More appends than this are counted together: the bytes of the last ones then come a little late. */
const MAX_ENTRIES = 1024

export class UncommittedBytes {
  #entries: { endOffset: number; bytes: number }[] = []
  #head = 0

  appended(endOffset: number, bytes: number): void {
    const last = this.#entries.at(-1)
    if (last !== undefined && this.#entries.length - this.#head >= MAX_ENTRIES) {
      last.endOffset = endOffset
      last.bytes += bytes
    } else this.#entries.push({ endOffset, bytes })
  }

  /**
   * Bytes of the appends that end at or below the new high watermark; they are counted once. At least 1: of what was appended
   * in another role the sizes are not known, and a high watermark that moves makes something readable.
   */
  committed(highWatermark: number): number {
    let bytes = 0
    while (this.#head < this.#entries.length && this.#entries[this.#head].endOffset <= highWatermark)
      bytes += this.#entries[this.#head++].bytes
    if (this.#head === this.#entries.length) this.clear()
    else if (this.#head > MAX_ENTRIES) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    return Math.max(1, bytes)
  }

  /** The log was cut, or its role has changed. */
  clear(): void {
    if (this.#entries.length > 0) this.#entries = []
    this.#head = 0
  }
}
