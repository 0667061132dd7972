/**
 * The last offset of every key in the dirty part of a log. Keys are kept as 128-bit hashes, offsets relative to where the
 * dirty part begins: five int32 an entry, 20 bytes, open addressing with two hashes. Bounded: when it is full, cleaning goes
 * up to the offset that it has reached.
 */
import { assert } from '../../base/assert.ts'
import type { KeyHash } from './key-hash.ts'

const WORDS = 5
const ENTRY_BYTES = 4 * WORDS
/** Relative offsets are uint32; 0 marks an empty slot. */
const MAX_RELATIVE_OFFSET = 0xffff_fffe
/** Of one typed array. */
const MAX_BYTES = 2 ** 31 - 1

export interface OffsetMapOptions {
  readonly hash: KeyHash
  /** Memory that it may take (log.cleaner.dedupe.buffer.size). */
  readonly maxBytes: number
  /** Share of the slots that may be filled (log.cleaner.io.buffer.load.factor). */
  readonly loadFactor: number
  readonly firstOffset: number
  /** Above every offset that will come: so many keys at most. */
  readonly endOffset: number
}

export class OffsetMap {
  readonly #hash: KeyHash
  readonly #firstOffset: number
  readonly #slots: number
  readonly #words: Int32Array
  readonly maxEntries: number
  #count = 0
  /** Everything up to and with it has been put. */
  lastOffset: number

  constructor(options: OffsetMapOptions) {
    const { firstOffset, endOffset, loadFactor } = options
    const wanted = Math.ceil((endOffset - firstOffset) / loadFactor) + 2
    const affordable = Math.floor(Math.min(options.maxBytes, MAX_BYTES) / ENTRY_BYTES)
    this.#hash = options.hash
    this.#firstOffset = firstOffset
    this.#slots = primeAtOrBelow(Math.max(3, Math.min(affordable, nextPrimeBound(wanted))))
    this.#words = new Int32Array(WORDS * this.#slots)
    // One slot stays empty, so that every search ends; one entry there must be, so that a cleaning gets on.
    this.maxEntries = Math.max(1, Math.min(this.#slots - 1, Math.floor(this.#slots * loadFactor)))
    this.lastOffset = firstOffset - 1
  }

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#words.byteLength
  }

  /** Offsets must not fall. False: there is no room, and nothing was put. */
  put(bytes: Uint8Array, keyAt: number, keyBytes: number, offset: number): boolean {
    const relative = offset - this.#firstOffset
    assert(relative >= 0, 'only dirty records are put')
    if (this.#count >= this.maxEntries || relative > MAX_RELATIVE_OFFSET) return false
    const at = this.#find(bytes, keyAt, keyBytes)
    const words = this.#words
    if (words[at + 4] === 0) {
      const { h0, h1, h2, h3 } = this.#hash
      words[at] = h0
      words[at + 1] = h1
      words[at + 2] = h2
      words[at + 3] = h3
      this.#count++
    }
    words[at + 4] = relative + 1
    this.lastOffset = offset
    return true
  }

  /** The last offset of a key; -1 when it is not there. */
  get(bytes: Uint8Array, keyAt: number, keyBytes: number): number {
    const relative = this.#words[this.#find(bytes, keyAt, keyBytes) + 4] >>> 0
    return relative === 0 ? -1 : this.#firstOffset + relative - 1
  }

  /** Index of the key's words, or of the empty slot where it would go. */
  #find(bytes: Uint8Array, keyAt: number, keyBytes: number): number {
    const hash = this.#hash
    hash.hash(bytes, keyAt, keyBytes)
    const { h0, h1, h2, h3 } = hash
    const slots = this.#slots
    const words = this.#words
    let slot = (h0 >>> 0) % slots
    const step = 1 + ((h1 >>> 0) % (slots - 1))
    for (;;) {
      const at = WORDS * slot
      if (words[at + 4] === 0) return at
      if (words[at] === h0 && words[at + 1] === h1 && words[at + 2] === h2 && words[at + 3] === h3) return at
      slot += step
      if (slot >= slots) slot -= slots
    }
  }
}

/** There is a prime between a number and this (Bertrand, far too careful). */
const nextPrimeBound = (wanted: number): number => Math.max(wanted + 400, Math.ceil(1.01 * wanted))

/** A prime number of slots lets every step visit all of them. */
function primeAtOrBelow(limit: number): number {
  for (let candidate = limit; candidate > 3; candidate--) if (isPrime(candidate)) return candidate
  return 3
}

function isPrime(candidate: number): boolean {
  if (candidate % 2 === 0) return candidate === 2
  for (let divisor = 3; divisor * divisor <= candidate; divisor += 2) {
    if (candidate % divisor === 0) return false
  }
  return candidate > 1
}
