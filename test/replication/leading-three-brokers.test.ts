import { afterEach, expect, test } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { createTopicsApi } from '../../src/protocol/messages/19-create-topics.ts'
import { deleteRecordsApi } from '../../src/protocol/messages/21-delete-records.ts'
import { ClusterProcesses } from '../broker/cluster-processes.ts'
import { eventually } from '../broker/eventually.ts'
import { batchOf, fetch, produce, valuesIn } from '../broker/requests.ts'
import type { WireClient } from '../broker/wire-client.ts'

/** Short, and longer than a follower's fetch waits. */
const LAG = { 'replica.lag.time.max.ms': '600', 'replica.fetch.wait.max.ms': '200' }
const MIN_INSYNC = { name: 'min.insync.replicas', value: '2' }

let cluster: ClusterProcesses

afterEach(async () => {
  const bugs = cluster.ids.flatMap((id) => cluster.process(id).bugs)
  await cluster.stopAll()
  expect(bugs).toEqual([])
})

const leaderId = (): number => cluster.leader('t')!
const leader = () => cluster.replica(leaderId(), 't')!
const followers = (): number[] => cluster.ids.filter((id) => id !== leaderId())
const state = () => ({
  ends: cluster.replicas('t').map(({ log, highWatermark }) => [log.logEndOffset, highWatermark]),
  isr: cluster.replicas('t').map(({ isr }) => isr),
})
const inSync = (members: number): Promise<boolean> =>
  eventually(() => cluster.leader('t') !== undefined && leader().isr.length === members, Boolean, state)

/** Three brokers and a topic `t` on all of them, in sync. Gives a connection to its leader. */
async function withTopic(properties: Record<string, string> = {}, racks = false): Promise<WireClient> {
  cluster = new ClusterProcesses(3, properties)
  if (racks) for (let id = 1; id <= 3; id++) await cluster.start(id, { 'broker.rack': `rack-${id}` })
  else await cluster.startAll()
  const client = await cluster.process(1).connect()
  const configs = [MIN_INSYNC]
  const topics = [{ name: 't', numPartitions: 1, replicationFactor: 3, assignments: [], configs }]
  await client.request(createTopicsApi, 7, { topics, timeoutMs: 10_000, validateOnly: false })
  await inSync(3)
  return cluster.process(leaderId()).connect()
}

const codeOf = async (client: WireClient, value: string, acks = -1): Promise<number> =>
  (await produce(client, 't', batchOf([value]), { acks })).errorCode

test('a follower that fetches no more leaves the in-sync set, and what is acknowledged then is on two', async () => {
  const client = await withTopic(LAG)
  const [hanging, other] = followers()
  // It lives, and its session goes on.
  cluster.process(hanging).broker.parts.services.replicas.stop()
  expect(await codeOf(client, 'waits for the set to shrink')).toBe(ErrorCode.NONE)
  expect(leader().isr.toSorted()).toEqual([leaderId(), other].toSorted())
  expect(cluster.replica(other, 't')!.log.logEndOffset).toBe(1)
  expect(cluster.replica(hanging, 't')!.log.logEndOffset).toBe(0)
  await cluster.process(hanging).stop()
  await cluster.start(hanging)
  await inSync(3)
  await eventually(
    () => cluster.replicas('t').every(({ highWatermark }) => highWatermark === 1),
    Boolean,
    state,
  )
})

test('below min.insync.replicas acks=all is refused, and what acks=1 brings is seen when a follower is back', async () => {
  const client = await withTopic(LAG)
  expect(await codeOf(client, 'first')).toBe(ErrorCode.NONE)
  const [one, other] = followers()
  for (const id of [one, other]) await cluster.kill(id)()
  await inSync(1)
  expect(await codeOf(client, 'refused')).toBe(ErrorCode.NOT_ENOUGH_REPLICAS)
  expect(await codeOf(client, 'later', 1)).toBe(ErrorCode.NONE)
  expect(valuesIn((await fetch(client, 't', 0)).records)).toEqual(['first'])
  await cluster.start(one)
  await inSync(2)
  await eventually(() => leader().highWatermark === 2, Boolean, state)
  expect(valuesIn((await fetch(client, 't', 0)).records)).toEqual(['first', 'later'])
  expect(await codeOf(client, 'taken')).toBe(ErrorCode.NONE)
})

test('a consumer in the rack of a follower is sent to it, and reads everything there as soon as it is committed', async () => {
  const selector = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'
  const client = await withTopic({ 'replica.selector.class': selector }, true)
  expect(await codeOf(client, 'a')).toBe(ErrorCode.NONE)
  const [near] = followers()
  const ask = async (connection: WireClient, fetchOffset: number) => {
    const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 10_000 }] }]
    const limits = { maxWaitMs: 10_000, minBytes: 1, sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [] }
    const request = { ...limits, replicaId: -1, topics, rackId: `rack-${near}` }
    const [reply] = (await connection.request(fetchApi, 11, request)).responses[0].partitions
    return [reply.errorCode, reply.preferredReadReplica, valuesIn(reply.records)]
  }
  // Known to be in sync with it as soon as it has fetched again.
  await eventually(() => leader().followers.every(({ logEndOffset }) => logEndOffset === 1), Boolean, state)
  expect(await ask(client, 0)).toEqual([0, near, []])
  const nearby = await cluster.process(near).connect()
  expect(await ask(nearby, 0)).toEqual([0, -1, ['a']])
  const next = ask(nearby, 1)
  expect(await codeOf(client, 'b')).toBe(ErrorCode.NONE)
  expect(await next).toEqual([0, -1, ['b']])
})

test('records that are deleted are gone from all replicas when it is answered', async () => {
  const client = await withTopic()
  for (const value of ['a', 'b', 'c']) expect(await codeOf(client, value)).toBe(ErrorCode.NONE)
  const wanted = [{ name: 't', partitions: [{ partitionIndex: 0, offset: 2 }] }]
  const reply = await client.request(deleteRecordsApi, 2, { topics: wanted, timeoutMs: 10_000 })
  expect(reply.topics[0].partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 2 })
  expect(cluster.replicas('t').map(({ log }) => log.logStartOffset)).toEqual([2, 2, 2])
})
