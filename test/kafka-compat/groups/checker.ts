/**
 * What must hold of one group, whatever comes and goes: no partition has two owners in a generation (or epoch), nor two at
 * once; what was acknowledged to the producer is read by somebody; what is committed never moves back, is not lost, and
 * is not ahead of what was read.
 */
import type { Observation } from './history.ts'

export interface Anomaly {
  readonly kind:
    | 'two owners in a generation'
    | 'two owners at once'
    | 'two owners described'
    | 'record lost'
    | 'another record'
    | 'commit moved back'
    | 'commit lost'
    | 'committed, not read'
    | 'member failed'
  readonly what: string
}

interface Interval {
  readonly owner: string
  readonly member: string
  readonly fromMs: number
  toMs: number
  /** Put out of the group: it learns that by and by, others may have the partition meanwhile. */
  isZombie: boolean
}

interface Member {
  readonly owner: string
  generation: number
  readonly held: Map<number, Interval>
}

/** Clocks of processes of one machine that give whole milliseconds. */
const CLOCK_MS = 2

export class GroupChecker {
  /** By member: its instance id, under which it comes back. */
  readonly #instances = new Map<string, string>()
  readonly #members = new Map<string, Member>()
  /** By member of the consumer protocol: so long it may have what it has not acknowledged. */
  readonly #unacknowledgedMs = new Map<string, number>()
  /** By partition, then generation: the owner. */
  readonly #claims = new Map<number, Map<number, string>>()
  readonly #intervals = new Map<number, Interval[]>()
  readonly #polled = new Map<number, Map<number, string>>()
  readonly #acknowledged = new Map<string, { partition: number; offset: number }>()
  /** By partition: acknowledged commits. */
  readonly #commits = new Map<number, { atMs: number; offset: number }[]>()
  readonly #fetched = new Map<number, number>()
  readonly #anomalies: Anomaly[] = []
  /** How often a member learned that it had been put out of the group. */
  losses = 0
  /** Different generations in which members said what they have. */
  readonly generations = new Set<number>()
  polls = 0
  commits = 0
  /** As `found` has counted them: two at once of which one had not acknowledged what it had been given. */
  unacknowledged = 0

  /** Before the member tells anything. A static member keeps what it has when it is started again. */
  isStatic(member: string, instanceId: string): void {
    this.#instances.set(member, instanceId)
  }

  /**
   * Before the member tells anything. Of the consumer protocol (KIP-848): what it is given, and does not say that it has when it next
   * says anything, goes to another at once, though it may be about to take it. It hears of that soon, and gives it back.
   */
  isOfConsumerProtocol(member: string, unacknowledgedMs: number): void {
    this.#unacknowledgedMs.set(member, unacknowledgedMs)
  }

  #mayBeUnacknowledged({ member, fromMs, toMs }: Interval): boolean {
    return toMs - fromMs <= (this.#unacknowledgedMs.get(member) ?? -1)
  }

  observe(seen: Observation): void {
    switch (seen.kind) {
      case 'assigned':
        return this.#assigned(seen.member, seen.generation, seen.partitions, seen.atMs)
      case 'generation':
        return this.#claim(seen.member, seen.generation)
      case 'revoked':
        return this.#end(seen.member, seen.partitions, seen.atMs, false)
      case 'lost':
        this.losses++
        return this.#end(seen.member, seen.partitions, seen.atMs, true)
      case 'polled':
        return this.#poll(seen.partition, seen.offset, seen.value)
      case 'committed':
        this.commits++
        of(this.#commits, seen.partition, () => []).push(seen)
        return
      case 'failed':
        this.#note('member failed', `${seen.member}: ${seen.reason}`)
        return this.#endAll(seen.member, seen.atMs)
      case 'left':
      case 'crashed':
        return this.#endAll(seen.member, seen.atMs)
      case 'acknowledged':
        this.#acknowledged.set(seen.value, seen)
        return
      case 'fetched':
        return this.#fetch(seen.partition, seen.offset, seen.askedMs)
      case 'described':
        return this.#describe(seen.owners)
    }
  }

  #member(name: string): Member {
    const owner = this.#instances.get(name) ?? name
    return of(this.#members, name, () => ({ owner, generation: -1, held: new Map() }))
  }

  /** The partitions that a member says it has, in order. */
  heldBy(name: string): number[] {
    return [...this.#member(name).held.keys()].sort((a, b) => a - b)
  }

  #assigned(name: string, generation: number, partitions: readonly number[], atMs: number): void {
    const member = this.#member(name)
    const dropped = [...member.held.keys()].filter((partition) => !partitions.includes(partition))
    this.#end(name, dropped, atMs, true)
    for (const partition of partitions) {
      if (member.held.has(partition)) continue
      const interval = {
        owner: member.owner,
        member: name,
        fromMs: atMs,
        toMs: Infinity,
        isZombie: false,
      }
      member.held.set(partition, interval)
      of(this.#intervals, partition, () => []).push(interval)
    }
    if (generation >= 0) this.#claim(name, generation)
  }

  #claim(name: string, generation: number): void {
    const { owner, held } = this.#member(name)
    this.generations.add(generation)
    for (const partition of held.keys()) {
      const owners = of(this.#claims, partition, () => new Map<number, string>())
      const other = owners.get(generation) ?? owner
      owners.set(generation, owner)
      if (other !== owner) {
        const what = `partition ${partition} in generation ${generation}: ${other} and ${owner}`
        this.#note('two owners in a generation', what)
      }
    }
  }

  #end(name: string, partitions: readonly number[], atMs: number, isZombie: boolean): void {
    const { held } = this.#member(name)
    for (const partition of partitions) {
      const interval = held.get(partition)
      if (interval === undefined) continue
      interval.toMs = atMs
      interval.isZombie = isZombie
      held.delete(partition)
    }
  }

  #endAll(name: string, atMs: number): void {
    this.#end(name, this.heldBy(name), atMs, false)
  }

  #poll(partition: number, offset: number, value: string): void {
    this.polls++
    const records = of(this.#polled, partition, () => new Map<number, string>())
    const before = records.get(offset) ?? value
    records.set(offset, value)
    if (before !== value)
      this.#note('another record', `partition ${partition}, offset ${offset}: ${before}, then ${value}`)
  }

  /** Fetches of one partition come in the order in which they were asked, one after the other. */
  #fetch(partition: number, offset: number, askedMs: number): void {
    const before = this.#fetched.get(partition) ?? -1
    if (offset < before) {
      this.#note('commit moved back', `partition ${partition}: from ${before} to ${offset}`)
    }
    this.#fetched.set(partition, offset)
    const known = (this.#commits.get(partition) ?? []).filter(({ atMs }) => atMs < askedMs - CLOCK_MS)
    const highest = Math.max(-1, ...known.map((commit) => commit.offset))
    if (offset < highest) {
      this.#note('commit lost', `partition ${partition}: ${highest} was acknowledged, ${offset} is there`)
    }
    this.#commits.set(
      partition,
      (this.#commits.get(partition) ?? []).filter((commit) => commit.offset > offset),
    )
  }

  #describe(owners: ReadonlyMap<string, readonly number[]>): void {
    const found = new Map<number, string>()
    for (const [member, partitions] of owners) {
      for (const partition of partitions) {
        const other = found.get(partition)
        if (other !== undefined)
          this.#note('two owners described', `partition ${partition}: ${other} and ${member}`)
        found.set(partition, member)
      }
    }
  }

  #note(kind: Anomaly['kind'], what: string): void {
    this.#anomalies.push({ kind, what })
  }

  /** By partition: the offset after the last one known. */
  ends(): Map<number, number> {
    const ends = new Map<number, number>()
    const reach = (partition: number, end: number): void => {
      if (end > (ends.get(partition) ?? 0)) ends.set(partition, end)
    }
    for (const { partition, offset } of this.#acknowledged.values()) reach(partition, offset + 1)
    for (const [partition, records] of this.#polled) {
      for (const offset of records.keys()) reach(partition, offset + 1)
    }
    return ends
  }

  /** What was acknowledged to the producer and nobody has read yet, each with what was read in its place. */
  unread(): string[] {
    const unread: string[] = []
    for (const [value, { partition, offset }] of this.#acknowledged) {
      const records = this.#polled.get(partition)
      // An offset that the producer was not told (a duplicate of an earlier try) is any.
      const read =
        offset < 0 ? [...(records?.values() ?? [])].find((each) => each === value) : records?.get(offset)
      if (read === value) continue
      const instead = read === undefined ? '' : ` (at partition ${partition}, offset ${offset} was ${read})`
      unread.push(`${value}${instead}`)
    }
    return unread
  }

  /** What is wrong whatever comes. */
  found(): Anomaly[] {
    return [...this.#anomalies, ...this.#overlaps(), ...this.#unreadCommits()]
  }

  /** In the end, when all should have been read. */
  verdict(): Anomaly[] {
    return [...this.found(), ...this.#lostRecords()]
  }

  #overlaps(): Anomaly[] {
    const anomalies: Anomaly[] = []
    this.unacknowledged = 0
    for (const [partition, intervals] of this.#intervals) {
      const inOrder = intervals.filter(({ isZombie }) => !isZombie).sort((a, b) => a.fromMs - b.fromMs)
      let last: Interval | undefined
      for (const interval of inOrder) {
        const isOverlap =
          last !== undefined && last.owner !== interval.owner && interval.fromMs < last.toMs - CLOCK_MS
        if (isOverlap && (this.#mayBeUnacknowledged(last!) || this.#mayBeUnacknowledged(interval))) {
          this.unacknowledged++
        } else if (isOverlap) {
          const what = `partition ${partition}: ${last!.member} until ${last!.toMs}, ${interval.member} from ${interval.fromMs}`
          anomalies.push({ kind: 'two owners at once', what })
        }
        if (last === undefined || interval.toMs > last.toMs) last = interval
      }
    }
    return anomalies
  }

  #lostRecords(): Anomaly[] {
    return this.unread().map((value) => ({ kind: 'record lost', what: `${value} was read by nobody` }))
  }

  #unreadCommits(): Anomaly[] {
    const anomalies: Anomaly[] = []
    for (const [partition, committed] of this.#fetched) {
      const records = this.#polled.get(partition)
      for (let offset = 0; offset < committed; offset++) {
        if (records?.has(offset) === true) continue
        const what = `partition ${partition}: ${committed} is committed, ${offset} was read by nobody`
        anomalies.push({ kind: 'committed, not read', what })
        break
      }
    }
    return anomalies
  }
}

function of<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
