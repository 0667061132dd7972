/**
 * The order in which Java's HashMap and HashSet give their keys. Kafka's uniform assignor goes through such sets: which
 * partition goes to whom, and which one is taken away first, depends on it. We go through them as it does, so that the same
 * group gets the same assignment from either coordinator. Source: java.util.HashMap.
 */
const SMALLEST_TABLE = 16
const LOAD_FACTOR = 0.75

/** How a table came to its size: by adding one key after the other, or made for so many from the start. */
export type Table = 'grown' | 'presized'

export function inJavaOrder<K>(keys: Iterable<K>, hashOf: (key: K) => number, table: Table): K[] {
  const all = [...keys]
  // Most members have partitions of one topic, and few of them.
  if (all.length < 2) return all
  const mask = tableSize(all.length, table) - 1
  return inSlotOrder(all, (key) => {
    const hash = hashOf(key)
    return (hash ^ (hash >>> 16)) & mask
  })
}

/** Keys of one slot stay in the order in which they came. */
function inSlotOrder<K>(keys: readonly K[], slotOf: (key: K) => number): K[] {
  const slots = new Float64Array(keys.length)
  // The place lies in the lower half: one sort of plain numbers, stable by itself.
  for (let i = 0; i < keys.length; i++) slots[i] = slotOf(keys[i]) * PLACES + i
  slots.sort()
  const inOrder: K[] = new Array(keys.length)
  for (let i = 0; i < slots.length; i++) inOrder[i] = keys[slots[i] % PLACES]
  return inOrder
}

/** More than there are keys; a slot of 32 bits times as many is a safe integer. */
const PLACES = 2 ** 21

function tableSize(keys: number, table: Table): number {
  let size = SMALLEST_TABLE
  const least = table === 'grown' ? keys / LOAD_FACTOR : Math.trunc(keys / LOAD_FACTOR + 1)
  while (size < least) size *= 2
  return size
}

/** The golden ratio, as Kafka's own hash table spreads hashes with it: 0x9e3779b97f4a7c15 in two halves. */
const SPREAD_HIGH = 0x9e3779b9
const SPREAD_LOW = 0x7f4a7c15
const MOST_PER_SLOT = 0.75

/**
 * The order in which Kafka's own hash table (org.apache.kafka.timeline) gives what was put into it in the order of `keys`: it
 * decides between keys that share a bucket of Java's. `most`: keys that it ever held, for it never shrinks.
 */
export function inTimelineOrder<K>(keys: Iterable<K>, hashOf: (key: K) => number, most: number): K[] {
  let bits = 1
  while ((most + 1) * MOST_PER_SLOT > 2 ** bits) bits++
  // Of one slot the latest comes first.
  return inSlotOrder([...keys].reverse(), (key) => spreadHigh(hashOf(key)) >>> (32 - bits))
}

/** The upper 32 bits of the hash, extended to 64 bits with its sign, times the golden ratio. */
function spreadHigh(hash: number): number {
  const low = hash & 0xffff
  const high = hash >>> 16
  const spreadLow = SPREAD_LOW & 0xffff
  const spreadHighHalf = SPREAD_LOW >>> 16
  // The upper half of the product of two unsigned numbers of 32 bits, by halves of 16.
  const middle = high * spreadLow + Math.floor((low * spreadLow) / 0x10000)
  const cross = low * spreadHighHalf + (middle % 0x10000)
  const carried = high * spreadHighHalf + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)
  const sign = hash < 0 ? SPREAD_LOW : 0
  return (Math.imul(hash, SPREAD_HIGH) + carried - sign) >>> 0
}

/** String.hashCode() */
export function stringHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** Uuid.hashCode() of an id of 22 characters of base64url. */
export function uuidHash(id: string): number {
  const bytes = Buffer.from(id, 'base64url')
  return bytes.readInt32BE(0) ^ bytes.readInt32BE(4) ^ bytes.readInt32BE(8) ^ bytes.readInt32BE(12)
}

/** Uuid.compareTo(): both halves as signed numbers, the more significant first. */
export function compareUuids(one: string, other: string): number {
  if (one === other) return 0
  const a = Buffer.from(one, 'base64url')
  const b = Buffer.from(other, 'base64url')
  // The sign bit turned round makes signed order the order of bytes.
  for (const bytes of [a, b]) for (const at of [0, 8]) bytes[at] ^= 0x80
  return Buffer.compare(a, b)
}

/** A topic's partitions in a set that was made of a list. */
export function partitionsInJavaOrder(partitions: readonly number[]): number[] {
  return inJavaOrder(partitions, (partition) => partition, 'presized')
}
