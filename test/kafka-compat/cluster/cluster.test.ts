/**
 * Three brokers on three ZooKeeper servers, three families of clients under way, and faults from a seed: what has been
 * acknowledged stays, once and in its order, and the replicas are equal in the end.
 *
 *   ODRADEK_COMPAT_SEED      another seed
 *   ODRADEK_CLUSTER_KINDS    which brokers, by default odradek,odradek,odradek
 *   ODRADEK_CLUSTER_FAULTS   how many faults, by default 500
 */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BrokerKind } from '../harness/cluster.ts'
import { faults } from './faults.ts'
import { producers } from './load.ts'
import { Random } from './random.ts'
import { runRound, type RoundResult } from './round.ts'
import { Switchboard } from './switchboard.ts'
import { TestBed } from './test-bed.ts'

const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? Math.floor(Math.random() * 2 ** 32))
const kinds = (process.env.ODRADEK_CLUSTER_KINDS ?? 'odradek,odradek,odradek').split(',') as BrokerKind[]
const wanted = Number(process.env.ODRADEK_CLUSTER_FAULTS ?? 500)

const TOPIC = 'faults'

/** The faults end by their number; a machine that does not get there in this time is told so by the test of their number. */
const LONGEST_MS = 900_000
const DECK = faults.reduce((sum, { inDeck }) => sum + inDeck, 0)

/** Networks of its own are refused to who is not root, and in some containers to everybody. */
const refusal = await Switchboard.refusal()
if (refusal !== null) console.log(`cluster: nothing of it can be tested here: ${refusal}`)

let bed: TestBed
let result: RoundResult

beforeAll(async () => {
  if (refusal !== null) return
  console.log(`cluster: ODRADEK_COMPAT_SEED=${seed}`)
  bed = await TestBed.start({ kinds, seed })
  try {
    result = await runRound(bed, new Random(seed), {
      topic: TOPIC,
      partitions: 6,
      recordsPerSecond: 100,
      lanes: 2,
      longPercent: 4,
      episodeMs: 10_000,
      goesOn: (count, elapsedMs) => count < wanted && elapsedMs < LONGEST_MS,
    })
  } catch (error) {
    throw new Error(`seed ${seed}; what the brokers said and wrote: ${keepEvidence()}`, { cause: error })
  }
  const { diary, anomalies, differences, ...figures } = result
  console.log(JSON.stringify(figures, null, 1))
  if (anomalies.length + differences.length > 0) {
    console.log(`${diary.join('\n')}\nseed ${seed}; what the brokers said and wrote: ${keepEvidence()}`)
  }
}, 1_500_000)

afterAll(() => bed?.stop())

/** The brokers' directories are removed; what they said, and the round's records, are needed when something went wrong. */
function keepEvidence(): string {
  const kept = bed.cluster.members.map((member) => {
    const folder = join(tmpdir(), `odradek-faults-${seed}-broker-${member.brokerId}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'output.log'), member.output())
    const logDir = bed.logDirOf(member)
    for (const name of readdirSync(logDir).filter((each) => each.startsWith(`${TOPIC}-`)))
      cpSync(join(logDir, name), join(folder, name), { recursive: true })
    return folder
  })
  return kept.join(' ')
}

describe.skipIf(refusal !== null)(`${kinds.join(', ')} under load and faults (seed ${seed})`, () => {
  test('no client sees an anomaly: nothing lost, twice, out of order, made up, or read differently', () => {
    expect(result.anomalyCounts).toEqual({})
    expect(result.anomalies).toEqual([])
  })

  test('the replicas of all partitions are equal, byte by byte', () => {
    expect(result.differences).toEqual([])
    expect(result.partitionsCompared).toBeGreaterThanOrEqual(7)
  })

  test('no client gave a record up, and no broker ended by itself', () => {
    expect(result.failed).toBe(0)
    expect(result.faults.unexpectedEnds).toEqual([])
  })

  test('the faults have happened: as many as wanted, of every kind, alone and in pairs', () => {
    expect(result.faultCount).toBeGreaterThanOrEqual(wanted)
    if (wanted < 2 * DECK) return // a short run by hand has not drawn all of them
    expect(Object.keys(result.faults.happened).sort()).toEqual(faults.map(({ name }) => name).sort())
    expect(result.faults.inPairs).toBeGreaterThan(wanted / 5)
    expect(result.faults.inPairs).toBeLessThan(result.faultCount)
  })

  test('the load went on meanwhile', () => {
    for (const producer of producers) expect(result.acknowledged[producer]).toBeGreaterThan(wanted)
    expect(result.faults.withProgress).toBeGreaterThan(result.faultCount / 2)
    expect(result.recordsInLog).toBeGreaterThanOrEqual(
      producers.reduce((sum, producer) => sum + result.acknowledged[producer], 0),
    )
    expect(result.polled).toBeGreaterThanOrEqual(3 * result.recordsInLog)
    expect(result.committed).toBeGreaterThan(0)
  })
})
