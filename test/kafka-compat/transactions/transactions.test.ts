/**
 * Three brokers, transactions of three families of clients, and both killed at random: every transaction is whole or not
 * there, and each record of a group's input is processed once. scripts/run-transactions.js goes on for longer.
 *
 *   ODRADEK_COMPAT_SEED          another seed
 *   ODRADEK_CLUSTER_KINDS        which brokers, by default odradek,odradek,odradek
 *   ODRADEK_TRANSACTIONS_FAULTS  how many faults, by default 7
 */
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type BrokerKind, type Cluster } from '../harness/cluster.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { Random } from '../cluster/random.ts'
import { faults, runFaults } from './faults.ts'
import { familyNames, runRound, type RoundResult } from './run.ts'

const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? Math.floor(Math.random() * 2 ** 31))
const kinds = (process.env.ODRADEK_CLUSTER_KINDS ?? 'odradek,odradek,odradek').split(',') as BrokerKind[]
const wanted = Number(process.env.ODRADEK_TRANSACTIONS_FAULTS ?? 7)
const DECK = faults.reduce((sum, { inDeck }) => sum + inDeck, 0)
const historyFile = join(tmpdir(), `odradek-transactions-${seed}-history.txt`)

let cluster: Cluster
let result: RoundResult
let happened: Record<string, number>

beforeAll(async () => {
  console.log(`transactions: ODRADEK_COMPAT_SEED=${seed}`)
  cluster = await startCluster({ kinds, ensembleSize: 1 })
  const world = { cluster, view: new ClusterView(cluster), random: new Random(seed) }
  try {
    result = await runRound(cluster, {
      families: familyNames,
      round: 'round',
      partitions: 4,
      seed,
      writers: 2,
      transformers: 2,
      pauseMs: 20,
      historyFile,
      async during(round) {
        happened = await runFaults(world, round, (count) => count < wanted)
      },
    })
  } catch (error) {
    throw new Error(`seed ${seed}; what the brokers said: ${keepOutputs()}`, { cause: error })
  }
  const { anomalies, ...figures } = result
  console.log(JSON.stringify({ ...figures, happened }, null, 1))
  if (anomalies.length === 0) rmSync(historyFile)
  else console.log(JSON.stringify(anomalies, null, 1), `seed ${seed}; see ${historyFile} ${keepOutputs()}`)
}, 900_000)

afterAll(() => cluster?.stop())

/** The brokers' directories are removed; what they said is needed when something went wrong. */
function keepOutputs(): string {
  const files = cluster.members.map((member) => {
    const file = join(tmpdir(), `odradek-transactions-${seed}-broker-${member.brokerId}.log`)
    writeFileSync(file, member.output())
    return file
  })
  return files.join(' ')
}

describe(`${kinds.join(', ')} under transactions, clients and brokers killed (seed ${seed})`, () => {
  test('no anomaly but those that the protocol allows', () => {
    expect(result.anomalyCounts).toEqual({})
    expect(result.anomalies).toEqual([])
  })

  test('the faults have happened, of every kind', () => {
    expect(Object.values(happened).reduce((a, b) => a + b, 0)).toBe(wanted)
    if (wanted < DECK) return // a short run by hand has not drawn all of them
    expect(Object.keys(happened).toSorted()).toEqual(faults.map(({ name }) => name).toSorted())
    expect(result.open).toBeGreaterThan(0)
  })

  test('each family has written, transformed, and aborted', () => {
    for (const name of familyNames) {
      expect(result.committedBy[`${name}-w`]).toBeGreaterThan(20)
      expect(result.committedBy[`${name}-x`]).toBeGreaterThan(5)
    }
    expect(result.aborted).toBeGreaterThan(10)
    expect(result.polled).toBeGreaterThan(result.records)
  })
})
