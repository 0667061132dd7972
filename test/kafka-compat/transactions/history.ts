/**
 * What clients of transactions see and do, one line of a client for each. Times are the machine's monotonic clock in
 * microseconds, the same for all processes. A partition is named `TOPIC-NUMBER`, a transaction `PRODUCER/LIFE/NUMBER`, where
 * a producer is its transactional id and a life one instance of it; a consumer is named `GROUP:INSTANCE`.
 *
 *   i AT PRODUCER LIFE [BEGUN]                   the instance has been initialised, and asked for it at BEGUN: all that were
 *                                                initialised before that are fenced
 *   w AT TRANSACTION INDEX PARTITION [GROUP SOURCE OFFSET]
 *                                                is about to be sent; for the group, made of the record at that offset
 *   o AT TRANSACTION GROUP PARTITION OFFSET      is about to be sent with the transaction
 *   s AT TRANSACTION INDEX PARTITION OFFSET      acknowledged
 *   c AT TRANSACTION                             the commit is about to be asked for
 *   C AT TRANSACTION                             the commit is acknowledged
 *   A AT TRANSACTION                             the abort is acknowledged
 *   f AT PRODUCER LIFE ERROR                     the instance is fenced, or given up
 *   p AT CONSUMER PARTITION OFFSET               owns the partition, and begins there: asked for at that time, not earlier
 *   r AT CONSUMER POLL PARTITION OFFSET TRANSACTION INDEX
 *                                                was given that record, which says whose it is, by its so-manieth poll
 */
export type Observation =
  | { kind: 'initialised'; atUs: number; begunUs: number; producer: string; life: string }
  | {
      kind: 'writing'
      atUs: number
      transaction: string
      index: number
      partition: string
      source: Source | null
    }
  | { kind: 'offset'; atUs: number; transaction: string; group: string; partition: string; offset: number }
  /** `offset` is negative where the client was not told. */
  | { kind: 'sent'; atUs: number; transaction: string; index: number; partition: string; offset: number }
  | { kind: 'committing' | 'committed' | 'aborted'; atUs: number; transaction: string }
  | { kind: 'ended'; atUs: number; producer: string; life: string; error: string }
  | { kind: 'positioned'; atUs: number; consumer: string; partition: string; offset: number }
  | {
      kind: 'polled'
      atUs: number
      consumer: string
      poll: number
      partition: string
      offset: number
      transaction: string
      index: number
    }

/** The record of which another one is made, for a group, which has to do that once. */
export interface Source {
  group: string
  partition: string
  offset: number
}

/** A record in a partition's log, by what its value says: `TRANSACTION INDEX ...`. */
export interface LogRecord {
  offset: number
  transaction: string
  index: number
}

/** Every partition, whole, in the order of its log. */
export type Logs = ReadonlyMap<string, readonly LogRecord[]>

const ends = { c: 'committing', C: 'committed', A: 'aborted' } as const

/** A line of a client; throws where it is none. */
export function parseObservation(line: string): Observation {
  const [letter, at, name, ...rest] = line.split(' ')
  const atUs = Number(at)
  switch (letter) {
    case 'i':
      return { kind: 'initialised', atUs, begunUs: Number(rest[1] ?? at), producer: name, life: rest[0] }
    case 'w': {
      const [index, partition, group, from, offset] = rest
      const source = group === undefined ? null : { group, partition: from, offset: Number(offset) }
      return { kind: 'writing', atUs, transaction: name, index: Number(index), partition, source }
    }
    case 'o': {
      const [group, partition, offset] = rest
      return { kind: 'offset', atUs, transaction: name, group, partition, offset: Number(offset) }
    }
    case 's': {
      const [index, partition, offset] = rest
      return {
        kind: 'sent',
        atUs,
        transaction: name,
        index: Number(index),
        partition,
        offset: Number(offset),
      }
    }
    case 'c':
    case 'C':
    case 'A':
      return { kind: ends[letter], atUs, transaction: name }
    case 'f':
      return { kind: 'ended', atUs, producer: name, life: rest[0], error: rest.slice(1).join(' ') }
    case 'p':
      return { kind: 'positioned', atUs, consumer: name, partition: rest[0], offset: Number(rest[1]) }
    case 'r': {
      const [poll, partition, offset, transaction, index] = rest
      const place = { poll: Number(poll), partition, offset: Number(offset) }
      return { kind: 'polled', atUs, consumer: name, ...place, transaction, index: Number(index) }
    }
    default:
      throw new Error(`a client said: ${line}`)
  }
}
