/**
 * Whatever happens to brokers and controllers, in whatever order: what is written of a partition keeps the rules, judged by
 * someone who looks at the writes alone; and when all is well again, all brokers know what is written, and it can be served.
 */
import { describe, expect, test } from 'vitest'
import type { CoordinationSession, SessionState, Watch } from '../../src/env/coordination.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { decodePartitionState, decodeTopic } from '../../src/controller/znodes.ts'
import type { PartitionStateZnode } from '../../src/controller/znodes.ts'
import type { AlterPartitionRequest } from '../../src/protocol/messages/56-alter-partition.ts'
import { SimCluster } from './cluster.ts'

const SEEDS = Number(process.env.ODRADEK_CONTROLLER_SEEDS ?? 30)
const STEPS = 40
const IDS = [1, 2, 3, 4]
const STATE_PATH = /^\/brokers\/topics\/([^/]+)\/partitions\/(\d+)\/state$/

/** Sees every state in the order in which they were written, whoever wrote it. */
class Judge {
  readonly #states = new Map<string, PartitionStateZnode>()
  /** Every leader that a leader epoch of a partition had. */
  readonly #leaders = new Map<string, number>()
  #controllerEpoch = 0
  /** The in-sync sets that leaders have asked for. */
  readonly wished = new Map<string, string[]>()

  watch(session: CoordinationSession): void {
    const multi = session.multi.bind(session)
    session.multi = async (operations) => {
      const results = await multi(operations)
      for (const operation of operations) {
        const match = STATE_PATH.exec(operation.path)
        if (match === null) continue
        const key = `${match[1]}-${match[2]}`
        if (operation.type === 'create' || operation.type === 'set')
          this.#written(key, decodePartitionState(operation.data)!)
        else if (operation.type === 'delete') this.#states.delete(key)
      }
      return results
    }
  }

  #written(key: string, state: PartitionStateZnode): void {
    const before = this.#states.get(key)
    this.#states.set(key, state)
    const { leader, leaderEpoch, isr, controllerEpoch } = state
    expect(controllerEpoch, `controller epoch of ${key}`).toBeGreaterThanOrEqual(this.#controllerEpoch)
    this.#controllerEpoch = controllerEpoch
    expect(isr.length, `in-sync set of ${key}`).toBeGreaterThan(0)
    expect(new Set(isr).size).toBe(isr.length)
    if (leader >= 0) expect(isr, `leader of ${key}`).toContain(leader)
    if (before === undefined) return
    expect(leaderEpoch, `leader epoch of ${key}`).toBeGreaterThanOrEqual(before.leaderEpoch)
    if (leaderEpoch === before.leaderEpoch) {
      expect(leader, `leader of ${key} in epoch ${leaderEpoch}`).toBe(before.leader)
      // Without a new leader epoch only a leader's wish changes the set.
      expect(this.wished.get(key) ?? [], `in-sync set of ${key}`).toContain(String(isr))
    } else {
      // Nobody who lacks something is in the set, or leads.
      for (const id of isr) expect(before.isr, `in-sync set of ${key}`).toContain(id)
    }
  }

  /** What a broker was told of who leads. */
  told(
    topicId: string,
    partition: number,
    { leader, leaderEpoch }: { leader: number; leaderEpoch: number },
  ): void {
    const key = `${topicId}-${partition}-${leaderEpoch}`
    const known = this.#leaders.get(key)
    if (known !== undefined) expect(leader, `leader of ${key}`).toBe(known)
    this.#leaders.set(key, leader)
  }
}

/** A session that answers late now and then, in order, and whose watches come late: its broker may act on what was. */
class LateSession implements CoordinationSession {
  readonly #inner: CoordinationSession
  readonly #delayMs: () => number
  readonly #timers: SimCluster['scheduler']['timers']
  #last: Promise<void> = Promise.resolve()

  constructor(inner: CoordinationSession, timers: SimCluster['scheduler']['timers'], delayMs: () => number) {
    this.#inner = inner
    this.#timers = timers
    this.#delayMs = delayMs
  }

  get id(): bigint {
    return this.#inner.id
  }

  create: CoordinationSession['create'] = (...of) => this.#late(() => this.#inner.create(...of))
  get: CoordinationSession['get'] = (path, watch) =>
    this.#late(() => this.#inner.get(path, this.#watch(watch)))
  set: CoordinationSession['set'] = (...of) => this.#late(() => this.#inner.set(...of))
  delete: CoordinationSession['delete'] = (...of) => this.#late(() => this.#inner.delete(...of))
  multi: CoordinationSession['multi'] = (operations) => this.#late(() => this.#inner.multi(operations))
  exists: CoordinationSession['exists'] = (path, watch) =>
    this.#late(() => this.#inner.exists(path, this.#watch(watch)))
  children: CoordinationSession['children'] = (path, watch) =>
    this.#late(() => this.#inner.children(path, this.#watch(watch)))

  onState(listener: (state: SessionState) => void): void {
    this.#inner.onState(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #watch(watch: Watch | undefined): Watch | undefined {
    return watch && ((event) => void this.#late(async () => watch(event)))
  }

  async #late<T>(operation: () => Promise<T>): Promise<T> {
    const before = this.#last
    const delayMs = this.#delayMs()
    this.#last = before.then(() => {
      if (delayMs > 0) return new Promise<void>((resolve) => void this.#timers.after(delayMs, resolve))
    })
    await this.#last
    return operation()
  }
}

class World {
  readonly cluster: SimCluster
  readonly judge = new Judge()
  readonly #random: SeededRandom
  #topics = 0
  readonly done: string[] = []
  /** Brokers that have asked to shut down: a controller that knows it gives them nothing. */
  readonly #leaving = new Set<number>()

  constructor(seed: number) {
    this.cluster = new SimCluster({ seed })
    this.#random = new SeededRandom(seed)
    const connect = this.cluster.store.connect.bind(this.cluster.store)
    this.cluster.store.connect = async (options) => {
      const session = await connect(options)
      this.judge.watch(session)
      const delayMs = (): number => (this.#random.next() < 0.1 ? this.#random.next() * 100 : 0)
      return new LateSession(session, this.cluster.scheduler.timers, delayMs)
    }
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random.next() * all.length)]
  }

  #some<T>(all: readonly T[], count: number): T[] {
    const rest = [...all]
    return Array.from(
      { length: count },
      () => rest.splice(Math.floor(this.#random.next() * rest.length), 1)[0],
    )
  }

  get #brokers() {
    return [...this.cluster.brokers.values()]
  }

  /** One of the topics that the controller knows. */
  get #topic(): string | undefined {
    const { controller } = this.cluster
    return controller === undefined ? undefined : this.#pick([...controller.metadata.topics()])?.name
  }

  async step(): Promise<void> {
    const changes: [string, () => Promise<unknown>][] = [
      ['broker comes', () => this.#come()],
      ['broker goes', () => this.#go()],
      ['broker bounces', () => this.#bounce()],
      ['broker refuses', async () => this.#pick(this.#brokers)?.refuse()],
      ['broker is slow', async () => this.#fault('TIMED_OUT')],
      ['broker answers', async () => this.#fault(null)],
      ['topic is made', () => this.makeTopic()],
    ]
    const requests: [string, () => Promise<unknown>][] = [
      ['topic is deleted', () => this.#deleteTopic()],
      ['set is changed', () => this.#alterPartition()],
      ['set is changed', () => this.#alterPartition()],
      ['controller is taken for lost', () => this.#takeForLost()],
      ['session of the controller ends', () => this.#expire()],
      ['broker shuts down', () => this.#shutDown()],
      ['leaders are elected', () => this.#elect()],
      ['partition is moved', () => this.#reassign()],
      ['partition is moved', () => this.#reassign()],
    ]
    if (this.#random.next() < 0.4) {
      const [name, act] = this.#pick(changes)
      this.done.push(name)
      await act()
    } else {
      const [name, act] = this.#pick(requests)
      this.done.push(name)
      const acting = act()
      // What was begun goes on while the next thing happens, now and then.
      if (this.#random.next() < 0.7) await this.cluster.until(acting)
      else acting.catch(() => undefined)
    }
    if (this.#random.next() < 0.5) await this.cluster.scheduler.settle()
    if (this.#random.next() < 0.3) await this.cluster.scheduler.advance(150)
    if (this.#random.next() < 0.15) await this.checkLeaders()
  }

  /** Some time after the last event: whoever is there and has everything leads, and nobody in the sets is away. */
  async checkLeaders(): Promise<void> {
    await this.cluster.scheduler.advance(3000)
    if (this.cluster.controller === undefined) return
    const session = await this.cluster.connect()
    const registered = await this.cluster.until(session.children('/brokers/ids'))
    const isAway = (id: number): boolean => {
      const broker = this.cluster.brokers.get(id)
      return broker === undefined || (broker.fault === 'REFUSED' && broker !== this.cluster.controller)
    }
    const alive = new Set(registered.map(Number).filter((id) => !isAway(id)))
    const deleted = await this.cluster.until(session.children('/admin/delete_topics'))
    for (const name of await this.cluster.until(session.children('/brokers/topics'))) {
      if (deleted.includes(name)) continue
      const { partitions } = decodeTopic(
        (await this.cluster.until(session.get(`/brokers/topics/${name}`))).data,
      )!
      for (const partition of partitions.keys()) {
        const exists = session.exists(`/brokers/topics/${name}/partitions/${partition}/state`)
        if ((await this.cluster.until(exists)) === null) {
          const able = partitions[partition].filter((id) => alive.has(id) && !this.#leaving.has(id))
          expect(able, `${name}-${partition} has no state`).toEqual([])
          continue
        }
        const { leader, isr } = await this.cluster.stateOf(name, partition)
        const present = isr.filter((id) => alive.has(id))
        expect(present.length === 0 ? [] : isr, `in-sync set of ${name}-${partition}`).toEqual(present)
        if (present.some((id) => !this.#leaving.has(id)))
          expect(present, `leader of ${name}-${partition}`).toContain(leader)
        else if (present.length === 0) expect(leader).toBe(-1)
      }
    }
    await this.cluster.until(session.close())
  }

  async #takeForLost(): Promise<void> {
    this.#pick(this.#brokers)?.controller.controllerLost(this.#pick(IDS))
  }

  async #come(): Promise<void> {
    const away = IDS.filter((id) => !this.cluster.brokers.has(id))
    if (away.length === 0) return
    const id = this.#pick(away)
    this.#leaving.delete(id)
    await this.cluster.addBroker(id)
  }

  async #go(): Promise<void> {
    if (this.#brokers.length > 1) await this.cluster.removeBroker(this.#pick(this.#brokers).id)
  }

  async #bounce(): Promise<void> {
    if (this.#brokers.length > 0) await this.cluster.bounceBroker(this.#pick(this.#brokers).id)
  }

  #fault(fault: 'TIMED_OUT' | null): void {
    const broker = this.#pick(this.#brokers)
    // One that refuses stays so until it answers.
    if (broker !== undefined && (fault === null || broker.fault === null)) broker.fault = fault
  }

  async makeTopic(): Promise<void> {
    const { controller } = this.cluster
    if (controller === undefined || this.#topics > 6) return
    const partitions = Array.from({ length: 2 }, () =>
      this.#some(IDS, 1 + Math.floor(this.#random.next() * 3)),
    )
    await this.cluster.createTopic(`t${this.#topics++}`, ...partitions)
  }

  async #deleteTopic(): Promise<void> {
    const name = this.#topic
    if (name === undefined) return
    const topicId = 'AAAAAAAAAAAAAAAAAAAAAA'
    await this.cluster.controller.topics.deleteTopics([{ name, topicId }], { timeoutMs: 100 })
  }

  /** As the leader that the cluster knows, with one member more or less. */
  async #alterPartition(): Promise<void> {
    const name = this.#topic
    if (name === undefined) return
    const { metadata, controller } = this.cluster.controller
    const { topicId, partitions } = metadata.topic(name)!
    const { index, leader, leaderEpoch, isr, replicas, partitionEpoch } = this.#pick(partitions)
    if (leader < 0) return
    const other = this.#pick(replicas)
    if (other === leader || other === undefined) return
    const newIsr = isr.includes(other) ? isr.filter((id) => id !== other) : [...isr, other]
    const key = `${name}-${index}`
    this.#wish(key, newIsr)
    const newIsrWithEpochs = newIsr.map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
    const head = { partitionIndex: index, leaderEpoch, partitionEpoch, leaderRecoveryState: 0 }
    const request: AlterPartitionRequest = {
      brokerId: leader,
      brokerEpoch: metadata.broker(leader)?.epoch ?? 0,
      topics: [{ topicName: name, topicId, partitions: [{ ...head, newIsr, newIsrWithEpochs }] }],
    }
    await controller.alterPartition(request, 3)
  }

  /** The broker is gone with it: it has none that would be renewed. */
  async #expire(): Promise<void> {
    const { controller } = this.cluster
    if (controller === undefined) return
    this.cluster.brokers.delete(controller.id)
    controller.refuse()
    await this.cluster.store.expire(controller.session.id)
  }

  async #shutDown(): Promise<void> {
    const controller = this.cluster.controller?.controller
    if (controller === undefined) return
    const { id } = this.#pick(this.#brokers)
    this.#leaving.add(id)
    await controller.controlledShutdown(id, -1)
  }

  async #elect(): Promise<void> {
    const request = { electionType: 0, topicPartitions: null, timeoutMs: 1000 }
    await this.cluster.controller?.controller.electLeaders(request)
  }

  async #reassign(): Promise<void> {
    const name = this.#topic
    if (name === undefined) return
    const replicas =
      this.#random.next() < 0.2 ? null : this.#some(IDS, 1 + Math.floor(this.#random.next() * 3))
    const partitions = [{ partitionIndex: 0, replicas }]
    const request = { timeoutMs: 1000, topics: [{ name, partitions }] }
    await this.cluster.controller.controller.alterPartitionReassignments(request)
  }

  /** All brokers start anew, and answer. */
  async heal(): Promise<void> {
    for (const broker of this.#brokers) broker.fault = null
    await this.cluster.scheduler.advance(5000)
    for (const id of IDS) {
      if (this.cluster.brokers.has(id)) await this.cluster.bounceBroker(id)
      else await this.cluster.addBroker(id)
    }
    await this.cluster.scheduler.advance(5000)
    await this.#catchUp()
    await this.cluster.scheduler.advance(5000)
  }

  /** All followers are in sync: what is on its way arrives. */
  async #catchUp(): Promise<void> {
    const session = await this.cluster.connect()
    for (const name of await this.cluster.until(session.children('/brokers/topics'))) {
      const data = (await this.cluster.until(session.get(`/brokers/topics/${name}`))).data
      const { partitions, topicId } = decodeTopic(data)!
      for (const [partition, replicas] of partitions.entries()) {
        const { leader, leaderEpoch, partitionEpoch } = await this.cluster.stateOf(name, partition)
        const { controller, metadata } = this.cluster.controller
        const isr = [leader, ...replicas.filter((id) => id !== leader)]
        this.#wish(`${name}-${partition}`, isr)
        const head = {
          partitionIndex: partition,
          leaderEpoch,
          partitionEpoch,
          leaderRecoveryState: 0,
          newIsr: isr,
        }
        const newIsrWithEpochs = isr.map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
        const request: AlterPartitionRequest = {
          brokerId: leader,
          brokerEpoch: metadata.broker(leader)!.epoch,
          topics: [{ topicName: name, topicId: topicId!, partitions: [{ ...head, newIsrWithEpochs }] }],
        }
        const [{ partitions: answers }] = (await this.cluster.until(controller.alterPartition(request, 3)))
          .topics
        expect(answers[0].errorCode, `in-sync set of ${name}-${partition}`).toBe(0)
        await this.cluster.scheduler.settle()
      }
    }
  }

  #wish(key: string, isr: readonly number[]): void {
    this.judge.wished.set(key, [...(this.judge.wished.get(key) ?? []), String(isr)])
  }

  /** After `heal`. */
  async check(): Promise<void> {
    const session = await this.cluster.connect()
    const read = async (path: string) => (await this.cluster.until(session.get(path))).data
    expect(await this.cluster.until(session.children('/admin/delete_topics'))).toEqual([])
    expect(this.#brokers.filter(({ controller }) => controller.isActive)).toHaveLength(1)
    const names = await this.cluster.until(session.children('/brokers/topics'))
    for (const broker of this.#brokers)
      expect([...broker.metadata.topics()].map(({ name }) => name).sort()).toEqual(names)
    for (const name of names) {
      const { partitions } = decodeTopic(await read(`/brokers/topics/${name}`))!
      for (const partition of partitions.keys()) {
        const written = await this.cluster.stateOf(name, partition)
        // Everybody is there: whoever is in sync may lead.
        expect(written.leader, `leader of ${name}-${partition}`).toBeGreaterThanOrEqual(0)
        const { leader, leaderEpoch, isr, partitionEpoch } = written
        for (const { id, metadata, calls } of this.#brokers) {
          const known = metadata.partition(name, partition)
          expect(known, `${name}-${partition} on ${id}`).toMatchObject({
            leader,
            leaderEpoch,
            isr,
            partitionEpoch,
          })
          if (!partitions[partition].includes(id)) continue
          const states = calls.flatMap((call) => (call.type === 'leaderAndIsr' ? call.states! : []))
          const last = states.findLast((state) => state.topic === name && state.partition === partition)
          expect(last, `${name}-${partition} as told to ${id}`).toMatchObject({ leader, leaderEpoch })
        }
      }
    }
  }

  judgeCalls(): void {
    for (const { calls } of this.#brokers)
      for (const { states } of calls)
        for (const state of states ?? []) this.judge.told(state.topicId, state.partition, state)
  }
}

describe('whatever happens', () => {
  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('seed %i', async (seed) => {
    const world = new World(seed)
    try {
      await world.cluster.addBroker(1)
      await world.cluster.addBroker(2)
      for (let i = 0; i < 2; i++) await world.makeTopic()
      for (let i = 0; i < STEPS; i++) await world.step()
      await world.heal()
      await world.check()
      world.judgeCalls()
    } catch (error) {
      throw new Error(`after ${world.done.join(', ')}`, { cause: error })
    }
  })
})
