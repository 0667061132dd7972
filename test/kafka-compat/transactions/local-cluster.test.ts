/**
 * `odradek --brokers 3` under transactions of librdkafka and kafkajs, whose leaders all move about, those of the coordinators'
 * partitions too, while clients are killed and replaced.
 *
 *   ODRADEK_TRANSACTIONS_MOVES  how many moves, by default 5
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { electLeadersApi } from '../../../src/protocol/messages/43-elect-leaders.ts'
import { alterPartitionReassignmentsApi } from '../../../src/protocol/messages/45-alter-partition-reassignments.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { eventually, pause } from '../harness/conditions.ts'
import { repository } from '../harness/paths.ts'
import { ended, startProcess } from '../harness/processes.ts'
import { Random } from '../cluster/random.ts'
import { runRound, type RoundResult } from './run.ts'

const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? Math.floor(Math.random() * 2 ** 31))
const moves = Number(process.env.ODRADEK_TRANSACTIONS_MOVES ?? 5)
const families = ['rdkafka', 'kafkajs'] as const
const historyFile = join(tmpdir(), `odradek-transactions-${seed}-local.txt`)
const READY_LINE = /^odradek \S+ ready in \d+ ms: (.+); data in/

let directory: string
let command: ChildProcess
let result: RoundResult
/** Topics of which a leader has moved. */
const moved = new Set<string>()

beforeAll(async () => {
  console.log(`transactions of a local cluster: ODRADEK_COMPAT_SEED=${seed}`)
  directory = mkdtempSync(join(tmpdir(), 'odradek-transactions-'))
  const ports = await start()
  const random = new Random(seed)
  result = await runRound(
    { bootstrap: ports.map((port) => `127.0.0.1:${port}`).join(','), members: ports },
    {
      families,
      round: 'moving',
      partitions: 4,
      seed,
      writers: 2,
      transformers: 2,
      pauseMs: 5,
      historyFile,
      async during(round) {
        await round.untilGoesOn()
        for (let move = 0; move < moves; move++) {
          await moveLeaders(ports[0], random)
          await pause(random.between([200, 1500]))
          const family = random.pick(round.families)
          if (move % 4 === 1) await family.killAndStart()
          if (move % 4 === 3) await family.freezeAndReplace()
          if (move % 2 === 0) await round.untilGoesOn()
        }
        await round.untilGoesOn()
      },
    },
  )
  const { anomalies, ...figures } = result
  console.log(JSON.stringify(figures, null, 1))
  if (anomalies.length === 0) rmSync(historyFile)
  else console.log(JSON.stringify(anomalies, null, 1), `seed ${seed}; see ${historyFile}`)
}, 600_000)

afterAll(async () => {
  command?.kill('SIGKILL')
  await ended(command)
  rmSync(directory, { recursive: true, force: true })
})

/** Gives the brokers' ports. */
async function start(): Promise<number[]> {
  const config = ['offsets.topic.num.partitions=4', 'transaction.state.log.num.partitions=4']
  const overrides = config.flatMap((each) => ['--override', each])
  const args = ['--brokers', '3', '--data-dir', directory, '--port', '0', ...overrides]
  command = startProcess(process.execPath, [join(repository, 'dist/odradek.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  command.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [, addresses] = await eventually('the brokers are ready', () => {
    if (command.exitCode !== null) throw new Error(`odradek has ended: ${said}`)
    return READY_LINE.exec(said)
  })
  return [...addresses.matchAll(/PLAINTEXT:\/\/\S+:(\d+)/g)].map(([, port]) => Number(port))
}

/** Each partition gets another order of its replicas, and its first one as its leader. */
async function moveLeaders(port: number, random: Random): Promise<void> {
  const client = await WireClient.connect(port)
  try {
    const { topics, controllerId, brokers } = await client.request(metadataApi, 1, { topics: null })
    const controller = await WireClient.connect(brokers.find(({ nodeId }) => nodeId === controllerId)!.port)
    const plan = topics.map(({ name, partitions }) => ({
      name: name!,
      partitions: partitions.map(({ partitionIndex, replicaNodes }) => ({
        partitionIndex,
        replicas: random.shuffle(replicaNodes),
      })),
    }))
    const { errorCode } = await controller.request(alterPartitionReassignmentsApi, 0, { topics: plan })
    expect(errorCode).toBe(0)
    const elected = await controller.request(electLeadersApi, 1, { electionType: 0, topicPartitions: null })
    for (const { topic, partitionResult } of elected.replicaElectionResults) {
      if (partitionResult.some((each) => each.errorCode === 0)) moved.add(topic)
    }
    controller.close()
  } finally {
    client.close()
  }
}

describe(`a local cluster whose leaders move under transactions (seed ${seed})`, () => {
  test('no anomaly but those that the protocol allows', () => {
    expect(result.anomalies).toEqual([])
    expect(result.anomalyCounts).toEqual({})
  })

  test('leaders have moved, and each family has gone on', () => {
    expect([...moved].toSorted()).toEqual([
      '__consumer_offsets',
      '__transaction_state',
      'moving-in',
      'moving-out',
    ])
    for (const name of families) {
      expect(result.committedBy[`${name}-w`]).toBeGreaterThan(moves)
      expect(result.committedBy[`${name}-x`]).toBeGreaterThan(moves / 2)
    }
  })
})
