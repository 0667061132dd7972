import { afterEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { ClusterProcesses } from '../../broker/cluster-processes.ts'
import { eventually } from '../../broker/eventually.ts'
import { allValues, batchOf, produce } from '../../broker/requests.ts'
import type { WireClient } from '../../broker/wire-client.ts'
import { readAll } from '../../log/log-fixture.ts'

let cluster: ClusterProcesses

afterEach(async () => {
  const bugs = cluster.ids.flatMap((id) => cluster.process(id).bugs)
  await cluster.stopAll()
  expect(bugs).toEqual([])
})

/** Three brokers and a topic `t` on all of them, in sync. */
async function withTopic(partitions = 1): Promise<void> {
  cluster = new ClusterProcesses(3, { 'num.replica.fetchers': '2' })
  await cluster.startAll()
  const client = await cluster.process(1).connect()
  const topics = [
    { name: 't', numPartitions: partitions, replicationFactor: 3, assignments: [], configs: [] },
  ]
  const {
    topics: [made],
  } = await client.request(createTopicsApi, 7, { topics, timeoutMs: 10_000, validateOnly: false })
  expect(made.errorCode).toBe(ErrorCode.NONE)
  for (let index = 0; index < partitions; index++) await inSync(3, index)
}

const state = (partition = 0) => ({
  leader: cluster.leader('t', partition),
  ends: cluster.replicas('t', partition).map(({ log, highWatermark }) => [log.logEndOffset, highWatermark]),
  isr: cluster.replicas('t', partition).map(({ isr }) => isr),
  lines: cluster.ids.map((id) => cluster.process(id).lines.slice(-15)),
})

const inSync = (members: number, partition = 0): Promise<boolean> =>
  eventually(
    () => cluster.replicas('t', partition).some(({ isLeader, isr }) => isLeader && isr.length === members),
    Boolean,
    () => state(partition),
  )

const sameEverywhere = (partition = 0): Promise<boolean> =>
  eventually(
    () => {
      const replicas = cluster.replicas('t', partition)
      const [first, ...others] = replicas.map(({ log }) => readAll(log))
      const end = replicas[0].log.logEndOffset
      return (
        others.every((other) => other.equals(first)) && replicas.every((one) => one.highWatermark === end)
      )
    },
    Boolean,
    () => state(partition),
  )

async function leaderClient(partition = 0): Promise<WireClient> {
  await eventually(
    () => cluster.leader('t', partition) !== undefined,
    Boolean,
    () => state(partition),
  )
  return cluster.process(cluster.leader('t', partition)!).connect()
}

async function produceAll(client: WireClient, values: readonly string[], partition = 0): Promise<void> {
  await Promise.all(
    values.map(async (value) => {
      const { errorCode } = await produce(client, 't', batchOf([value]), { partition })
      expect(errorCode).toBe(ErrorCode.NONE)
    }),
  )
}

const valuesOf = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`)

describe('three brokers', () => {
  test('what acks=all acknowledges is in all their logs, byte for byte', async () => {
    await withTopic(3)
    for (let partition = 0; partition < 3; partition++) {
      await produceAll(await leaderClient(partition), valuesOf(`p${partition}`, 200), partition)
      await sameEverywhere(partition)
    }
  })

  test('a leader that is killed is replaced, and follows when it is back', async () => {
    await withTopic()
    const before = valuesOf('before', 50)
    await produceAll(await leaderClient(), before)
    const old = cluster.leader('t')!
    await cluster.kill(old)()
    const between = valuesOf('between', 50)
    await produceAll(await leaderClient(), between)
    await inSync(2)
    await cluster.start(old)
    await inSync(3)
    const after = valuesOf('after', 50)
    await produceAll(await leaderClient(), after)
    await sameEverywhere()
    expect(await allValues(await leaderClient(), 't')).toEqual([...before, ...between, ...after])
  })

  test('a follower that comes back with an empty disk gets everything', async () => {
    await withTopic()
    await produceAll(await leaderClient(), valuesOf('v', 50))
    const follower = cluster.ids.find((id) => id !== cluster.leader('t'))!
    await cluster.kill(follower)()
    await inSync(2)
    cluster.replaceDisk(follower)
    await cluster.start(follower)
    await inSync(3)
    await sameEverywhere()
  })
})
