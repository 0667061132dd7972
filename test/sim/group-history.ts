/**
 * What the members of one group were told, and what must not be: a partition with two owners in a generation, or with a second
 * one while the first may count on it (KIP-848); a commit of somebody who has been overtaken; an acknowledged commit that is gone.
 */
import type { Answer } from './group-client.ts'

export interface GroupTimeouts {
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

export interface MemberName {
  readonly memberId: string
  readonly instanceId: string | null
}

export interface Commit {
  readonly memberId: string
  readonly generation: number
  readonly partition: number
  readonly offset: number
  readonly sentMs: number
  /** Null: in doubt; it may have happened, or may yet, as long as its member is the owner. */
  doneMs: number | null
  isRefused: boolean
}

interface Owner extends MemberName {
  readonly sinceMs: number
}

interface Lease {
  readonly memberId: string
  readonly untilMs: number
  /** Its static member has said that it will be back: it is kept for the next one of this instance. */
  readonly keptFor: string | null
}

export class GroupHistory {
  readonly groupId: string
  readonly complaints: string[] = []
  readonly #timeouts: GroupTimeouts
  readonly #nowMs: () => number
  /** `generation/partition` -> who was told so (classic protocol). */
  readonly #assigned = new Map<string, Owner>()
  /** Generations that somebody was told of for sure, as they grew. */
  readonly #generations: { readonly generation: number; readonly atMs: number }[] = []
  /** Static members whose instance somebody else has in the same generation, and since when. */
  readonly #replaced = new Map<string, number>()
  /** Consumer protocol: who was told last. */
  readonly #owners = new Map<number, Owner | null>()
  readonly #leases = new Map<number, Lease>()
  readonly #told = new Map<string, readonly number[]>()
  /** Members that are to give something back, and until when. */
  readonly #revokesUntilMs = new Map<string, number>()
  readonly #commits = new Map<number, Commit[]>()
  readonly #processed = new Map<number, Set<number>>()

  constructor(groupId: string, timeouts: GroupTimeouts, nowMs: () => number) {
    this.groupId = groupId
    this.#timeouts = timeouts
    this.#nowMs = nowMs
  }

  get commitCount(): number {
    return [...this.#commits.values()].flat().filter(({ doneMs }) => doneMs !== null).length
  }

  complain(text: string): void {
    this.complaints.push(`group ${this.groupId}, at ${this.#nowMs().toFixed(1)} ms: ${text}`)
  }

  /** SyncGroup's answer. Whoever answers it has stored the generation, so that it is the same at each coordinator. */
  toldByClassic(
    member: MemberName,
    generation: number,
    partitions: readonly number[],
    answer: Answer<unknown>,
  ): void {
    const { memberId } = member
    const latest = this.#generationAt(answer.sentMs)
    if (answer.isSure && generation < latest)
      this.complain(`${memberId} is told generation ${generation} after ${latest} has begun`)
    this.#checkReplaced(memberId, 'is told its partitions', answer)
    const sinceMs = this.#nowMs()
    for (const partition of partitions) {
      const key = `${generation}/${partition}`
      const other = this.#assigned.get(key)
      if (other !== undefined && other.memberId !== memberId) {
        const isReturned = member.instanceId !== null && member.instanceId === other.instanceId
        if (!isReturned)
          this.complain(
            `partition ${partition} is ${other.memberId}'s and ${memberId}'s in generation ${generation}`,
          )
        // The one that went may hear of it after its successor.
        if (isReturned && other.sinceMs >= answer.sentMs) continue
        if (isReturned && answer.isSure) this.#replaced.set(other.memberId, sinceMs)
      }
      this.#assigned.set(key, { ...member, sinceMs })
    }
    if (answer.isSure && generation > this.#generationAt(Infinity))
      this.#generations.push({ generation, atMs: sinceMs })
  }

  /** It says what it has: what is not there it has given back, and what was kept for it. */
  says({ memberId, instanceId }: MemberName, owned: ReadonlySet<number>): void {
    for (const [partition, lease] of this.#leases) {
      const isOwn = lease.memberId === memberId || (lease.keptFor !== null && lease.keptFor === instanceId)
      if (isOwn && !owned.has(partition)) this.#leases.delete(partition)
    }
    const told = this.#told.get(memberId) ?? []
    if ([...owned].every((partition) => told.includes(partition))) this.#revokesUntilMs.delete(memberId)
  }

  /** A static member goes, and says that it will be back: what it was to give back is free. */
  isAway(member: MemberName): void {
    const { memberId, instanceId } = member
    this.says(member, new Set(this.#told.get(memberId)))
    for (const [partition, lease] of this.#leases)
      if (lease.memberId === memberId) this.#leases.set(partition, { ...lease, keptFor: instanceId })
  }

  /** ConsumerGroupHeartbeat's answer: `partitions` null where it is as before. */
  toldByConsumer(member: MemberName, partitions: readonly number[] | null, answer: Answer<unknown>): void {
    const { memberId } = member
    const nowMs = this.#nowMs()
    if (partitions !== null) this.#mustHave(memberId, partitions, answer.sentMs)
    const untilMs = Math.min(
      answer.sentMs + this.#timeouts.sessionTimeoutMs,
      this.#revokesUntilMs.get(memberId) ?? Infinity,
    )
    // So late that it may be gone for the others by now.
    const isLate = nowMs >= untilMs
    for (const partition of this.#told.get(memberId) ?? []) {
      if (!answer.isSure || isLate) {
        if (partitions !== null) this.#owners.set(partition, null)
        continue
      }
      const lease = this.#leases.get(partition)
      if (lease !== undefined && lease.memberId !== memberId && lease.untilMs > nowMs)
        this.complain(
          `partition ${partition} is given to ${memberId} while ${lease.memberId} has it until ${lease.untilMs.toFixed(1)}`,
        )
      this.#leases.set(partition, { memberId, untilMs, keptFor: null })
      const owner = this.#owners.get(partition)
      if (partitions !== null || owner?.memberId === memberId)
        this.#owners.set(partition, {
          ...member,
          sinceMs: owner?.memberId === memberId ? owner.sinceMs : nowMs,
        })
    }
  }

  /** Whoever is to give something back, and does not in time, is gone for the others. */
  #mustHave(memberId: string, partitions: readonly number[], sentMs: number): void {
    const revokes = (this.#told.get(memberId) ?? []).some((partition) => !partitions.includes(partition))
    if (revokes && !this.#revokesUntilMs.has(memberId))
      this.#revokesUntilMs.set(memberId, sentMs + this.#timeouts.rebalanceTimeoutMs)
    this.#told.set(memberId, partitions)
  }

  begin(member: MemberName, generation: number, partition: number, offset: number): Commit {
    const { memberId } = member
    const sentMs = this.#nowMs()
    const commit: Commit = { memberId, generation, partition, offset, sentMs, doneMs: null, isRefused: false }
    const all = this.#commits.get(partition)
    if (all === undefined) this.#commits.set(partition, [commit])
    else all.push(commit)
    return commit
  }

  refused(commit: Commit): void {
    commit.isRefused = true
  }

  acknowledged(commit: Commit): void {
    commit.doneMs = this.#nowMs()
  }

  /** The coordinator took it for that of the owner (in a transaction: it is in there, whatever comes of it). */
  accepted(commit: Commit): void {
    const { memberId, generation, partition, sentMs, offset } = commit
    const text = `${memberId} of generation ${generation} commits ${offset} of partition ${partition}`
    const latest = this.#generationAt(sentMs)
    if (latest > generation) this.complain(`${text} after ${latest} has begun`)
    this.#checkReplaced(memberId, 'commits', { value: null, sentMs, isSure: true })
    const owner = this.#owners.get(partition)
    if (owner && owner.memberId !== memberId && owner.sinceMs < sentMs)
      this.complain(`${text}, which ${owner.memberId} has since ${owner.sinceMs.toFixed(1)}`)
  }

  /** OffsetFetch's answer, -1: nothing. What was acknowledged before it was asked is there, or something newer. */
  fetched(partition: number, offset: number, { sentMs, isSure }: Answer<unknown>): void {
    if (!isSure) return
    const commits = this.#commits.get(partition) ?? []
    const isDone = ({ doneMs }: Commit): boolean => doneMs !== null && doneMs <= sentMs
    const last = commits.findLastIndex(isDone)
    if (last < 0 && offset === -1) return
    // What came before it in the same hands is over; what an earlier owner tried, too, since it is one no more.
    const isPossible = commits.some((commit, index) => {
      if (commit.isRefused || commit.offset !== offset) return false
      if (index >= last) return true
      return commit.doneMs === null && commit.memberId === commits[last].memberId
    })
    if (isPossible) return
    const wanted = last < 0 ? 'nothing' : `${commits[last].offset} by ${commits[last].memberId}`
    this.complain(`partition ${partition}: ${wanted} was committed, and ${offset} is fetched`)
  }

  processed(partition: number, offset: number): void {
    let all = this.#processed.get(partition)
    if (all === undefined) this.#processed.set(partition, (all = new Set()))
    all.add(offset)
  }

  /** When all is over: each record has been processed, and the group has come to the end of each partition. */
  judge(partition: number, records: Iterable<number>): void {
    for (const offset of records) {
      if (this.#processed.get(partition)?.has(offset)) continue
      this.complain(`record ${offset} of partition ${partition} was never processed`)
      return
    }
  }

  #generationAt(atMs: number): number {
    return this.#generations.findLast((each) => each.atMs < atMs)?.generation ?? -1
  }

  #checkReplaced(memberId: string, what: string, { sentMs, isSure }: Answer<unknown>): void {
    const replacedMs = this.#replaced.get(memberId)
    if (isSure && replacedMs !== undefined && replacedMs < sentMs)
      this.complain(`${memberId} ${what}, whose instance is another member's since ${replacedMs.toFixed(1)}`)
  }
}
