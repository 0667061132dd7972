/** What the members of one group were given, and where they began. */
import type { AnomalyList } from './anomalies.ts'
import type { Logs, Observation } from './history.ts'
import { at, nameOf, placesOf, type Judged } from './log-checks.ts'
import { mayBeCommitted, type TransactionTable } from './transaction-table.ts'

type Polled = Observation & { kind: 'polled' }
type Positioned = Observation & { kind: 'positioned' }

/** Offsets that a consumer was not given, although it was given what lies before and behind. */
interface Skip {
  consumer: string
  from: number
  to: number
  isInternal: boolean
}

interface PartitionReads {
  /** By offset, the first of its readings. */
  polled: Map<number, Polled>
  skips: Skip[]
  begunAt: number
}

/** Where a consumer stands in a partition. */
interface Position {
  next: number
  /** Null until it was given something there. */
  poll: number | null
}

export class GroupHistory {
  readonly name: string
  readonly #topics: ReadonlySet<string>
  readonly #found: AnomalyList
  readonly #partitions = new Map<string, PartitionReads>()
  /** By consumer and partition. */
  readonly #positions = new Map<string, Position>()
  readonly #begun: Positioned[] = []

  constructor(name: string, topics: readonly string[], found: AnomalyList) {
    this.name = name
    this.#topics = new Set(topics)
    this.#found = found
  }

  observe(seen: Positioned | Polled): void {
    const key = `${seen.consumer} ${seen.partition}`
    if (seen.kind === 'positioned') {
      this.#begun.push(seen)
      const reads = this.#reads(seen.partition)
      reads.begunAt = Math.max(reads.begunAt, seen.offset)
      this.#positions.set(key, { next: seen.offset, poll: null })
      return
    }
    this.#checkStep(seen, this.#positions.get(key))
    this.#positions.set(key, { next: seen.offset + 1, poll: seen.poll })
    const { polled } = this.#reads(seen.partition)
    const before = polled.get(seen.offset)
    if (before === undefined || before.atUs > seen.atUs) polled.set(seen.offset, seen)
    if (before !== undefined && nameOf(before) !== nameOf(seen)) {
      const detail = `${at(seen.partition, seen)} to ${seen.consumer}, ${nameOf(before)} to ${before.consumer}`
      this.#found.tell('polls differ: another record at the same offset', detail)
    }
  }

  #checkStep({ consumer, partition, offset, poll }: Polled, position: Position | undefined): void {
    if (position === undefined || offset === position.next) return
    const isInternal = position.poll === poll
    if (offset > position.next) {
      this.#reads(partition).skips.push({ consumer, from: position.next, to: offset, isInternal })
      return
    }
    const kind = isInternal ? 'poll went back: within one poll' : 'poll went back: from one poll to the next'
    const detail = `${consumer} was given ${offset} of ${partition} where ${position.next} is next`
    this.#found.tell(kind, detail)
  }

  /** The furthest offset at which a member has begun. */
  begunAt(partition: string): number {
    return this.#reads(partition).begunAt
  }

  countRead(partition: string): number {
    return this.#partitions.get(partition)?.polled.size ?? 0
  }

  finish(judged: Judged): void {
    this.#checkPolled(judged)
    this.#checkSkipped(judged.committed)
    this.#checkCoverage(judged.committed)
    this.#checkBegun(judged.transactions)
  }

  /** Each record that was polled is in the log, was committed, and was not given before that was asked for. */
  #checkPolled({ all, transactions }: Judged): void {
    const places = placesOf(all)
    for (const [partition, { polled }] of this.#partitions) {
      for (const seen of polled.values()) {
        const detail = `${at(partition, seen)} to ${seen.consumer}`
        const there = places.get(partition)?.get(seen.offset)
        if (there !== nameOf(seen)) {
          this.#found.tell('read and lost: polled, and not in the log', `${detail}, is ${there ?? 'nothing'}`)
        }
        const transaction = transactions.find(seen.transaction)
        if (transaction === null) continue // a phantom, which the log tells
        if (!mayBeCommitted(transaction)) {
          this.#found.tell('aborted read: of a transaction that has not committed (G1a)', detail)
        } else if (seen.atUs < transaction.committingUs!) {
          const kind = 'uncommitted read: polled before the commit was asked for (G1b)'
          this.#found.tell(kind, `${detail} at ${seen.atUs}, asked at ${transaction.committingUs}`)
        }
      }
    }
  }

  #checkSkipped(committed: Logs): void {
    for (const [partition, { skips }] of this.#partitions) {
      const log = committed.get(partition) ?? []
      for (const { consumer, from, to, isInternal } of skips) {
        const skipped = log[firstAtOrBehind(log, from)]
        if (skipped === undefined || skipped.offset >= to) continue
        const kind = isInternal
          ? 'poll skipped a committed record: within one poll'
          : 'poll skipped a committed record: from one poll to the next'
        this.#found.tell(kind, `${consumer} from ${from} to ${to}: ${at(partition, skipped)}`)
      }
    }
  }

  #checkCoverage(committed: Logs): void {
    for (const [partition, log] of committed) {
      if (!this.#topics.has(topicOf(partition))) continue
      const polled = this.#partitions.get(partition)?.polled
      for (const record of log) {
        if (polled?.has(record.offset)) continue
        const kind = 'never read: no member of a group was given a committed record'
        this.#found.tell(kind, `${this.name}: ${at(partition, record)}`)
      }
    }
  }

  /** Where a group keeps its offsets in transactions, a member begins at one of theirs, and behind all that had committed. */
  #checkBegun(transactions: TransactionTable): void {
    const promised = new Map<string, { offset: number; committedUs: number | null }[]>()
    for (const transaction of transactions.all()) {
      if (!mayBeCommitted(transaction)) continue
      for (const { group, partition, offset } of transaction.offsets) {
        if (group !== this.name) continue
        const list = promised.get(partition) ?? []
        promised.set(partition, list)
        list.push({ offset, committedUs: transaction.committedUs })
      }
    }
    if (promised.size === 0) return
    for (const { consumer, partition, offset, atUs } of this.#begun) {
      const offsets = promised.get(partition) ?? []
      const detail = `${consumer} at ${offset} of ${partition}`
      if (offset !== 0 && !offsets.some((each) => each.offset === offset)) {
        this.#found.tell('offset of no transaction: a group began at one that none has committed', detail)
      }
      const later = offsets.find(
        (each) => each.offset > offset && each.committedUs !== null && each.committedUs < atUs,
      )
      if (later === undefined) continue
      this.#found.tell(
        'committed offset lost: a group began before it',
        `${detail}, ${later.offset} was committed`,
      )
    }
  }

  /** Of each committed record of its topics the group has made one that is committed. */
  checkProcessed(committed: Logs, transactions: TransactionTable): void {
    const made = new Map<string, string>()
    for (const [partition, log] of committed) {
      for (const record of log) {
        const source = transactions.writeOf(record)?.source
        if (source?.group !== this.name) continue
        const key = `${source.partition} ${source.offset}`
        const before = made.get(key)
        const here = at(partition, record)
        if (before === undefined) made.set(key, here)
        else {
          const kind = 'processed twice: two committed records of a group are made of one'
          this.#found.tell(kind, `${key} by ${this.name}: ${before}, and ${here}`)
        }
      }
    }
    for (const [partition, log] of committed) {
      if (!this.#topics.has(topicOf(partition))) continue
      for (const record of log) {
        if (made.has(`${partition} ${record.offset}`)) continue
        const kind = 'never processed: a committed record of which none is made'
        this.#found.tell(kind, `${this.name}: ${at(partition, record)}`)
      }
    }
  }

  #reads(partition: string): PartitionReads {
    let reads = this.#partitions.get(partition)
    if (reads === undefined)
      this.#partitions.set(partition, (reads = { polled: new Map(), skips: [], begunAt: 0 }))
    return reads
  }
}

export function topicOf(partition: string): string {
  return partition.slice(0, partition.lastIndexOf('-'))
}

/** Index of the first record at the offset or behind it. */
function firstAtOrBehind(log: readonly { offset: number }[], offset: number): number {
  let [low, high] = [0, log.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (log[middle].offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
