/**
 * SipHash-2-4 with 128 bits of output, over the key of a record. Keyed by the broker's own random bytes: whoever may produce
 * cannot look for two keys that collide (docs/decisions/0007-key-hashes-of-compaction.md). Written in 32-bit halves, `l` the low one, because
 * BigInt would take a hundred times as long.
 */
export class KeyHash {
  readonly #k0l: number
  readonly #k0h: number
  readonly #k1l: number
  readonly #k1h: number
  /** The hash of the last call, as four int32. */
  h0 = 0
  h1 = 0
  h2 = 0
  h3 = 0

  /** `seed`: 16 bytes. */
  constructor(seed: Buffer) {
    this.#k0l = seed.readInt32LE(0)
    this.#k0h = seed.readInt32LE(4)
    this.#k1l = seed.readInt32LE(8)
    this.#k1h = seed.readInt32LE(12)
  }

  /** Of `length` bytes from `at` on; the result is in h0 to h3. */
  hash(bytes: Uint8Array, at: number, length: number): void {
    let v0l = this.#k0l ^ 0x70736575
    let v0h = this.#k0h ^ 0x736f6d65
    let v1l = this.#k1l ^ 0x6e646f6d ^ 0xee
    let v1h = this.#k1h ^ 0x646f7261
    let v2l = this.#k0l ^ 0x6e657261
    let v2h = this.#k0h ^ 0x6c796765
    let v3l = this.#k1l ^ 0x79746573
    let v3h = this.#k1h ^ 0x74656462
    const end = at + length
    // The last word holds the rest and the length; two more turns finish, one for each half of the result.
    const lastWord = length >>> 3
    let next = at
    for (let word = 0; word <= lastWord + 2; word++) {
      let ml = 0
      let mh = 0
      let rounds = 2
      if (word < lastWord) {
        ml = bytes[next] | (bytes[next + 1] << 8) | (bytes[next + 2] << 16) | (bytes[next + 3] << 24)
        mh = bytes[next + 4] | (bytes[next + 5] << 8) | (bytes[next + 6] << 16) | (bytes[next + 7] << 24)
        next += 8
      } else if (word === lastWord) {
        mh = length << 24
        for (let shift = 0; next < end; next++, shift += 8) {
          if (shift < 32) ml |= bytes[next] << shift
          else mh |= bytes[next] << (shift - 32)
        }
      } else {
        rounds = 4
        if (word === lastWord + 1) v2l ^= 0xee
        else {
          this.h0 = v0l ^ v1l ^ v2l ^ v3l
          this.h1 = v0h ^ v1h ^ v2h ^ v3h
          v1l ^= 0xdd
        }
      }
      v3l ^= ml
      v3h ^= mh
      for (; rounds > 0; rounds--) {
        let low = (v0l >>> 0) + (v1l >>> 0)
        v0h = (v0h + v1h + (low > 0xffffffff ? 1 : 0)) | 0
        v0l = low | 0
        let old = v1l
        v1l = ((v1l << 13) | (v1h >>> 19)) ^ v0l
        v1h = ((v1h << 13) | (old >>> 19)) ^ v0h
        old = v0l
        v0l = v0h
        v0h = old
        low = (v2l >>> 0) + (v3l >>> 0)
        v2h = (v2h + v3h + (low > 0xffffffff ? 1 : 0)) | 0
        v2l = low | 0
        old = v3l
        v3l = ((v3l << 16) | (v3h >>> 16)) ^ v2l
        v3h = ((v3h << 16) | (old >>> 16)) ^ v2h
        low = (v0l >>> 0) + (v3l >>> 0)
        v0h = (v0h + v3h + (low > 0xffffffff ? 1 : 0)) | 0
        v0l = low | 0
        old = v3l
        v3l = ((v3l << 21) | (v3h >>> 11)) ^ v0l
        v3h = ((v3h << 21) | (old >>> 11)) ^ v0h
        low = (v2l >>> 0) + (v1l >>> 0)
        v2h = (v2h + v1h + (low > 0xffffffff ? 1 : 0)) | 0
        v2l = low | 0
        old = v1l
        v1l = ((v1l << 17) | (v1h >>> 15)) ^ v2l
        v1h = ((v1h << 17) | (old >>> 15)) ^ v2h
        old = v2l
        v2l = v2h
        v2h = old
      }
      v0l ^= ml
      v0h ^= mh
    }
    this.h2 = v0l ^ v1l ^ v2l ^ v3l
    this.h3 = v0h ^ v1h ^ v2h ^ v3h
  }
}
