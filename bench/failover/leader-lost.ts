/** The gap that a client sees when the leader of its partition is lost, over many losses. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchCluster, Kind } from '../lab/cluster.ts'
import { BROKER_IDS } from '../lab/cluster.ts'
import type { GapClient } from '../lab/gap-client.ts'
import type { Sample } from '../lab/interleave.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import type { Options } from '../lab/session.ts'
import { measureAll } from '../lab/session.ts'
import { quantile } from '../lab/statistics.ts'
import type { Fault } from './faults.ts'

/** One partition for each broker to lead: broker n prefers partition n - 1. */
export const TOPIC = 'gaps'
export const replicasOfEach = BROKER_IDS.map((_, first) =>
  BROKER_IDS.map((_, i) => BROKER_IDS[(first + i) % BROKER_IDS.length]),
)

export interface Subject {
  readonly cluster: BenchCluster
  readonly client: GapClient
}

/** Measures a cluster with its client at work, while those of the others rest: the machine has two cores. */
export function atWork(
  subjects: Readonly<Record<string, Subject>>,
  measure: (subject: Subject, name: string) => Promise<Sample>,
): (name: string) => Promise<Sample> {
  return async (name) => {
    const { client } = subjects[name]
    client.resume()
    await client.untilSteady()
    try {
      return await measure(subjects[name], name)
    } finally {
      client.pause()
    }
  }
}

export interface Losses {
  readonly title: string
  readonly fault: Fault
  readonly isController: boolean
  /** Times that the leader is lost in one round. */
  readonly perRound: (kind: Kind) => number
  readonly expectations: readonly Expectation[]
}

const metrics: readonly Metric[] = [
  { name: 'p50', label: 'client-seen gap, p50', unit: 'ms' },
  { name: 'p99', label: 'client-seen gap, p99', unit: 'ms' },
  { name: 'worst', label: 'client-seen gap, the longest', unit: 'ms' },
  { name: 'times', label: 'the leader was lost', unit: 'times' },
  { name: 'backAfter', label: 'in sync again after its return, p50', unit: 'ms' },
]

export async function measureLosses(
  options: Options,
  subjects: Readonly<Record<string, Subject>>,
  { title, fault, isController, perRound, expectations }: Losses,
): Promise<Section> {
  const every: Record<string, number[]> = {}
  const backAfter: Record<string, number[]> = {}
  let turn = 0
  const measure = async (subject: Subject, name: string): Promise<Sample> => {
    const gaps: number[] = []
    const times = options.quick ? 1 : perRound(subject.cluster.kind)
    for (let i = 0; i < times; i++) {
      const victim = await victimOf(subject.cluster, isController, turn++)
      const { gapMs, backMs } = await loseLeader(subject, fault, victim)
      gaps.push(gapMs)
      ;(backAfter[name] ??= []).push(backMs)
    }
    ;(every[name] ??= []).push(...gaps)
    return { p50: quantile(gaps, 0.5), worst: Math.max(...gaps) }
  }
  const names = Object.keys(subjects)
  await measureAll(options, title, { subjects: names, measure: atWork(subjects, measure) })
  return lossesSection({ title, expectations }, every, backAfter)
}

/** By cluster: every gap, and how long each return took, in milliseconds. */
export function lossesSection(
  { title, expectations }: Pick<Losses, 'title' | 'expectations'>,
  every: Readonly<Record<string, number[]>>,
  backAfter: Readonly<Record<string, number[]>>,
): Section {
  const pooled = Object.entries(every).map(([name, gaps]) => [
    name,
    {
      p50: [quantile(gaps, 0.5)],
      p99: [quantile(gaps, 0.99)],
      worst: [Math.max(...gaps)],
      times: [gaps.length],
      backAfter: [quantile(backAfter[name], 0.5)],
    },
  ])
  return { title, setting: {}, metrics, expectations, series: Object.fromEntries(pooled), every }
}

/** The controller, or each of the others in turn. */
export async function victimOf(cluster: BenchCluster, isController: boolean, turn: number): Promise<number> {
  const controller = await cluster.controller()
  if (isController) return controller
  const others = BROKER_IDS.filter((id) => id !== controller)
  return others[turn % others.length]
}

/** Takes the leader of a partition away and brings it back; all is as before when it resolves. */
export async function loseLeader(
  { cluster, client }: Subject,
  fault: Fault,
  victim: number,
): Promise<{ gapMs: number; backMs: number }> {
  const partition = victim - 1
  client.mark()
  await fault.strike(cluster, victim)
  const gapMs = (await client.untilSteady([partition]))[partition].longestMs
  const returnedAt = performance.now()
  await fault.undo(cluster, victim)
  await cluster.untilInSync(TOPIC)
  const backMs = performance.now() - returnedAt
  await cluster.electPreferred(TOPIC, BROKER_IDS.length)
  await client.untilSteady()
  await sleep(500)
  return { gapMs, backMs }
}
