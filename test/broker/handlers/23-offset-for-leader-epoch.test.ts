import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { offsetForLeaderEpochApi } from '../../../src/protocol/messages/23-offset-for-leader-epoch.ts'
import { startProcess, type BrokerProcess } from '../broker-process.ts'
import { batchOf, createTopic, produce } from '../requests.ts'
import type { WireClient } from '../wire-client.ts'

let process: BrokerProcess
let client: WireClient

beforeAll(async () => {
  process = await startProcess(new SimDisk({ random: new SeededRandom(1) }))
  client = await process.connect()
})
afterAll(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

async function endOf(topic: string, leaderEpoch: number, currentLeaderEpoch = -1, version = 4) {
  const topics = [{ topic, partitions: [{ partition: 0, currentLeaderEpoch, leaderEpoch }] }]
  return (await client.request(offsetForLeaderEpochApi, version, { topics })).topics[0].partitions[0]
}

test('an epoch ends where the next begins, the last one at the log end', async () => {
  await createTopic(client, 'epochs')
  await produce(client, 'epochs', batchOf(['a', 'b']))
  const partition = process.broker.parts.services.replicas.get('epochs', 0)!
  const { topic, topicId, leader, isr, replicas, partitionEpoch } = partition
  partition.apply({
    topic,
    topicId,
    partition: 0,
    leader,
    isr,
    replicas,
    partitionEpoch,
    leaderEpoch: 3,
    isNew: false,
  })
  await produce(client, 'epochs', batchOf(['c']))
  expect(await endOf('epochs', 0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 2 })
  expect(await endOf('epochs', 2)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 2 })
  expect(await endOf('epochs', 3, 3)).toMatchObject({ errorCode: 0, leaderEpoch: 3, endOffset: 3 })
  expect(await endOf('epochs', 4)).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 })
  expect((await endOf('epochs', 0, 2)).errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH)
  expect((await endOf('epochs', 0, 4)).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH)
  expect(await endOf('epochs', 0, 2, 1)).toMatchObject({ errorCode: 0, endOffset: 2 })
})

test('unknown topics', async () => {
  expect(await endOf('nowhere', 0)).toMatchObject({
    errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    leaderEpoch: -1,
    endOffset: -1,
  })
})
