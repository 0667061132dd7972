/** Random requests, right and wrong ones, to the coordinator and to simple-group.ts: both give the same answers, at the same time. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { JoinGroupResponse } from '../../src/protocol/messages/11-join-group.ts'
import type { SyncGroupResponse } from '../../src/protocol/messages/14-sync-group.ts'
import { GROUP, commit, commitErrors, committed, heartbeat, join, leave, sync } from './client.ts'
import type { Answer } from './client.ts'
import { SimpleGroup } from './simple-group.ts'
import type { JoinAnswer, SyncAnswer, Ticket } from './simple-group.ts'
import { SeededRandom, settled, world } from './world.ts'
import type { World } from './world.ts'

const SEEDS = 50
const STEPS = 200
const PARTITIONS = 4
// Requests are made at full seconds, and deadlines end between them: which of two comes first is never open.
const SESSIONS_MS = [6_300, 10_300]
const REBALANCE_MS = 20_300
const INITIAL_DELAY_MS = 3_300
const PROTOCOLS = [['range'], ['range', 'roundrobin'], ['roundrobin', 'range'], ['roundrobin'], ['sticky']]

type Call =
  | { kind: 'join'; real: Answer<JoinGroupResponse>; ticket: Ticket<JoinAnswer> }
  | { kind: 'sync'; real: Answer<SyncGroupResponse>; ticket: Ticket<SyncAnswer> }

class Run {
  readonly random: SeededRandom
  readonly w: World
  readonly model: SimpleGroup
  /** Real ids of the model's members that somebody was told, and their instances. */
  readonly ids = new Map<number, string>()
  readonly instances = new Map<number, string | null>()
  readonly protocols = new Map<number, ReadonlyMap<string, string>>()
  readonly calls = new Set<Call>()
  readonly errors = new Set<number>()
  readonly states = new Set<string>()
  offset = 0
  /** For the reader of a failure. */
  readonly story: string[] = []

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const groupInitialRebalanceDelayMs = this.random.pick([0, INITIAL_DELAY_MS])
    const config = { groupInitialRebalanceDelayMs, offsetsRetentionCheckIntervalMs: 2 ** 31 }
    this.w = world({ seed, config })
    this.w.topics.set('work', PARTITIONS)
    this.model = new SimpleGroup(groupInitialRebalanceDelayMs)
  }

  below(limit: number): number {
    return this.random.below(limit)
  }

  async step(): Promise<void> {
    const dice = this.below(100)
    if (dice < 45) this.join()
    else if (dice < 67) this.sync()
    else if (dice < 79) this.heartbeat()
    else if (dice < 83) this.leave()
    else if (dice < 91) this.commit()
    else this.advance(this.random.pick([1, 1, 2, 3, 5, 8, 25]) * 1000)
    await settled()
    this.compare()
  }

  /** A member's number that is known by its id: mostly of one that is in the group. */
  someone(): number | null {
    const isTold = (ref: number): boolean => this.ids.has(ref)
    const present = [...this.model.members.map(({ ref }) => ref), ...this.model.pending.keys()].filter(isTold)
    const all = [...this.ids.keys()]
    const from = present.length === 0 || this.below(12) === 0 ? all.slice(-8) : present
    return from.length === 0 ? null : this.random.pick(from)
  }

  /** What it says of its instance: mostly the truth. */
  instanceOf(ref: number): string | null {
    return this.below(15) === 0
      ? this.random.pick([null, 'i1', 'i2', 'i3'])
      : (this.instances.get(ref) ?? null)
  }

  generation(): number {
    return this.model.generation + (this.below(12) === 0 ? this.random.pick([-1, 1]) : 0)
  }

  join(): void {
    const isNew = this.below(100) < (this.model.members.length < 5 ? 35 : 10)
    const ref = isNew ? null : this.someone()
    const instance = ref === null ? this.random.pick([null, null, 'i1', 'i2', 'i3']) : this.instanceOf(ref)
    const before = ref === null ? undefined : this.protocols.get(ref)
    const isSame = before !== undefined && this.below(4) > 0
    // Most of them have `range` in common.
    const names = PROTOCOLS[this.random.pick([0, 0, 1, 1, 1, 2, 2, 3, 4])]
    const protocols = isSame ? before : new Map(names.map((name) => [name, `${name} ${this.below(3)}`]))
    const version = this.random.pick([3, 5, 9])
    const sessionMs = this.random.pick(SESSIONS_MS)
    this.story.push(`join ${ref} ${instance} v${version} ${[...protocols.keys()].join()}`)
    const real = join(this.w, {
      version,
      memberId: ref === null ? '' : this.ids.get(ref)!,
      groupInstanceId: instance,
      sessionTimeoutMs: sessionMs,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocols: [...protocols].map(([name, metadata]) => ({ name, metadata: Buffer.from(metadata) })),
    })
    const ticket = this.model.join({
      ref,
      instance,
      idRequired: version >= 4,
      canSkipAssignment: version >= 9,
      sessionMs,
      rebalanceMs: REBALANCE_MS,
      protocols,
    })
    for (const member of this.model.members) {
      this.instances.set(member.ref, member.instance)
      this.protocols.set(member.ref, member.protocols)
    }
    this.calls.add({ kind: 'join', real, ticket })
  }

  sync(): void {
    const { model } = this
    const led = model.leader !== null && this.ids.has(model.leader) ? model.leader : null
    const ref = this.below(3) === 0 ? led : this.someone()
    if (ref === null) return
    const instance = this.instanceOf(ref)
    const generation = this.generation()
    const work = new Map<number, string>()
    // A leader sometimes leaves somebody out.
    for (const member of model.members) {
      if (this.ids.has(member.ref) && this.below(8) > 0) work.set(member.ref, `work ${this.below(1000)}`)
    }
    this.story.push(`sync ${ref} ${instance} generation ${generation}`)
    const assignments = [...work].map(([of, text]) => ({
      memberId: this.ids.get(of)!,
      assignment: Buffer.from(text),
    }))
    const memberId = this.ids.get(ref)!
    const real = sync(this.w, { memberId, generationId: generation, groupInstanceId: instance, assignments })
    this.calls.add({ kind: 'sync', real, ticket: model.sync(ref, generation, instance, work) })
  }

  heartbeat(): void {
    const ref = this.someone()
    if (ref === null) return
    const [generation, instance] = [this.generation(), this.instanceOf(ref)]
    this.story.push(`heartbeat ${ref} ${instance} generation ${generation}`)
    const request = { memberId: this.ids.get(ref)!, generationId: generation, groupInstanceId: instance }
    this.same(heartbeat(this.w, request), this.model.heartbeat(ref, generation, instance))
  }

  leave(): void {
    const ref = this.someone()
    if (ref === null) return
    const instance = this.instanceOf(ref)
    const byInstance = instance !== null && this.below(3) === 0
    this.story.push(`leave ${byInstance ? '' : ref} ${instance}`)
    const real = leave(this.w, byInstance ? '' : this.ids.get(ref)!, instance)
    this.same(real, this.model.leave(byInstance ? null : ref, instance))
  }

  commit(): void {
    const ref = this.below(6) === 0 ? null : this.someone()
    const instance = ref === null ? null : this.instanceOf(ref)
    const generation = ref === null || this.below(15) === 0 ? -1 : this.generation()
    const [partition, offset] = [this.below(PARTITIONS), ++this.offset]
    this.story.push(`commit ${ref} ${instance} generation ${generation}`)
    const options = {
      memberId: ref === null ? '' : this.ids.get(ref)!,
      generationIdOrMemberEpoch: generation,
      groupInstanceId: instance,
    }
    const answer = commit(this.w, { [`work/${partition}`]: offset }, options).now
    const real = commitErrors(answer)[`work/${partition}`]
    this.same(real, this.model.commit(ref, generation, instance, [partition, offset]))
  }

  advance(ms: number): void {
    this.story.push(`${ms} ms pass`)
    this.w.time.advance(ms)
    this.model.advance(ms)
  }

  same(real: number, expected: number): void {
    this.errors.add(expected)
    expect(real).toBe(expected)
  }

  compare(): void {
    const answered: Call[] = []
    for (const call of this.calls) {
      expect(call.real.isWaiting, `${call.kind} waits`).toBe(call.ticket.answer === null)
      if (call.ticket.answer !== null) answered.push(call)
    }
    // All ids first: the leader's list names members that are answered with it.
    for (const call of answered) if (call.kind === 'join') this.learn(call.real.now, call.ticket.answer!)
    for (const call of answered) {
      this.calls.delete(call)
      if (call.kind === 'join') this.sameJoin(call.real.now, call.ticket.answer!)
      else {
        this.same(call.real.now.errorCode, call.ticket.answer!.error)
        expect(call.real.now.assignment.toString()).toBe(call.ticket.answer!.assignment)
      }
    }
    this.compareGroups()
  }

  learn({ errorCode, memberId }: JoinGroupResponse, { error, ref }: JoinAnswer): void {
    expect(errorCode).toBe(error)
    if (error !== ErrorCode.NONE && error !== ErrorCode.MEMBER_ID_REQUIRED) return
    const known = this.ids.get(ref!)
    if (known !== undefined) expect(memberId).toBe(known)
    this.ids.set(ref!, memberId)
  }

  sameJoin(real: JoinGroupResponse, expected: JoinAnswer): void {
    this.errors.add(expected.error)
    if (expected.error !== ErrorCode.NONE) return
    expect(real.generationId).toBe(expected.generation)
    expect(real.protocolName).toBe(expected.protocol)
    expect(real.leader).toBe(this.ids.get(expected.leader!))
    expect(real.skipAssignment).toBe(expected.skipAssignment)
    const told = real.members!.map(({ memberId, metadata }) => [memberId, metadata.toString()])
    const members = [...expected.members].map(([ref, metadata]) => [this.ids.get(ref)!, metadata])
    expect(told.sort()).toEqual(members.sort())
  }

  compareGroups(): void {
    const { model } = this
    const real = this.w.groups.describeGroup(GROUP)
    this.states.add(model.state)
    expect(real.groupState).toBe(model.exists ? model.state : 'Dead')
    const isStable = model.state === 'Stable'
    expect(real.members.length).toBe(model.members.length)
    if (isStable) {
      expect(real.protocolData).toBe(model.protocol)
      const told = real.members.map((each) => [each.groupInstanceId, each.memberAssignment.toString()])
      const members = model.members.map(({ instance, assignment }) => [instance, assignment])
      expect(told.sort()).toEqual(members.sort())
    }
    const offsets = [...model.offsets].map(([partition, offset]) => [`work/${partition}`, offset])
    expect(committed(this.w)).toEqual(Object.fromEntries(offsets))
  }
}

test(`the coordinator does what a simple model of a group does, in ${SEEDS} random histories`, async () => {
  const errors = new Set<number>()
  const states = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new Run(seed)
    try {
      for (let step = 0; step < STEPS; step++) await run.step()
    } catch (error) {
      throw new Error(`seed ${seed}\n${run.story.slice(-40).join('\n')}`, { cause: error })
    }
    for (const each of run.errors) errors.add(each)
    for (const each of run.states) states.add(each)
  }
  const reached = [
    'NONE',
    'UNKNOWN_MEMBER_ID',
    'ILLEGAL_GENERATION',
    'REBALANCE_IN_PROGRESS',
    'FENCED_INSTANCE_ID',
    'MEMBER_ID_REQUIRED',
    'INCONSISTENT_GROUP_PROTOCOL',
  ] as const
  for (const name of reached) expect(errors, name).toContain(ErrorCode[name])
  expect([...states].sort()).toEqual(['CompletingRebalance', 'Empty', 'PreparingRebalance', 'Stable'])
})
