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
  const mask = tableSize(all.length, table) - 1
  const placed = all.map((key) => {
    const hash = hashOf(key)
    return { key, bucket: (hash ^ (hash >>> 16)) & mask }
  })
  // Keys of one bucket stay in the order in which they came.
  return placed.sort((a, b) => a.bucket - b.bucket).map(({ key }) => key)
}

function tableSize(keys: number, table: Table): number {
  let size = SMALLEST_TABLE
  const least = table === 'grown' ? keys / LOAD_FACTOR : Math.trunc(keys / LOAD_FACTOR + 1)
  while (size < least) size *= 2
  return size
}

/** The golden ratio, as Kafka's own hash table spreads hashes with it. */
const SPREAD = 0x9e3779b97f4a7c15n
const MOST_PER_SLOT = 0.75

/**
 * The order in which Kafka's own hash table (org.apache.kafka.timeline) gives what was put into it in the order of `keys`: it
 * decides between keys that share a bucket of Java's. `most`: keys that it ever held, for it never shrinks.
 */
export function inTimelineOrder<K>(keys: Iterable<K>, hashOf: (key: K) => number, most: number): K[] {
  let bits = 1n
  while ((most + 1) * MOST_PER_SLOT > 2 ** Number(bits)) bits++
  const slotOf = (key: K): number => Number(BigInt.asUintN(64, BigInt(hashOf(key)) * SPREAD) >> (64n - bits))
  // Of one slot the latest comes first.
  const placed = [...keys].reverse().map((key) => ({ key, slot: slotOf(key) }))
  return placed.sort((a, b) => a.slot - b.slot).map(({ key }) => key)
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
