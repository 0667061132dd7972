/** One round: a topic, the load on it, faults, then peace, and a verdict over all that was seen. */
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { HistoryChecker } from './checker.ts'
import { FaultRun, type FaultPlan, type FaultTally } from './fault-run.ts'
import { groups, Load, producers } from './load.ts'
import type { Random } from './random.ts'
import type { TestBed } from './test-bed.ts'
import { judge, type Verdict } from './verdict.ts'

export interface RoundPlan extends FaultPlan {
  topic: string
  partitions: number
  recordsPerSecond: number
  /** Whether the faults go on, by their number so far and the time since they began. */
  goesOn(faults: number, elapsedMs: number): boolean
}

export interface RoundResult extends Verdict {
  faults: FaultTally
  faultCount: number
  diary: string[]
  /** Longest time without an acknowledgement to anybody. */
  longestGapMs: number
  elapsedMs: number
}

export async function runRound(bed: TestBed, random: Random, plan: RoundPlan): Promise<RoundResult> {
  await createTopic(bed, plan)
  const checker = new HistoryChecker(groups)
  const load = await Load.start({ ...plan, bootstrap: bed.cluster.bootstrap }, checker)
  const run = new FaultRun({ bed, load, random }, plan)
  checker.onAnomaly = ({ kind, partition, detail }) => run.note(`${kind}: partition ${partition}: ${detail}`)
  try {
    await untilUnderWay(load)
    load.longestGapMs = 0
    const begunMs = performance.now()
    const elapsed = (): number => performance.now() - begunMs
    while (plan.goesOn(run.count, elapsed())) await run.episode()
    const elapsedMs = elapsed()
    const { longestGapMs } = load
    const verdict = await judge(bed, plan.topic, load, checker)
    return {
      ...verdict,
      faults: run.tally,
      faultCount: run.count,
      diary: run.diary,
      longestGapMs: Math.round(longestGapMs),
      elapsedMs: Math.round(elapsedMs),
    }
  } catch (error) {
    const diary = run.diary.slice(-40).join('\n')
    throw new Error(`after ${run.count} faults:\n${diary}\n${String(error)}`, { cause: error })
  } finally {
    await load.stop()
  }
}

/** Patient: a machine may have more to do than this. */
async function untilUnderWay(load: Load): Promise<void> {
  const counts = (): string => producers.map((name) => `${name} ${load.acknowledged(name)}`).join(', ')
  await eventually(
    'every producer is under way',
    () => load.hasFailed || producers.every((name) => load.acknowledged(name) > 20),
    180_000,
  ).catch((error: unknown) => {
    throw new Error(`acknowledged: ${counts()}`, { cause: error })
  })
  load.assertAlive()
}

async function createTopic({ cluster, view }: TestBed, { topic, partitions }: RoundPlan): Promise<void> {
  const admin = kafkajsClient(cluster.bootstrap, { retry: patient }).admin()
  await admin.connect()
  const wanted = { topics: [{ topic, numPartitions: partitions, replicationFactor: 3 }] }
  await eventually(
    `${topic} is there, in sync`,
    async () => {
      // False where it is there already: kafkajs may lose the answer.
      await admin.createTopics(wanted)
      const made = (await view.partitions()).filter((each) => each.topic === topic)
      return made.length === partitions && made.every(({ isr }) => isr.length === 3)
    },
    120_000,
  )
  await admin.disconnect()
}
