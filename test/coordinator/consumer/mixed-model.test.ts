/**
 * Members of both protocols in one group, which so goes over and back: eager or cooperative consumers of the classic one, and
 * those of KIP-848. They join, leave, crash and are started again as static members, and coordinators change: no partition has
 * two owners, at once or in one generation or epoch, and in the end each has one.
 */
import { expect, test } from 'vitest'
import {
  readAssignment,
  writeAssignment,
} from '../../../src/coordinator/groups/consumer/consumer-protocol.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import type { JoinGroupResponse } from '../../../src/protocol/messages/11-join-group.ts'
import type { SyncGroupResponse } from '../../../src/protocol/messages/14-sync-group.ts'
import { GROUP, heartbeat, join, leave, subscription, sync } from '../client.ts'
import type { Answer } from '../client.ts'
import { SeededRandom, settled, world } from '../world.ts'
import type { World } from '../world.ts'
import { joinAs, send, told } from './heartbeats.ts'

const SEEDS = 25
const STEPS = 150
const SESSION_MS = 20_000

type Style = 'eager' | 'cooperative' | 'consumer'

/** What members of all kinds need of the world they are in. */
interface Floor {
  w: World
  readonly partitions: number
  hold(member: Member, partitions: ReadonlySet<number>, generation: number): void
  /**
   * A classic group that changes over takes what its last assignment says for all that its members have. Cooperative members have
   * more while they rebalance, which is given out at once, before they give it back: by Kafka, too
   * (resetAndPropagateAssignmentWithError, ConsumerGroup.fromClassicGroup).
   */
  readonly mayChangeOver: boolean
}

abstract class Member {
  readonly floor: Floor
  readonly instanceId: string | null
  id: string
  held = new Set<number>()

  constructor(floor: Floor, name: string, instanceId: string | null) {
    this.floor = floor
    this.id = name
    this.instanceId = instanceId
  }

  get owner(): string {
    return this.instanceId ?? this.id
  }

  /** Does the next thing that its client would do. */
  abstract act(): void
  abstract leave(): void
}

class NewMember extends Member {
  #epoch = 0
  #next: Set<number> | null = null

  act(): void {
    if (this.#epoch === 0) {
      if (!this.floor.mayChangeOver) return
      this.held.clear()
      this.#next = null
      const { id, instanceId } = this
      const answer = joinAs(this.floor.w, id, { instanceId, rebalanceTimeoutMs: 300_000 })
      return answer.onValue((response) => this.#take(response))
    }
    const acknowledged = this.#next
    if (acknowledged !== null) this.held = new Set(acknowledged)
    this.#next = null
    const owned = acknowledged && { orders: [...acknowledged] }
    const { id: memberId, instanceId } = this
    const beat = send(this.floor.w, { memberId, memberEpoch: this.#epoch, instanceId, owned })
    beat.onValue((response) => this.#take(response))
  }

  #take(response: Parameters<typeof told>[0]): void {
    if (response.errorCode !== 0) {
      const fences: number[] = [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH]
      const gone: number[] = [ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNRELEASED_INSTANCE_ID]
      expect([...fences, ...gone]).toContain(response.errorCode)
      this.held.clear()
      this.#epoch = 0
      return
    }
    this.#epoch = response.memberEpoch
    const owned = told(response)
    if (owned === null) return this.floor.hold(this, new Set(), this.#epoch)
    this.#next = new Set(owned.orders ?? [])
    this.floor.hold(this, this.#next, this.#epoch)
  }

  leave(): void {
    const memberEpoch = this.instanceId === null ? -1 : -2
    if (this.#epoch > 0) {
      send(this.floor.w, { memberId: this.id, memberEpoch, instanceId: this.instanceId })
    }
    this.held.clear()
  }
}

type Phase =
  | { is: 'out' }
  | { is: 'joining'; answer: Answer<JoinGroupResponse> }
  | { is: 'joined'; list: readonly { memberId: string; metadata: Buffer }[] }
  | { is: 'syncing'; answer: Answer<SyncGroupResponse> }
  | { is: 'in' }

class ClassicMember extends Member {
  readonly isEager: boolean
  #phase: Phase = { is: 'out' }
  #memberId = ''
  #generation = -1

  constructor(floor: Floor, name: string, instanceId: string | null, isEager: boolean) {
    super(floor, name, instanceId)
    this.isEager = isEager
    this.id = ''
  }

  act(): void {
    const { w } = this.floor
    const phase = this.#phase
    switch (phase.is) {
      case 'out':
        if (this.isEager) this.held.clear()
        this.#phase = { is: 'joining', answer: this.#join() }
        return
      case 'joining':
        if (phase.answer.isWaiting) return
        return this.#joined(phase.answer.now)
      case 'joined': {
        const assignments = this.#assign(phase.list)
        const { memberId, generationId, groupInstanceId } = this.#self()
        const answer = sync(w, { memberId, generationId, groupInstanceId, assignments })
        this.#phase = { is: 'syncing', answer }
        return
      }
      case 'syncing':
        if (phase.answer.isWaiting) return
        return this.#synced(phase.answer.now)
      case 'in': {
        const error = heartbeat(w, this.#self())
        if (error !== ErrorCode.NONE) this.#failed(error)
      }
    }
  }

  #self() {
    return {
      memberId: this.#memberId,
      generationId: this.#generation,
      groupInstanceId: this.instanceId,
    }
  }

  #join(): Answer<JoinGroupResponse> {
    const name = this.isEager ? 'range' : 'cooperative-sticky'
    const metadata = subscriptionWith([...this.held])
    return join(this.floor.w, {
      version: 9,
      memberId: this.#memberId,
      groupInstanceId: this.instanceId,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: 300_000,
      protocols: [{ name, metadata }],
    })
  }

  #joined(answer: JoinGroupResponse): void {
    if (answer.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId
      this.#phase = { is: 'joining', answer: this.#join() }
      return
    }
    if (answer.errorCode !== ErrorCode.NONE) return this.#failed(answer.errorCode)
    this.#memberId = this.id = answer.memberId
    this.#generation = answer.generationId!
    const leads = answer.leader === answer.memberId && answer.skipAssignment !== true
    this.#phase = { is: 'joined', list: leads ? answer.members! : [] }
  }

  /** As the leader of a classic group: in turn; cooperative, what another has is for nobody before it is given back. */
  #assign(list: readonly { memberId: string; metadata: Buffer }[]) {
    const ids = list.map(({ memberId }) => memberId).sort()
    const owners = new Map<number, string>()
    for (const { memberId, metadata } of list) {
      for (const partition of ownedIn(metadata)) owners.set(partition, memberId)
    }
    const shares = new Map<string, number[]>(ids.map((id) => [id, []]))
    for (let partition = 0; ids.length > 0 && partition < this.floor.partitions; partition++) {
      const next = ids[partition % ids.length]
      const owner = this.isEager ? next : (owners.get(partition) ?? next)
      if (owner === next) shares.get(next)!.push(partition)
    }
    return [...shares].map(([memberId, partitions]) => {
      const list = partitions.length === 0 ? [] : [{ topic: 'orders', partitions }]
      return { memberId, assignment: writeAssignment(list, Buffer.from([0, 1])) }
    })
  }

  #synced({ errorCode, assignment }: SyncGroupResponse): void {
    if (errorCode !== ErrorCode.NONE) return this.#failed(errorCode)
    const assigned = readAssignment(assignment)?.assignedPartitions ?? []
    const next = new Set(assigned.flatMap(({ partitions }) => partitions))
    const givesBack = [...this.held].some((partition) => !next.has(partition))
    this.held = new Set([...this.held].filter((partition) => next.has(partition)))
    this.floor.hold(this, next, this.#generation)
    // What it has given back is for others when it has said so.
    this.#phase = { is: !this.isEager && givesBack ? 'out' : 'in' }
  }

  #failed(error: number): void {
    this.#phase = { is: 'out' }
    const goesOn: number[] = [ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.NOT_COORDINATOR]
    const loses: number[] = [
      ErrorCode.UNKNOWN_MEMBER_ID,
      ErrorCode.FENCED_INSTANCE_ID,
      ErrorCode.ILLEGAL_GENERATION,
      ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ]
    expect([...goesOn, ...loses]).toContain(error)
    if (goesOn.includes(error)) return
    this.held.clear()
    if (error !== ErrorCode.ILLEGAL_GENERATION) this.#memberId = ''
  }

  leave(): void {
    // A static one stays, for its successor.
    if (this.instanceId === null && this.#memberId !== '') leave(this.floor.w, this.#memberId)
    this.held.clear()
  }
}

/** Version 1 says what the member has. */
function subscriptionWith(owned: number[]): Buffer {
  const bytes = subscription('orders')
  bytes.writeInt16BE(1, 0)
  const list = owned.length === 0 ? [] : [{ topic: 'orders', partitions: owned }]
  const assignment = writeAssignment(list, Buffer.from([0, 0]))
  return Buffer.concat([bytes, assignment.subarray(2, assignment.length - 4)])
}

/** Behind version, topics and user data of `subscriptionWith`. */
function ownedIn(metadata: Buffer): number[] {
  const list = metadata.subarray(subscription('orders').length)
  const asAssignment = Buffer.concat([Buffer.from([0, 0]), list, Buffer.from([0xff, 0xff, 0xff, 0xff])])
  return readAssignment(asAssignment)!.assignedPartitions.flatMap(({ partitions }) => partitions)
}

interface Shape {
  /** Of `orders`. */
  readonly partitions: number
  /** Members that there may be at once. */
  readonly most: number
  /** Of a hundred members, how many speak the consumer protocol. */
  readonly consumers: number
  /** Of the others; at random where it is left out. */
  readonly style?: Style
}

class Run implements Floor {
  w: World
  readonly partitions: number
  readonly #shape: Shape
  readonly random: SeededRandom
  readonly classicStyle: Style
  members: Member[] = []
  readonly claims = new Map<string, string>()
  readonly kinds = new Set<string>()
  readonly story: string[] = []
  #made = 0

  constructor(seed: number, shape: Shape) {
    this.#shape = shape
    this.partitions = shape.partitions
    this.random = new SeededRandom(seed)
    this.classicStyle = shape.style ?? this.random.pick(['eager', 'cooperative'])
    this.w = world({ seed, config: { groupInitialRebalanceDelayMs: this.random.pick([0, 1_000]) } })
    this.w.topics.set('orders', this.partitions)
  }

  hold(member: Member, partitions: ReadonlySet<number>, generation: number): void {
    for (const partition of partitions) {
      const other = this.members.find((each) => each !== member && each.held.has(partition))
      // Put out of the group: it knows by its own clock.
      if (other !== undefined && !this.#isIn(other)) other.held.delete(partition)
      else expect(other?.owner, `${partition} is told to ${member.owner}`).toBeUndefined()
      member.held.add(partition)
    }
    for (const partition of member.held) {
      const claim = `partition ${partition} in ${generation}`
      expect(this.claims.get(claim) ?? member.owner, claim).toBe(member.owner)
      this.claims.set(claim, member.owner)
    }
  }

  get mayChangeOver(): boolean {
    const { groupState, members } = this.w.groups.describeGroup(GROUP)
    if (this.classicStyle === 'eager' || members.length === 0) return true
    const isTold = members.every(({ memberId, memberAssignment }) => {
      const assigned = readAssignment(memberAssignment)?.assignedPartitions ?? []
      const partitions = assigned.flatMap((each) => each.partitions).sort()
      const member = this.members.find(({ id }) => id === memberId)
      return member === undefined || JSON.stringify([...member.held].sort()) === JSON.stringify(partitions)
    })
    return groupState === 'Stable' && isTold
  }

  #ids(): string[] {
    const classic = this.w.groups.describeGroup(GROUP).members
    const consumers = this.w.groups.describeConsumerGroup(GROUP).members
    return [...classic, ...consumers].map(({ memberId }) => memberId)
  }

  #isIn(member: Member): boolean {
    return this.#ids().includes(member.id)
  }

  add(instanceId: string | null): void {
    const name = `m${this.#made++}`
    const isNew = this.random.below(100) < this.#shape.consumers
    this.story.push(`${name} (${instanceId}) ${isNew ? 'consumer' : this.classicStyle}`)
    const isEager = this.classicStyle === 'eager'
    const member = isNew
      ? new NewMember(this, name, instanceId)
      : new ClassicMember(this, name, instanceId, isEager)
    this.members.push(member)
    member.act()
  }

  remove(member: Member): void {
    this.members = this.members.filter((each) => each !== member)
  }

  async step(): Promise<void> {
    const { random, members } = this
    const dice = random.below(100)
    const member = members.length === 0 ? null : random.pick(members)
    if (member === null || (dice < 10 && members.length < this.#shape.most)) {
      this.add(random.below(3) === 0 ? `i${this.#made}` : null)
    } else if (dice < 17) {
      this.story.push(`${member.owner} leaves`)
      member.leave()
      this.remove(member)
      if (member.instanceId !== null && random.below(3) > 0) this.add(member.instanceId)
    } else if (dice < 20) {
      this.story.push(`${member.owner} crashes`)
      this.remove(member)
      member.held.clear()
    } else if (dice < 22) this.changeCoordinator()
    else member.act()
    await settled()
    this.w.time.advance(random.below(800))
    await settled()
    // A group that changes its kind while nobody is in it counts from the beginning, as in Kafka.
    if (this.#ids().length === 0) this.claims.clear()
    this.kinds.add(this.w.groups.listGroups([], []).groups[0]?.groupType ?? 'none')
  }

  changeCoordinator(): void {
    this.story.push('another coordinator')
    const { log, time, config } = this.w
    this.w.groups.onResigned(0)
    this.w.groups.stop()
    this.w = world({ log, time, config, seed: this.random.below(1e9) })
    this.w.topics.set('orders', this.partitions)
  }

  async everybodyActs(): Promise<void> {
    for (const member of this.members) {
      member.act()
      await settled()
    }
  }

  #whatIsHeld(): number[] {
    return this.members.flatMap((member) => [...member.held]).sort((a, b) => a - b)
  }

  async comesToRest(): Promise<void> {
    if (this.members.length === 0) this.add(null)
    const all = Array.from({ length: this.partitions }, (_, i) => i)
    const state = () => this.w.groups.listGroups([], []).groups[0].groupState
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 3; i++) await this.everybodyActs()
      this.w.time.advance(2_000)
      await settled()
      if (state() === 'Stable' && this.#whatIsHeld().join() === all.join()) break
    }
    // And so it stays.
    for (let i = 0; i < 3; i++) await this.everybodyActs()
    expect(this.#whatIsHeld()).toEqual(all)
    expect(state()).toBe('Stable')
  }
}

test(`members of both protocols never have one partition at once, in ${SEEDS} random groups`, async () => {
  const kinds = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new Run(seed, { partitions: 6, most: 6, consumers: 50 })
    try {
      for (let step = 0; step < STEPS; step++) await run.step()
      await run.comesToRest()
    } catch (error) {
      throw new Error(`seed ${seed}: ${run.story.slice(-25).join('; ')}`, { cause: error })
    }
    for (const kind of run.kinds) kinds.add(kind)
  }
  expect([...kinds]).toEqual(expect.arrayContaining(['classic', 'consumer']))
})

test.each<[string, Style, number]>([
  ['eager ones', 'eager', 0],
  ['cooperative ones', 'cooperative', 0],
  ['those of the consumer protocol', 'consumer', 100],
  ['eager ones and those of the consumer protocol', 'eager', 50],
])(
  'five hundred members come, go and come to rest: %s',
  { timeout: 120_000 },
  async (_, style, consumers) => {
    const run = new Run(1, { partitions: 500, most: 550, consumers, style })
    for (let i = 0; i < 500; i++) run.add(i % 3 === 0 ? `i${i}` : null)
    await settled()
    await run.comesToRest()
    for (let round = 0; round < 3; round++) {
      for (let step = 0; step < 40; step++) await run.step()
      await run.everybodyActs()
    }
    await run.comesToRest()
  },
)
