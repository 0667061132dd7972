/**
 * XXH3 with 64 bits, seed 0 and the default secret. Kafka 4.1 hashes topic metadata with it (KIP-1101), a few kilobytes now
 * and then: written for shortness, in BigInt. Source: the xxHash specification (xxhash_spec.md, XXH3).
 */
const MASK = (1n << 64n) - 1n
const LOW = 0xffffffffn

const PRIME32_1 = 0x9e3779b1n
const PRIME32_2 = 0x85ebca77n
const PRIME32_3 = 0xc2b2ae3dn
const PRIME64_1 = 0x9e3779b185ebca87n
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn
const PRIME64_3 = 0x165667b19e3779f9n
const PRIME64_4 = 0x85ebca77c2b2ae63n
const PRIME64_5 = 0x27d4eb2f165667c5n
const PRIME_MX1 = 0x165667919e3779f9n
const PRIME_MX2 = 0x9fb21c651e98df25n

const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
)
const STRIPE_BYTES = 64
const STRIPES_PER_BLOCK = (SECRET.length - STRIPE_BYTES) / 8
const LAST_STRIPE_SECRET = SECRET.length - STRIPE_BYTES - 7
const MERGE_SECRET = 11

const secretAt = (at: number): bigint => SECRET.readBigUInt64LE(at)
const wrap = (value: bigint): bigint => value & MASK
const rotate = (value: bigint, bits: bigint): bigint => wrap(value << bits) | (value >> (64n - bits))

function swapBytes(value: bigint): bigint {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes.readBigUInt64LE(0)
}

function foldedProduct(a: bigint, b: bigint): bigint {
  const product = a * b
  return wrap(product) ^ (product >> 64n)
}

function avalanche(value: bigint): bigint {
  const mixed = wrap((value ^ (value >> 37n)) * PRIME_MX1)
  return mixed ^ (mixed >> 32n)
}

function oldAvalanche(value: bigint): bigint {
  const once = wrap((value ^ (value >> 33n)) * PRIME64_2)
  const twice = wrap((once ^ (once >> 29n)) * PRIME64_3)
  return twice ^ (twice >> 32n)
}

export function xxh3(bytes: Buffer): bigint {
  const { length } = bytes
  if (length <= 16) return upTo16(bytes)
  if (length <= 128) return upTo128(bytes)
  return length <= 240 ? upTo240(bytes) : longer(bytes)
}

function upTo16(bytes: Buffer): bigint {
  const { length } = bytes
  const size = BigInt(length)
  if (length > 8) {
    const low = bytes.readBigUInt64LE(0) ^ secretAt(24) ^ secretAt(32)
    const high = bytes.readBigUInt64LE(length - 8) ^ secretAt(40) ^ secretAt(48)
    return avalanche(wrap(size + swapBytes(low) + high + foldedProduct(low, high)))
  }
  if (length >= 4) {
    const input = BigInt(bytes.readUInt32LE(length - 4)) + (BigInt(bytes.readUInt32LE(0)) << 32n)
    let hash = input ^ secretAt(8) ^ secretAt(16)
    hash = wrap((hash ^ rotate(hash, 49n) ^ rotate(hash, 24n)) * PRIME_MX2)
    hash = wrap((hash ^ wrap((hash >> 35n) + size)) * PRIME_MX2)
    return hash ^ (hash >> 28n)
  }
  if (length === 0) return oldAvalanche(secretAt(56) ^ secretAt(64))
  const [first, middle, last] = [bytes[0], bytes[length >> 1], bytes[length - 1]]
  const combined = ((first << 16) | (middle << 24) | last | (length << 8)) >>> 0
  const flip = (SECRET.readUInt32LE(0) ^ SECRET.readUInt32LE(4)) >>> 0
  return oldAvalanche(BigInt((combined ^ flip) >>> 0))
}

function mix16(bytes: Buffer, at: number, secret: number): bigint {
  const low = bytes.readBigUInt64LE(at) ^ secretAt(secret)
  return foldedProduct(low, bytes.readBigUInt64LE(at + 8) ^ secretAt(secret + 8))
}

function upTo128(bytes: Buffer): bigint {
  const { length } = bytes
  let sum = BigInt(length) * PRIME64_1
  for (let pair = (length - 1) >> 5; pair >= 0; pair--) {
    sum += mix16(bytes, 16 * pair, 32 * pair) + mix16(bytes, length - 16 * (pair + 1), 32 * pair + 16)
  }
  return avalanche(wrap(sum))
}

function upTo240(bytes: Buffer): bigint {
  const { length } = bytes
  const rounds = length >> 4
  let sum = BigInt(length) * PRIME64_1
  for (let i = 0; i < 8; i++) sum += mix16(bytes, 16 * i, 16 * i)
  sum = avalanche(wrap(sum))
  for (let i = 8; i < rounds; i++) sum += mix16(bytes, 16 * i, 16 * (i - 8) + 3)
  return avalanche(wrap(sum + mix16(bytes, length - 16, 119)))
}

function longer(bytes: Buffer): bigint {
  const { length } = bytes
  const lanes = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1]
  const stripes = Math.floor((length - 1) / STRIPE_BYTES)
  for (let stripe = 0; stripe < stripes; stripe++) {
    const inBlock = stripe % STRIPES_PER_BLOCK
    accumulate(lanes, bytes, stripe * STRIPE_BYTES, inBlock * 8)
    const blockEnds = inBlock === STRIPES_PER_BLOCK - 1 && (stripe + 1) * STRIPE_BYTES <= length - 1
    if (blockEnds) scramble(lanes)
  }
  accumulate(lanes, bytes, length - STRIPE_BYTES, LAST_STRIPE_SECRET)
  let sum = BigInt(length) * PRIME64_1
  for (let i = 0; i < 8; i += 2) {
    const secret = MERGE_SECRET + 8 * i
    sum += foldedProduct(lanes[i] ^ secretAt(secret), lanes[i + 1] ^ secretAt(secret + 8))
  }
  return avalanche(wrap(sum))
}

function accumulate(lanes: bigint[], bytes: Buffer, at: number, secret: number): void {
  for (let i = 0; i < 8; i++) {
    const data = bytes.readBigUInt64LE(at + 8 * i)
    const keyed = data ^ secretAt(secret + 8 * i)
    lanes[i ^ 1] = wrap(lanes[i ^ 1] + data)
    lanes[i] = wrap(lanes[i] + (keyed & LOW) * (keyed >> 32n))
  }
}

function scramble(lanes: bigint[]): void {
  for (let i = 0; i < 8; i++) {
    const lane = lanes[i] ^ (lanes[i] >> 47n) ^ secretAt(SECRET.length - STRIPE_BYTES + 8 * i)
    lanes[i] = wrap(lane * PRIME32_1)
  }
}
