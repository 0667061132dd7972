/**
 * The order in which Java's HashMap and HashSet give their keys. Kafka's uniform assignor goes through such sets: which
 * partition goes to whom, and which one is taken away first, depends on it. We go through them as it does, so that the same
 * group gets the same assignment from either coordinator. Source: java.util.HashMap. Of members: member-order.ts.
 */
const SMALLEST_TABLE = 16
const LOAD_FACTOR = 0.75

/** How a table came to its size: by adding one key after the other, or made for so many from the start. */
export type Table = 'grown' | 'presized'

export function inJavaOrder<K>(keys: Iterable<K>, hashOf: (key: K) => number, table: Table): K[] {
  const all = [...keys]
  // Most members have partitions of one topic, and few of them.
  if (all.length < 2) return all
  const mask = tableMask(all.length, table)
  const slots = new Float64Array(all.length)
  // Keys of one slot stay as they came. The place lies in the lower half: one sort of plain numbers, stable by itself.
  for (let i = 0; i < all.length; i++) slots[i] = (javaHash(hashOf(all[i])) & mask) * PLACES + i
  slots.sort()
  const inOrder: K[] = new Array(all.length)
  for (let i = 0; i < slots.length; i++) inOrder[i] = all[slots[i] % PLACES]
  return inOrder
}

/** More than there are keys; a slot of 32 bits times as many is a safe integer. */
const PLACES = 2 ** 21

/** What `& tableMask(...)` makes a slot of. */
export function javaHash(hash: number): number {
  return hash ^ (hash >>> 16)
}

export function tableMask(keys: number, table: Table): number {
  let size = SMALLEST_TABLE
  const least = table === 'grown' ? keys / LOAD_FACTOR : Math.trunc(keys / LOAD_FACTOR + 1)
  while (size < least) size *= 2
  return size - 1
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
