/**
 * Clients that join, sync, commit, leave, fall silent and come back at random, a log that fails or commits late, and
 * coordinators that are lost. What must hold is checked at every step; a failure names its seed.
 */
import { describe, expect, it } from 'vitest'
import { decodeRecord } from '../../src/coordinator/groups/records.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { GROUP, commit, commitErrors, committed, heartbeat, join, leave, sync } from './client.ts'
import { SeededRandom, settled, world } from './world.ts'
import type { World } from './world.ts'

const PARTITIONS = 8
const SESSION_MS = 10_000
const REBALANCE_MS = 20_000

type Phase = 'out' | 'joining' | 'joined' | 'syncing' | 'member'

interface Client {
  readonly name: string
  readonly instance: string | null
  readonly version: number
  phase: Phase
  memberId: string
  generation: number
  /** Names and ids that the leader was told; null for followers. */
  told: { memberId: string; name: string }[] | null
  assignment: string
  /** Counts calls: the answer to an older one says nothing about now. */
  calls: number
  silent: boolean
}

/** One run of the model. */
class Run {
  readonly random: SeededRandom
  readonly clients: Client[]
  w: World
  highestGeneration = 0
  offsetCounter = 0
  /** Highest acknowledged offset by partition. Offsets only grow here. */
  acknowledged: Record<string, number> = {}
  uncertainGeneration = -1
  unanswered = 0
  joins = 0
  generations = 0
  restarts = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.w = world({ seed, config: { groupInitialRebalanceDelayMs: this.random.pick([0, 500]) } })
    this.w.topics.set('work', PARTITIONS)
    const client = (name: string, instance: string | null, version: number): Client => ({
      name,
      instance,
      version,
      phase: 'out',
      memberId: '',
      generation: -1,
      told: null,
      assignment: '',
      calls: 0,
      silent: false,
    })
    this.clients = [
      client('ann', null, 3),
      client('bob', null, 4),
      client('cat', null, 9),
      client('dan', 'i-dan', 5),
      client('eve', 'i-eve', 9),
      // Two processes that were given the same instance id by mistake: they fence each other.
      client('eve-twin', 'i-eve', 9),
    ]
  }

  async step(): Promise<void> {
    const dice = this.random.below(100)
    if (dice < 70) this.act(this.random.pick(this.clients))
    else if (dice < 85) this.w.time.advance(this.random.below(4_000))
    else if (dice < 88) this.w.log.appendError = this.random.pick([0, 0, ErrorCode.NOT_ENOUGH_REPLICAS])
    else if (dice < 91) this.w.log.late = this.random.below(2) === 0
    else if (dice < 98) await this.commitNext(this.random.pick([0, 0, 0, ErrorCode.REQUEST_TIMED_OUT]))
    else this.restart()
    await settled()
    this.check()
  }

  async commitNext(error: number): Promise<void> {
    // A write that timed out is in the log all the same: until the next generation it may say more than is known live.
    if (error !== 0 && this.w.log.waiting.length > 0) this.uncertainGeneration = this.storedGeneration()
    await this.w.log.commitNext(error)
  }

  /** Of the last group record in the log. */
  storedGeneration(): number {
    for (const { key, value } of this.w.log.records().reverse()) {
      const record = decodeRecord(key!, value)
      if (record?.type === 'group') return record.value?.generation ?? -1
    }
    return -1
  }

  act(client: Client): void {
    if (client.silent) {
      if (this.random.below(20) === 0) {
        // Back as a new process.
        client.silent = false
        this.reset(client)
      }
      return
    }
    switch (client.phase) {
      case 'out':
        return this.join(client)
      case 'joining':
      case 'syncing':
        // Mostly waits; sometimes its connection broke and it tries again.
        if (this.random.below(10) === 0) this.join(client)
        return
      case 'joined':
        return this.sync(client)
      case 'member':
        return this.work(client)
    }
  }

  reset(client: Client): void {
    Object.assign(client, { phase: 'out', memberId: '', generation: -1, told: null, assignment: '' })
    client.calls++
  }

  join(client: Client): void {
    client.phase = 'joining'
    this.joins++
    const raw = join(this.w, {
      version: client.version,
      memberId: client.memberId,
      groupInstanceId: client.instance,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocols: [{ name: 'range', metadata: Buffer.from(client.name) }],
    })
    const call = ++client.calls
    this.unanswered++
    raw.onValue((answer) => {
      this.unanswered--
      if (client.calls !== call) return
      if (answer.errorCode === ErrorCode.MEMBER_ID_REQUIRED) client.memberId = answer.memberId
      if (answer.errorCode !== 0) return this.failed(client, answer.errorCode)
      const generation = answer.generationId ?? -1
      expect(generation).toBeGreaterThanOrEqual(this.highestGeneration)
      if (generation > this.highestGeneration) this.generations++
      this.highestGeneration = generation
      const leads = answer.leader === answer.memberId && answer.skipAssignment !== true
      expect(answer.members?.length === 0).toBe(answer.leader !== answer.memberId)
      client.told = leads
        ? answer.members!.map((m) => ({ memberId: m.memberId, name: m.metadata.toString() }))
        : null
      if (client.told !== null) expect(client.told.map(({ memberId }) => memberId)).toContain(answer.memberId)
      Object.assign(client, { phase: 'joined', memberId: answer.memberId, generation })
    })
  }

  sync(client: Client): void {
    client.phase = 'syncing'
    const members = client.told ?? []
    const assignments = members.map(({ memberId, name }, index) => {
      const owned = Array.from({ length: PARTITIONS }, (_, p) => p).filter(
        (p) => p % members.length === index,
      )
      return { memberId, assignment: Buffer.from(`${name}/${client.generation}/${owned.join(',')}`) }
    })
    const { memberId, generation: generationId, instance: groupInstanceId } = client
    const raw = sync(this.w, { version: 3, memberId, generationId, groupInstanceId, assignments })
    const call = ++client.calls
    this.unanswered++
    raw.onValue((answer) => {
      this.unanswered--
      if (client.calls !== call) return
      if (answer.errorCode !== 0) return this.failed(client, answer.errorCode)
      client.assignment = answer.assignment.toString()
      if (client.assignment !== '') {
        const [name, generation] = client.assignment.split('/')
        // A returned instance takes up the work of its former self, here its twin's.
        expect(client.instance ?? name).toBe(client.instance ?? client.name)
        expect(Number(generation)).toBe(client.generation)
      }
      client.phase = 'member'
    })
  }

  work(client: Client): void {
    const { memberId, generation: generationId, instance: groupInstanceId } = client
    const dice = this.random.below(100)
    if (dice < 45) {
      const error = heartbeat(this.w, { memberId, generationId, groupInstanceId })
      if (error !== 0) return this.failed(client, error)
      const described = this.w.groups.describeGroup(GROUP)
      const own = described.members.find((member) => member.memberId === memberId)
      expect(own?.memberAssignment.toString()).toBe(client.assignment)
    } else if (dice < 80) {
      this.commit(client)
    } else if (dice < 87) {
      this.join(client)
    } else if (dice < 93) {
      const error = leave(this.w, memberId, groupInstanceId)
      if (error === 0 || error === ErrorCode.UNKNOWN_MEMBER_ID) this.reset(client)
      else this.failed(client, error)
    } else {
      client.silent = true
    }
  }

  commit(client: Client): void {
    const key = `work/${this.random.below(PARTITIONS)}`
    const offset = ++this.offsetCounter
    const { memberId, generation: generationIdOrMemberEpoch, instance: groupInstanceId } = client
    const raw = commit(this.w, { [key]: offset }, { memberId, generationIdOrMemberEpoch, groupInstanceId })
    const { w } = this
    this.unanswered++
    raw.onValue((answer) => {
      this.unanswered--
      const error = commitErrors(answer)[key]
      if (error === 0 && w === this.w) this.acknowledged[key] = Math.max(this.acknowledged[key] ?? 0, offset)
      else if (error !== 0 && client.phase === 'member') this.failed(client, error)
    })
  }

  failed(client: Client, error: number): void {
    client.phase = 'out'
    const lost: number[] = [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID]
    if (lost.includes(error)) return this.reset(client)
    const retried: number[] = [
      ErrorCode.MEMBER_ID_REQUIRED,
      ErrorCode.REBALANCE_IN_PROGRESS,
      ErrorCode.ILLEGAL_GENERATION,
      ErrorCode.NOT_COORDINATOR,
      ErrorCode.COORDINATOR_NOT_AVAILABLE,
      ErrorCode.REQUEST_TIMED_OUT,
    ]
    expect(retried).toContain(error)
    if (error === ErrorCode.REQUEST_TIMED_OUT) client.phase = 'member'
  }

  /** The coordinator is lost; another one loads what the log says. */
  restart(): void {
    this.restarts++
    const old = this.w
    old.groups.onResigned(0)
    while (old.log.waiting.length > 0) old.log.waiting.shift()?.error(0)
    old.groups.stop()
    this.w = world({ log: old.log, time: old.time, seed: this.random.below(1e9), config: old.config })
    this.w.topics.set('work', PARTITIONS)
    // What was written and not acknowledged may be there; what was acknowledged must be.
    const offsets = committed(this.w)
    for (const [key, offset] of Object.entries(this.acknowledged))
      expect(offsets[key]).toBeGreaterThanOrEqual(offset)
    this.acknowledged = offsets
    // A generation that was never stored is not known any more (as in Kafka).
    this.highestGeneration = 0
    this.uncertainGeneration = -1
    for (const client of this.clients) if (client.phase !== 'out') client.phase = 'out'
  }

  check(): void {
    expect(committed(this.w)).toEqual(this.acknowledged)
    const live = this.w.groups.describeGroup(GROUP)
    const owners = live.members.flatMap((m) => m.memberAssignment.toString().split('/')[2]?.split(',') ?? [])
    const owned = owners.filter((partition) => partition !== '')
    expect(new Set(owned).size).toBe(owned.length)
    const isStored = live.groupState === 'Stable' && this.w.log.waiting.length === 0
    if (isStored && this.random.below(4) === 0 && this.storedGeneration() > this.uncertainGeneration) {
      const loaded = world({ log: this.w.log }).groups.describeGroup(GROUP)
      const byId = (a: { memberId: string }, b: { memberId: string }): number =>
        a.memberId < b.memberId ? -1 : 1
      expect([...loaded.members].sort(byId)).toEqual([...live.members].sort(byId))
    }
  }

  /** Everybody falls silent, the log works again: nothing may be left waiting. */
  async end(): Promise<void> {
    this.w.log.appendError = 0
    this.w.log.late = false
    while (this.w.log.waiting.length > 0) await this.w.log.commitNext()
    for (let i = 0; i < 40; i++) {
      this.w.time.advance(20_000)
      await settled()
    }
    expect(this.unanswered).toBe(0)
    expect(this.w.groups.describeGroup(GROUP).groupState).toMatch(/Empty|Dead/)
    // The check of retention is the only timer that is left.
    expect(this.w.time.pending).toBe(1)
  }
}

describe('whatever clients, log and coordinator do', () => {
  const seeds = Array.from({ length: 25 }, (_, i) => i + 1)

  it.each(seeds)(
    'nobody waits for ever, no partition has two owners, no offset is lost (seed %i)',
    async (seed) => {
      const run = new Run(seed)
      for (let step = 0; step < 400; step++) await run.step()
      await run.end()
      expect(run.joins).toBeGreaterThan(10)
      expect(run.generations).toBeGreaterThan(3)
    },
  )
})
