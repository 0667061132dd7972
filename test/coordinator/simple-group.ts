/**
 * A classic group as coordinators.md 4 and 5 tell of it, as simply as possible: plain fields, time that is walked through, no
 * log. Written beside the coordinator, and sharing nothing with it, so that random requests can be put to both.
 * Members are numbered: their real ids are the coordinator's own.
 */
import { ErrorCode } from '../../src/protocol/error-codes.ts'

export interface JoinCall {
  /** null: a newcomer. */
  readonly ref: number | null
  readonly instance: string | null
  readonly idRequired: boolean
  readonly canSkipAssignment: boolean
  readonly sessionMs: number
  readonly rebalanceMs: number
  /** Names in order of preference, with what the member says of itself. */
  readonly protocols: ReadonlyMap<string, string>
}

export interface JoinAnswer {
  readonly error: number
  readonly generation: number
  readonly protocol: string | null
  /** Whom it is about; null where there is no such member. */
  readonly ref: number | null
  readonly leader: number | null
  /** What the leader is told: what each member says of itself. */
  readonly members: ReadonlyMap<number, string>
  readonly skipAssignment: boolean
}

export interface SyncAnswer {
  readonly error: number
  readonly assignment: string
}

/** A call whose answer may come later. */
export interface Ticket<T> {
  answer: T | null
}

interface Member {
  ref: number
  readonly instance: string | null
  sessionMs: number
  rebalanceMs: number
  protocols: ReadonlyMap<string, string>
  expiresMs: number
  isNew: boolean
  join: Ticket<JoinAnswer> | null
  sync: Ticket<SyncAnswer> | null
  assignment: string
}

const NEW_MEMBER_MS = 300_000
const { NONE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS, FENCED_INSTANCE_ID } = ErrorCode

export class SimpleGroup {
  nowMs = 0
  state: 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' = 'Empty'
  generation = 0
  protocol: string | null = null
  leader: number | null = null
  /** In the order in which they came. */
  members: Member[] = []
  readonly pending = new Map<number, number>()
  readonly offsets = new Map<number, number>()
  readonly #initialDelayMs: number
  #refs = 0
  #hasNewcomer = false
  /** While members gather. */
  #gatherUntilMs = Infinity
  #initial: { delayMs: number; remainingMs: number } | null = null
  /** Who has the generation and has not synced. */
  #unsynced = new Set<number>()
  #syncUntilMs = Infinity

  constructor(initialDelayMs: number) {
    this.#initialDelayMs = initialDelayMs
  }

  member(ref: number | null): Member | undefined {
    return this.members.find((each) => each.ref === ref)
  }

  #instance(name: string | null): Member | undefined {
    return name === null ? undefined : this.members.find(({ instance }) => instance === name)
  }

  /** Nothing is kept of a group that nobody is in, that had no generation and has no offsets. */
  get exists(): boolean {
    const hasSomebody = this.members.length > 0 || this.pending.size > 0 || this.state !== 'Empty'
    return hasSomebody || this.generation > 0 || this.offsets.size > 0
  }

  // Requests.

  join(call: JoinCall): Ticket<JoinAnswer> {
    const ticket: Ticket<JoinAnswer> = { answer: null }
    if (!this.#isSupported(call.protocols)) {
      ticket.answer = refusedJoin(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, call.ref)
    } else if (call.ref === null) this.#joinNew(call, ticket)
    else if (this.pending.has(call.ref) && call.instance === null) this.#add(call, call.ref, ticket)
    else this.#joinAgain(call, call.ref, ticket)
    this.#gatheredAll()
    return ticket
  }

  #isSupported(protocols: ReadonlyMap<string, string>): boolean {
    if (this.state === 'Empty') return true
    return [...protocols.keys()].some((name) => this.members.every((member) => member.protocols.has(name)))
  }

  #joinNew(call: JoinCall, ticket: Ticket<JoinAnswer>): void {
    const ref = ++this.#refs
    const former = this.#instance(call.instance)
    if (former !== undefined) return this.#comeBack(former, ref, call, ticket)
    if (call.instance !== null || !call.idRequired) return this.#add(call, ref, ticket)
    this.pending.set(ref, this.nowMs + call.sessionMs)
    ticket.answer = refusedJoin(ErrorCode.MEMBER_ID_REQUIRED, ref)
  }

  #add(call: JoinCall, ref: number, ticket: Ticket<JoinAnswer>): void {
    this.pending.delete(ref)
    if (this.state === 'PreparingRebalance' && this.generation === 0) this.#hasNewcomer = true
    const { instance, sessionMs, rebalanceMs, protocols } = call
    const expiresMs = this.nowMs + NEW_MEMBER_MS
    const own = { ref, instance, sessionMs, rebalanceMs, protocols, expiresMs }
    this.members.push({ ...own, isNew: true, join: ticket, sync: null, assignment: '' })
    this.leader ??= ref
    if (this.state !== 'PreparingRebalance') this.#gather()
  }

  #joinAgain(call: JoinCall, ref: number, ticket: Ticket<JoinAnswer>): void {
    const error = this.#check(ref, call.instance)
    if (error !== NONE) return void (ticket.answer = refusedJoin(error, ref))
    const member = this.member(ref)!
    const isSame = sameMap(member.protocols, call.protocols)
    if (
      isSame &&
      (this.state === 'CompletingRebalance' || (this.state === 'Stable' && this.leader !== ref))
    ) {
      ticket.answer = this.#told(member)
      return
    }
    this.#wait(member, call, ticket)
    if (this.state !== 'PreparingRebalance') this.#gather()
  }

  /** A static member without its member id. */
  #comeBack(former: Member, ref: number, call: JoinCall, ticket: Ticket<JoinAnswer>): void {
    const others = this.members.map((each) => (each === former ? call.protocols : each.protocols))
    const staysStable = this.state === 'Stable' && choice(others) === this.protocol
    const leader = this.leader
    if (former.join !== null) former.join.answer = refusedJoin(FENCED_INSTANCE_ID, former.ref)
    if (former.sync !== null) former.sync.answer = { error: FENCED_INSTANCE_ID, assignment: '' }
    former.join = former.sync = null
    this.#unsynced.delete(former.ref)
    if (this.leader === former.ref) this.leader = ref
    former.ref = ref
    // It is the last of all now.
    this.members = [...this.members.filter((each) => each !== former), former]
    if (!staysStable) {
      this.#wait(former, call, ticket)
      former.expiresMs = this.nowMs + (former.isNew ? NEW_MEMBER_MS : former.sessionMs)
      if (this.state !== 'PreparingRebalance') this.#gather()
      return
    }
    this.#take(former, call)
    former.expiresMs = this.nowMs + former.sessionMs
    const told = this.#told(former)
    if (!call.canSkipAssignment) ticket.answer = { ...told, leader, members: new Map() }
    else ticket.answer = { ...told, skipAssignment: this.leader === ref }
  }

  #take(member: Member, { sessionMs, rebalanceMs, protocols }: JoinCall): void {
    Object.assign(member, { sessionMs, rebalanceMs, protocols })
  }

  #wait(member: Member, call: JoinCall, ticket: Ticket<JoinAnswer>): void {
    this.#take(member, call)
    if (member.join !== null) member.join.answer = refusedJoin(REBALANCE_IN_PROGRESS, member.ref)
    member.join = ticket
  }

  sync(ref: number, generation: number, instance: string | null, assignments: ReadonlyMap<number, string>) {
    const ticket: Ticket<SyncAnswer> = { answer: null }
    const refuse = (error: number): Ticket<SyncAnswer> => ({ answer: { error, assignment: '' } })
    const error = this.#check(ref, instance, generation)
    if (error !== NONE) return refuse(error)
    if (this.state === 'PreparingRebalance') return refuse(REBALANCE_IN_PROGRESS)
    const member = this.member(ref)!
    this.#unsynced.delete(ref)
    if (this.#unsynced.size === 0) this.#syncUntilMs = Infinity
    if (this.state === 'Stable') {
      member.expiresMs = this.nowMs + member.sessionMs
      ticket.answer = { error: NONE, assignment: member.assignment }
      return ticket
    }
    if (member.sync !== null) member.sync.answer = { error: REBALANCE_IN_PROGRESS, assignment: '' }
    member.sync = ticket
    if (this.leader !== ref) return ticket
    this.state = 'Stable'
    for (const each of this.members) {
      each.assignment = assignments.get(each.ref) ?? ''
      if (each.sync === null) continue
      each.sync.answer = { error: NONE, assignment: each.assignment }
      each.sync = null
      each.expiresMs = this.nowMs + each.sessionMs
    }
    return ticket
  }

  heartbeat(ref: number, generation: number, instance: string | null): number {
    const error = this.#check(ref, instance, generation)
    if (error !== NONE) return error
    const member = this.member(ref)!
    member.expiresMs = this.nowMs + member.sessionMs
    return this.state === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE
  }

  /** `ref` null: named by its instance alone. */
  leave(ref: number | null, instance: string | null): number {
    const member = ref === null ? this.#instance(instance) : this.member(ref)
    if (ref !== null && this.pending.delete(ref)) {
      this.#gatheredAll()
      return NONE
    }
    const error = ref === null ? NONE : this.#check(ref, instance)
    if (error !== NONE) return error
    if (member === undefined) return UNKNOWN_MEMBER_ID
    this.#remove(member)
    return NONE
  }

  commit(
    ref: number | null,
    generation: number,
    instance: string | null,
    [partition, offset]: [number, number],
  ): number {
    if (generation >= 0 && !this.exists) return ILLEGAL_GENERATION
    const isSimple = generation < 0 && this.state === 'Empty'
    const error = isSimple ? NONE : this.#check(ref, instance, generation)
    if (error !== NONE) return error
    if (!isSimple && this.state === 'CompletingRebalance') return REBALANCE_IN_PROGRESS
    const member = this.member(ref)
    if (!isSimple && member !== undefined) member.expiresMs = this.nowMs + member.sessionMs
    this.offsets.set(partition, offset)
    return NONE
  }

  #check(ref: number | null, instance: string | null, generation?: number): number {
    if (instance !== null) {
      const current = this.#instance(instance)
      if (current === undefined) return UNKNOWN_MEMBER_ID
      if (current.ref !== ref) return FENCED_INSTANCE_ID
    }
    if (this.member(ref) === undefined) return UNKNOWN_MEMBER_ID
    return generation === undefined || generation === this.generation ? NONE : ILLEGAL_GENERATION
  }

  // From one generation to the next.

  #told(member: Member): JoinAnswer {
    const { protocol, leader, generation } = this
    const list = this.members.map((each): [number, string] => [each.ref, each.protocols.get(protocol!) ?? ''])
    const members = new Map(leader === member.ref ? list : [])
    return { error: NONE, generation, protocol, ref: member.ref, leader, members, skipAssignment: false }
  }

  #longestRebalanceMs(): number {
    return Math.max(0, ...this.members.map(({ rebalanceMs }) => rebalanceMs))
  }

  #gather(): void {
    for (const member of this.members) {
      if (this.state !== 'CompletingRebalance') break
      member.assignment = ''
      if (member.sync === null) continue
      member.sync.answer = { error: REBALANCE_IN_PROGRESS, assignment: '' }
      member.sync = null
      member.expiresMs = this.nowMs + member.sessionMs
    }
    this.#unsynced.clear()
    this.#syncUntilMs = Infinity
    const wasEmpty = this.state === 'Empty'
    this.state = 'PreparingRebalance'
    if (!wasEmpty) {
      this.#gatherUntilMs = this.nowMs + this.#longestRebalanceMs()
      return this.#gatheredAll()
    }
    const delayMs = this.#initialDelayMs
    this.#hasNewcomer = false
    this.#initial = { delayMs, remainingMs: Math.max(this.#longestRebalanceMs() - delayMs, 0) }
    this.#gatherUntilMs = this.nowMs + delayMs
    if (delayMs === 0) this.#initialDelayEnds()
  }

  #initialDelayEnds(): void {
    const { delayMs, remainingMs } = this.#initial!
    if (!this.#hasNewcomer || remainingMs === 0) return this.#nextGeneration()
    this.#hasNewcomer = false
    const next = Math.min(this.#initialDelayMs, remainingMs)
    this.#initial = { delayMs: next, remainingMs: Math.max(remainingMs - delayMs, 0) }
    this.#gatherUntilMs = this.nowMs + next
  }

  #gatheredAll(): void {
    if (this.state !== 'PreparingRebalance' || this.#initial !== null || this.pending.size > 0) return
    if (this.members.every(({ join }) => join !== null)) this.#nextGeneration()
  }

  #nextGeneration(): void {
    for (const member of this.members.filter(({ join, instance }) => join === null && instance === null)) {
      this.#drop(member)
    }
    if (this.members.length > 0) {
      const joined = this.members.filter(({ join }) => join !== null)
      if (joined.length === 0) return void (this.#gatherUntilMs = this.nowMs + this.#longestRebalanceMs())
      if (joined.every(({ ref }) => ref !== this.leader)) this.leader = joined[0].ref
    }
    this.#initial = null
    this.#gatherUntilMs = Infinity
    this.generation++
    this.#unsynced.clear()
    this.protocol = this.members.length === 0 ? null : choice(this.members.map(({ protocols }) => protocols))
    this.state = this.members.length === 0 ? 'Empty' : 'CompletingRebalance'
    if (this.members.length === 0) return
    for (const member of this.members) {
      if (member.join !== null) member.join.answer = this.#told(member)
      member.join = null
      member.isNew = false
      member.expiresMs = this.nowMs + member.sessionMs
      this.#unsynced.add(member.ref)
    }
    this.#syncUntilMs = this.nowMs + this.#longestRebalanceMs()
  }

  #drop(member: Member): void {
    if (member.join !== null) member.join.answer = refusedJoin(UNKNOWN_MEMBER_ID, null)
    if (member.sync !== null) member.sync.answer = { error: UNKNOWN_MEMBER_ID, assignment: '' }
    this.members = this.members.filter((each) => each !== member)
    this.#unsynced.delete(member.ref)
    if (this.leader === member.ref) this.leader = this.members[0]?.ref ?? null
  }

  #remove(member: Member): void {
    this.#drop(member)
    if (this.state === 'PreparingRebalance') this.#gatheredAll()
    else this.#gather()
  }

  // Time.

  advance(ms: number): void {
    const endMs = this.nowMs + ms
    for (let due = this.#nextMs(); due <= endMs; due = this.#nextMs()) {
      this.nowMs = due
      this.#expire()
    }
    this.nowMs = endMs
  }

  #nextMs(): number {
    const members = this.members.map(({ expiresMs }) => expiresMs)
    return Math.min(this.#gatherUntilMs, this.#syncUntilMs, ...this.pending.values(), ...members)
  }

  #expire(): void {
    if (this.#gatherUntilMs <= this.nowMs) {
      if (this.#initial !== null) this.#initialDelayEnds()
      else this.#nextGeneration()
    }
    if (this.#syncUntilMs <= this.nowMs) {
      this.#syncUntilMs = Infinity
      const isLate = this.#unsynced.size > 0
      for (const ref of this.#unsynced) this.#drop(this.member(ref)!)
      if (isLate) this.#gather()
    }
    for (const [ref, untilMs] of this.pending) if (untilMs <= this.nowMs) this.pending.delete(ref)
    this.#gatheredAll()
    for (const member of [...this.members]) {
      if (member.expiresMs > this.nowMs || !this.members.includes(member)) continue
      // Who waits is alive, but for a newcomer, who may be gone unnoticed.
      if (!member.isNew && (member.join !== null || member.sync !== null)) member.expiresMs = Infinity
      else this.#remove(member)
    }
  }
}

function refusedJoin(error: number, ref: number | null): JoinAnswer {
  const nothing = { generation: -1, protocol: null, leader: null, members: new Map<number, string>() }
  return { error, ref, skipAssignment: false, ...nothing }
}

/** Everybody votes for the first of its own that all support. */
function choice(lists: readonly ReadonlyMap<string, string>[]): string | null {
  const votes = new Map<string, number>()
  for (const list of lists) {
    const vote = [...list.keys()].find((name) => lists.every((other) => other.has(name)))
    if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1)
  }
  const most = Math.max(0, ...votes.values())
  return [...votes].find(([, count]) => count === most)?.[0] ?? null
}

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  const text = (map: ReadonlyMap<string, string>): string => JSON.stringify([...map])
  return text(a) === text(b)
}
