/**
 * The members of a group in the order in which Kafka's assignor meets them: by the slots of a HashMap (java-order.ts), into
 * which they were put in the order of Kafka's own hash table (org.apache.kafka.timeline). It is asked for with every join, so
 * it is kept sorted as members come and go.
 */
import { javaHash, stringHash, tableMask } from './java-order.ts'

interface Place {
  readonly memberId: string
  readonly hash: number
  readonly spread: number
  /** Which one it was of all that came. */
  readonly arrival: number
}

export class MemberOrder {
  readonly #places = new Map<string, Place>()
  #arrivals = 0
  /** Members at once, ever: Kafka's table never shrinks. */
  #most = 0
  /** Sorted for tables of these sizes. */
  #sorted: Place[] = []
  #mask = 0
  #shift = 0

  add(memberId: string): void {
    if (this.#places.has(memberId)) return
    const hash = stringHash(memberId)
    const spread = spreadHigh(hash)
    const place = { memberId, hash: javaHash(hash), spread, arrival: this.#arrivals++ }
    this.#places.set(memberId, place)
    this.#most = Math.max(this.#most, this.#places.size)
    this.#sorted.splice(this.#placeOf(place), 0, place)
  }

  remove(memberId: string): void {
    const place = this.#places.get(memberId)
    if (place === undefined) return
    this.#places.delete(memberId)
    this.#sorted.splice(this.#placeOf(place), 1)
  }

  /** As they are when `changed` has come, instead of `replaced` if that is another. */
  memberIds(changed: string, replaced: string | undefined): string[] {
    const isNew = !this.#places.has(changed)
    const leaves = replaced !== undefined && replaced !== changed && this.#places.has(replaced)
    this.#sortFor(this.#places.size + (isNew ? 1 : 0) - (leaves ? 1 : 0))
    const memberIds = this.#sorted.map(({ memberId }) => memberId)
    // It is put into the HashMap after all others.
    if (isNew) {
      const slot = javaHash(stringHash(changed)) & this.#mask
      memberIds.splice(
        this.#firstWhere(({ hash }) => (hash & this.#mask) > slot),
        0,
        changed,
      )
    }
    return leaves ? memberIds.filter((memberId) => memberId !== replaced) : memberIds
  }

  #sortFor(members: number): void {
    const mask = tableMask(members, 'grown')
    const shift = 32 - timelineBits(this.#most)
    if (mask === this.#mask && shift === this.#shift) return
    this.#mask = mask
    this.#shift = shift
    this.#sorted.sort((one, other) => this.#compare(one, other))
  }

  #placeOf(place: Place): number {
    return this.#firstWhere((other) => this.#compare(other, place) >= 0)
  }

  /** `isAfter` is false up to some place, and true from there on. */
  #firstWhere(isAfter: (place: Place) => boolean): number {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAfter(this.#sorted[middle])) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Of one slot of Kafka's table the latest comes first. */
  #compare(one: Place, other: Place): number {
    return (
      (one.hash & this.#mask) - (other.hash & this.#mask) ||
      (one.spread >>> this.#shift) - (other.spread >>> this.#shift) ||
      other.arrival - one.arrival
    )
  }
}

const MOST_PER_SLOT = 0.75

/** Bits of a slot number in Kafka's table. */
function timelineBits(most: number): number {
  let bits = 1
  while ((most + 1) * MOST_PER_SLOT > 2 ** bits) bits++
  return bits
}

/** The golden ratio, as Kafka's own hash table spreads hashes with it: 0x9e3779b97f4a7c15 in two halves. */
const SPREAD_HIGH = 0x9e3779b9
const SPREAD_LOW = 0x7f4a7c15

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
