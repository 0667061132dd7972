import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { offsetForLeaderEpochApi } from '../../../src/protocol/messages/23-offset-for-leader-epoch.ts'
import { useBroker } from '../use-broker.ts'
import { batchOf, createTopic, produce } from '../requests.ts'

const broker = useBroker()

async function endOf(topic: string, leaderEpoch: number, currentLeaderEpoch = -1, version = 4) {
  const topics = [{ topic, partitions: [{ partition: 0, currentLeaderEpoch, leaderEpoch }] }]
  return (await broker.client.request(offsetForLeaderEpochApi, version, { topics })).topics[0].partitions[0]
}

test('an epoch ends where the next begins, the last one at the log end', async () => {
  await createTopic(broker.client, 'epochs')
  await produce(broker.client, 'epochs', batchOf(['a', 'b']))
  const partition = broker.process.broker.parts.services.replicas.get('epochs', 0)!
  const { topic, topicId, leader, isr, replicas, partitionEpoch } = partition
  partition.makeLeader({
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
  await produce(broker.client, 'epochs', batchOf(['c']))
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
