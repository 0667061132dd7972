/**
 * Members that join, leave, crash, restart as static members, change subscriptions, and hold what they are to give back for a
 * while, with coordinators that change and topics that grow: no partition ever has two owners, and in the end each has one.
 */
import { RE2JS } from 're2js'
import { expect, test } from 'vitest'
import { GROUP } from '../client.ts'
import { SeededRandom, settled, world } from '../world.ts'
import type { World } from '../world.ts'
import { joinAs, send, told } from './heartbeats.ts'
import type { HeartbeatOptions, Owned } from './heartbeats.ts'

const SEEDS = 150
const STEPS = 120
const TOPICS = ['orders', 'clicks', 'later']
const BEAT_MS = 5_000

interface Member {
  id: string
  readonly instanceId: string | null
  options: HeartbeatOptions
  epoch: number
  /** What it works on: what it was told, and what it has not given back yet. */
  held: Set<string>
  /** Told and not acknowledged; null: nothing. */
  next: Set<string> | null
  told: Set<string>
  /** What it subscribes to has changed, and is not said yet. */
  says: HeartbeatOptions
}

const asSet = (owned: Owned): Set<string> =>
  new Set(Object.entries(owned).flatMap(([topic, list]) => list.map((partition) => `${topic}/${partition}`)))

function asOwned(partitions: ReadonlySet<string>): Owned {
  const owned: Owned = {}
  for (const each of partitions) {
    const [topic, partition] = each.split('/')
    ;(owned[topic] ??= []).push(Number(partition))
  }
  return owned
}

class Run {
  w: World
  readonly random: SeededRandom
  readonly members: Member[] = []
  #made = 0
  #instances: string[] = []

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const assignors = this.random.pick([
      ['uniform', 'range'],
      ['range', 'uniform'],
    ])
    this.w = world({
      config: { consumerGroupAssignors: assignors, consumerGroupRegexRefreshIntervalMs: 10_000 },
    })
  }

  subscription(): HeartbeatOptions {
    const none = { subscribedTopicNames: [], subscribedTopicRegex: '' }
    const kind = this.random.below(6)
    if (kind === 0) return { ...none, subscribedTopicRegex: this.random.pick(['.*s', 'o.*|later']) }
    const topics = TOPICS.filter(() => this.random.below(3) > 0)
    return { ...none, subscribedTopicNames: kind < 4 ? ['orders', 'clicks'] : topics }
  }

  async join(instanceId: string | null = null): Promise<void> {
    const id = `m${this.#made++}`
    const options = { ...this.subscription(), instanceId, rebalanceTimeoutMs: 30_000 }
    const member: Member = {
      id,
      instanceId,
      options,
      epoch: 0,
      held: new Set(),
      next: null,
      told: new Set(),
      says: {},
    }
    await this.rejoin(member)
    if (member.epoch > 0) this.members.push(member)
  }

  async rejoin(member: Member): Promise<void> {
    member.held = new Set()
    member.told = new Set()
    member.next = null
    member.says = {}
    const answer = joinAs(this.w, member.id, member.options)
    await this.idle(answer)
    member.epoch = 0
    if (answer.now.errorCode === 0) this.take(member, answer.now)
  }

  /** Regular expressions are loaded and resolved. */
  async idle(answer: { readonly isWaiting: boolean }): Promise<void> {
    for (let i = 0; i < 1000 && (i === 0 || answer.isWaiting); i++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await settled()
    this.w.time.advance(1)
    await settled()
  }

  take(member: Member, response: Parameters<typeof told>[0]): void {
    member.epoch = response.memberEpoch
    const owned = told(response)
    if (owned === null) return
    member.next = asSet(owned)
    // What is new it begins with at once; what it is to give back it still holds.
    for (const partition of member.next) this.hold(member, partition)
  }

  hold(member: Member, partition: string): void {
    const owner = this.members.find((other) => other !== member && other.held.has(partition))
    // Silent for a session: it was put out of the group, and knows by its own clock (as Kafka's consumers do).
    if (owner !== undefined && !this.isInGroup(owner)) owner.held.clear()
    else expect(owner?.id, `${partition} is told to ${member.id}`).toBeUndefined()
    member.held.add(partition)
  }

  isInGroup({ id }: Member): boolean {
    const { members } = this.w.groups.describeConsumerGroup(GROUP)
    return members.some(({ memberId }) => memberId === id)
  }

  async beat(member: Member): Promise<void> {
    const revokes = member.next !== null && [...member.held].some((partition) => !member.next!.has(partition))
    // Giving back takes a while: until it is done nothing is acknowledged.
    const acknowledges = member.next !== null && (!revokes || this.random.below(3) > 0)
    if (acknowledges) {
      member.held = new Set(member.next)
      member.told = new Set(member.next)
      member.next = null
    }
    const { id: memberId, epoch: memberEpoch, instanceId, says } = member
    const owned = acknowledges ? asOwned(member.told) : null
    member.says = {}
    const answer = send(this.w, { memberId, memberEpoch, instanceId, owned, ...says })
    await this.idle(answer)
    if (answer.now.errorCode === 0) this.take(member, answer.now)
    else await this.rejoin(member)
  }

  remove(member: Member): void {
    this.members.splice(this.members.indexOf(member), 1)
  }

  async step(): Promise<void> {
    const { random } = this
    const member = this.members.length === 0 ? null : random.pick(this.members)
    const what = random.below(100)
    if (member === null || (what < 12 && this.members.length < 9)) {
      const free = this.#instances.filter((each) =>
        this.members.every(({ instanceId }) => instanceId !== each),
      )
      if (random.below(3) === 0) {
        const instanceId = free.length > 0 && random.below(2) === 0 ? free[0] : `i${this.#made}`
        this.#instances.push(instanceId)
        return this.join(instanceId)
      }
      return this.join()
    }
    if (what < 18) {
      this.remove(member)
      send(this.w, { memberId: member.id, memberEpoch: -1, instanceId: member.instanceId })
    } else if (what < 22 && member.instanceId !== null) {
      this.remove(member)
      send(this.w, { memberId: member.id, memberEpoch: -2, instanceId: member.instanceId })
      // Some come back later, others not before their session has ended.
      if (random.below(2) === 0) await this.join(member.instanceId)
    } else if (what < 26) {
      this.remove(member)
    } else if (what < 32) {
      const next = this.subscription()
      member.options = { ...member.options, ...next }
      member.says = next
    } else if (what < 36) {
      this.changeTopics()
    } else if (what < 39) {
      this.changeCoordinator()
    } else {
      await this.beat(member)
    }
  }

  changeTopics(): void {
    const topic = this.random.pick(TOPICS)
    const count = this.w.topics.get(topic) ?? 0
    if (count < 12) this.w.topics.set(topic, count + 1 + this.random.below(3))
    this.w.groups.consumers.onTopicsChanged(new Set([topic]), false)
  }

  changeCoordinator(): void {
    const before = this.w.groups.describeConsumerGroup(GROUP)
    const { topics, log, time, config } = this.w
    this.w.groups.onResigned(0)
    this.w = world({ log, time, config })
    for (const [topic, count] of topics) this.w.topics.set(topic, count)
    expect(sorted(this.w.groups.describeConsumerGroup(GROUP))).toEqual(sorted(before))
  }

  /** Nobody comes or goes any more: in the end every partition that somebody subscribes to is held by one who does. */
  async comesToRest(): Promise<void> {
    for (let round = 0; round < 40; round++) {
      this.w.time.advance(BEAT_MS)
      for (const member of [...this.members]) await this.beat(member)
    }
    const expected = new Set<string>()
    for (const [topic, count] of this.w.topics) {
      if (!this.members.some((member) => subscribesTo(member, topic))) continue
      for (let partition = 0; partition < count; partition++) expected.add(`${topic}/${partition}`)
    }
    const held = this.members.flatMap((member) => [...member.held])
    expect(held.length).toBe(new Set(held).size)
    expect(new Set(held)).toEqual(expected)
    for (const member of this.members) {
      for (const partition of member.held) expect(subscribesTo(member, partition.split('/')[0])).toBe(true)
    }
    const group = this.w.groups.describeConsumerGroup(GROUP)
    expect(group.groupState).toBe(this.members.length === 0 ? group.groupState : 'Stable')
  }
}

function subscribesTo({ options }: Member, topic: string): boolean {
  const { subscribedTopicNames, subscribedTopicRegex } = options
  if (subscribedTopicNames?.includes(topic) === true) return true
  return subscribedTopicRegex !== '' && new RegExp(`^(?:${subscribedTopicRegex})$`).test(topic)
}

function sorted(group: ReturnType<World['groups']['describeConsumerGroup']>) {
  const members = [...group.members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  return { ...group, members }
}

/** Loaded before, so that it is there soon when the coordinator asks for it. */
expect(RE2JS.matches('a', 'a')).toBe(true)

test(
  `no partition has two owners, and in the end each has one, in ${SEEDS} random groups`,
  { timeout: 120_000 },
  async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = new Run(seed)
      try {
        for (let step = 0; step < STEPS; step++) {
          await run.step()
          run.w.time.advance(run.random.below(1_500))
        }
        await run.comesToRest()
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
  },
)
