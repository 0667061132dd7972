/** Several groups on one bed under churn at once: members, producer, observer, faults; then rest, and the verdict. */
import type { Producer } from 'kafkajs'
import { pause } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import type { Bed } from './beds.ts'
import { GroupRun } from './group-run.ts'
import type { Place } from './group-run.ts'
import { GroupViewer } from './group-view.ts'
import { MemberHost } from './member-host.ts'
import type { Family } from './member-host.ts'
import { partitionsFor, timesOf } from './specs.ts'
import type { GroupSpec, Times } from './specs.ts'

export interface ChurnPlan {
  readonly seed: number
  readonly steps: number
  readonly times: Times
  /** By step: faults of the bed, or `crash`, which kills the processes of a third of the members. */
  readonly faults: Readonly<Record<number, string>>
  /** Of each group. */
  readonly recordsPerTick: number
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * One record, thus of one partition. kafkajs leaves out some of a request for several partitions whose leaders move between two
 * tries, and sends the next record of such a partition with the sequence number of what it has left out. If that had been
 * appended, the broker takes the next one for a duplicate: it is acknowledged, and is nowhere.
 */
async function sendOne(producer: Producer, group: GroupRun): Promise<void> {
  const { id, partitions } = group.spec
  const value = `${id}:${group.sent}`
  const partition = group.sent++ % partitions
  const [{ baseOffset }] = await producer.send({ topic: id, messages: [{ value, partition }], acks: -1 })
  group.observe({ kind: 'acknowledged', partition, offset: Number(baseOffset ?? -1), value })
}

class ChurnRun {
  readonly #bed: Bed
  readonly #plan: ChurnPlan
  readonly #viewer: GroupViewer
  readonly groups: readonly GroupRun[]
  readonly #hosts = new Map<Family, Record<Place, MemberHost>>()
  readonly #failures: Error[] = []
  #isProducing = true
  #isLooking = true

  constructor(bed: Bed, specs: readonly GroupSpec[], plan: ChurnPlan) {
    this.#bed = bed
    this.#plan = plan
    this.#viewer = new GroupViewer(bed.ports)
    const random = seeded(plan.seed)
    const families = new Set(specs.map(({ family }) => family))
    for (const family of families) this.#hosts.set(family, {} as Record<Place, MemberHost>)
    this.groups = specs.map((spec) => new GroupRun(spec, this.#hosts.get(spec.family)!, this.#viewer, random))
  }

  #host(family: Family): Promise<MemberHost> {
    return MemberHost.start(family, this.#bed.bootstrap, {
      // A member's name begins with that of its group.
      observe: (seen) => this.#group(seen.member).observe(seen),
      fail: (error) => void this.#failures.push(error),
    })
  }

  #group(member: string): GroupRun {
    return this.groups.find(({ spec }) => member.startsWith(`${spec.id}.`))!
  }

  async begin(): Promise<void> {
    await this.#createTopics()
    for (const [family, hosts] of this.#hosts) {
      // The first compiles what both are.
      hosts.lasting = await this.#host(family)
      hosts.doomed = await this.#host(family)
    }
    await Promise.all(this.groups.map((group) => group.startAll()))
  }

  async #createTopics(): Promise<void> {
    const admin = kafkajsClient(this.#bed.bootstrap).admin()
    await admin.connect()
    const topics = this.groups.map(({ spec }) => ({ topic: spec.id, numPartitions: spec.partitions }))
    await admin.createTopics({ topics, waitForLeaders: true })
    await admin.disconnect()
  }

  /** Until `stopProducing`; every record that is acknowledged is told to the group's checker. */
  async produce(): Promise<void> {
    // How long a broker is away is not judged here.
    const retry = { ...patient, retries: 100_000 }
    const kafka = kafkajsClient(this.#bed.bootstrap, { retry })
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry })
    await producer.connect()
    while (this.#isProducing) {
      for (const group of this.groups) {
        for (let i = 0; i < this.#plan.recordsPerTick; i++) await sendOne(producer, group)
      }
      await pause(this.#plan.times.tickMs)
    }
    await producer.disconnect()
  }

  async look(): Promise<void> {
    while (this.#isLooking) {
      for (const group of this.groups) await group.look()
      await pause(3 * this.#plan.times.tickMs)
    }
  }

  async churn(): Promise<void> {
    for (let step = 0; step < this.#plan.steps; step++) {
      const fault = this.#plan.faults[step]
      if (fault === 'crash') await this.#crash()
      else if (fault !== undefined) await this.#brokerFails(fault)
      for (const group of this.groups) group.step()
      await pause(this.#plan.times.stepMs)
      this.#assertAlive()
    }
    await Promise.all(this.groups.map((group) => group.lastComes()))
  }

  async #brokerFails(fault: string): Promise<void> {
    for (const group of this.groups) group.brokerGoes()
    const done = this.#bed.faults[fault]()
    // That takes a while, in which members come and go.
    for (const group of this.groups) group.step()
    await done
    for (const group of this.groups) group.brokerIsBack()
  }

  async #crash(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map(({ doomed }) => doomed.kill()))
    const comeBack = this.groups.map((group) => group.crash())
    for (const [family, hosts] of this.#hosts) hosts.doomed = await this.#host(family)
    for (const each of comeBack) each()
  }

  #assertAlive(): void {
    if (this.#failures.length > 0) throw new Error(this.#failures.map(String).join('\n'))
  }

  async rest(): Promise<void> {
    await Promise.all(this.groups.map((group) => group.settles()))
    this.#assertAlive()
  }

  stopProducing(): void {
    this.#isProducing = false
  }

  async end(): Promise<void> {
    await Promise.all(this.groups.map((group) => group.catchesUp()))
    await Promise.all(this.groups.map((group) => group.ends()))
    this.#isLooking = false
  }

  async stop(): Promise<void> {
    this.#isProducing = false
    this.#isLooking = false
    this.#viewer.close()
    const hosts = [...this.#hosts.values()].flatMap((both) => Object.values(both))
    await Promise.all(hosts.map((host) => host.kill()))
  }
}

/** Runs the plan on all groups at once; fails where a group does not come to rest. What their checkers have found is theirs to tell. */
export async function churns(
  bed: Bed,
  specs: readonly GroupSpec[],
  plan: ChurnPlan,
): Promise<readonly GroupRun[]> {
  const run = new ChurnRun(bed, specs, plan)
  try {
    await run.begin()
    const produced = run.produce()
    const looked = run.look()
    // Both are awaited below; what fails before that must not be an unhandled rejection.
    produced.catch(() => undefined)
    looked.catch(() => undefined)
    await run.rest()
    await run.churn()
    await run.rest()
    run.stopProducing()
    await produced
    await run.end()
    await looked
  } catch (error) {
    const diaries = run.groups.map(({ spec, diary, checker }) => {
      return `${spec.id}: ${diary.slice(-60).join(' ')}\n${JSON.stringify(checker.found().slice(0, 5))}`
    })
    throw new Error(`seed ${plan.seed}: ${String(error)}\n${diaries.join('\n')}`, { cause: error })
  } finally {
    await run.stop()
  }
  return run.groups
}

/** Seven steps or so, with what befalls the broker near the beginning and the end, and a crash in the middle. */
export function churnPlan(
  size: number,
  { seed, steps, faults }: { seed: number; steps: number; faults: readonly [string, string] },
): ChurnPlan {
  const at = (part: number): number => Math.floor(part * steps)
  return {
    seed,
    steps,
    times: timesOf(size),
    recordsPerTick: Math.min(10, Math.ceil(partitionsFor(size) / 5)),
    faults: { [at(0.2)]: faults[0], [at(0.5)]: 'crash', [at(0.8)]: faults[1] },
  }
}
