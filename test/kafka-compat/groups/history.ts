/** What members of one group, its producer and an observer tell; and the lines in which member processes tell it. */

/** Times are wall clock milliseconds of this machine, on which all of it runs. */
export type Observation =
  /** Has exactly these partitions now. Generation (classic) or member epoch (KIP-848); -1: told later, by `generation`. */
  | { kind: 'assigned'; atMs: number; member: string; generation: number; partitions: readonly number[] }
  | { kind: 'generation'; atMs: number; member: string; generation: number }
  /** Gives them back now: it was asked to, or leaves. */
  | { kind: 'revoked'; atMs: number; member: string; partitions: readonly number[] }
  /** Has learned that it had been put out of the group. */
  | { kind: 'lost'; atMs: number; member: string; partitions: readonly number[] }
  | { kind: 'polled'; atMs: number; member: string; partition: number; offset: number; value: string }
  /** The coordinator has acknowledged it. */
  | { kind: 'committed'; atMs: number; member: string; partition: number; offset: number }
  | { kind: 'left'; atMs: number; member: string }
  | { kind: 'failed'; atMs: number; member: string; reason: string }
  /** Its process was killed. */
  | { kind: 'crashed'; atMs: number; member: string }
  /** To the producer. */
  | { kind: 'acknowledged'; partition: number; offset: number; value: string }
  /** Somebody who is no member asked what is committed, from `askedMs` on. */
  | { kind: 'fetched'; askedMs: number; partition: number; offset: number }
  /** A description of the group: partitions by member. */
  | { kind: 'described'; owners: ReadonlyMap<string, readonly number[]> }

const indexes = (text: string | undefined): number[] =>
  text === undefined || text === '' ? [] : text.split(',').map(Number)

/**
 * What one line of a member's process tells: `MILLISECONDS MEMBER LETTER ...`, where the letter is
 *
 *   a GENERATION P,P      assigned: all that it has
 *   g GENERATION          generation
 *   v P,P                 revoked
 *   l P,P                 lost
 *   r P OFFSET VALUE      polled
 *   c P:OFFSET,...        committed
 *   x                     left
 *   f REASON              failed
 */
export function parse(line: string): Observation[] {
  const [time, member, letter, first, ...rest] = line.split(' ')
  const common = { atMs: Number(time), member }
  switch (letter) {
    case 'a':
      return [{ kind: 'assigned', ...common, generation: Number(first), partitions: indexes(rest[0]) }]
    case 'g':
      return [{ kind: 'generation', ...common, generation: Number(first) }]
    case 'v':
      return [{ kind: 'revoked', ...common, partitions: indexes(first) }]
    case 'l':
      return [{ kind: 'lost', ...common, partitions: indexes(first) }]
    case 'r':
      return [
        { kind: 'polled', ...common, partition: Number(first), offset: Number(rest[0]), value: rest[1] },
      ]
    case 'c':
      return first.split(',').map((each) => {
        const [partition, offset] = each.split(':').map(Number)
        return { kind: 'committed', ...common, partition, offset }
      })
    case 'x':
      return [{ kind: 'left', ...common }]
    case 'f':
      return [{ kind: 'failed', ...common, reason: [first, ...rest].join(' ') }]
    default:
      throw new Error(`a member's process said: ${line}`)
  }
}
