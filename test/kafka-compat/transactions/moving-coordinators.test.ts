/**
 * One cluster of ours and Apache Kafka 3.9 under transactions, whose coordinators, of groups and of transactions, are moved from
 * one kind to the other by Kafka's tools, with clients killed meanwhile: the checker finds nothing.
 *
 *   ODRADEK_TRANSACTIONS_MOVES  how many moves, by default 2
 */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { Random } from '../cluster/random.ts'
import { Admin } from '../mixed/admin.ts'
import { calmProperties, ours } from '../mixed/mixed-cluster.ts'
import { familyNames, runRound, type RoundResult } from './run.ts'

const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? Math.floor(Math.random() * 2 ** 31))
const moves = Number(process.env.ODRADEK_TRANSACTIONS_MOVES ?? 2)
const historyFile = join(tmpdir(), `odradek-transactions-${seed}-moving.txt`)
const coordinatorTopics = ['__transaction_state', '__consumer_offsets']
const OURS = 1
const KAFKA = 2

let cluster: Cluster
let tools: KafkaTools
let result: RoundResult
/** Who led the coordinators' partitions, after each move. */
const led: number[][] = []

beforeAll(async () => {
  console.log(`moving coordinators: ODRADEK_COMPAT_SEED=${seed}`)
  tools = await KafkaTools.start()
  cluster = await startCluster({ kinds: [ours, 'kafka', ours], ensembleSize: 1, config: calmProperties })
  const random = new Random(seed)
  const admin = new Admin(tools, cluster)
  const view = new ClusterView(cluster)
  result = await runRound(cluster, {
    families: familyNames,
    round: 'moving',
    partitions: 3,
    seed,
    writers: 1,
    transformers: 1,
    pauseMs: 20,
    historyFile,
    async during(round) {
      await round.untilGoesOn()
      for (let move = 0; move < moves; move++) {
        led.push(await moveCoordinators(admin, view, move % 2 === 0 ? KAFKA : OURS))
        await round.untilGoesOn()
        await random.pick(round.families).killAndStart()
      }
      await round.untilGoesOn()
    },
  })
  const { anomalies, ...figures } = result
  console.log(JSON.stringify(figures, null, 1))
  if (anomalies.length === 0) rmSync(historyFile)
  else console.log(JSON.stringify(anomalies, null, 1), `seed ${seed}; see ${historyFile}`)
}, 900_000)

afterAll(async () => {
  await tools?.stop()
  await cluster?.stop()
})

/** Gives the leaders of all of their partitions. */
async function moveCoordinators(admin: Admin, view: ClusterView, to: number): Promise<number[]> {
  const order = [to, ...[1, 2, 3].filter((id) => id !== to)]
  const leadersOf = async (): Promise<number[]> => {
    const partitions = await view.partitions()
    return partitions.filter(({ topic }) => coordinatorTopics.includes(topic)).map(({ leader }) => leader)
  }
  const at = cluster.member(to)
  for (const topic of coordinatorTopics) {
    const described = await admin.describe(at, topic)
    const assignment = described.map(() => order)
    await admin.reassign(at, topic, assignment)
    await admin.electPreferred(at, topic, described.length)
  }
  return eventually(
    `broker ${to} leads the coordinators' partitions`,
    async () => {
      const leaders = await leadersOf()
      return leaders.length > 0 && leaders.every((leader) => leader === to) ? leaders : null
    },
    120_000,
  )
}

describe(`coordinators that move between Apache Kafka and ours (seed ${seed})`, () => {
  test('have moved, all of them, each time', () => {
    expect(led.map((leaders) => [...new Set(leaders)])).toEqual(
      Array.from({ length: moves }, (_, move) => [move % 2 === 0 ? KAFKA : OURS]),
    )
    expect(led[0].length).toBe(8)
  })

  test('no anomaly but those that the protocol allows', () => {
    expect(result.anomalyCounts).toEqual({})
    expect(result.anomalies).toEqual([])
  })

  test('each family has written and transformed', () => {
    for (const name of familyNames) {
      expect(result.committedBy[`${name}-w`]).toBeGreaterThan(moves)
      expect(result.committedBy[`${name}-x`]).toBeGreaterThan(moves)
    }
  })
})
