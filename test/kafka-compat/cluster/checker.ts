/**
 * Judges what clients saw of one topic, and what is in its log in the end: Kafka's promises to an idempotent producer with
 * acks=all and to its consumers, per partition. Pure: a history in, anomalies out.
 *
 * A record is named by its producer and its sequence, which counts that producer's records of that partition from 0.
 */
export type Observation =
  /** Before they are sent: sequences below `upTo` may be in the log from now on. */
  | { kind: 'sending'; producer: string; partition: number; upTo: number }
  /** `offset` is negative where the client was not told: -1, or librdkafka's -1001. */
  | { kind: 'acknowledged'; producer: string; partition: number; sequence: number; offset: number }
  /** Whether it is in the log is open. */
  | { kind: 'failed'; producer: string; partition: number; sequence: number; error: string }
  /** A consumer owns the partition from now on, and reads on from that offset. */
  | { kind: 'positioned'; consumer: string; partition: number; offset: number }
  | {
      kind: 'polled'
      consumer: string
      partition: number
      offset: number
      producer: string
      sequence: number
    }
  /** The coordinator has answered: it keeps `offset` for the consumer's group. */
  | { kind: 'committed'; consumer: string; partition: number; offset: number }

export interface LogRecord {
  offset: number
  producer: string
  sequence: number
}

export const anomalyKinds = [
  'lost: acknowledged, and not in the log',
  'duplicate: twice in the log',
  'reordered: behind a later record of its producer',
  'phantom: in the log, and never sent',
  'misplaced: acknowledged at another offset',
  'offset gap: the log lacks an offset',
  'poll went back',
  'poll skipped an offset',
  'polls differ: another record at an offset read before',
  'read and lost: polled, and not in the log at that offset',
  'committed offset lost: a group began before it',
  'never read: no member of a group was given it',
] as const

export type AnomalyKind = (typeof anomalyKinds)[number]

export interface Anomaly {
  kind: AnomalyKind
  partition: number
  detail: string
}

/** Of each kind so many are told in full; all are counted. */
const TOLD_PER_KIND = 20

interface PartitionHistory {
  /** By producer: sequences below it were sent. */
  sent: Map<string, number>
  /** By producer and sequence: the offset acknowledged. */
  acknowledged: Map<string, Map<number, number>>
  /** What any consumer read, by offset. */
  polled: Map<number, { producer: string; sequence: number; consumer: string }>
  /** By consumer: the offset expected next; absent until it is positioned. */
  next: Map<string, number>
  /** By group. */
  committed: Map<string, number>
  readBy: Map<string, Set<number>>
}

export class HistoryChecker {
  readonly #partitions = new Map<number, PartitionHistory>()
  readonly #groups = new Map<string, string>()
  readonly #counts = new Map<AnomalyKind, number>()
  readonly #told: Anomaly[] = []
  /** Hears of each as soon as it shows: what a client saw when it happens, what the logs say at the end. */
  onAnomaly: (anomaly: Anomaly) => void = () => undefined
  /** By group: how many commits of an offset were answered. */
  readonly #commits = new Map<string, number>()
  acknowledged = 0
  failed = 0
  polled = 0

  /** By consumer: the group it reads for. One that reads alone is a group of one, which commits nothing. */
  constructor(groups: Readonly<Record<string, string>>) {
    for (const [consumer, group] of Object.entries(groups)) this.#groups.set(consumer, group)
  }

  observe(seen: Observation): void {
    const history = this.#history(seen.partition)
    switch (seen.kind) {
      case 'sending':
        history.sent.set(seen.producer, Math.max(seen.upTo, history.sent.get(seen.producer) ?? 0))
        return
      case 'acknowledged':
        this.acknowledged++
        entry(history.acknowledged, seen.producer, () => new Map()).set(seen.sequence, seen.offset)
        return
      case 'failed':
        this.failed++
        return
      case 'positioned':
        return this.#positioned(history, seen)
      case 'polled':
        return this.#polled(history, seen)
      case 'committed': {
        const group = this.#group(seen.consumer)
        this.#commits.set(group, this.countCommitted(group) + 1)
        history.committed.set(group, Math.max(seen.offset, history.committed.get(group) ?? 0))
      }
    }
  }

  #positioned(history: PartitionHistory, seen: Observation & { kind: 'positioned' }): void {
    const { consumer, partition, offset } = seen
    const committed = history.committed.get(this.#group(consumer)) ?? 0
    if (offset < committed) {
      const detail = `${consumer} begins at ${offset}, ${committed} was committed`
      this.#tell('committed offset lost: a group began before it', partition, detail)
    }
    history.next.set(consumer, offset)
  }

  #polled(history: PartitionHistory, seen: Observation & { kind: 'polled' }): void {
    const { consumer, partition, offset, producer, sequence } = seen
    this.polled++
    const next = history.next.get(consumer)
    if (next !== undefined && offset !== next) {
      const kind = offset < next ? 'poll went back' : 'poll skipped an offset'
      this.#tell(kind, partition, `${consumer} was given ${offset} where ${next} is next`)
    }
    history.next.set(consumer, offset + 1)
    entry(history.readBy, this.#group(consumer), () => new Set()).add(offset)
    const before = history.polled.get(offset)
    if (before === undefined) history.polled.set(offset, { producer, sequence, consumer })
    else if (before.producer !== producer || before.sequence !== sequence) {
      const detail = `${offset}: ${name(before)} to ${before.consumer}, ${name(seen)} to ${consumer}`
      this.#tell('polls differ: another record at an offset read before', partition, detail)
    }
  }

  /** How many offsets of a partition the members of a group were given. */
  countRead(group: string, partition: number): number {
    return this.#history(partition).readBy.get(group)?.size ?? 0
  }

  /** How many commits of an offset of a group were answered. */
  countCommitted(group: string): number {
    return this.#commits.get(group) ?? 0
  }

  /** Of all groups. */
  get committed(): number {
    return [...this.#commits.values()].reduce((a, b) => a + b, 0)
  }

  /** `logs` has all of each partition, in the order of the log. Gives what was found from the beginning on. */
  finish(logs: ReadonlyMap<number, readonly LogRecord[]>): Anomaly[] {
    for (const partition of new Set([...this.#partitions.keys(), ...logs.keys()])) {
      const log = logs.get(partition) ?? []
      const history = this.#history(partition)
      this.#checkLog(partition, history, log)
      this.#checkAcknowledged(partition, history, log)
      this.#checkPolled(partition, history, log)
    }
    return this.#told
  }

  /** How many of each kind, of those that occurred. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }

  #checkLog(partition: number, history: PartitionHistory, log: readonly LogRecord[]): void {
    const last = new Map<string, number>()
    const present = new Map<string, number>()
    let expected = 0
    for (const record of log) {
      if (record.offset !== expected) {
        const detail = `${record.offset} where ${expected} is next`
        this.#tell('offset gap: the log lacks an offset', partition, detail)
      }
      expected = record.offset + 1
      if (record.sequence >= (history.sent.get(record.producer) ?? 0)) {
        this.#tell('phantom: in the log, and never sent', partition, at(record))
      }
      const before = last.get(record.producer) ?? -1
      const first = present.get(name(record))
      if (first !== undefined) {
        this.#tell('duplicate: twice in the log', partition, `${at(record)}, first at ${first}`)
      } else if (record.sequence < before) {
        const detail = `${at(record)}, behind ${before}`
        this.#tell('reordered: behind a later record of its producer', partition, detail)
      }
      if (first === undefined) present.set(name(record), record.offset)
      last.set(record.producer, Math.max(before, record.sequence))
    }
  }

  #checkAcknowledged(partition: number, history: PartitionHistory, log: readonly LogRecord[]): void {
    const places = new Map(log.map((record) => [name(record), record.offset]))
    for (const [producer, offsets] of history.acknowledged) {
      for (const [sequence, offset] of offsets) {
        const place = places.get(name({ producer, sequence }))
        const detail = at({ producer, sequence, offset })
        if (place === undefined) this.#tell('lost: acknowledged, and not in the log', partition, detail)
        else if (offset >= 0 && place !== offset) {
          this.#tell('misplaced: acknowledged at another offset', partition, `${detail}, is at ${place}`)
        }
      }
    }
  }

  #checkPolled(partition: number, history: PartitionHistory, log: readonly LogRecord[]): void {
    const byOffset = new Map(log.map((record) => [record.offset, name(record)]))
    for (const [offset, seen] of history.polled) {
      const there = byOffset.get(offset)
      if (there === name(seen)) continue
      const detail = `${at({ ...seen, offset })} to ${seen.consumer}, the log has ${there ?? 'nothing'}`
      this.#tell('read and lost: polled, and not in the log at that offset', partition, detail)
    }
    for (const group of new Set(this.#groups.values())) {
      const read = history.readBy.get(group)
      for (const record of log) {
        if (read?.has(record.offset)) continue
        this.#tell('never read: no member of a group was given it', partition, `${group}: ${at(record)}`)
      }
    }
  }

  #tell(kind: AnomalyKind, partition: number, detail: string): void {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (count > TOLD_PER_KIND) return
    const anomaly = { kind, partition, detail }
    this.#told.push(anomaly)
    this.onAnomaly(anomaly)
  }

  #group(consumer: string): string {
    return this.#groups.get(consumer) ?? consumer
  }

  #history(partition: number): PartitionHistory {
    return entry(this.#partitions, partition, () => ({
      sent: new Map(),
      acknowledged: new Map(),
      polled: new Map(),
      next: new Map(),
      committed: new Map(),
      readBy: new Map(),
    }))
  }
}

function name({ producer, sequence }: { producer: string; sequence: number }): string {
  return `${producer}/${sequence}`
}

function at(record: LogRecord): string {
  return `${name(record)} at ${record.offset}`
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
