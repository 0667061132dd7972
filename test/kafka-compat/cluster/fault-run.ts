/** Faults drawn from a seed and done to a cluster, alone and in pairs, while the load goes on. */
import { eventually, pause } from '../harness/conditions.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'
import type { PartitionView } from './cluster-view.ts'
import { faults, type Fault, type FaultContext, type Target } from './faults.ts'
import { producers } from './load.ts'
import type { TestBed } from './test-bed.ts'

export interface FaultPlan {
  /** So many faults may be going on at a time. */
  lanes: number
  /** Of a hundred faults so many last long. */
  longPercent: number
  /** How long a long one lasts, where it is not the fault's own affair. */
  longMs?: readonly [number, number]
  /** After so long all faults end, and every producer must get on. */
  episodeMs: number
}

export interface FaultTally {
  /** By the fault's name: how often it happened. */
  happened: Record<string, number>
  /** Faults that began while another was going on. */
  inPairs: number
  /** Drawn and done, but with no effect that could be seen: not counted as faults. */
  withoutEffect: number
  /** Faults while which records were acknowledged, from their begin to their end. */
  withProgress: number
  /** Brokers that ended and were not told to, with the last that they said. */
  unexpectedEnds: string[]
}

/**
 * Longest time that a producer may take to get on after all faults have ended. kafkajs keeps a connection whose requests
 * were not answered in time; TCP, which doubles its waits while a cut lasts, is silent on it for another 50 s when one of a
 * minute has ended.
 */
const RECOVERY_LIMIT_MS = 150_000

export class FaultRun {
  readonly tally: FaultTally = {
    happened: {},
    inPairs: 0,
    withoutEffect: 0,
    withProgress: 0,
    unexpectedEnds: [],
  }
  /** What happened when, for who looks for the cause of an anomaly. */
  readonly diary: string[] = []
  readonly #context: FaultContext
  readonly #plan: FaultPlan
  readonly #busy = new Set<string>()
  #deck: Fault[] = []
  #ongoing = 0
  #begunMs = performance.now()

  constructor(context: FaultContext, plan: FaultPlan) {
    this.#context = context
    this.#plan = plan
  }

  get count(): number {
    return Object.values(this.tally.happened).reduce((a, b) => a + b, 0)
  }

  /** Draws faults for the plan's time, ends them all, and waits until every producer gets on. */
  async episode(): Promise<void> {
    const deadline = performance.now() + this.#plan.episodeMs
    await Promise.all(Array.from({ length: this.#plan.lanes }, () => this.#lane(deadline)))
    await this.#reviveEnded()
    await this.#everybodyGetsOn()
  }

  async #lane(deadline: number): Promise<void> {
    while (performance.now() < deadline) {
      const fault = this.#draw()
      // What cannot be found out now (the ensemble is away, say) cannot be aimed at: another time.
      const target = await fault.choose(this.#context).catch(() => null)
      if (target === null || target.parts.some((part) => this.#busy.has(part))) {
        this.#deck.unshift(fault)
        await pause(20)
        continue
      }
      for (const part of target.parts) this.#busy.add(part)
      this.#ongoing++
      try {
        await this.#do(fault, target)
      } finally {
        this.#ongoing--
        for (const part of target.parts) this.#busy.delete(part)
      }
      await pause(this.#context.random.between([0, 100]))
    }
  }

  #draw(): Fault {
    if (this.#deck.length === 0) {
      const full = faults.flatMap((fault) => Array.from({ length: fault.inDeck }, () => fault))
      this.#deck = this.#context.random.shuffle(full)
    }
    return this.#deck.pop()!
  }

  async #do(fault: Fault, target: Target): Promise<void> {
    const { load } = this.#context
    const before = load.acknowledged()
    const isPair = this.#ongoing > 1
    const ongoing = await fault.begin(this.#context, target)
    if (ongoing === null) return
    this.note(`${fault.name}: ${ongoing.target}`)
    await pause(this.#durationOf(fault))
    const happened = await ongoing.end()
    this.note(`${fault.name}: ${ongoing.target} ends${happened ? '' : ', without effect'}`)
    if (!happened) {
      this.tally.withoutEffect++
      return
    }
    this.tally.happened[fault.name] = (this.tally.happened[fault.name] ?? 0) + 1
    if (isPair) this.tally.inPairs++
    if (load.acknowledged() > before) this.tally.withProgress++
  }

  #durationOf({ usualMs, longMs, name }: Fault): number {
    const { random } = this.#context
    const isLong = random.below(100) < this.#plan.longPercent
    const ownLength = longMs[0] < 4000 || name === 'ZooKeeper majority lost'
    return random.between(isLong ? (ownLength ? longMs : (this.#plan.longMs ?? longMs)) : usualMs)
  }

  async #reviveEnded(): Promise<void> {
    for (const member of this.#context.bed.cluster.members) {
      if (member.isRunning) continue
      this.note(`broker ${member.brokerId} has ended by itself`)
      this.tally.unexpectedEnds.push(`broker ${member.brokerId} (${member.kind}):\n${member.tail()}`)
      await member.start()
    }
  }

  async #everybodyGetsOn(): Promise<void> {
    const { load, bed } = this.#context
    const before = new Map(producers.map((name) => [name, load.acknowledged(name)]))
    await eventually(
      'every producer gets on after the faults',
      () => load.hasFailed || producers.every((name) => load.acknowledged(name) > before.get(name)!),
      RECOVERY_LIMIT_MS,
    ).catch(async (error: unknown) => {
      const stuck = producers.filter((name) => load.acknowledged(name) === before.get(name))
      const said = stuck.map((name) => `${name} said:\n${load.tailOf(name)}`).join('\n')
      const partitions = await bed.view.partitions().catch(() => [])
      const probed = await probe(bed, partitions).catch(String)
      const diary = this.diary.slice(-30).join('\n')
      const seen = [diary, JSON.stringify(partitions), probed, said].join('\n')
      throw new Error(`stuck: ${stuck.join(', ')}\n${seen}`, { cause: error })
    })
    load.assertAlive()
  }

  note(what: string): void {
    const seconds = ((performance.now() - this.#begunMs) / 1000).toFixed(2)
    this.diary.push(`${new Date().toISOString().slice(11, 23)} ${seconds} s: ${what}`)
  }
}

/** What a producer that is new here hears of each partition. The round is lost already: its records are seen by nobody. */
async function probe({ cluster }: TestBed, partitions: readonly PartitionView[]): Promise<string> {
  const producer = kafkajsClient(cluster.bootstrap, { retry: { retries: 0 } }).producer()
  await producer.connect()
  const answers: string[] = []
  for (const { topic, partition } of partitions.filter(({ topic }) => !topic.startsWith('__'))) {
    const sent = producer.send({ topic, messages: [{ value: 'probe', partition }], acks: -1, timeout: 3000 })
    const answer = await sent.then(
      () => 'is written',
      (error: Error) => String(error),
    )
    answers.push(`${topic}-${partition}: ${answer}`)
  }
  await producer.disconnect()
  return answers.join('\n')
}
