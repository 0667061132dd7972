/** In-sync sets as leaders change them, for clusters whose brokers only remember. */
import { expect } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { SimCluster } from './cluster.ts'

/** The leader asks for another in-sync set, as it does when followers catch up or fall behind. */
export async function setIsr(
  cluster: SimCluster,
  isr: readonly number[],
  topic = 't',
  partition = 0,
): Promise<void> {
  const { leader, leaderEpoch, partitionEpoch } = await cluster.stateOf(topic, partition)
  const { metadata, controller } = cluster.controller
  const request = {
    brokerId: leader,
    brokerEpoch: metadata.broker(leader)!.epoch,
    topics: [
      {
        topicName: '',
        topicId: metadata.topic(topic)!.topicId,
        partitions: [
          {
            partitionIndex: partition,
            leaderEpoch,
            newIsr: [],
            newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
            leaderRecoveryState: 0,
            partitionEpoch,
          },
        ],
      },
    ],
  }
  const response = await cluster.until(controller.alterPartition(request, 3))
  expect(response.topics[0].partitions[0].errorCode).toBe(ErrorCode.NONE)
  await cluster.scheduler.settle()
}
